"""A throw-away virtual machine: QEMU without KVM, no network, a disk that may be booted again.

    disk = Disk.made(tree, folder)
    output = disk.boot(script, timeout=900)

A boot takes about a minute. The script runs as root once the system is up; what it says comes back by
a port of its own, and its exit status with it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

SIZE = "4G"
PROGRAMS = ("qemu-system-x86_64", "qemu-img", "mke2fs")
_UNIT = """\
[Unit]
Description=Run what is on the second disk
After=multi-user.target

[Service]
Type=oneshot
ExecStart=/usr/local/sbin/payload
StandardOutput=journal+console

[Install]
WantedBy=graphical.target
"""
_PAYLOAD = """\
#!/bin/bash
out=/dev/virtio-ports/out
mkdir -p /payload
tar -xf /dev/disk/by-id/virtio-payload -C /payload
{ cd /payload; bash ./run.sh 2>&1 </dev/null; echo "payload: $?"; } >$out 2>&1
sync
systemctl poweroff --no-block
"""
_KERNEL_WORDS = (
    "console=ttyS0 root=/dev/vda rw panic=-1 quiet mitigations=off random.trust_cpu=on"
    " net.ifnames=0 systemd.show_status=0"
)


class MachineError(Exception):
    """The machine did not boot, or its script did not end."""


def unmet() -> str | None:
    """Why no machine can run here, or None."""
    absent = [name for name in PROGRAMS if not shutil.which(name)]
    if absent:
        return f"not installed: {', '.join(absent)} (apt install qemu-system-x86 qemu-utils)"
    return None


@dataclass(frozen=True)
class Disk:
    """A machine's disk, its kernel and first root. What a boot writes is kept."""

    image: Path
    kernel: Path
    initrd: Path

    @classmethod
    def made(cls, tree: Path, folder: Path) -> Disk:
        """A disk from an unpacked system; the tree is changed so that it runs scripts."""
        (tree / "etc/systemd/system/payload.service").write_text(_UNIT)
        program = tree / "usr/local/sbin/payload"
        program.write_text(_PAYLOAD)
        program.chmod(0o755)
        wants = tree / "etc/systemd/system/graphical.target.wants"
        wants.mkdir(parents=True, exist_ok=True)
        (wants / "payload.service").symlink_to("../payload.service")
        (tree / "etc/fstab").write_text("/dev/vda / ext4 defaults,noatime 0 1\n")
        for timer in (tree / "etc/systemd/system/timers.target.wants").glob("*"):
            timer.unlink()
        disk = cls(folder / "disk.img", folder / "vmlinuz", folder / "initrd")
        shutil.copyfile(next((tree / "boot").glob("vmlinuz-*")), disk.kernel)
        shutil.copyfile(next((tree / "boot").glob("initrd.img-*")), disk.initrd)
        make = ["mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", str(tree), str(disk.image), SIZE]
        subprocess.run(make, check=True)
        return disk

    def boot(self, script: str, *, timeout: int) -> str:
        """Boot, run a script, power off; what it said. MachineError if it fails or takes longer."""
        folder = self.image.parent
        payload, out, console = folder / "payload.tar", folder / "out", folder / "console"
        run = folder / "run.sh"
        run.write_text(script)
        with tarfile.open(payload, "w") as tar:
            tar.add(run, "run.sh")
        out.unlink(missing_ok=True)
        began = time.monotonic()
        try:
            subprocess.run(self._call(payload, out, console), timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            raise MachineError(
                f"not done after {timeout} s\n{_tail(out)}\n{_tail(console)}"
            ) from None
        said = out.read_text("utf-8", errors="replace") if out.exists() else ""
        status = re.search(r"^payload: (\d+)$", said, re.MULTILINE)
        if status is None:
            raise MachineError(f"no result\n{_tail(out)}\n{_tail(console)}")
        if status[1] != "0":
            raise MachineError(f"the script ended with {status[1]}\n{said}")
        return f"{said}took {time.monotonic() - began:.0f} s\n"

    def _call(self, payload: Path, out: Path, console: Path) -> list[str]:
        return [
            *("qemu-system-x86_64", "-accel", "tcg,thread=multi,tb-size=512", "-machine", "q35"),
            *("-cpu", "max", "-m", "1536", "-smp", "2", "-display", "none", "-no-reboot"),
            *("-nodefaults", "-nic", "none", "-serial", f"file:{console}"),
            *("-kernel", str(self.kernel), "-initrd", str(self.initrd), "-append", _KERNEL_WORDS),
            *("-drive", f"file={self.image},if=none,id=root,format=raw,cache=unsafe"),
            *("-device", "virtio-blk-pci,drive=root"),
            *("-drive", f"file={payload},if=none,id=payload,format=raw,readonly=on"),
            *("-device", "virtio-blk-pci,drive=payload,serial=payload"),
            *("-device", "virtio-rng-pci", "-device", "virtio-serial-pci"),
            *(
                "-chardev",
                f"file,id=out,path={out}",
                "-device",
                "virtserialport,chardev=out,name=out",
            ),
        ]


def _tail(path: Path) -> str:
    if not path.exists():
        return ""
    return "\n".join(path.read_text("utf-8", errors="replace").splitlines()[-40:])
