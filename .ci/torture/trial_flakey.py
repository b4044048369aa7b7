"""Lost power by the device mapper: in a virtual machine, since few kernels of hosts have dm-flakey, a disk takes no more writes
and says that it does; then it is mounted anew.

Needs qemu, mmdebstrap and Debian's packages. TORTURE_VM names a folder that keeps the system for the next time."""

import os
import pathlib
import shutil
import subprocess

from stand import TICKERD, Skip, need, need_root

PACKAGES = ("systemd,systemd-sysv,dbus,linux-image-cloud-amd64,initramfs-tools,dmsetup,iproute2,e2fsprogs,python3,procps,strace,zstd,"
            "util-linux,ca-certificates")
UNIT = """[Unit]
After=multi-user.target
[Service]
Type=oneshot
Environment=TICKERD=/opt/torture/tickerd TORTURE_CUTS={cuts} PYTHONDONTWRITEBYTECODE=1
ExecStart=/bin/sh -c 'python3 /opt/torture/flakey_inside.py'
ExecStopPost=/bin/systemctl poweroff --no-block
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
"""


def run(bench):
    need("qemu-system-x86_64", "mmdebstrap", "mke2fs")
    need_root()
    kept = pathlib.Path(os.environ.get("TORTURE_VM", bench.folder / "vm"))
    kept.mkdir(parents=True, exist_ok=True)
    root = kept / "R"
    if not (root / "etc/ssl/certs/ca-certificates.crt").exists():
        shutil.rmtree(root, ignore_errors=True)
        bench.command("mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", root)
    inside = root / "opt/torture"
    shutil.rmtree(inside, ignore_errors=True)
    shutil.copytree(pathlib.Path(__file__).parent, inside)
    shutil.copy(TICKERD, inside / "tickerd")
    units = root / "etc/systemd/system"
    (units / "torture.service").write_text(UNIT.format(cuts=os.environ.get("TORTURE_CUTS", "10")))
    (units / "serial-getty@ttyS0.service").unlink(missing_ok=True)
    (units / "serial-getty@ttyS0.service").symlink_to("/dev/null")
    (units / "multi-user.target.wants").mkdir(exist_ok=True)
    wants = units / "multi-user.target.wants/torture.service"
    wants.unlink(missing_ok=True)
    wants.symlink_to("../torture.service")
    disk = bench.folder / "vm.img"
    bench.command("mke2fs", "-q", "-t", "ext4", "-d", root, disk, "2500M")
    kernel, initrd = next((root / "boot").glob("vmlinuz-*")), next((root / "boot").glob("initrd.img-*"))
    log = bench.folder / "vm.log"
    with open(log, "wb") as out:
        # TCG: a nested KVM is there on few machines, and on some of those does not work.
        subprocess.run(["qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-m", "2048", "-smp", "2", "-nographic",
                        "-no-reboot", "-kernel", kernel, "-initrd", initrd, "-append", "root=/dev/vda rw console=ttyS0 quiet",
                        "-drive", f"file={disk},if=virtio,format=raw,cache=unsafe", "-nic", "none"],
                       stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=1500, check=False)
    text = log.read_text(errors="replace")
    for line in text.splitlines():
        if "flakey:" in line:
            bench.say(line.strip()[-250:])
        if "VIOLATION" in line:
            bench.violation(line.strip()[-400:])
    if "cannot have dm-flakey" in text:
        raise Skip("the VM's kernel has no dm-flakey")
    bench.require("TORTURE DONE" in text, f"the VM came to no end: {text[-500:]}")
