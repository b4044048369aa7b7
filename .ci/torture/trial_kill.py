"""kill -9 under load, again and again over one set of files, with rotation and compression: every segment is whole and has
its seal, no message is there twice, and per connection nothing is missing but what was in flight.

Half of the kills come at a random moment; of the others each comes just before some call that changes the disk: those moments
are too short to be met by chance."""

import random
import re
import subprocess
import time

from recording import Check
from stand import Daemon, Skip, TICKERD, need, need_root, number

CALLS = ["renameat2,renameat,rename", "fsync,fdatasync", "unlink,unlinkat", "fchmod,fchmodat,chmod", "openat", "ftruncate", "flock",
         "write"]


def run(bench):
    need("zstd")
    chance = random.Random(number("SEED", int(time.time())))
    kills = number("KILLS", 200)
    url = bench.exchange(100)
    variant(bench, chance, url, "envelope", kills, raw=False, record="envelope")
    variant(bench, chance, url, "raw", max(kills // 5, 10), raw=True, record="raw", events="inline")


def variant(bench, chance, url, name, kills, raw, **output):
    folder = bench.folder / name
    folder.mkdir()
    rotate = {"every": "2s", "size": "256KiB"}
    daemon = Daemon(bench, url, folder, rotate=rotate, compress="zstd", **output)
    at_calls = 0
    for turn in range(kills):
        if turn % 2 and can_strace():
            at_calls += at_a_call(chance, daemon)
        else:
            daemon.start()
            time.sleep(chance.choice([0.02, 0.1, 0.3, 1]) * chance.uniform(0.2, 1.5))
            daemon.kill()
    daemon.start()
    time.sleep(3)
    code = daemon.stop()
    bench.require(code == 0, f"{name}: exit {code} in the end: {daemon.said('')[-3:]}")
    check = Check(folder, raw=raw)
    for text in check.wrong[:20]:
        bench.violation(f"{name}: {text}")
    bench.violations += [f"{name}: {text}" for text in check.wrong[20:]]
    bench.say(f"{name}: {kills} kills, {at_calls} of them before a call; {check.figures()}")
    bench.require(check.messages > kills * 10, f"{name}: only {check.messages} messages: there was no load")
    panics = daemon.said("panicked")
    bench.require(not panics, f"{name}: {panics[:1]}")
    refusals = daemon.said("another tickerd|records to it")
    bench.require(not refusals, f"{name}: a start was refused: {refusals[:1]}")
    audit(bench, name, folder)


def can_strace():
    try:
        need("strace")
        need_root()
    except Skip:
        return False
    return True


def at_a_call(chance, daemon):
    """Killed before the Nth of these calls; else after a while. Whether it was before the call."""
    calls = chance.choice(CALLS)
    nth = int(chance.choice([3, 10, 40]) * chance.uniform(0.3, 1.5)) + 1
    known = [call for call in calls.split(",")]
    inject = ["-e", f"inject={','.join(known)}:signal=SIGKILL:when={nth}"]
    daemon.before = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={','.join(known)}", *inject]
    daemon.start()
    try:
        daemon.process.wait(chance.uniform(1, 2.5))
        return True
    except subprocess.TimeoutExpired:
        daemon.kill()
        return False
    finally:
        daemon.before = []


def audit(bench, name, folder):
    """The same by tickerd's own word: whatever is missing, the recording says so itself."""
    done = subprocess.run([TICKERD, "audit", "--json", folder], capture_output=True, text=True)
    verdicts = re.findall(r'"verdict": ?"(\w+)"', done.stdout)
    wrong = re.findall(r'"weight": ?"fault".{0,300}', done.stdout)
    bench.say(f"{name}: tickerd audit says {verdicts[:1]}")
    bench.require(set(verdicts) == {"owned_up"}, f"{name}: tickerd audit says {verdicts}: {done.stderr} {wrong[:2]}")
