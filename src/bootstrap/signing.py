"""The key that signs a release: found or made before Pants starts, forgotten after it ends.

Pants learns where gpg and its home folder are, the fingerprint, and the public keys. The private
key stays in that folder and with gpg-agent; a passphrase goes to gpg-agent alone, through a pipe.

BACKENDAI_SIGNING_KEY names a file with a private key, or a key of the user's own keyring. A file is
imported into a folder of ours, which is removed when the last Pants that uses it has ended. Without
it a local key is made once and kept.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bootstrap.environment import clean_env
from bootstrap.progress import say
from releasekit.errors import Failure
from releasekit.files import remove_tree, write_atomic
from releasekit.signing import FINGERPRINT, GPG, HOME, KEYRING, KIND, signing_key

KEY = "BACKENDAI_SIGNING_KEY"
EXTRA = "BACKENDAI_EXTRA_KEYS"
PASSPHRASE = "BACKENDAI_SIGNING_PASSPHRASE"
PASSPHRASE_FD = "BACKENDAI_SIGNING_PASSPHRASE_FD"
OLD_KEYS = "packaging/keys"
_SOCKET = "S.gpg-agent.browser"  # the longest name of gpg-agent's sockets
_SOCKET_LIMIT = 107  # bytes of a path in a sockaddr_un
_NO_AGENT = "--no-autostart"  # for public keys, and for what is only looked at
_AGENT = "disable-scdaemon\ndefault-cache-ttl 34560000\nmax-cache-ttl 34560000\n"
# Older than any release: verifiers refuse a signature that is older than its key.
_LOCAL_KEY = """\
%no-protection
Key-Type: eddsa
Key-Curve: ed25519
Key-Usage: sign
Name-Real: Backend.AI local release key
Creation-Date: 20240101T000000
Expire-Date: 0
%commit
"""


class Key(NamedTuple):
    """A key that signs. `kind` is "given" or "local"; `ours`: the folder was made by this module."""

    home: Path
    fingerprint: str
    kind: str
    ours: bool


class Gpg:
    """The machine's gpg on one home folder."""

    def __init__(self, program: str, home: Path, *flags: str) -> None:
        self.program = program
        self.home = home
        self.flags = flags

    def __call__(self, *args: str, data: bytes = b"", what: str) -> bytes:
        """Run it without asking anybody anything; Failure says `what` did not work."""
        argv = [self.program, f"--homedir={self.home}", "--no-options", "--batch", "--no-tty"]
        done = subprocess.run(
            [*argv, "--quiet", *self.flags, *args],
            input=data,
            capture_output=True,
            env=clean_env({"LC_ALL": "C"}),
            check=False,
        )
        if done.returncode != 0:
            detail = done.stderr.decode("utf-8", "replace").strip()[-600:]
            raise Failure(f"{what}\n{detail}", hint=f"see {KEY} in docs/BUILDING.md")
        return done.stdout

    def primaries(self, *args: str, what: str) -> dict[str, str]:
        """Fingerprint of every primary key that a listing shows: `pub` or `sec`."""
        text = self("--with-colons", *args, what=what).decode("utf-8", "replace")
        rows = [line.split(":") for line in text.splitlines()]
        found: dict[str, str] = {}
        for row, after in zip(rows, rows[1:]):
            if row[0] in ("pub", "sec") and after[0] == "fpr":
                found[after[9]] = row[0]
        return found

    def unlock(self, fingerprint: str, passphrase: str | None) -> None:
        """Sign once, so that gpg-agent holds the passphrase; it may ask for one on the terminal.

        The signature goes to a pipe: gpg removes the file it failed to write, were it /dev/null.
        """
        argv = [self.program, f"--homedir={self.home}", "--no-options", "--quiet"]
        argv += [f"--local-user={fingerprint}", "--detach-sign"]
        given: tuple[int, ...] = ()
        extra = {"LC_ALL": "C"}
        if passphrase is not None:
            reader, writer = os.pipe()
            os.write(writer, passphrase.encode() + b"\n")
            os.close(writer)
            argv[1:1] = ["--batch", "--pinentry-mode=loopback", f"--passphrase-fd={reader}"]
            given = (reader,)
        elif os.isatty(2):
            extra["GPG_TTY"] = os.ttyname(2)
        else:
            argv[1:1] = ["--batch", "--no-tty"]
        done = subprocess.run(
            argv,  # of nothing, to nowhere
            pass_fds=given,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=clean_env(extra),
            check=False,
        )
        for descriptor in given:
            os.close(descriptor)
        if done.returncode != 0:
            detail = done.stderr.decode("utf-8", "replace").strip()[-600:]
            raise Failure(
                f"gpg cannot sign with the key {fingerprint}\n{detail}",
                hint=f"give its passphrase in {PASSPHRASE}, or the number of a file descriptor in "
                f"{PASSPHRASE_FD}; without either gpg-agent must be able to ask on this terminal",
            )

    def stop_agent(self) -> None:
        """End the gpg-agent of this home, if one runs."""
        program = shutil.which("gpgconf") or str(Path(self.program).with_name("gpgconf"))
        argv = [program, f"--homedir={self.home}", "--kill", "gpg-agent"]
        with contextlib.suppress(OSError):
            subprocess.run(argv, capture_output=True, env=clean_env(), check=False)


def data_home() -> Path:
    """Where local keys are kept: they are no cache, losing them changes every signature."""
    base = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return Path(base).absolute() / "backendai-packaged" / "signing"


def prepare(root: Path) -> dict[str, str]:
    """The variables for Pants; empty ones where gpg is missing: rules that sign then say so."""
    phrase = passphrase()
    program = shutil.which("gpg")
    if program is None:
        if os.environ.get(KEY):
            raise Failure(f"{KEY} is set, but this machine has no gpg", hint="apt install gnupg")
        return {}
    key = _key(program, phrase)
    if key.ours:
        _stop_agent_after(os.getpid(), program, key)
    keyring = _keyring(program, key, _extra_files(root))
    return {
        GPG: program,
        HOME: str(key.home),
        FINGERPRINT: key.fingerprint,
        KIND: key.kind,
        KEYRING: base64.b64encode(keyring).decode(),
    }


def passphrase() -> str | None:
    """What the user gave: from the file descriptor, which no other process sees, else the variable."""
    number = os.environ.get(PASSPHRASE_FD)
    if not number:
        return os.environ.get(PASSPHRASE)
    try:
        with os.fdopen(int(number), "rb") as stream:
            return stream.read().decode().rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise Failure(
            f"{PASSPHRASE_FD}={number}: {error}",
            hint="open it for ./pants, such as: ./pants package :: 3<FILE",
        ) from None


def _key(program: str, phrase: str | None) -> Key:
    chosen = os.environ.get(KEY)
    if not chosen:
        return _local_key(program)
    if os.path.exists(chosen):
        return _file_key(program, Path(chosen).absolute(), phrase)
    if "/" in chosen:
        raise Failure(f"{KEY}={chosen}: there is no such file", hint="name a file or a key id")
    home = Path(os.environ.get("GNUPGHOME") or os.path.expanduser("~/.gnupg")).absolute()
    gpg = Gpg(program, home)
    what = f"{KEY}={chosen} is neither a file nor a private key in {home}"
    fingerprint = _only(gpg.primaries("--list-secret-keys", "--", chosen, what=what), chosen)
    return _checked(gpg, Key(home, fingerprint, "given", ours=False), phrase)


def _checked(gpg: Gpg, key: Key, phrase: str | None) -> Key:
    listing = gpg("--with-colons", "--list-keys", key.fingerprint, what="the key cannot be listed")
    signing_key(listing.decode("utf-8", "replace"), key.fingerprint)
    gpg.unlock(key.fingerprint, phrase)
    return key


def _local_key(program: str) -> Key:
    home = _short_enough(data_home() / "local")
    gpg = Gpg(program, home)
    with _made_alone():
        if not home.exists():
            say(f"Making a local signing key in {home}; {KEY} names another")
            with _new_home(program, home) as fresh:
                fresh("--generate-key", data=_LOCAL_KEY.encode(), what="no local key was made")
    fingerprint = _only(gpg.primaries("--list-keys", what=f"{home} cannot be read"), str(home))
    return Key(home, fingerprint, "local", ours=True)


def _file_key(program: str, file: Path, phrase: str | None) -> Key:
    found = _shown(program, file)
    fingerprint = _only({key: kind for key, kind in found.items() if kind == "sec"}, str(file))
    home = _short_enough(data_home() / f"given-{fingerprint[:16]}")
    with _made_alone():
        if not home.exists():
            with _new_home(program, home) as gpg:
                gpg("--import", "--", str(file), what=f"{file} cannot be imported")
        key = Key(home, fingerprint, "given", ours=True)
        try:
            return _checked(Gpg(program, home), key, phrase)
        except Failure:
            _forget(program, key)
            raise


def _only(found: dict[str, str], where: str) -> str:
    if len(found) != 1:
        raise Failure(
            f"{where}: {len(found)} private keys, one is needed",
            hint=f"set {KEY} to a fingerprint, or to a file with one private key "
            "(gpg --export-secret-keys FINGERPRINT)",
        )
    return next(iter(found))


def _shown(program: str, file: Path) -> dict[str, str]:
    with tempfile.TemporaryDirectory(prefix="gpg-") as folder:
        gpg = Gpg(program, Path(folder), _NO_AGENT)
        return gpg.primaries("--show-keys", "--", str(file), what=f"{file} holds no key")


def _short_enough(home: Path) -> Path:
    """Sockets of gpg-agent are in /run/user where there is one, else in its home folder."""
    if len(os.fsencode(home)) + len(_SOCKET) + 1 > _SOCKET_LIMIT:
        run = Path(f"/run/user/{os.getuid()}")
        if not run.is_dir():
            raise Failure(
                f"{home}: the path is too long for the sockets of gpg-agent",
                hint="set XDG_DATA_HOME to a folder with a shorter path",
            )
    return home


@contextlib.contextmanager
def _new_home(program: str, home: Path) -> Iterator[Gpg]:
    """A gpg home under a temporary name that becomes `home`: a broken-off attempt leaves none."""
    fresh = home.with_name(f"{home.name}.new")
    remove_tree(fresh)
    fresh.mkdir(mode=0o700)
    write_atomic(fresh / "gpg-agent.conf", _AGENT.encode(), mode=0o600)
    gpg = Gpg(program, fresh)
    try:
        yield gpg
        gpg.stop_agent()
        fresh.rename(home)
    except BaseException:
        gpg.stop_agent()
        remove_tree(fresh)
        raise


@contextlib.contextmanager
def _made_alone() -> Iterator[None]:
    """Hold the lock under which folders are made and removed."""
    folder = data_home()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _forget(program: str, key: Key) -> None:
    Gpg(program, key.home).stop_agent()
    if key.kind == "given":
        remove_tree(key.home)


def _stop_agent_after(pid: int, program: str, key: Key) -> None:
    """Leave a process that waits for `pid`, this one, which becomes Pants, and then cleans up.

    Each Pants shares a lock on the folder; only the last one finds nobody else on it. It is executed
    anew: a mere fork would show a passphrase of ours in its environment for as long as the build takes.
    """
    users = os.open(f"{key.home}.users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with _made_alone():
        fcntl.flock(users, fcntl.LOCK_SH)
    executed, other = os.pipe()  # closed by the execution
    if os.fork():
        for descriptor in (users, other):
            os.close(descriptor)
        os.read(executed, 1)
        os.close(executed)
        return
    try:
        os.setsid()
        os.set_inheritable(users, True)
        words = [str(pid), program, str(key.home), key.kind, str(users)]
        argv = [sys.executable, "-BES", "-c", _WATCHER, str(_SOURCES), *words]
        os.execve(sys.executable, argv, clean_env())
    finally:
        os._exit(1)


_SOURCES = Path(__file__).resolve().parents[1]
_WATCHER = """import sys; sys.path.insert(0, sys.argv[1])
from bootstrap.signing import watch
watch(*sys.argv[2:])"""


def watch(pid: str, program: str, home: str, kind: str, users: str) -> None:
    """Wait until this process's parent is another than `pid`; clean up where no other Pants runs."""
    lock = int(users)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    os.closerange(3, lock)
    os.closerange(lock + 1, os.sysconf("SC_OPEN_MAX"))
    while os.getppid() == int(pid):
        time.sleep(0.2)
    with _made_alone(), contextlib.suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _forget(program, Key(Path(home), "", kind, ours=True))


def _extra_files(root: Path) -> list[Path]:
    """Files with older public keys: packaging/keys/*.asc, and those that the user names."""
    named = [Path(part) for part in os.environ.get(EXTRA, "").split(os.pathsep) if part]
    for path in named:
        if not path.is_file():
            raise Failure(f"{EXTRA}: {path} is not a file", hint="separate several by a colon")
    return [*sorted((root / OLD_KEYS).glob("*.asc")), *named]


def _keyring(program: str, key: Key, extra: Sequence[Path]) -> bytes:
    """The public key, and each older one; without signatures of others, in the order of fingerprints."""
    export = ("--export-options=export-minimal", "--export")
    home = Gpg(program, key.home)
    keys = [home(*export, key.fingerprint, what="the public key cannot be exported")]
    if extra:
        with tempfile.TemporaryDirectory(prefix="gpg-") as folder:
            old = Gpg(program, Path(folder), _NO_AGENT)
            for file in extra:
                if "sec" in _shown(program, file).values():
                    raise Failure(f"{file} holds a private key", hint="give only the public key")
                old("--import", "--", str(file), what=f"{file} cannot be imported")
            found = sorted(old.primaries("--list-keys", what="older keys cannot be listed"))
            keys += [
                old(*export, fingerprint, what="an older key cannot be exported")
                for fingerprint in found
                if fingerprint != key.fingerprint
            ]
    return b"".join(keys)
