"""The trials, in their order, on one machine after another: .ci/boot/run starts it. TICKERD_SUITES=trixie takes one machine alone.
What was typed and told for docs/INSTALL.md is in target/boot/transcript-SUITE.txt then."""

import os
import sys
from functools import partial
from pathlib import Path

import trials_beside as beside
import trials_unit as unit
from machine import Machine


def trials(package, following):
    """Each goes on from where the one before it ended."""
    return [
        partial(unit.install, package=package),
        unit.ready,
        unit.audited,
        unit.readers,
        unit.credential,
        unit.reload,
        unit.priorities,
        unit.watchdog,
        unit.killed,
        unit.stop,
        unit.refusal,
        unit.misconfigured,
        unit.closed_path,
        unit.encrypted,
        unit.newer,
        beside.instance,
        beside.pipe,
        beside.pipe_misconfigured,
        beside.pipe_reader,
        beside.pipe_watchdog,
        beside.audit,
        beside.logrotate,
        beside.needrestart,
        beside.scores,
        unit.secrets,
        partial(beside.upgrade, package=following),
        beside.purge,
    ]


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def go_through(machine, package, following):
    """How many failed."""
    failed = 0
    for trial in trials(package, following):
        what = (trial.func if isinstance(trial, partial) else trial).__doc__
        try:
            say(f"PASS {machine.suite}: {what} [{trial(machine)}]")
        except Exception as why:
            # A trial that breaks off has found what it did not expect, and the next one may still find something else.
            failed += 1
            say(f"FAIL {machine.suite}: {what}\n     {type(why).__name__}: {why}")
    return failed


def is_documented(machine):
    """Whether docs/INSTALL.md shows what was typed, as it was typed and in that order."""
    manual = Path("docs/INSTALL.md").read_text().split("```text\n", 1)[1].split("```", 1)[0]
    shown = [line for line in manual.splitlines() if line.startswith("# ")]
    typed = [line for line in machine.transcript if line.startswith("# ")]
    say(f"{'PASS' if shown == typed else 'FAIL'} {machine.suite}: docs/INSTALL.md shows what was typed [{len(typed)} commands]")
    return shown == typed


def main():
    folder, package, following = (Path(argument).resolve() for argument in sys.argv[1:])
    suites = os.environ.get("TICKERD_SUITES", "bookworm,trixie").split(",")
    failed = 0
    for suite in suites:
        machine = Machine(suite, folder / f"{suite}.tar", folder, folder / "simulator")
        try:
            say(f"\n== {suite}, {machine.sh('systemctl --version').splitlines()[0]}")
            failed += go_through(machine, package, following)
            failed += not is_documented(machine)
            (folder / f"transcript-{suite}.txt").write_text("\n".join(machine.transcript) + "\n")
        finally:
            machine.halt()
    say(f"\nboot: {f'{failed} trials failed' if failed else 'all is well'} on {', '.join(suites)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
