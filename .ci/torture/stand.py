"""The stand that trials run on: the exchange, the daemon, a scratch folder, and what has to be cleared away behind them."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import traceback  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parents[2]
TICKERD = os.environ.get("TICKERD", str(ROOT / "target/release/tickerd"))
PRODUCTS = ["BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD", "DOGE-USD", "ADA-USD", "LTC-USD", "LINK-USD", "AVAX-USD", "DOT-USD"]


class Skip(Exception):
    """This machine has not what the trial needs."""


def need(*programs):
    """Skips a trial that has not its tools."""
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"there is no {program} here")


def need_root():
    if os.geteuid() != 0:
        raise Skip("it takes root")


def number(name, default):
    """A size of a trial, from the environment."""
    return int(os.environ.get(f"TORTURE_{name}", default))


class Bench:
    """A scratch folder, the processes and mounts of one trial, and what was found."""

    def __init__(self, name):
        self.name, self.violations, self.processes, self.undo = name, [], [], []
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"torture-{name}-", dir=os.environ.get("TORTURE_FOLDER")))

    def say(self, text):
        print(f"   {text}", flush=True)

    def violation(self, text):
        self.violations.append(text)
        print(f"   VIOLATION: {text}", flush=True)

    def require(self, true, text):
        if not true:
            self.violation(text)
        return true

    def command(self, *arguments, **options):
        """Runs a command that has to succeed; its output."""
        done = subprocess.run([str(each) for each in arguments], capture_output=True, text=True, **options)
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, arguments))}: {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def spawn(self, *arguments, **options):
        """Starts a process that dies with the trial at the latest."""
        process = subprocess.Popen([str(each) for each in arguments], stdin=subprocess.DEVNULL, **options)
        self.processes.append(process)
        return process

    def mount(self, *arguments):
        """Mounts, until the trial is over. The place is the last argument."""
        self.command("mount", *arguments)
        self.undo.append(lambda: subprocess.run(["umount", "-l", str(arguments[-1])], capture_output=True))

    def exchange(self, speed, *more, products=2):
        """Starts the built-in exchange; its URL."""
        process = self.spawn(TICKERD, "simulator", "-q", "--speed", speed, "--product", ",".join(PRODUCTS[:products]), *more,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return process.stdout.readline().decode().strip()

    def clear(self):
        """Ends what was started. What was recorded stays where something was found in it."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        for undo in reversed(self.undo):
            undo()
        if not self.violations and "TORTURE_LEAVE" not in os.environ:
            shutil.rmtree(self.folder, ignore_errors=True)


class Daemon:
    """One `tickerd run`, and its successors over the same configuration."""

    def __init__(self, bench, url, folder, level="info", before=(), environment=None, feeds=("torture",), **output):
        self.bench, self.folder, self.before = bench, pathlib.Path(folder), list(before)
        self.environment = {**os.environ, **(environment or {})}
        self.configuration = bench.folder / f"config-{len(bench.processes)}.toml"
        self.log = self.configuration.with_suffix(".log")
        output = {"path": str(self.folder / "tape.ndjson"), "record": "envelope", "queue": "4MiB", **output}
        text = "[output]\n" + "".join(f"{key} = {value_of(value)}\n" for key, value in output.items())
        text += f'[log]\nlevel = "{level}"\nformat = "text"\n[service]\ndrain = "3s"\n'
        for feed in feeds:
            text += (f'[[feed]]\nname = "{feed}"\nurl = "{url}"\nchannels = ["level2", "ticker", "market_trades"]\n'
                     f"products = {json.dumps(PRODUCTS[:2])}\n")
        self.configuration.write_text(text)
        self.process = None

    def start(self, before=None):
        """Starts it, behind the command `before` if there is one."""
        with open(self.log, "ab") as log:
            command = [*(self.before if before is None else before), TICKERD, "run", "-c", self.configuration]
            self.process = self.bench.spawn(*command, cwd=self.bench.folder, stdout=subprocess.DEVNULL, stderr=log,
                                            env=self.environment)
        return self

    @property
    def pid(self):
        """Of tickerd itself, not of what it runs behind."""
        if not self.before:
            return self.process.pid
        for _ in range(500):
            for child in children(self.process.pid):
                if os.path.basename(os.readlink(f"/proc/{child}/exe")) == os.path.basename(TICKERD):
                    return child
            if self.process.poll() is not None:
                raise ProcessLookupError("it is gone")
            time.sleep(0.01)
        raise RuntimeError("tickerd did not start")

    def signal(self, which):
        os.kill(self.pid, which)

    def kill(self):
        """As the system does where memory runs out."""
        try:
            self.signal(signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(30)

    def stop(self, within=30):
        """Has it come to a good end; its exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(within)

    def said(self, *words):
        """Lines of its log that have all these words."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return [line for line in text.splitlines() if all(re.search(word, line) for word in words)]

    def await_words(self, *words, within=20, more_than=0):
        """Waits until its log has said this more often than that."""
        for _ in range(within * 50):
            if len(self.said(*words)) > more_than:
                return True
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        self.bench.violation(f"its log did not say {words} within {within} s: {self.said('')[-3:]}")
        return False


def children(pid):
    try:
        return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def value_of(value):
    """As TOML has it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {value_of(each)}" for key, each in value.items()) + " }"
    return json.dumps(value)


def wait_until(what, within=20):
    """Waits until that is so; whether it came to be."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return False
