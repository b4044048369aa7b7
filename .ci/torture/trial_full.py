"""A disk that is full, read-only or gone: the feed lives on, what is lost is counted, and it resumes by itself. And a path of
which there can be only one writer, and a device that is always full."""

import os
import pathlib
import shutil
import time

from recording import Check
from stand import Daemon, need_root, number, wait_until

# What may be lost before a file that was removed is missed by its writer: the daemon looks at it each second.
FILL = 4 << 20


def run(bench):
    full(bench)
    full_twice(bench)
    removed_folder(bench)
    read_only(bench)
    second_daemon(bench)
    dev_full(bench)


def counts(bench, what, daemon, folder, code, holes=False):
    """What is there and what was dropped are what came, to the message."""
    check = Check(folder, holes=holes)
    for text in check.wrong[:10]:
        bench.violation(f"{what}: {text}")
    received = sum(data["received"] for _, data in check.ends)
    written = sum(data["written"] for _, data in check.ends)
    dropped = sum(data["dropped"] for _, data in check.ends)
    bench.say(f"{what}: exit {code}; {check.figures()}; dropped {dict(check.dropped)}; received {received}, written {written}, "
              f"dropped {dropped}")
    bench.require(len(check.ends) == 1, f"{what}: {len(check.ends)} connections ended, and the feed should have lived on: "
                  f"{[data['cause'] for _, data in check.ends]}")
    if not holes:
        bench.require(written == check.messages, f"{what}: written {written}, and {check.messages} are there")
    bench.require(dropped == check.dropped["slow"] + check.dropped["disk"], f"{what}: dropped {dropped}, and events say {dict(check.dropped)}")
    return check


def one_of_each(bench, what, daemon, times=1):
    """One error when it begins, one line with the count when it is over, and no other error."""
    begins, ends = daemon.said("ERROR", "can not write"), daemon.said("takes records again")
    for line in begins[:1] + ends[:1]:
        bench.say(f"{what}: log: {line[:230]}")
    bench.require(len(begins) == times and len(ends) == times, f"{what}: {len(begins)} errors and {len(ends)} ends of them, not {times}")
    others = [line for line in daemon.said("ERROR|WARN") if line not in begins + ends]
    bench.require(not others, f"{what}: the log says besides: {others[:3]}")


def full(bench):
    need_root()
    folder = bench.folder / "full"
    folder.mkdir()
    bench.mount("-t", "tmpfs", "-o", f"size={FILL}", "tmpfs", folder)
    data = folder / "data"
    data.mkdir()
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(FILL // 2))
    daemon = Daemon(bench, bench.exchange(10), data, queue="1MiB", level="warn").start()
    bench.require(daemon.await_words("ERROR"), "full: no error was said")
    time.sleep(number("FULL_SECONDS", 6))
    ballast.unlink()
    time.sleep(1.5)
    code = daemon.stop() if daemon.process.poll() is None else daemon.process.returncode
    bench.require(code == 0, f"full: exit {code}")
    check = counts(bench, "full", daemon, data, code)
    bench.require(check.dropped["disk"] > 0, "full: nothing was dropped, so nothing was shown")
    one_of_each(bench, "full", daemon)


def full_twice(bench):
    """Full twice, with segments that are sealed and compressed meanwhile."""
    folder = bench.folder / "twice"
    folder.mkdir()
    bench.mount("-t", "tmpfs", "-o", f"size={2 * FILL}", "tmpfs", folder)
    data = folder / "data"
    data.mkdir()
    ballast = [folder / "ballast1", folder / "ballast2"]
    for file in ballast:
        file.write_bytes(bytes(FILL // 2))
    daemon = Daemon(bench, bench.exchange(10), data, queue="1MiB", level="warn", rotate={"size": "256KiB"}, compress="zstd").start()
    for turn, file in enumerate(ballast):
        time.sleep(1)
        fill(folder / "more")
        bench.require(daemon.await_words("ERROR", more_than=turn), f"twice: error {turn + 1} was not said")
        time.sleep(4)
        file.unlink()
        (folder / "more").unlink(missing_ok=True)
        time.sleep(1.5)
    code = daemon.stop() if daemon.process.poll() is None else daemon.process.returncode
    bench.require(code == 0, f"twice: exit {code}")
    counts(bench, "twice", daemon, data, code)
    one_of_each(bench, "twice", daemon, times=2)


def fill(file):
    """All the room that there is."""
    try:
        with open(file, "wb", buffering=0) as more:
            while more.write(bytes(4096)):
                pass
    except OSError:
        pass


def removed_folder(bench):
    for name, again in (("removed", True), ("removed for good", False)):
        folder = bench.folder / name.replace(" ", "-")
        folder.mkdir()
        daemon = Daemon(bench, bench.exchange(20), folder, level="warn").start()
        wait_until(lambda: (folder / "tape.ndjson").exists() and (folder / "tape.ndjson").stat().st_size > 100_000)
        shutil.rmtree(folder)
        time.sleep(3)
        if again:
            folder.mkdir(exist_ok=True)
            time.sleep(3)
        elif folder.exists():
            bench.say(f"{name}: it made the folder anew")
        for line in daemon.said("ERROR|WARN")[:3]:
            bench.say(f"{name}: log: {line[:230]}")
        code = daemon.stop()
        if again:
            bench.require(code == 0, f"{name}: exit {code}")
            if bench.require((folder / "tape.ndjson").exists(), f"{name}: nothing is recorded after the folder is back"):
                # What was removed is owned up to by one event, and by no other.
                check = counts(bench, name, daemon, folder, code, holes=True)
                owned = check.dropped["removed"]
                bench.require(check.missing == owned, f"{name}: {check.missing} messages are missing, and {owned} owned up to as removed")
        else:
            bench.require(code in (0, 74), f"{name}: exit {code}")
            bench.say(f"{name}: exit {code}; {daemon.said('')[-1][:200]}")


def read_only(bench):
    """A file system that has made itself read-only, as ext4 does after an error of its disk."""
    image, folder = bench.folder / "image", bench.folder / "read-only"
    folder.mkdir()
    with open(image, "wb") as file:
        file.truncate(64 << 20)
    bench.command("mkfs.ext4", "-qF", "-O", "^has_journal", image)
    bench.mount("-o", "loop,errors=remount-ro", image, folder)
    data = folder / "data"
    data.mkdir()
    device = pathlib.Path(bench.command("findmnt", "-no", "SOURCE", folder).strip()).name
    trigger = pathlib.Path(f"/sys/fs/ext4/{device}/trigger_fs_error")
    if not trigger.exists():
        return bench.say("read-only: skipped: this kernel makes no file system fail on request")
    daemon = Daemon(bench, bench.exchange(50), data, queue="1MiB", level="warn").start()
    wait_until(lambda: (data / "tape.ndjson").exists() and (data / "tape.ndjson").stat().st_size > 100_000)
    trigger.write_text("made up\n")
    bench.require(daemon.await_words("ERROR"), "read-only: no error was said")
    time.sleep(5)
    # A newer kernel keeps it so until it is mounted anew; the daemon's file is then on what was there before.
    options = ["-o", "remount,rw,errors=remount-ro", f"/dev/{device}", folder]
    bench.command("mount", *options)
    again = writable(data)
    if not again:
        bench.command("umount", "-l", folder)
        bench.mount("-o", "loop", image, folder)
    resumed = wait_until(lambda: daemon.said("takes records again"), 5)
    code = daemon.stop()
    bench.say(f"read-only: {'remounted' if again else 'mounted anew'}, {'resumed' if resumed else 'not resumed'}; exit {code}; "
              f"{daemon.said('')[-1][:230]}")
    if again:
        bench.require(code == 0 and resumed, f"read-only: exit {code}")
        check = counts(bench, "read-only", daemon, data, code)
        bench.require(check.dropped["disk"] > 0, "read-only: nothing was dropped, so nothing was shown")
        one_of_each(bench, "read-only", daemon)
    else:
        # What comes of it is another disk's business; what was received is counted all the same.
        bench.require(code == (0 if resumed else 74), f"read-only: exit {code}")
        bench.require(len(daemon.said("can not write")) == 1, "read-only: not one error in the log")


def writable(folder):
    try:
        (folder / "probe").write_bytes(b"x")
        (folder / "probe").unlink()
        return True
    except OSError:
        return False


def second_daemon(bench):
    folder = bench.folder / "second"
    folder.mkdir()
    url = bench.exchange(10)
    first = Daemon(bench, url, folder).start()
    wait_until(lambda: (folder / "tape.ndjson").exists() and (folder / "tape.ndjson").stat().st_size > 10_000)
    second = Daemon(bench, url, folder).start()
    code = second.process.wait(20)
    text = second.log.read_text()
    bench.require(code not in (0, None), f"second: exit {code}")
    bench.require(str(first.pid) in text, f"second: the pid {first.pid} of the first is not named: {text}")
    bench.say(f"second: exit {code}: {text.splitlines()[-1][:230]}")
    first_code = first.stop()
    bench.require(first_code == 0, f"second: the first exits with {first_code}")
    counts(bench, "second", first, folder, first_code)
    third = Daemon(bench, url, folder).start()
    time.sleep(1)
    bench.require(third.process.poll() is None, f"second: no start after a clean end: {third.log.read_text()[-300:]}")
    bench.require(third.stop() == 0, "second: the third does not end well")


def dev_full(bench):
    before = set(os.listdir("/dev"))
    daemon = Daemon(bench, bench.exchange(20), bench.folder, path="/dev/full", level="warn").start()
    time.sleep(4)
    alive = daemon.process.poll() is None
    code = daemon.stop() if alive else daemon.process.returncode
    left = set(os.listdir("/dev")) - before
    bench.require(code == 74, f"/dev/full: exit {code}, not 74")
    bench.require(not left, f"/dev/full: {left} is left in /dev")
    for line in daemon.said("")[:4]:
        bench.say(f"/dev/full: {'alive after 4 s, ' if alive else ''}exit {code}: {line[:230]}")
