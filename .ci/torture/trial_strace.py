"""Single calls fail: writes with EIO and ENOSPC, syncs with EIO; and writes are short. Counts are equal to the message, and no
descriptor is synced again after a sync of it has failed.

strace can only make up what a call returns, so a short write is made by a library that is preloaded: it really writes less."""

import re
import time

from recording import Check
from stand import Daemon, Skip, need, need_root, wait_until

SHORT = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* Of each write to a file, and of half of those to anything else than one, only a part. */
ssize_t write(int fd, const void *from, size_t count) {
    static ssize_t (*real)(int, const void *, size_t);
    static unsigned seed = 7;
    struct stat about;
    if (!real) real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    if (count > 64 && !fstat(fd, &about) && S_ISREG(about.st_mode) && rand_r(&seed) % 2) {
        if (rand_r(&seed) % 8 == 0) { errno = EINTR; return -1; }
        count = 1 + rand_r(&seed) % count;
    }
    return real(fd, from, count);
}
"""


def run(bench):
    need_root()
    url = bench.exchange(20)
    try:
        short_writes(bench, bench.exchange(50))
    except Skip as why:
        bench.say(f"short writes skipped: {why}")
    need("strace")
    case(bench, url, "write-eio", "write", "error=EIO:when=100..104", drops=True, seconds=9)
    case(bench, url, "write-enospc", "write", "error=ENOSPC:when=50..53", drops=True, seconds=8)
    case(bench, url, "write-erofs", "write", "error=EROFS:when=30..33", drops=True, seconds=8)
    case(bench, url, "write-eio-now-and-then", "write", "error=EIO:when=20+40", seconds=8)
    case(bench, url, "write-eintr", "write", "error=EINTR:when=3+3", seconds=4)
    case(bench, url, "fdatasync-eio", "fdatasync,fsync", "error=EIO:when=4", uncertain=1, seconds=6)
    case(bench, url, "fdatasync-eio-often", "fdatasync,fsync", "error=EIO:when=4+6", uncertain=1, seconds=10)


def case(bench, url, name, calls, inject, drops=False, uncertain=0, seconds=6):
    folder = bench.folder / name
    folder.mkdir()
    log = bench.folder / f"{name}.strace"
    # Only what is done to the tape; its name is looked at as each call is made.
    strace = ["strace", "-f", "-y", "-s", "0", "-qq", "-o", log, "-P", folder / "tape.ndjson",
              "-e", f"trace={calls},openat", "-e", f"inject={calls}:{inject}"]
    daemon = Daemon(bench, url, folder, before=strace, level="info", queue="1MiB", rotate={"every": "1h"})
    daemon.start()
    wait_until(lambda: (folder / "tape.ndjson").exists())
    time.sleep(seconds)
    code = daemon.stop(60)
    check = Check(folder)
    for text in check.wrong[:10]:
        bench.violation(f"{name}: {text}")
    injected = log.read_text().count("(INJECTED)")
    bench.require(injected > 0, f"{name}: nothing was injected")
    received, written, dropped = (sum(data[key] for _, data in check.ends) for key in ("received", "written", "dropped"))
    bench.say(f"{name}: {injected} calls failed; exit {code}; {check.figures()}; received {received}, written {written}, dropped "
              f"{dropped}, events say {dict(check.dropped)}")
    bench.require(code == 0, f"{name}: exit {code}: {daemon.said('')[-2:]}")
    bench.require(len(check.ends) == 1, f"{name}: {len(check.ends)} connections; the feed should have lived on")
    bench.require(written == check.messages, f"{name}: written {written}, and {check.messages} are there")
    bench.require(dropped == sum(check.dropped.values()), f"{name}: dropped {dropped}, and events say {dict(check.dropped)}")
    if uncertain:
        bench.require(check.states["uncertain"] >= uncertain, f"{name}: no segment is uncertain: {dict(check.states)}")
        synced_again(bench, name, log)
    for line in daemon.said("ERROR")[:2]:
        bench.say(f"{name}: log: {line[:200]}")
    errors = len(daemon.said("ERROR"))
    bench.require(errors <= max(1, injected), f"{name}: {errors} errors in the log for {injected} failures")


def synced_again(bench, name, log):
    """After a failed sync the system forgets what it could not write, and the next one would succeed and prove nothing."""
    failed = set()
    for line in log.read_text().splitlines():
        opened = re.match(r"\d+\s+openat\(.* = (\d+)<", line)
        if opened:
            failed.discard(opened[1])
        call = re.match(r"\d+\s+(\w+)\((\d+)<", line)
        if call and call[1] in ("fdatasync", "fsync"):
            bench.require(call[2] not in failed, f"{name}: descriptor {call[2]} is synced again after a sync of it failed")
            if "EIO" in line:
                failed.add(call[2])


def short_writes(bench, url):
    need("cc")
    source, library = bench.folder / "short.c", bench.folder / "short.so"
    source.write_text(SHORT)
    bench.command("cc", "-shared", "-fPIC", "-o", library, source, "-ldl")
    folder = bench.folder / "short"
    folder.mkdir()
    daemon = Daemon(bench, url, folder, environment={"LD_PRELOAD": str(library)}, rotate={"size": "256KiB"}, compress="zstd")
    daemon.start()
    time.sleep(8)
    code = daemon.stop()
    check = Check(folder)
    for text in check.wrong[:10]:
        bench.violation(f"short writes: {text}")
    bench.require(code == 0, f"short writes: exit {code}: {daemon.said('')[-2:]}")
    bench.say(f"short writes: exit {code}; {check.figures()}")
    bench.require(not check.dropped, f"short writes: {dict(check.dropped)} dropped")


