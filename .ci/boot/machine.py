"""A Debian that was booted by .ci/boot/start, and the venue that stands in it for Coinbase's."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Both are the simulator, which the resolver and the system's certificates take for Coinbase: the package is installed as it is.
HOSTS = ["advanced-trade-ws.coinbase.com", "api.coinbase.com"]
VENUE = f"""[Service]
ExecStart=/bin/sh -c 'exec /opt/venue/tickerd simulator --tls --listen 127.0.0.1:443 {" ".join(f"--name {host}" for host in HOSTS)} \\
    --config /opt/venue/venue.toml >/run/venue'
"""


class Failed(Exception):
    """What a trial expected and did not find."""


def key(number):
    """A CDP key, as the portal gives it: new each time, and known to nobody but the venue in the machine."""
    pem = subprocess.run(
        ["openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout"], check=True, capture_output=True, text=True
    ).stdout
    organization = f"organizations/6f1c3f5e-0000-4000-8000-{number:012}"
    return json.dumps({"name": f"{organization}/apiKeys/6f1c3f5e-0000-4000-8000-{number:012}", "privateKey": pem})


class Machine:
    """One booted root, up to `halt`."""

    def __init__(self, suite, archive, folder, simulator):
        self.suite = suite
        self.root = folder / suite
        self.name = f"tickerd-boot-{suite}-{os.getpid()}"
        cgroups = Path("/sys/fs/cgroup/unified")
        self.cgroup = (cgroups if cgroups.is_dir() else Path("/sys/fs/cgroup")) / self.name
        self.transcript = []
        self.secret = None
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)
        subprocess.run(["tar", "-C", self.root, "-xf", archive], check=True)
        self.furnish(simulator)
        self.log = (folder / f"{suite}.log").open("w")
        self.process = subprocess.Popen(
            [HERE / "start", self.root, self.name], stdout=self.log, stderr=self.log, start_new_session=True
        )
        self.wait(60, "a booted system", lambda: self.pid() is not None and self.state() in ("running", "degraded"))

    def furnish(self, simulator):
        """What a machine has beside a Debian: a name, names of hosts, nothing that needs a kernel module, a venue."""
        self.write("/etc/hostname", "recorder\n")
        self.write("/etc/hosts", f"127.0.0.1 localhost recorder {' '.join(HOSTS)}\n")
        (self.root / "etc/systemd/system/systemd-modules-load.service").symlink_to("/dev/null")
        self.write("/etc/systemd/system/venue.service", VENUE)
        (self.root / "opt/venue").mkdir(parents=True)
        shutil.copy(simulator, self.root / "opt/venue/tickerd")
        self.write("/opt/venue/venue.toml", '[credentials.main]\nkey_file = "key.json"\n')
        self.secret = key(1)
        self.write("/opt/venue/key.json", self.secret, 0o600)
        self.write("/root/cdp_api_key.json", self.secret, 0o600)

    def open_venue(self):
        """Starts it anew, and lets the system believe in its certificate, which is new as well."""
        # What it writes at a start is not to be taken for what the one before it wrote.
        self.sh("systemctl stop venue; rm -f /run/venue; systemctl start venue")
        self.wait(20, "the venue", lambda: len(self.sh("cat /run/venue").splitlines()) == 2)
        self.sh("cp $(tail -n 1 /run/venue) /usr/local/share/ca-certificates/venue.crt && update-ca-certificates --fresh")

    def pid(self):
        try:
            return int((self.cgroup / "init.scope/cgroup.procs").read_text().split()[0])
        except (OSError, IndexError):
            return None

    def state(self):
        return self.run("systemctl is-system-running").stdout.strip()

    def run(self, script, **more):
        """One line of bash in the machine, as root in /root."""
        return subprocess.run(
            ["nsenter", "-t", str(self.pid()), "-a", "env", "-i", "-C", "/root", "HOME=/root", "LC_ALL=C.UTF-8",
             "DEBIAN_FRONTEND=noninteractive", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "bash", "-c", script],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False, **more,
        )

    def sh(self, script, code=0):
        """What it prints; anything but this exit code is a failure."""
        done = self.run(script)
        if done.returncode != code:
            raise Failed(f"`{script}` ended with {done.returncode}, not {code}: {done.stdout}{done.stderr}".strip())
        return done.stdout + done.stderr

    def typed(self, line, code=0):
        """As `sh`, for docs/INSTALL.md."""
        done = self.run(f"{{ {line}\n}} 2>&1")
        said = [text for text in done.stdout.splitlines() if self.is_for_people(text)]
        self.transcript += [f"# {line}", *said]
        if done.returncode != code:
            raise Failed(f"`{line}` ended with {done.returncode}, not {code}: {done.stdout}".strip())
        return done.stdout

    @staticmethod
    def is_for_people(text):
        """apt says more to a pipe than to a terminal, and draws its progress into it."""
        noise = ["WARNING: apt does not", "(Reading database", "debconf: delaying", "N: Download is performed"]
        return bool(text.strip()) and not any(word in text for word in noise)

    def write(self, path, text, mode=0o644):
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def give(self, file, path):
        """Copies a file of the host's into the machine."""
        shutil.copy(file, self.root / path.lstrip("/"))

    def read(self, path):
        return (self.root / path.lstrip("/")).read_text()

    def wait(self, seconds, what, is_so):
        """Looks five times a second, and takes a failure on the way for not yet."""
        end = time.monotonic() + seconds
        why = ""
        while time.monotonic() < end:
            try:
                if is_so():
                    return
            except (Failed, OSError) as failed:
                why = f": {failed}"
            time.sleep(0.2)
        raise Failed(f"no {what} within {seconds} s{why}")

    def show(self, unit, *names):
        """Properties of a unit, in the order of their names."""
        shown = dict(line.split("=", 1) for line in self.sh(f"systemctl show {unit}").splitlines() if "=" in line)
        values = [shown.get(name, "") for name in names]
        return values[0] if len(values) == 1 else values

    def journal(self, unit, *more):
        return self.sh(f"journalctl --no-pager -o cat -u {unit} {' '.join(more)}")

    def status(self):
        """What `tickerd status --json` says of each daemon, by the file that it is in."""
        found = json.loads(self.run("tickerd status --json").stdout or '{"daemons":[]}')["daemons"]
        return {daemon["file"]: daemon["report"] for daemon in found if daemon["life"] == "alive"}

    def feed(self, file="/run/tickerd/status.json"):
        report = self.status().get(file)
        return report["feeds"][0] if report else {}

    def records(self, unit="tickerd", file="/run/tickerd/status.json", seconds=30):
        """Waits until it is up and messages are written."""
        self.wait(seconds, f"record of {unit}", lambda: self.feed(file).get("written", 0) > 0)
        if self.show(unit, "ActiveState") != "active":
            raise Failed(f"{unit} records and is {self.show(unit, 'ActiveState')}")

    def events(self, path="/var/lib/tickerd/tape.ndjson"):
        lines = [json.loads(line) for line in self.sh(f"cat {path}").splitlines()]
        return [line for line in lines if "event" in line]

    def halt(self):
        """Ends what was started, and takes its cgroup away; what would not end is killed with its namespace."""
        pid = self.pid()
        if pid:
            os.kill(pid, signal.SIGRTMIN + 3)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        subprocess.run(["find", self.cgroup, "-depth", "-type", "d", "-exec", "rmdir", "{}", "+"], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.root, ignore_errors=True)
