"""What `flakey` runs inside its virtual machine."""

import random
import subprocess

import stand
import trial_power

SIZE = 512 << 20


def main():
    bench = stand.Bench("flakey")
    try:
        for sync in ("1s", "always"):
            trial(bench, sync)
    except Exception as error:  # Whatever it is, the host reads of it.
        bench.violation(f"the trial broke down: {type(error).__name__}: {error}")
        stand.traceback.print_exc()
    finally:
        bench.clear()
    print("TORTURE DONE", flush=True)


def trial(bench, sync):
    name = f"flakey-{sync}"
    image, place = bench.folder / f"{name}.img", bench.folder / name
    place.mkdir()
    with open(image, "wb") as file:
        file.truncate(SIZE)
    loop = bench.command("losetup", "-f", "--show", image).strip()
    mapped, sectors = f"/dev/mapper/{name}", SIZE // 512
    subprocess.run(["modprobe", "dm-flakey"], check=False)
    bench.command("dmsetup", "create", name, "--table", f"0 {sectors} linear {loop} 0")
    bench.command("mkfs.ext4", "-qF", mapped)
    bench.mount(mapped, place)
    (place / "data").mkdir()
    bench.command("sync", "-f", place)

    def table(text):
        bench.command("dmsetup", "suspend", "--nolockfs", name)
        bench.command("dmsetup", "load", name, "--table", text)
        bench.command("dmsetup", "resume", name)

    def cut():
        # Up for no second, down for 180: what is written then is dropped, and said to be written.
        table(f"0 {sectors} flakey {loop} 0 0 180 1 drop_writes")

    def again():
        bench.command("umount", place)
        table(f"0 {sectors} linear {loop} 0")
        bench.command("mount", mapped, place)

    promised = trial_power.Promised(bench, name)
    url = bench.exchange(5)
    trial_power.cuts(bench, random.Random(7), name, url, place, sync, stand.number("CUTS", 10), promised, cut, again)
    bench.say(f"flakey: {sync}: {promised.figures()}")


main()
