"""Plays one client against the blaster, and says what that cost: CPU of the whole process, time, memory, system calls."""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Where what is measured was built.
BUILT = ROOT / "target/dist"
PEERS = ROOT / "target/compare"
TMPFS = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
# The blaster has one core, and the client, with all its threads, another.
CORES = sorted(os.sched_getaffinity(0))
BLASTER, CLIENT = {CORES[0]}, {CORES[-1]}
# A run takes seconds; fifty feeds take twenty to subscribe.
LONGEST = 180

# Of a channel that may be silent: of another, heartbeats and nothing else are a fault to be mended.
CHANNELS = {"tickers": "ticker_batch", "heartbeats": "status", "level2": "level2", "snapshots": "level2"}


class Wrong(Exception):
    """What was measured is not what was meant."""


class Client:
    """How one is started: `command(url, stage)` is its arguments."""

    def __init__(self, name, command, environment=None, stops=False, hangs_up=False, form="raw", file=False):
        self.name, self.command, self.environment = name, command, environment or {}
        # Whether it wants to be told that it is over, or ends by itself when it has all; what it writes, and where.
        self.stops, self.hangs_up, self.form, self.file = stops, hangs_up, form, file


class Stage:
    """What is played: so many messages of a kind, in a folder of its own."""

    def __init__(self, kind="tickers", messages=400_000, rate=None, feeds=1, products=1, tls=False):
        self.kind, self.messages, self.rate, self.feeds, self.tls = kind, messages, rate, feeds, tls
        self.channel = CHANNELS[kind]
        self.products = ["BTC-USD"] if products == 1 else [f"P{n:03}-USD" for n in range(products)]
        self.folder = None

    @property
    def certificate(self):
        return self.folder / "ca.pem"

    def blaster(self):
        options = [self.kind, "--messages", self.messages, "--connections", self.feeds]
        options += ["--rate", self.rate] if self.rate else []
        options += ["--tls", self.certificate] if self.tls else []
        return [str(word) for word in [BUILT / "examples/blaster", *options]]


def tickerd(name, form="raw", file=False):
    """Public data, every check on; the one seal that stdout has none of costs its hash where `file` says so."""

    def command(url, stage):
        path = "tape.ndjson" if file else "-"
        # No REST answers there, as nothing is asked of it by a feed that misses no trade.
        text = f'[output]\npath = "{path}"\nrecord = "{form}"\n'
        for feed in range(stage.feeds):
            text += (
                f'[[feed]]\nname = "feed-{feed}"\nurl = "{url}"\nrest = "http://127.0.0.1:9"\n'
                f'channels = ["{stage.channel}"]\nproducts = {json.dumps(stage.products)}\n'
            )
        text += '[log]\nformat = "json"\n'
        text += f'[tls]\nca_file = "{stage.certificate}"\n' if stage.tls else ""
        (stage.folder / "config.toml").write_text(text)
        return [BUILT / "tickerd", "run", "-c", "config.toml"]

    return Client(name, command, stops=True, form=form, file=file)


def floor():
    def command(url, stage):
        return [BUILT / "examples/floor", url, stage.channel, *([stage.certificate] if stage.tls else [])]

    return Client("floor", command)


def bare():
    def command(url, stage):
        return [BUILT / "examples/bare", url, stage.channel, *([stage.certificate] if stage.tls else [])]

    return Client("tokio-tungstenite alone", command)


def websocat():
    def command(url, stage):
        subscribes = [json.dumps({"type": "subscribe", "channel": "heartbeats"})]
        subscribes += [json.dumps({"type": "subscribe", "product_ids": stage.products, "channel": stage.channel})]
        (stage.folder / "stdin").write_text("".join(line + "\n" for line in subscribes))
        return [PEERS / "websocat/bin/websocat", "-n", "-B", "8000000", url]

    return Client("websocat", command)


def sdk():
    return Client(
        "coinbase-advanced-py",
        # Two answers to subscribes are lines as well.
        lambda url, stage: [PEERS / "venv/bin/python", ROOT / "benches/compare/sdk.py", url, stage.channel, stage.messages + 2],
        hangs_up=True,
    )


def play(client, stage, memory=False, calls=False, delay=False, pause=None):
    """One run: a dict of cpu, run_cpu and seconds (all s), and what else was asked for. `pause` is for how long stdout is not read."""
    with contextlib.ExitStack() as stack:
        stage.folder = pathlib.Path(tempfile.mkdtemp(prefix="compare-", dir=TMPFS))
        stack.callback(shutil.rmtree, stage.folder)
        out_of = into = None
        if delay or pause:
            out_of, into = os.pipe()
        blast = stage.blaster() + (["--echo", f"/dev/fd/{out_of}"] if delay else []) + ["--stay-open"] * client.hangs_up
        blaster = stack.enter_context(
            subprocess.Popen(
                blast,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                pass_fds=[out_of] if delay else [],
                preexec_fn=lambda: os.sched_setaffinity(0, BLASTER),
            )
        )
        limit = threading.Timer(LONGEST, blaster.kill)
        limit.start()
        stack.callback(limit.cancel)
        stack.callback(blaster.kill)
        process = start(client, stage, blaster.stdout.readline().strip(), into, calls)
        stack.callback(process.kill)
        limit_too = threading.Timer(LONGEST + 5, process.kill)
        limit_too.start()
        stack.callback(limit_too.cancel)
        if into is not None:
            os.close(into)
        if delay:
            os.close(out_of)
        if blaster.stdout.readline() != "ready\n":
            raise Wrong(f"{client.name} did not subscribe: {said(stage)}")
        watch = Watch(process.pid) if memory or pause else None
        before = cpu_of(process.pid)
        blaster.stdin.write("go\n")
        blaster.stdin.flush()
        drain = Drain(out_of, pause) if pause else None
        told = json.loads(blaster.stdout.readline() or "null")
        if told is None:
            raise Wrong(f"{client.name} did not take all: {said(stage)}")
        if client.stops:
            process.send_signal(signal.SIGTERM)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu = usage.ru_utime + usage.ru_stime
        result = {"cpu": cpu, "run_cpu": cpu - before, "seconds": max(one["seconds"] for one in told)}
        result["lines"] = sum(one["lines"] for one in told)
        if process.returncode != 0:
            raise Wrong(f"{client.name} ended with {process.returncode}: {said(stage)}")
        if watch:
            result["anon"] = watch.peak()
        if delay:
            return result | told[0]["delay_us"]
        if drain:
            compare(client, [drain.lines()], told, stage)
        elif stage.feeds == 1:
            compare(client, hashed(client, stage), told, stage)
        if client.stops:
            believe(client, stage, result["lines"])
        if calls:
            result["calls"] = counted(stage.folder / "calls")
        return result


def start(client, stage, url, into, calls):
    stdin = stage.folder / "stdin"
    stdin.touch()
    arguments = [str(word) for word in client.command(url, stage)]
    if calls:
        # -D: what is waited for and signalled is the client itself.
        arguments = ["strace", "-D", "-f", "-c", "-o", str(stage.folder / "calls"), *arguments]
    out = into if into is not None else open(stage.folder / "out.ndjson", "wb")
    with open(stdin) as inward, open(stage.folder / "said", "wb") as says:
        process = subprocess.Popen(
            arguments,
            cwd=stage.folder,
            stdin=inward,
            stdout=out,
            stderr=says,
            env=os.environ | {"XDG_RUNTIME_DIR": str(stage.folder)} | client.environment,
            preexec_fn=lambda: os.sched_setaffinity(0, CLIENT),
        )
    if into is None:
        out.close()
    return process


def cpu_of(pid):
    """CPU of all threads that there are, in seconds."""
    spent = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        spent += int((task / "schedstat").read_text().split()[0])
    return spent / 1e9


def hashed(client, stage):
    """Bytes, lines and SHA-256 of the messages in what the client wrote."""
    path = stage.folder / ("tape.ndjson" if client.file else "out.ndjson")
    digest, size, lines = hashlib.sha256(), 0, 0
    with open(path, "rb") as file:
        if client.form == "envelope":
            messages = (line[line.index(b',"msg":') + 7 : -2] + b"\n" for line in file if b',"event":' not in line[:200])
        else:
            messages = iter(lambda: file.read(1 << 20), b"")
        for message in messages:
            digest.update(message)
            size += len(message)
            lines += message.count(b"\n")
    return [(lines, size, digest.hexdigest())]


def compare(client, got, told, stage):
    """What was written is what was sent, byte for byte; of many feeds in one pipe as many lines and bytes."""
    sent = [(one["lines"], one["bytes"], one["sha256"]) for one in told]
    if len(sent) > 1:
        got, sent = [got[0][:2]], [(sum(one[0] for one in sent), sum(one[1] for one in sent))]
    if got != sent:
        raise Wrong(f"{client.name} wrote {got} of {sent}: {said(stage)}")


def believe(client, stage, lines):
    """tickerd itself counted all, found nothing missing, and was disconnected but once; its log says so, wherever its events go."""
    log = map(json.loads, (stage.folder / "said").read_text().splitlines())
    ends = [json.loads(line["data"]) for line in log if line.get("event") == "disconnected" and "data" in line]
    if len(ends) != stage.feeds or sum(end["received"] for end in ends) != lines or any(end["gaps"] or end["dropped"] for end in ends):
        raise Wrong(f"{client.name} tells of {ends}: {said(stage)}")


def counted(path):
    """The number of system calls, once strace has said it, which goes on behind the client's back."""
    for _ in range(500):
        lines = path.read_text().splitlines() if path.exists() else []
        if lines and lines[-1].endswith("total"):
            return int(lines[-1].split()[3])
        time.sleep(0.01)
    raise Wrong("strace said nothing")


def said(stage):
    return (stage.folder / "said").read_text()[-2000:]


class Watch:
    """The most anonymous memory that a process had, looked at each two milliseconds; in bytes."""

    def __init__(self, pid):
        self.most, self.over, self.status = 0, threading.Event(), pathlib.Path(f"/proc/{pid}/status")
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()

    def look(self):
        while not self.over.wait(0.002):
            with contextlib.suppress(OSError):
                for line in self.status.read_text().splitlines():
                    if line.startswith("RssAnon:"):
                        self.most = max(self.most, 1024 * int(line.split()[1]))

    def peak(self):
        self.over.set()
        self.thread.join()
        return self.most


class Drain:
    """A reader of the client's pipe that begins late."""

    def __init__(self, pipe, pause):
        self.pipe, self.pause, self.count, self.size = pipe, pause, 0, 0
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        time.sleep(self.pause)
        while block := os.read(self.pipe, 1 << 20):
            self.count, self.size = self.count + block.count(b"\n"), self.size + len(block)
        os.close(self.pipe)

    def lines(self):
        self.thread.join()
        return self.count, self.size


