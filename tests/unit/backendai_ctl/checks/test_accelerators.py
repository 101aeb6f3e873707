"""A plugin's driver, device nodes and libraries: what is absent is named, with a cure."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from backendai_ctl.checks import accelerators
from backendai_ctl.context import Context

PROC = """\
Character devices:
  1 mem
195 nvidia
195 nvidia-modeset
508 nvidia-uvm

Block devices:
  8 nvidia-like
"""
DROP_IN = """\
[Service]
PrivateDevices=no
DeviceAllow=char-nvidia-uvm rw
DeviceAllow=char-nvidia* rw
X-Libraries=libnvidia-ml.so libcudart.so
"""
CACHE = """\
	libnvidia-ml.so.1 (libc6,x86-64) => /usr/lib/libnvidia-ml.so.1
	libcudart.so.12 (libc6,x86-64) => /usr/local/cuda/lib64/libcudart.so.12
"""


@pytest.fixture
def host(ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """A host with the plugin, its driver, three device nodes and both libraries."""
    (ctx.paths.units / "backendai-agent.service").touch()
    folder = ctx.paths.units / "backendai-agent.service.d"
    folder.mkdir()
    (folder / "backendai-accelerator-cuda-open.conf").write_text(DROP_IN)
    (folder / "theirs.conf").write_text("[Service]\n")
    (tmp_path / "devices").write_text(PROC)
    (tmp_path / "dev/nvidia-caps").mkdir(parents=True)
    for name in ("nvidia0", "nvidiactl", "nvidia-caps/uvm", "null"):
        (tmp_path / "dev" / name).touch()
    monkeypatch.setattr(accelerators, "DRIVERS", tmp_path / "devices")
    monkeypatch.setattr(accelerators, "DEVICES", tmp_path / "dev")
    numbers = {"nvidia0": 195, "nvidiactl": 195, "uvm": 508, "null": 1}
    monkeypatch.setattr(accelerators, "_major", lambda path: numbers[path.name])
    libraries(monkeypatch, CACHE)
    return ctx


def libraries(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(accelerators, "run", lambda _: SimpleNamespace(stdout=text))


def look(host: Context) -> tuple[str, str, str]:
    (check,) = accelerators.checks(host)
    assert (check.group, check.name) == ("accelerators", "accelerator-cuda-open")
    found = check.look(host)
    return found.level, found.message, found.hint


def test_all_is_there(host: Context) -> None:
    assert look(host) == ("ok", "nvidia (2), nvidia-modeset (2), nvidia-uvm (1)", "")


def test_without_a_driver(host: Context) -> None:
    accelerators.DRIVERS.write_text("Character devices:\n  1 mem\n\nBlock devices:\n8 nvidia\n")
    level, message, hint = look(host)
    assert level == "fail"
    assert message == f"no driver: {accelerators.DRIVERS} has no nvidia-uvm and no nvidia*"
    assert "install the vendor's driver" in hint and hint.endswith("backendai-ctl restart agent")


def test_without_device_nodes(host: Context) -> None:
    (accelerators.DEVICES / "nvidia-caps/uvm").unlink()
    level, message, hint = look(host)
    assert level == "fail" and message.endswith("has no node of nvidia-uvm")
    assert "nvidia-modprobe" in hint


def test_with_another_of_the_drivers_alone(host: Context) -> None:
    text = accelerators.DRIVERS.read_text()
    accelerators.DRIVERS.write_text("".join(r for r in text.splitlines(True) if "195" not in r))
    assert look(host)[1].endswith("has no nvidia*")


def test_without_a_library(host: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    libraries(monkeypatch, CACHE.replace("libcudart.so.12", "notlibcudart.so.12"))
    assert look(host)[:2] == ("fail", "the host has no libcudart.so")


def test_simulated_devices_need_nothing(host: Context) -> None:
    file = host.paths.units / "backendai-agent.service.d/backendai-accelerator-cuda-open.conf"
    file.write_text("[Service]\n")
    assert look(host)[:2] == ("ok", "it simulates its devices")


def test_a_host_without_an_agent_has_no_such_check(host: Context) -> None:
    (host.paths.units / "backendai-agent.service").unlink()
    assert accelerators.checks(host) == []
