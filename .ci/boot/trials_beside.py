"""The other units, the package, and what other programs do to a recorder."""

import json
import re
import time


from trials_unit import CONFIG, TAPE, documented, expect, rest

PIPE = "/run/tickerd-pipe@kafka/status.json"
OUT = f"{TAPE}/kafka/out.ndjson"


def instance(machine):
    """an instance a configuration: its own tape, its own status beside the other's, and the other's end is not its own"""
    text = machine.read("/usr/lib/systemd/system/tickerd@.service")
    commands = documented(text, "systemctl enable")
    machine.sh(commands[0].split("#")[0])
    expect(machine.sh("stat -c '%a %U:%G' /etc/tickerd/deep.toml").strip() == "640 root:tickerd", "-p kept no owner")
    machine.sh(commands[1].replace("&& tickerd status", ""))
    file = "/run/tickerd@deep/status.json"
    machine.records("tickerd@deep", file)
    machine.sh(f"test -s {TAPE}/deep/tape.ndjson")
    both = machine.sh("tickerd status")
    expect(len(machine.status()) == 2, both)
    machine.sh("systemctl reload tickerd@deep; systemctl stop tickerd")
    expect(file in machine.status(), "the instance's status went with the other unit")
    machine.sh("systemctl disable --now tickerd@deep")
    rest(machine)
    return both.splitlines()[0]


def pipe(machine):
    """a pipe: READY is tickerd's, the data arrives whole, a stop drains through a reader that is slow, a reload is heard"""
    text = machine.read(CONFIG)
    text = re.sub(r"(?m)^(rotate|compress|keep) .*\n(  .*\n)*", "", text).replace('"tape.ndjson"', '"-"')
    machine.write("/etc/tickerd/kafka.toml", text)
    machine.sh("chown root:tickerd /etc/tickerd/kafka.toml; chmod 640 /etc/tickerd/kafka.toml")
    # All there is at the stop is still in the pipe, or in tickerd.
    machine.write("/etc/tickerd/kafka.pipe", "sleep 6\nexec cat >>out.ndjson\n")
    machine.sh("systemctl start tickerd-pipe@kafka")
    expect(machine.show("tickerd-pipe@kafka", "ActiveState") == "active", "no READY")
    machine.records("tickerd-pipe@kafka", PIPE)
    machine.sh("systemctl reload tickerd-pipe@kafka")
    machine.sh("systemctl stop tickerd-pipe@kafka")
    result = machine.show("tickerd-pipe@kafka", "Result", "ExecMainStatus")
    expect(result == ["success", "0"], f"{result}")
    log = machine.journal("tickerd-pipe@kafka")
    expect("reloaded: files reopened" in log, log)
    lines = machine.sh(f"cat {OUT}").splitlines()
    messages = sum("msg" in json.loads(line) for line in lines)
    last = json.loads(lines[-1])
    expect(last.get("event") == "disconnected" and last["data"]["written"] == messages, f"the end is missing: {lines[-1]}")
    return f"{messages} messages"


def pipe_misconfigured(machine):
    """a pipe: exit 78 is kept, and not tried again"""
    good = machine.read("/etc/tickerd/kafka.toml")
    machine.write("/etc/tickerd/kafka.toml", "[outptu]\n", 0o640)
    machine.write("/etc/tickerd/kafka.pipe", "exec cat >>out.ndjson\n")
    machine.sh("systemctl start tickerd-pipe@kafka", 1)
    time.sleep(7)
    state = machine.show("tickerd-pipe@kafka", "ActiveState", "ExecMainStatus", "NRestarts")
    machine.write("/etc/tickerd/kafka.toml", good, 0o640)
    expect(state == ["failed", "78", "0"], f"{state}")
    machine.sh("systemctl reset-failed tickerd-pipe@kafka")
    return "78"


def pipe_reader(machine):
    """a pipe: a reader that fails is named with its exit code, and both begin anew"""
    machine.write("/etc/tickerd/kafka.pipe", "head -n 5 >/dev/null\nexit 3\n")
    machine.sh("systemctl start tickerd-pipe@kafka")
    machine.wait(60, "restart", lambda: machine.show("tickerd-pipe@kafka", "NRestarts") not in ("", "0"))
    log = machine.journal("tickerd-pipe@kafka", "-p", "err")
    expect("kafka.pipe, ended with 3" in log, log)
    machine.sh("systemctl stop tickerd-pipe@kafka; systemctl reset-failed tickerd-pipe@kafka || true")
    # One that fails at the end only, behind a tickerd that is content.
    machine.write("/etc/tickerd/kafka.pipe", "cat >/dev/null\nexit 4\n")
    machine.sh("systemctl start tickerd-pipe@kafka")
    machine.records("tickerd-pipe@kafka", PIPE)
    machine.sh("systemctl stop tickerd-pipe@kafka")
    state = machine.show("tickerd-pipe@kafka", "ActiveState", "Result")
    expect(state == ["failed", "exit-code"], f"{state}")
    machine.sh("systemctl reset-failed tickerd-pipe@kafka")
    return "3, and 4 at the end"


def pipe_watchdog(machine):
    """a pipe: a tickerd that hangs is killed by the watchdog, the reader sees the end, and both begin anew"""
    machine.write("/etc/tickerd/kafka.pipe", "exec cat >>out.ndjson\n")
    machine.sh("systemctl start tickerd-pipe@kafka")
    machine.records("tickerd-pipe@kafka", PIPE)
    main = machine.show("tickerd-pipe@kafka", "MainPID")
    expect("tickerd" in machine.sh(f"cat /proc/{main}/comm"), "MainPID is not tickerd")
    machine.sh(f"kill -STOP {main}")
    machine.wait(60, "restart", lambda: machine.show("tickerd-pipe@kafka", "NRestarts") == "1")
    machine.records("tickerd-pipe@kafka", PIPE)
    machine.sh("systemctl stop tickerd-pipe@kafka; rm /etc/tickerd/kafka.*")
    return "MainPID is tickerd"


def audit(machine):
    """the nightly audit is content with what is sealed, and fails, by name, where a segment was changed"""
    machine.sh("systemctl restart tickerd")
    machine.records()
    machine.sh(f"find {TAPE} -name 'tape-*' -not -path '*/.tickerd/*' -exec touch -d '1 hour ago' {{}} +")
    machine.sh("systemctl start tickerd-audit.timer; systemctl start tickerd-audit")
    clean = machine.journal("tickerd-audit")
    segment = machine.sh(f"ls {TAPE}/tape-*.zst | head -n 1").strip()
    machine.sh(f"""cp -p {segment} spare.zst;
        chmod u+w {segment}; printf 'x' | dd of={segment} bs=1 seek=200 conv=notrunc status=none; touch -d '1 hour ago' {segment}""")
    machine.sh("systemctl start tickerd-audit", 1)
    said = machine.journal("tickerd-audit", "-n", "30")
    expect(segment.rsplit("/", 1)[1] in said, said)
    expect("tickerd-audit.service" in machine.sh("systemctl --failed --no-pager --plain"), "it is not in systemctl --failed")
    machine.sh(f"cat spare.zst >{segment}; chmod 440 {segment}; systemctl reset-failed tickerd-audit; systemctl stop tickerd-audit.timer")
    return clean.splitlines()[1] if len(clean.splitlines()) > 1 else clean


def logrotate(machine):
    """the logrotate example: the file is renamed, the recorder goes on in another, and no message is lost"""
    good = machine.read(CONFIG)
    machine.write(CONFIG, re.sub(r"(?m)^(rotate|compress|keep) .*\n(  .*\n)*", "", good), 0o640)
    rest(machine)
    machine.sh("logrotate --force /usr/share/doc/tickerd/examples/logrotate")
    machine.wait(20, "tape", lambda: machine.sh(f"stat -c %s {TAPE}/tape.ndjson").strip() != "0")
    moved = machine.sh(f"ls {TAPE}/tape.ndjson-*").split()
    lines = machine.sh(f"cat {moved[-1]} {TAPE}/tape.ndjson").splitlines()
    numbers = [json.loads(line)["n"] for line in lines if "msg" in json.loads(line)]
    machine.write(CONFIG, good, 0o640)
    machine.sh(f"rm {moved[-1]}")
    rest(machine)
    expect(numbers == list(range(len(numbers))), f"{numbers}")
    return f"{len(numbers)} messages over both"


def needrestart(machine):
    """needrestart leaves every unit of tickerd alone"""
    # As needrestart's own code reads it: evaluated, with %nrconf in scope.
    machine.write("/root/asked.pl", """our %nrconf; defined do '/etc/needrestart/conf.d/tickerd.conf' or die;
for my $re (keys %{$nrconf{override_rc}}) { exit 0 if $ARGV[0] =~ /$re/ and not $nrconf{override_rc}{$re} }
exit 1""")
    for unit in ["tickerd.service", "tickerd@deep.service", "tickerd-pipe@kafka.service"]:
        machine.sh(f"perl asked.pl {unit}")
    expect(machine.run("perl asked.pl ssh.service").returncode == 1, "other units are left alone as well")
    return "by its own way of reading it"


def scores(machine):
    """systemd-analyze verify has nothing to say, and security 1.2 at most"""
    found = []
    for unit in ["tickerd.service", "tickerd@x.service", "tickerd-pipe@x.service", "tickerd-audit.service", "tickerd-audit.timer"]:
        said = machine.sh(f"systemd-analyze verify --man=no {unit}")
        expect(not said.strip(), said)
        if unit.endswith(".service"):
            score = float(re.search(r"level for \S+: ([0-9.]+)", machine.sh(f"systemd-analyze security --no-pager {unit}"))[1])
            expect(score <= 1.2, f"{unit}: {score}")
            found.append(f"{unit} {score}")
    return ", ".join(found)


def upgrade(machine, package):
    """an upgrade restarts nothing unasked, and says what to type"""
    main = machine.show("tickerd", "MainPID")
    machine.give(package, "/root/next.deb")
    said = machine.sh("apt-get install -y ./next.deb")
    expect(machine.show("tickerd", "MainPID", "ActiveState") == [main, "active"], "the recorder was restarted")
    expect("systemctl restart tickerd.service" in said, said)
    expect(machine.read(CONFIG).count('\ncredentials = "main"') == 1, "the configuration was overwritten")
    rest(machine)
    return next(line for line in said.splitlines() if "still records" in line)


def purge(machine):
    """remove stops it; purge takes units and configuration, and leaves what was recorded"""
    before = machine.sh(f"find {TAPE} -name 'tape-*.ndjson*' | wc -l").strip()
    said = machine.sh("apt-get purge -y tickerd")
    after = machine.sh(f"find {TAPE} -name 'tape-*.ndjson*' | wc -l").strip()
    expect(int(after) > int(before), f"{before} segments before, {after} after: the last tape was not sealed")
    expect(machine.run("test -e /usr/bin/tickerd || test -e /etc/tickerd/config.toml").returncode == 1, "it is still there")
    expect(machine.run("ls /etc/systemd/system/*.wants/tickerd*").returncode != 0, "it is still enabled")
    expect(f"{TAPE} is left" in said, said)
    expect(machine.state() == "running", machine.sh("systemctl --failed --no-pager"))
    return f"{after} segments stay"


