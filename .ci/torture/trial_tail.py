"""`tail -F` over rotations and crashes sees each line once. It is given time around them: GNU tail reads no file whose name
another has taken, which no writer can help."""

import random
import re
import signal
import subprocess
import time

from recording import Recording, content
from stand import Daemon, need, number, wait_until


def run(bench):
    need("tail")
    rotations, crashes = number("ROTATIONS", 100), number("CRASHES", 20)
    chance = random.Random(number("SEED", int(time.time())))
    folder, seen = bench.folder / "tape", bench.folder / "seen"
    folder.mkdir()
    daemon = Daemon(bench, bench.exchange(20), folder, rotate={"every": "1d"})
    tape = folder / "tape.ndjson"
    daemon.start()
    wait_until(tape.exists)
    with open(seen, "wb") as out:
        tail = bench.spawn("tail", "-n", "+1", "-F", tape, stdout=out, stderr=subprocess.DEVNULL)
    time.sleep(1)
    per = max(1, rotations // (crashes + 1))
    done = crashed = 0
    while done < rotations or crashed < crashes:
        for _ in range(min(per, rotations - done)):
            before = len(Recording(folder).segments())
            daemon.signal(signal.SIGUSR1)
            if not wait_until(lambda: len(Recording(folder).segments()) > before, 10):
                bench.violation("USR1 did not rotate")
                return
            done += 1
            time.sleep(0.4)
        if crashed < crashes:
            crash(chance, daemon, tape, crashed)
            crashed += 1
    time.sleep(2)
    daemon.stop()
    time.sleep(2)
    tail.kill()
    compare(bench, folder, seen, done, crashed)


def crash(chance, daemon, tape, turn):
    """Dies; on every other turn in the middle of a line, as is rare with writes as short as these."""
    time.sleep(chance.uniform(0.2, 1))
    daemon.kill()
    time.sleep(0.3)
    if turn % 2:
        with open(tape, "ab") as file:
            file.write(b'{"v":1,"recv":"2026-11-24T17:31:%02d.1234' % turn)
        time.sleep(0.3)
    count = len(Recording(tape.parent).segments())
    daemon.start()
    wait_until(lambda: len(Recording(tape.parent).segments()) > count, 10)
    wait_until(lambda: tape.exists() and tape.stat().st_size > 0, 10)
    time.sleep(0.4)


def compare(bench, folder, seen, rotations, crashes):
    recording = Recording(folder)
    expected = []
    torn = 0
    for path in recording.files():
        expected += content(path).splitlines(keepends=True)
        apart = recording.aside / (re.sub(r"\.(zst|gz)$", "", path.name) + ".torn")
        if apart.exists():
            # It was at the end of that segment while it grew.
            expected.append(apart.read_bytes() + b"\n")
            torn += 1
    got = seen.read_bytes().splitlines(keepends=True)
    bench.say(f"{rotations} rotations, {crashes} crashes, {torn} torn lines set apart; {len(expected)} lines on the disk, {len(got)} "
              f"seen by tail")
    bench.require(torn >= crashes // 2, f"{torn} torn lines, and {crashes // 2} were made")
    if got == expected:
        return
    missing, surplus = set(expected) - set(got), set(got) - set(expected)
    twice = len(got) - len(set(got))
    first = next((at for at, (a, b) in enumerate(zip(got, expected)) if a != b), min(len(got), len(expected)))
    bench.violation(f"tail saw {len(missing)} lines not, {len(surplus)} that are nowhere, {twice} twice; first at {first}: "
                    f"{got[first:first + 1]} for {expected[first:first + 1]}")
