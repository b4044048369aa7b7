"""What people read recordings with reads every segment, and logrotate with the shipped snippet loses nothing.

DuckDB is looked for in the Python that runs this, and in the one that TORTURE_DUCKDB names."""

import os
import re
import subprocess
import sys
import time

from recording import Check, Recording, content
from stand import ROOT, Daemon, Skip, need, need_root, number, wait_until


def run(bench):
    need("jq", "zstdcat", "zcat")
    url = bench.exchange(50)
    for compress in ("none", "zstd", "gzip"):
        folder = bench.folder / compress
        folder.mkdir()
        daemon = Daemon(bench, url, folder, rotate={"size": "512KiB"}, compress=compress).start()
        wait_until(lambda: len(Recording(folder).segments()) >= 8, 60)
        wait_until(lambda: all_packed(folder, compress), 10)
        daemon.stop()
        wait_until(lambda: all_packed(folder, compress), 2)
        check = Check(folder)
        for text in check.wrong:
            bench.violation(f"{compress}: {text}")
        bench.say(f"{compress}: {check.figures()}")
        by_tools(bench, folder, compress)
    try:
        logrotate(bench, url)
    except Skip as why:
        bench.say(f"logrotate skipped: {why}")


def all_packed(folder, compress):
    suffix = {"none": ".ndjson", "zstd": ".zst", "gzip": ".gz"}[compress]
    return all(path.suffix == suffix for path in Recording(folder).segments())


def by_tools(bench, folder, compress):
    cat = {"none": "cat", "zstd": "zstdcat", "gzip": "zcat"}[compress]
    python = duckdb()
    packed = unpacked = 0
    for path in Recording(folder).segments():
        tool = {".zst": "zstdcat", ".gz": "zcat"}.get(path.suffix, "cat")
        packed, unpacked = packed + (tool == cat), unpacked + (tool != cat)
        text = subprocess.run([tool, path], capture_output=True)
        lines = content(path).count(b"\n")
        bench.require(text.returncode == 0 and text.stdout.count(b"\n") == lines, f"{tool} does not read {path.name}")
        jq = subprocess.run(["jq", "-c", "[.conn,.n]"], input=text.stdout, capture_output=True)
        bench.require(jq.returncode == 0 and jq.stdout.count(b"\n") == lines, f"jq does not read {path.name}: {jq.stderr[:200]}")
        if python:
            query = f"select count(*), count(conn), max(n) from read_ndjson('{path}', maximum_object_size=16777216)"
            if path.suffix not in (".gz", ".zst", ".ndjson"):
                continue
            done = subprocess.run([python, "-c", f"import duckdb; print(duckdb.connect().execute({query!r}).fetchall()[0][0])"],
                                  capture_output=True, text=True)
            bench.require(done.stdout.strip() == str(lines), f"DuckDB does not read {path.name}: {done.stdout} {done.stderr[-300:]}")
    bench.say(f"{compress}: {cat} and jq{' and DuckDB' if python else ' (no DuckDB here)'} read {packed + unpacked} segments"
              + (f", {unpacked} of them not yet compressed" if unpacked else ""))


def duckdb():
    for python in (os.environ.get("TORTURE_DUCKDB"), sys.executable):
        if python and subprocess.run([python, "-c", "import duckdb"], capture_output=True).returncode == 0:
            return python
    return None


def snippet():
    """As it is shipped."""
    return (ROOT / "systemd/logrotate").read_text()


def logrotate(bench, url):
    need("logrotate")
    need_root()
    turns = number("LOGROTATES", 20)
    folder = bench.folder / "logrotate"
    folder.mkdir()
    daemon = Daemon(bench, url, folder).start()
    tape = folder / "tape.ndjson"
    wait_until(tape.exists)
    # The shipped snippet with this trial's file, and HUP to this trial's process, where it has the unit's.
    text = snippet()
    text = re.sub(r"^/\S+ /\S+", str(tape), text, flags=re.M)
    text = text.replace("su tickerd tickerd", "").replace("rotate 30", "rotate 1000")
    text = re.sub(r"systemctl .*", f"kill -HUP {daemon.pid}", text)
    bench.require(f"kill -HUP {daemon.pid}" in text and str(tape) in text, f"the snippet is not as expected: {text}")
    configuration, state = bench.folder / "logrotate.conf", bench.folder / "logrotate.state"
    configuration.write_text(text)
    os.chmod(configuration, 0o644)
    for _ in range(turns):
        # Its names have seconds.
        time.sleep(1.1)
        bench.command("logrotate", "-f", "-s", state, configuration)
        wait_until(tape.exists, 5)
    time.sleep(1)
    daemon.stop()
    lines, twice = {}, 0
    names = sorted(folder.glob("tape.ndjson*"))
    for path in names:
        data = content(path)
        bench.require(data.endswith(b"\n") or not data, f"{path.name} ends in a torn line")
        for conn, n in re.findall(rb'"conn":"([^"]+)","n":(\d+),"msg"', data):
            twice += int(n) in lines.setdefault(conn, set())
            lines[conn].add(int(n))
    total = sum(map(len, lines.values()))
    missing = sum(max(numbers) + 1 - len(numbers) for numbers in lines.values())
    bench.require(not twice and not missing, f"logrotate: {missing} messages missing, {twice} twice")
    bench.require(len(names) > turns, f"logrotate: {len(names)} files after {turns} turns")
    bench.say(f"logrotate: {turns} turns, {len(names)} files, {total} messages, {missing} missing, {twice} twice")
