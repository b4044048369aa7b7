"""What systemd and tickerd.service make of each other. Each trial leaves the recorder running, with its key, as it found it."""

import json
import re
import time

from machine import Failed, key

CONFIG = "/etc/tickerd/config.toml"
TAPE = "/var/lib/tickerd"
STATUS = "/run/tickerd/status.json"
UNSIGNED = '# credentials = "main"'


def expect(is_so, what):
    if not is_so:
        raise Failed(what)


def rest(machine):
    """A start that nothing of before is counted against, and its records."""
    machine.sh("systemctl daemon-reload; systemctl reset-failed tickerd; systemctl restart tickerd")
    machine.records()


def install(machine, package):
    """apt install, systemctl enable --now, tickerd status, as typed: public prices are recorded without a key"""
    machine.open_venue()
    machine.give(package, "/root/")
    machine.typed("apt install ./tickerd_*.deb")
    expect(machine.show("tickerd", "ActiveState", "UnitFileState") == ["inactive", "disabled"], "it was started unasked")
    # Everything is well within a second or two; until then status says "starting", and 1.
    said = machine.run("{ systemctl enable --now tickerd && tickerd status; } 2>&1").stdout
    machine.transcript += ["# systemctl enable --now tickerd && tickerd status", *said.splitlines()]
    expect("tickerd credential add main" in said, f"status does not say how to add a key: {said}")
    machine.records()
    time.sleep(5)
    machine.typed("tickerd status")
    machine.typed("tail -n 1 /var/lib/tickerd/tape.ndjson | cut -c 1-150")
    own = machine.sh(f"stat -c '%a %U:%G' {CONFIG} {TAPE} {TAPE}/tape.ndjson").split("\n")[:3]
    expect(own == ["640 root:tickerd", "750 tickerd:tickerd", "640 tickerd:tickerd"], f"owners and modes: {own}")
    return "no key, no editing"


def ready(machine):
    """READY and STATUS reach systemd, and everything of the sandbox is on"""
    state, text, main = machine.show("tickerd", "SubState", "StatusText", "MainPID")
    expect(state == "running" and "recording" in text, f"{state}: {text}")
    proc = dict(line.split(":\t", 1) for line in machine.sh(f"cat /proc/{main}/status").splitlines() if ":\t" in line)
    expect(int(proc["CapEff"], 16) == 0 and int(proc["CapBnd"], 16) == 0, f"capabilities {proc['CapEff']}")
    expect(proc["NoNewPrivs"] == "1" and proc["Seccomp"] == "2", "no seccomp, or privileges can be gained")
    return text


def audited(machine):
    """the tape grows, and tickerd audit is content with it"""
    before = machine.feed()["written"]
    machine.wait(20, "further record", lambda: machine.feed()["written"] > before)
    return machine.typed(f"tickerd audit {TAPE}").splitlines()[0]


def readers(machine):
    """who is in the group tickerd reads the tape and asks for status; who is not reads nothing"""
    machine.sh("useradd -m -G tickerd alice; useradd -m bob")
    machine.sh(f"runuser -u alice -- tail -n 1 {TAPE}/tape.ndjson")
    machine.sh("runuser -u alice -- tickerd status")
    expect(machine.run(f"runuser -u bob -- cat {TAPE}/tape.ndjson").returncode != 0, "bob reads the tape")
    told = machine.run("runuser -u bob -- tickerd status")
    expect(told.returncode not in (0, 1), f"bob is told {told.returncode}: {told.stdout}")
    return (told.stdout + told.stderr).strip().splitlines()[0]


def credential(machine):
    """credential add, and what it says to type: the venue takes the signed subscribe"""
    said = machine.typed("tickerd credential add main < cdp_api_key.json")
    expect("the venue takes them" in said and "systemctl restart tickerd" in said, said)
    expect('credentials = "main"' in said, said)
    machine.typed(f"sed -i 's/^# credentials/credentials/' {CONFIG}")
    machine.typed("systemctl restart tickerd")
    machine.records()
    time.sleep(5)
    told = machine.typed("tickerd status")
    feed = machine.feed()
    expect(feed["credentials"] == "main" and not feed["unsigned"] and feed["health"] == "well", f"{feed}")
    expect("no key" not in told, told)
    expect(machine.sh("stat -c '%a %U' /etc/credstore/tickerd-main").strip() == "600 root", "the stored key is open")
    return "signed"


def secrets(machine):
    """no key, token or signature is in the journal, the environment, the command line, the status or the tape"""
    private = json.loads(machine.secret)["privateKey"]
    body = [line for line in private.splitlines() if not line.startswith("-")]
    main = machine.show("tickerd", "MainPID")
    everything = {
        "journal": "journalctl --no-pager -o export",
        "environment": f"cat /proc/{main}/environ",
        "command line": f"cat /proc/{main}/cmdline",
        "status": f"cat {STATUS}; systemctl show tickerd",
        "tape": f"cat {TAPE}/tape.ndjson",
    }
    for where, command in everything.items():
        text = machine.sh(f"{command} | tr '\\0' '\\n'")
        expect(not any(line in text for line in body), f"the key is in the {where}")
        expect("eyJ" not in text, f"a token is in the {where}")
    return f"{len(everything)} places"


def reload(machine):
    """a good configuration is read again; a wrong one fails the reload, says why, and the daemon is not told"""
    main = machine.show("tickerd", "MainPID")
    machine.sh("systemctl reload tickerd")
    machine.wait(5, "reload", lambda: "reloaded: files reopened" in machine.journal("tickerd"))
    good = machine.read(CONFIG)
    before = machine.journal("tickerd").count("files reopened")
    machine.write(CONFIG, good.replace("[output]", "[outptu]"), 0o640)
    expect(machine.run("systemctl reload tickerd").returncode != 0, "a wrong configuration was reloaded")
    machine.write(CONFIG, good, 0o640)
    log = machine.journal("tickerd")
    expect(log.count("files reopened") == before, "the daemon was told")
    expect('did you mean "output"?' in log or "output" in log.splitlines()[-3], log)
    expect(machine.show("tickerd", "MainPID", "ActiveState") == [main, "active"], "it is another process now")
    return next(line for line in log.splitlines() if "outptu" in line)


def priorities(machine):
    """journalctl -p separates warnings and errors from the rest"""
    warnings = machine.journal("tickerd", "-p", "warning")
    everything = machine.journal("tickerd")
    expect("outptu" in warnings and "event=connected" not in warnings, warnings)
    expect("event=connected" in everything, everything)
    return f"{len(warnings.splitlines())} of {len(everything.splitlines())} lines"


def watchdog(machine):
    """a process that hangs is killed by the watchdog, and the next one records"""
    restarts, main = machine.show("tickerd", "NRestarts", "MainPID")
    machine.sh(f"kill -STOP {main}")
    machine.wait(40, "restart", lambda: machine.show("tickerd", "NRestarts") == str(int(restarts) + 1))
    machine.records()
    expect("Watchdog timeout" in machine.journal("tickerd"), "it was not the watchdog")
    expect(machine.events()[0]["event"] == "recovered", "the tape does not tell of it")
    return f"NRestarts={int(restarts) + 1}"


def killed(machine):
    """kill -9: systemd starts it again, and the tape says recovered"""
    main = machine.show("tickerd", "MainPID")
    machine.sh(f"kill -KILL {main}")
    machine.wait(20, "another process", lambda: machine.show("tickerd", "MainPID") not in (main, "0"))
    machine.records()
    first = machine.events()[0]
    expect(first["event"] == "recovered", f"{first}")
    return f"recovered {first['data']}"


def stop(machine):
    """stop drains and seals: no tape that grows is left, and the segment is whole"""
    machine.sh("systemctl stop tickerd")
    result, code = machine.show("tickerd", "Result", "ExecMainStatus")
    expect((result, code) == ("success", "0"), f"{result}, {code}")
    expect(machine.run(f"test -e {TAPE}/tape.ndjson").returncode == 1, "tape.ndjson is still there")
    machine.sh(f"tickerd audit --silent-only {TAPE}")
    sealed = machine.sh(f"ls {TAPE} | tail -n 1").strip()
    rest(machine)
    return sealed


def refusal(machine):
    """a venue that refuses the key stops no unit: it goes on unsigned, says so, and signs again once it is taken"""
    machine.write("/opt/venue/key.json", key(2), 0o600)
    machine.open_venue()
    rest(machine)
    machine.wait(30, "degraded feed", lambda: machine.feed().get("unsigned"))
    expect(machine.show("tickerd", "ActiveState") == "active", "the unit has stopped")
    told = machine.sh("tickerd status", 1).splitlines()[0]
    expect(machine.journal("tickerd", "-p", "warning", "-n", "20").count("refused") > 0, "no warning in the journal")
    machine.write("/opt/venue/key.json", machine.secret, 0o600)
    machine.open_venue()
    rest(machine)
    return told


def misconfigured(machine):
    """a wrong configuration ends in 78 with the reason, and is not tried again"""
    good = machine.read(CONFIG)
    machine.write(CONFIG, good.replace('"ticker_batch"', '"ticker_bach"'), 0o640)
    machine.sh("systemctl restart tickerd", 1)
    time.sleep(7)
    state, code, restarts = machine.show("tickerd", "ActiveState", "ExecMainStatus", "NRestarts")
    machine.write(CONFIG, good, 0o640)
    expect((state, code, restarts) == ("failed", "78", "0"), f"{state}, {code}, {restarts} restarts")
    why = machine.journal("tickerd", "-p", "err", "-n", "10")
    rest(machine)
    return next(line for line in why.splitlines() if "ticker_bach" in line)


def closed_path(machine):
    """a path that the sandbox closes ends in 78 with the lines for systemctl edit; those lines open it"""
    good = machine.read(CONFIG)
    machine.sh("install -d -o tickerd -g tickerd -m 750 /srv/x")
    machine.write(CONFIG, good.replace('"tape.ndjson"', '"/srv/x/tape.ndjson"'), 0o640)
    machine.run("systemctl restart tickerd")
    machine.wait(10, "failed unit", lambda: machine.show("tickerd", "ActiveState") == "failed")
    expect(machine.show("tickerd", "ExecMainStatus") == "78", machine.journal("tickerd", "-n", "20"))
    log = machine.journal("tickerd", "-n", "20")
    lines = re.search(r"^\[Service\]$\n^(\w+=\S+)$", log, re.MULTILINE)
    expect(lines and "systemctl edit tickerd" in log, f"no lines to follow: {log}")
    machine.write("/etc/systemd/system/tickerd.service.d/override.conf", f"[Service]\n{lines[1]}\n")
    rest(machine)
    machine.sh("test -s /srv/x/tape.ndjson")
    machine.write(CONFIG, good, 0o640)
    machine.sh("rm -r /etc/systemd/system/tickerd.service.d")
    rest(machine)
    return lines[1]


def documented(text, ends):
    """The commands that a file's own comment says to type: those that are indented in it, up to the one that `ends` it."""
    lines = [line[1:].strip() for line in text.splitlines() if re.match(r"#     \S", line)]
    return lines[: next(i for i, line in enumerate(lines) if ends in line) + 1]


def encrypted(machine):
    """an encrypted credential, by the example's own commands"""
    machine.sh("cp cdp_api_key.json spare.json; mv /etc/credstore/tickerd-main spare-main")
    example = machine.read("/usr/share/doc/tickerd/examples/encrypted-credential.conf")
    commands = documented(example, "systemctl restart tickerd")
    for command in commands:
        machine.sh(command)
    machine.records()
    feed = machine.feed()
    expect(feed["credentials"] == "main" and not feed["unsigned"], f"{feed}")
    expect("privateKey" not in machine.read("/etc/credstore.encrypted/tickerd-main"), "it lies there in clear")
    machine.sh("mv spare-main /etc/credstore/tickerd-main; mv spare.json cdp_api_key.json; rm -r /etc/systemd/system/tickerd.service.d")
    machine.sh("rm -r /etc/credstore.encrypted")
    rest(machine)
    return f"{len(commands)} commands"


def newer(machine):
    """the drop-in for systemd 254 and later: a reload that waits, restarts that back off"""
    if machine.suite == "bookworm":
        return "not for systemd 252"
    example = machine.read("/usr/share/doc/tickerd/examples/systemd-254.conf")
    for command in documented(example, "systemctl daemon-reload"):
        machine.sh(command)
    rest(machine)
    expect(machine.show("tickerd", "Type") == "notify-reload", "the drop-in is not read")
    before = machine.journal("tickerd").count("reloaded: files reopened")
    machine.sh("systemctl reload tickerd; journalctl --sync")
    expect(machine.journal("tickerd").count("reloaded: files reopened") == before + 1, "it did not wait for the reload")
    main, good = machine.show("tickerd", "MainPID"), machine.read(CONFIG)
    machine.write(CONFIG, good.replace("[output]", "[outptu]"), 0o640)
    # HUP is systemd's here, and comes first: the daemon says what is wrong, goes on as it was, and the reload fails all the same.
    expect(machine.run("systemctl reload tickerd").returncode != 0, "a wrong configuration was reloaded")
    machine.write(CONFIG, good, 0o640)
    expect(machine.show("tickerd", "MainPID", "ActiveState") == [main, "active"], "it is another process now")
    machine.sh("systemd-analyze verify --man=no tickerd.service; rm -r /etc/systemd/system/tickerd.service.d")
    rest(machine)
    return "notify-reload"
