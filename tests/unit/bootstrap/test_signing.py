"""The launcher's part of signing, in processes of their own: each leaves one that cleans up."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from signing_keys import ThrowAwayKey, throw_away_key

from bootstrap import __main__ as launcher
from bootstrap import signing
from bootstrap.setup import Ready
from releasekit.errors import Failure

SRC = Path(__file__).resolve().parents[3] / "src"
TIMEOUT = 20.0  # seconds
# Prints what Pants would get, signs when told to, ends when its input ends: as Pants would.
PANTS = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from bootstrap.environment import clean_env
from bootstrap.signing import prepare
from releasekit.errors import Failure
from releasekit.signing import Signer
try:
    made = prepare(Path(sys.argv[2]))
except Failure as failure:
    print(json.dumps({"failure": str(failure)}))
    sys.exit(0)
secret = [v for v in clean_env(made).values() if "secret" in v]
assert not secret, secret
print(json.dumps(made), flush=True)
for line in sys.stdin:
    signer = Signer.from_environment({**made, "SOURCE_DATE_EPOCH": "1795392000"})
    print(signer.detach(line.encode(), armor=True).decode().replace(chr(10), "|"), flush=True)
"""

pytestmark = pytest.mark.skipif(shutil.which("gpg") is None, reason="this machine has no gpg")


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, f"not within {TIMEOUT} s: {what}"
        time.sleep(0.05)


class Pants:
    """What stands for one run of Pants."""

    def __init__(self, data: Path, root: Path, fd: int | None = None, **more: str) -> None:
        env = {"PATH": os.environ["PATH"], "HOME": str(data), "XDG_DATA_HOME": str(data), **more}
        argv = [sys.executable, "-c", PANTS, str(SRC), str(root)]
        self.process = subprocess.Popen(
            argv,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=() if fd is None else (fd,),
        )
        self.made: dict[str, str] = json.loads(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    @property
    def home(self) -> Path:
        return Path(self.made["BACKENDAI_SIGNING_HOME"])

    def sign(self) -> str:
        assert self.process.stdin is not None
        print("x", file=self.process.stdin, flush=True)
        return self._line()

    def end(self) -> dict[str, str]:
        self.process.communicate(timeout=TIMEOUT)
        return self.made


@pytest.fixture
def data() -> Iterator[Path]:
    """A folder with a short path, for sockets of gpg-agent are in it."""
    with tempfile.TemporaryDirectory(prefix="sig-") as folder:
        yield Path(folder)


def agents(home: Path) -> list[str]:
    """Process ids of gpg-agents that serve a home."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"gpg-agent") and str(home).encode() in words:
            found.append(entry.parent.name)
    return found


def test_a_local_key_is_made_once_and_its_agent_ends_with_pants(data: Path, tmp_path: Path) -> None:
    first = Pants(data, tmp_path)
    signature = first.sign()
    assert agents(first.home)
    made = first.end()
    until(lambda: not agents(first.home), "the agent ends")
    second = Pants(data, tmp_path)
    assert second.sign() == signature and second.end() == made
    assert made["BACKENDAI_SIGNING_KIND"] == "local"
    assert first.home.stat().st_mode & 0o777 == 0o700
    assert (data / "backendai-packaged/signing").stat().st_mode & 0o777 == 0o700
    until(lambda: not agents(first.home), "the agent ends")


def test_a_killed_pants_leaves_no_agent_either(data: Path, tmp_path: Path) -> None:
    pants = Pants(data, tmp_path)
    pants.sign()
    pants.process.kill()
    pants.process.wait()
    until(lambda: not agents(pants.home), "the agent ends")


def test_the_agent_stays_as_long_as_another_pants_needs_it(data: Path, tmp_path: Path) -> None:
    first, second = Pants(data, tmp_path), Pants(data, tmp_path)
    signature = second.sign()
    first.end()
    assert second.sign() == signature and agents(second.home)
    second.end()
    until(lambda: not agents(second.home), "the agent ends")


@pytest.fixture(scope="module")
def locked() -> Iterator[ThrowAwayKey]:
    with throw_away_key(passphrase="a secret") as key:
        yield key


@pytest.fixture
def key_file(tmp_path: Path, locked: ThrowAwayKey) -> str:
    path = tmp_path / "private.asc"
    path.write_bytes(locked.private("a secret"))
    return str(path)


def test_a_key_file_with_a_passphrase_signs_and_no_copy_stays(
    data: Path, tmp_path: Path, locked: ThrowAwayKey, key_file: str
) -> None:
    given = {signing.KEY: key_file, signing.PASSPHRASE: "a secret"}
    first = Pants(data, tmp_path, **given)
    assert first.made["BACKENDAI_SIGNING_FINGERPRINT"] == locked.fingerprint
    assert first.made["BACKENDAI_SIGNING_KIND"] == "given"
    signature = first.sign()
    first.end()
    until(lambda: not first.home.exists(), "the imported key is removed")
    until(lambda: not agents(first.home), "the agent ends")

    reader, writer = os.pipe()
    os.write(writer, b"a secret\n")
    os.close(writer)
    by_pipe = {signing.KEY: key_file, signing.PASSPHRASE_FD: str(reader)}
    second = Pants(data, tmp_path, fd=reader, **by_pipe)
    os.close(reader)
    assert second.sign() == signature and second.home == first.home
    second.end()
    until(lambda: not second.home.exists(), "the imported key is removed")


# The launcher as ./pants starts it, with a step of a build in the place of Pants.
LAUNCHER = """
import sys
sys.path.insert(0, sys.argv[1])
from bootstrap import __main__ as launcher
from bootstrap.setup import Ready
names = ("pants", "python3.13", "pex", "nfpm", "patchelf")
paths = {name: sys.argv[2] + "/" + name for name in names}
launcher.warm = lambda cache, root: Ready(paths, ())
sys.exit(launcher.run(["launch", "package", "::"]))
"""
STEP = """#!{python} -I
from pathlib import Path
seen, shown = [], []
for process in Path("/proc").glob("[0-9]*"):
    for name in ("environ", "cmdline"):
        try:
            data = (process / name).read_bytes()
        except OSError:
            continue
        seen.append(process.name)
        if b"a very secret passphrase" in data:
            shown.append(process.name + " " + name + " " + str((process / "cmdline").read_bytes()[:80]))
print(len(seen), shown)
"""


def test_no_process_shows_the_passphrase_to_a_step_of_the_build(data: Path, tmp_path: Path) -> None:
    """Neither Pants, nor gpg-agent, nor the process that waits to end it."""
    step = tmp_path / "bin/python"
    step.parent.mkdir()
    step.write_text(STEP.format(python=sys.executable))
    step.chmod(0o755)
    with throw_away_key(passphrase="a very secret passphrase") as key:
        (tmp_path / "key.asc").write_bytes(key.private("a very secret passphrase"))
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER, str(SRC), str(step.parent)],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(data),
            "XDG_DATA_HOME": str(data),
            "BACKENDAI_CACHE": str(data),
            signing.KEY: str(tmp_path / "key.asc"),
            signing.PASSPHRASE: "a very secret passphrase",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done
    count, _, shown = done.stdout.partition(" ")
    assert int(count) > 4 and shown.strip() == "[]", done


@pytest.mark.parametrize("passphrase", [{}, {signing.PASSPHRASE: "wrong secret"}])
def test_a_missing_or_wrong_passphrase_stops_before_pants_starts(
    data: Path, tmp_path: Path, key_file: str, passphrase: dict[str, str]
) -> None:
    made = Pants(data, tmp_path, **{signing.KEY: key_file, **passphrase}).end()
    assert "cannot sign" in made["failure"] and signing.PASSPHRASE_FD in made["failure"]
    assert "wrong secret" not in made["failure"]
    assert Path(os.devnull).is_char_device()  # gpg removes a file that it failed to write
    assert not list(data.glob("**/private-keys-v1.d"))


def test_a_key_of_the_users_keyring_is_used_where_it_is(
    data: Path, tmp_path: Path, locked: ThrowAwayKey
) -> None:
    chosen = {"GNUPGHOME": str(locked.home), signing.KEY: locked.fingerprint[-16:]}
    pants = Pants(data, tmp_path, **chosen, **{signing.PASSPHRASE: "a secret"})
    assert pants.home == locked.home and pants.sign()
    running = agents(locked.home)
    pants.end()
    assert running and agents(locked.home) == running  # the user's own agent stays
    assert not (data / "backendai-packaged").exists()


def test_older_keys_join_the_keyring_and_private_ones_are_refused(
    data: Path, tmp_path: Path, throw_away: ThrowAwayKey, key_file: str
) -> None:
    old = tmp_path / signing.OLD_KEYS / "2024.asc"
    old.parent.mkdir(parents=True)
    old.write_bytes(throw_away.gpg("--armor", "--export"))
    named = tmp_path / "named.gpg"
    with throw_away_key() as another:
        named.write_bytes(another.public())
        made = Pants(data, tmp_path, **{signing.EXTRA: str(named)}).end()
        keyring = b64decode(made["BACKENDAI_SIGNING_KEYRING"])
        for key in (throw_away, another):
            assert key.public() in keyring
        assert not keyring.startswith((throw_away.public(), another.public()))
    refused = Pants(data, tmp_path, **{signing.EXTRA: key_file}).end()
    assert "private key" in refused["failure"]


def test_a_file_without_one_private_key_is_refused(
    data: Path, tmp_path: Path, throw_away: ThrowAwayKey
) -> None:
    public = tmp_path / "public.asc"
    public.write_bytes(throw_away.public())
    made = Pants(data, tmp_path, **{signing.KEY: str(public)}).end()
    assert "0 private keys, one is needed" in made["failure"]
    missing = Pants(data, tmp_path, **{signing.KEY: str(tmp_path / "none")}).end()
    assert "there is no such file" in missing["failure"]


def test_a_path_too_long_for_sockets_is_said(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(signing, "_SOCKET_LIMIT", 30)
    monkeypatch.setattr(signing.os, "getuid", lambda: 987654)  # who has no /run/user
    with pytest.raises(Failure, match="too long for the sockets") as caught:
        signing._short_enough(Path("/a/rather/long/path"))
    assert "XDG_DATA_HOME" in caught.value.hint


def test_without_gpg_a_build_that_signs_nothing_goes_on(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(signing.KEY, raising=False)
    assert signing.prepare(tmp_path) == {}
    monkeypatch.setenv(signing.KEY, "someone")
    with pytest.raises(Failure, match="no gpg"):
        signing.prepare(tmp_path)


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    calls: list[dict[str, str]] = []
    monkeypatch.setattr(launcher.os, "execve", lambda path, argv, env: calls.append(env))
    monkeypatch.setattr(launcher, "warm", lambda cache, root: Ready({**_PATHS}, ()))
    monkeypatch.setattr(signing, "prepare", lambda root: {"BACKENDAI_GPG": "/usr/bin/gpg"})
    return calls


_PATHS = dict.fromkeys(("pants", "python3.13", "pex", "nfpm", "patchelf"), "/x/bin/x")


def test_only_packaging_asks_for_the_key_and_no_secret_reaches_pants(
    executed: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(signing.PASSPHRASE, "a secret")
    launcher.launch(["list", "::"])
    launcher.launch(["package", "::"])
    listing, packaging = executed
    assert listing["BACKENDAI_GPG"] == "" and packaging["BACKENDAI_GPG"] == "/usr/bin/gpg"
    assert listing["BACKENDAI_SIGNING_KEYRING"] == ""
    assert all("a secret" not in env.values() for env in executed)
