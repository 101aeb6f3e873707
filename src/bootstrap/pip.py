"""pip as shipped by Debian (package python3-pip-whl): runs on any Python >= 3.9, uninstalled.

pip knows its own index and reads the machine's pip configuration, so no host name is written here.
"""

from __future__ import annotations

import ast
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bootstrap.cache import Cache
from bootstrap.debs import ensure_debs
from bootstrap.environment import clean_env
from releasekit.debfile import extract
from releasekit.errors import Failure
from releasekit.files import fingerprint, fresh_dir
from releasekit.locks import DebianLock

# Settings that say how to reach an index (not which files to take).
_REACH = (
    "index-url",
    "extra-index-url",
    "cert",
    "client-cert",
    "proxy",
    "trusted-host",
    "timeout",
    "default-timeout",
    "retries",
    "keyring-provider",
)


@dataclass(frozen=True)
class Pip:
    """Runs `python -m pip`; `library` is the folder with the unpacked package pip."""

    python: str
    library: Path

    def argv(self, *args: str) -> list[str]:
        """The command line of a pip call."""
        return [self.python, "-B", "-m", "pip", "--disable-pip-version-check", *args]

    def env(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Its environment. The machine's constraints do not apply: the locks decide."""
        own = {
            "PYTHONPATH": str(self.library),
            "PIP_CONSTRAINT": os.devnull,
            "PIP_NO_INPUT": "1",
        }
        return clean_env({**own, **(extra or {})})

    def run(
        self, *args: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run pip with its output captured, from an empty folder."""
        with tempfile.TemporaryDirectory(prefix="pip-") as empty:
            return subprocess.run(
                self.argv(*args),
                env=self.env(env),
                cwd=empty,
                capture_output=True,
                text=True,
                check=False,
            )

    def published_only(self) -> dict[str, str]:
        """Environment in which pip reads published indexes only, no folder of this machine.

        A wheel of a local folder may be another file than the published one of the same name;
        its sha256 would be of no use elsewhere.
        """
        settings: dict[str, str] = {}
        for line in self.run("config", "list").stdout.splitlines():
            key, _, quoted = line.partition("=")
            try:
                settings[key.rsplit(".", 1)[1]] = str(ast.literal_eval(quoted))
            except (IndexError, ValueError, SyntaxError):
                continue
        env = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_NO_CACHE_DIR": "1"}
        for name in _REACH:
            words = [w for w in settings.get(name, "").split() if not w.startswith(("file:", "/"))]
            value = settings.get(name, "") if "cert" in name else " ".join(words)
            env[f"PIP_{name.upper().replace('-', '_')}"] = value
        return env


def ensure_pip(cache: Cache, lock: DebianLock, python: str, *, frozen: bool) -> Pip:
    """pip unpacked in the cache, to be run by `python`."""
    debs = ensure_debs(cache, lock.of("pip"), frozen=frozen)
    final = cache.tool("pip", fingerprint(*(deb.sha256 for deb in debs.values())))
    if not (final / "pip/__main__.py").is_file():
        cache.tmp.mkdir(parents=True, exist_ok=True)
        with fresh_dir(final) as folder, tempfile.TemporaryDirectory(dir=cache.tmp) as scratch:
            for deb in debs.values():
                extract(cache.store.path(deb), Path(scratch), lambda name: name.endswith(".whl"))
            wheels = sorted(Path(scratch).rglob("pip-*.whl"))
            if len(wheels) != 1:
                raise Failure("the Debian package python3-pip-whl holds no pip wheel")
            with zipfile.ZipFile(wheels[0]) as archive:
                archive.extractall(folder)
    return Pip(python, final)
