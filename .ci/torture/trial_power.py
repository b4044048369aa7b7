"""Lost power: all that was reported synced is there, and each sealed name has a seal that matches.

The power goes in two ways. `copy`: the image of a mounted ext4 is copied in mid-write, and the copy is mounted. `shutdown`: ext4 is
told to let go of its disk at once (what xfstests calls godown): nothing reaches the image after that, not even the journal.
What was synced is known from the calls: strace writes down each sync when it has returned, to another file system, and what
had been written before it."""

import array
import fcntl
import os
import pathlib
import random
import re
import signal
import time

from recording import Check
from stand import Daemon, need, need_root, number, wait_until

# _IOR('X', 125, __u32), and its flag for not flushing the journal.
SHUTDOWN, NOLOGFLUSH = 0x8004587D, 2


def run(bench):
    need_root()
    need("strace", "mkfs.ext4", "losetup", "zstd")
    turns = number("CUTS", 20)
    chance = random.Random(number("SEED", int(time.time())))
    for sync in ("1s", "always"):
        shutdown(bench, chance, sync, turns)
        copy(bench, chance, sync, turns)


def image(bench, name):
    path, place = bench.folder / f"{name}.img", bench.folder / name
    place.mkdir()
    with open(path, "wb") as file:
        file.truncate(512 << 20)
    bench.command("mkfs.ext4", "-qF", path)
    bench.mount("-o", "loop", path, place)
    (place / "data").mkdir()
    bench.command("sync", "-f", place)
    return path, place


def recorder(bench, url, folder, log, sync):
    traced = ["strace", "-f", "-y", "-s", "0", "-qq", "-o", log, "--seccomp-bpf", "-e",
              "trace=openat,write,fdatasync,fsync,rename,renameat,renameat2,close"]
    # Compression is soon behind each seal, so that the power goes in the midst of it too.
    return Daemon(bench, url, folder, before=traced, sync=sync, rotate={"every": "2s", "size": "256KiB"}, compress="zstd")


def shutdown(bench, chance, sync, turns):
    """Over one set of files."""
    name = f"shutdown-{sync}"
    path, place = image(bench, name)
    url, promised = bench.exchange(50), Promised(bench, name)

    def cut():
        with_folder = os.open(place, os.O_RDONLY)
        try:
            fcntl.ioctl(with_folder, SHUTDOWN, array.array("I", [NOLOGFLUSH]))
        finally:
            os.close(with_folder)

    def again():
        bench.command("umount", place)
        bench.command("mount", "-o", "loop", path, place)

    cuts(bench, chance, name, url, place, sync, turns, promised, cut, again)


def cuts(bench, chance, name, url, place, sync, turns, promised, cut, again):
    """Turns of recording, cut, death, and what is there then."""
    for turn in range(turns):
        log = bench.folder / f"{name}-{turn}.strace"
        daemon = recorder(bench, url, place / "data", log, sync)
        daemon.start()
        wait_until(lambda: log.exists() and "fdatasync" in log.read_text(), 30)
        time.sleep(chance.uniform(0, 4))
        synced = log.read_text()
        cut()
        time.sleep(chance.choice([0, 0.3]))
        daemon.kill()
        again()
        promised.hold(place / "data", synced, f"{name} {turn}")
    end(bench, url, place / "data", name, promised)


def copy(bench, chance, sync, turns):
    """Each copy begins a life of its own."""
    name = f"copy-{sync}"
    path, place = image(bench, name)
    url, promised = bench.exchange(50), Promised(bench, name)
    log = bench.folder / f"{name}.strace"
    daemon = recorder(bench, url, place / "data", log, sync)
    daemon.start()
    wait_until(lambda: (place / "data/tape.ndjson").exists())
    snapshot, there = bench.folder / f"{name}.snapshot", bench.folder / f"{name}-snapshot"
    there.mkdir()
    for turn in range(turns):
        time.sleep(chance.uniform(0.1, 2))
        # The copy takes longer than a moment, and the power goes in one. So the process stands still; what it has written and not
        # synced stays in memory meanwhile, and where some of that goes to the disk all the same, another copy is made.
        daemon.signal(signal.SIGSTOP)
        device = pathlib.Path(bench.command("findmnt", "-no", "SOURCE", place).strip()).name
        while True:
            synced, writes = log.read_text(), written_to(device)
            bench.command("cp", "--sparse=always", path, snapshot)
            if written_to(device) == writes:
                break
        daemon.signal(signal.SIGCONT)
        bench.command("mount", "-o", "loop", snapshot, there)
        try:
            promised.hold(there / "data", synced, f"{name} {turn}")
            if turn % 5 == 4:
                end(bench, url, there / "data", f"{name} {turn}", promised)
        finally:
            bench.command("umount", there)
    daemon.stop()
    bench.say(f"{name}: {turns} cuts: {promised.figures()}")


def written_to(device):
    """Writes that a device has finished, and those that it has in hand."""
    about = pathlib.Path(f"/sys/block/{device}/stat").read_text().split()
    return about[4], about[8]


def end(bench, url, folder, name, promised):
    """The next start makes whole segments of what is there."""
    before = Check(folder, torn_tail=True)
    daemon = Daemon(bench, url, folder, sync="1s", rotate={"every": "2s", "size": "256KiB"}, compress="zstd").start()
    time.sleep(3)
    code = daemon.stop()
    bench.require(code == 0, f"{name}: exit {code} of the start after it: {daemon.said('')[-2:]}")
    after = Check(folder)
    for text in after.wrong[:10]:
        bench.violation(f"{name}, after the next start: {text}")
    for run, size in before.runs.items():
        bench.require(after.runs[run] >= size, f"{name}: of run {run} {size} bytes were there, and {after.runs[run]} after the next start")
    if "copy" not in name:
        bench.say(f"{name}: {promised.figures()}; after the last start {after.figures()}")


class Promised:
    """What was synced, held to what is there."""

    def __init__(self, bench, name):
        self.bench, self.name, self.known = bench, name, set()
        self.synced = self.there = self.cuts = self.sealed = self.torn = 0

    def hold(self, folder, log, what):
        synced = bytes_synced(log)
        # What is between two steps is there for the next start to see to: unfinished work, and both forms of a segment.
        check = Check(folder, torn_tail=True)
        for text in check.wrong:
            if not re.search(r"is left in \.tickerd|plain and compressed|seals nothing|torn bytes of", text):
                self.bench.violation(f"{what}: {text}")
        new = {run: size for run, size in check.runs.items() if run not in self.known}
        there = sum(new.values())
        if "shutdown" in what or "flakey" in what:
            self.known |= set(new)
        self.bench.require(len(new) <= 1, f"{what}: the lines of {len(new)} runs where there was one")
        unsealed = sum(file.stat().st_size for file in (folder / ".tickerd").glob("*.unsealed"))
        self.bench.require(there + unsealed >= synced, f"{what}: {synced} bytes were synced, and {there} are there")
        self.synced, self.there, self.cuts = self.synced + synced, self.there + there, self.cuts + 1
        self.sealed += len(check.names)

    def figures(self):
        self.bench.require(self.synced > 0, f"{self.name}: nothing was synced, so nothing was shown")
        return f"{self.cuts} cuts; {self.synced} bytes had been synced, {self.there} were there; {self.sealed} files looked at"


def bytes_synced(log):
    """Of the lines of one run: what had been written to a tape before the last sync of it that returned 0."""
    written, synced, pending, total = {}, {}, {}, 0
    for line in log.splitlines():
        pid, _, call = line.partition(" ")
        call = call.strip()
        if call.endswith("<unfinished ...>"):
            pending[pid] = call.removesuffix("<unfinished ...>")
            continue
        if call.startswith("<... "):
            call = pending.pop(pid, "") + call[call.index(">") + 1:]
        opened = re.match(r'openat\(.*?"[^"]*/tape\.ndjson", .*= (\d+)<', call)
        if opened:
            # One that is opened anew while another of its name is open is another descriptor of it, and is not written to.
            written.setdefault(opened[1], 0)
            continue
        done = re.match(r"(\w+)\((\d+)<[^>]*>.*= (-?\d+)", call)
        if not done or done[2] not in written:
            continue
        result = int(done[3])
        # One byte is no record, but the end that a start puts behind a torn line of its predecessor.
        if done[1] == "write" and result > 1:
            written[done[2]] += result
        elif done[1] in ("fdatasync", "fsync") and result == 0:
            synced[done[2]] = written[done[2]]
        elif done[1] == "close":
            written.pop(done[2])
            total += synced.pop(done[2], 0)
    return total + sum(synced.values())
