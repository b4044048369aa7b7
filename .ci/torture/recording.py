"""What is on the disk in the end, held against what was promised of it. It shares no code with tickerd, and is so a second
opinion beside `tickerd audit`."""

import collections
import gzip
import hashlib
import json
import pathlib
import re
import subprocess

NAME = re.compile(r"^tape-(\d{8}T\d{6}Z)(?:-(\d+))?\.ndjson(\.zst|\.gz)?$")
HEAD = re.compile(rb'^\{"v":1,"recv":"([^"]+)","feed":"([^"]+)","conn":"([^"]+)","n":(\d+),(?:"msg":|"recovered":true|"event":"([^"]+)")')
NUMBER = re.compile(rb'"sequence_num":(\d+)')


class Recording:
    """A tape and its segments."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.aside = self.folder / ".tickerd"

    def segments(self):
        """Sealed or not, in order."""
        found = []
        for path in self.folder.iterdir():
            name = NAME.match(path.name)
            if name:
                found.append((name[1], int(name[2] or 1), path))
        return [path for *_, path in sorted(found)]

    def files(self):
        """Segments, then the tape that grows."""
        tape = self.folder / "tape.ndjson"
        return self.segments() + ([tape] if tape.exists() else [])

    def seal(self, segment):
        name = re.sub(r"\.(zst|gz)$", "", segment.name)
        path = self.aside / f"{name}.seal"
        return json.loads(path.read_text()) if path.exists() else None


def content(path):
    """Bytes of a segment, by the tools that people have."""
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dcq", str(path)], check=True, capture_output=True).stdout
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


class Check:
    """Goes through a recording once. `wrong` is what is not as promised."""

    def __init__(self, folder, raw=False, torn_tail=False, holes=False):
        self.recording, self.raw, self.torn_tail, self.holes = Recording(folder), raw, torn_tail, holes
        self.wrong = []
        self.lines = self.messages = self.bytes = 0
        self.events = collections.Counter()
        self.states = collections.Counter()
        self.dropped = collections.Counter()
        self.recovered = []
        self.ends = []
        self.next = {}
        self.missing = 0
        self.runs = collections.Counter()
        self.names = []
        files = self.recording.files()
        for path in files:
            # Compressed and not yet removed: that is for the next start to see to.
            if not (torn_tail and path.with_suffix("") in files):
                self.file(path)
        self.no_more_than_that(files)

    def file(self, path):
        growing = path.name == "tape.ndjson"
        try:
            data = content(path)
        except (subprocess.CalledProcessError, OSError, EOFError) as error:
            return self.wrong.append(f"{path.name} can not be read: {error}")
        if data and not data.endswith(b"\n"):
            if not (growing and self.torn_tail):
                self.wrong.append(f"{path.name} ends in a torn line: {data[-80:]!r}")
            data = data[: data.rfind(b"\n") + 1]
        self.bytes += len(data)
        before = self.messages, self.lines
        ranges = {}
        for line in data.splitlines(keepends=True):
            self.line(path, line, ranges)
        if not growing:
            self.held_to_its_seal(path, data, self.messages - before[0], self.lines - before[1], ranges)
            if path.stat().st_mode & 0o777 != 0o440:
                self.wrong.append(f"{path.name} has mode {path.stat().st_mode & 0o777:o}, not 440")

    def line(self, path, line, ranges):
        self.lines += 1
        try:
            text = json.loads(line)
        except ValueError:
            return self.wrong.append(f"{path.name}: line {self.lines} of all is no JSON: {line[:60]!r}...{line[-60:]!r}")
        if self.raw:
            return self.raw_line(path, text)
        head = HEAD.match(line)
        if not head:
            return self.wrong.append(f"{path.name}: no head of an envelope: {line[:200]!r}")
        conn, n, event = head[3].decode(), int(head[4]), head[5] and head[5].decode()
        self.runs[conn.split("/")[0]] += len(line)
        if event:
            self.event(path, event, text["data"], conn, n)
        elif not text.get("recovered"):
            self.messages += 1
            expected = self.next.get(conn, 0)
            if n > expected and self.holes:
                self.missing += n - expected
            elif n != expected:
                what = "twice" if n < expected else "after a hole"
                self.wrong.append(f"{path.name}: {conn} has n {n} {what}, where {expected} is next")
            self.next[conn] = n + 1
            number = text["msg"].get("sequence_num")
            if number is not None and number != n:
                self.wrong.append(f"{path.name}: {conn} n {n} is the venue's message {number}")
            first, _, count = ranges.get(conn, (n, n, 0))
            ranges[conn] = (first, n, count + 1)

    def event(self, path, event, data, conn, n):
        self.events[event] += 1
        if event == "dropped":
            self.dropped[data["why"]] += data["count"]
            if data["why"] in ("slow", "disk"):
                if n != self.next.get(conn, 0):
                    self.wrong.append(f"{path.name}: {conn} drops from n {n}, where {self.next.get(conn, 0)} is next")
                self.next[conn] = n + data["count"]
        elif event == "recovered":
            self.recovered.append(data)
        elif event == "disconnected":
            self.ends.append((conn, data))
            received, written, dropped = (data[key] for key in ("received", "written", "dropped"))
            if received != written + dropped:
                self.wrong.append(f"{conn}: received {received} is not written {written} + dropped {dropped}")
            if not self.holes and received != self.next.get(conn, 0):
                self.wrong.append(f"{conn}: received {received}, and {self.next.get(conn, 0)} are there or owned up to")

    def raw_line(self, path, text):
        event = text.get("tickerd")
        if event:
            self.events[event] += 1
            if event == "connected":
                self.next["raw"] = 0
            if event == "recovered":
                self.recovered.append(text)
            return
        self.messages += 1
        number, expected = text.get("sequence_num"), self.next.get("raw", 0)
        if number != expected:
            self.wrong.append(f"{path.name}: the venue's message {number}, where {expected} is next")
        self.next["raw"] = (number if number is not None else expected) + 1

    def held_to_its_seal(self, path, data, messages, lines, ranges):
        seal = self.recording.seal(path)
        if not seal:
            return self.wrong.append(f"{path.name} has no seal")
        self.states[seal["state"]] += 1
        sealed, behind = data[: seal["bytes"]], data[seal["bytes"]:]
        own = 0
        if behind:
            try:
                last = json.loads(behind)
                own = int((last.get("event") or last.get("tickerd")) == "sealed")
                told = last.get("data", last)
                if not own or told["segment"] != seal["segment"] or told["sha256"] != seal["sha256"]:
                    raise ValueError
            except (ValueError, KeyError):
                self.wrong.append(f"{path.name}: {len(behind)} bytes behind what its seal says: {behind[:100]!r}")
        if seal["state"] == "recovered" and behind:
            self.wrong.append(f"{path.name}: it was recovered, and has a sealed line")
        if len(sealed) != seal["bytes"] or hashlib.sha256(sealed).hexdigest() != seal["sha256"]:
            self.wrong.append(f"{path.name}: {len(data)} bytes, and its seal says {seal['bytes']} with another sum")
        for what, here in (("messages", messages), ("lines", lines - own)):
            if seal[what] != here and not (self.raw and what == "messages"):
                self.wrong.append(f"{path.name}: {here} {what}, and its seal says {seal[what]}")
        said = {each["conn"]: (each["from"], each["to"], each["messages"]) for each in seal["connections"]}
        if not self.raw and not seal["unlisted"] and said != ranges:
            self.wrong.append(f"{path.name}: {ranges}, and its seal says {said}")

    def no_more_than_that(self, files):
        names = [re.sub(r"\.(zst|gz)$", "", path.name) for path in files]
        self.names = names
        for name, count in collections.Counter(names).items():
            if count > 1:
                self.wrong.append(f"{name} is there {count} times, plain and compressed")
        for path in self.recording.folder.iterdir():
            if path not in files and path.name not in (".tickerd", "tape.events"):
                self.wrong.append(f"{path.name} is none of a tape's files")
        torn = {}
        self.unfinished = 0
        for path in self.recording.aside.iterdir() if self.recording.aside.exists() else ():
            name, _, kind = path.name.rpartition(".")
            if kind == "torn":
                torn[name] = path.stat().st_size
            elif kind == "seal" and name not in names:
                self.wrong.append(f"{path.name} seals nothing")
            elif kind == "part" and not name.endswith(".seal"):
                # Compression that the end came into the midst of; the next start removes it.
                self.unfinished += 1
            elif kind not in ("seal", "lock") and path.name != "tape.ndjson.state":
                self.wrong.append(f"{path.name} is left in .tickerd")
        for data in self.recovered:
            if data["bytes"] and torn.get(data["segment"]) != data["bytes"]:
                self.wrong.append(f"recovered tells of {data['bytes']} torn bytes of {data['segment']}; set apart: {torn}")
        self.torn = sum(torn.values())

    def figures(self):
        return (f"{self.lines} lines, {self.messages} messages, {len(self.names)} files {dict(self.states)}, "
                f"events {dict(self.events)}, torn bytes set apart {self.torn}, "
                f"packed {sum(path.suffix != '.ndjson' for path in self.recording.segments())}")
