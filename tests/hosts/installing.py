"""What the scenarios of install.sh share: running it, and what must hold after any of its ends."""

from __future__ import annotations

from bundles import MEDIUM, STATE, Bundle
from host import Host, Result

SOURCE = "/etc/apt/sources.list.d/backendai.sources"
KEYRING = "/usr/share/keyrings/backendai-archive-keyring.gpg"
PYTHON = "/opt/backendai/runtime/bin/python3.13"
TIMEOUT = 300  # seconds


def install(host: Host, *words: str, timeout: float = TIMEOUT) -> Result:
    return host.run([f"{MEDIUM}/install.sh", *words], timeout=timeout)


def refused(result: Result, reason: str) -> str:
    """The refusal, which must name the reason and a cure; exit status 1."""
    assert result.returncode == 1, result
    assert reason in result.stderr, result
    assert "hint: " in result.stderr, result
    return result.stderr


def no_source(host: Host) -> bool:
    """Nothing that apt would read was added."""
    return (
        host.sh("find /etc/apt -name '*backendai*.sources' -o -path '*preferences*backendai*'")
        == ""
    )


def check_installed(host: Host, bundle: Bundle, package: str = "backendai-runtime") -> None:
    """The bundle is kept whole, its source works with apt's strict defaults, the package is there."""
    copy = f"{STATE}/{bundle.name}"
    assert host.check([f"{copy}/verify.sh"]).stdout
    assert host.sh(f"ls -A {STATE}").split() == [".lock", bundle.name, "newest"]
    update = host.check(["apt-get", "update"])
    assert "W:" not in update.stdout + update.stderr
    assert f"file:{copy}/apt" in host.sh(f"apt-cache policy {package}")
    assert host.sh(f"dpkg-query -W -f '${{Status}}' {package}") == "install ok installed"
    assert host.sh("dpkg --audit") == ""
    assert host.check([PYTHON, "-V"]).stdout.startswith("Python 3.13")
