"""`python3 -m bootstrap`: the launcher's own commands; `./pants` runs `launch`."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from bootstrap.setup import Ready, set_up, warm

ROOT = Path(__file__).resolve().parent.parent.parent
# pants.toml reads them; bootstrap.signing fills them where a release may be signed.
_SIGNING = tuple(
    f"BACKENDAI_{name}"
    for name in (
        *("GPG", "SIGNING_HOME", "SIGNING_FINGERPRINT"),
        *("SIGNING_KIND", "SIGNING_KEYRING"),
    )
)
_SOURCE = ("BACKENDAI_COMMIT", "BACKENDAI_TREE")  # bootstrap.source fills them
_SIGNING_FD = "BACKENDAI_SIGNING_PASSPHRASE_FD"
_USAGE = """\
usage: ./pants [--frozen | --allow-drift] ARGS...
                                         set up what is missing, then run Pants
       ./pants lint|fmt|check|test SPEC... the pinned tools on files; see ./pants help lint
       PYTHONPATH=src python3 -m bootstrap COMMAND
commands:
  launch [--frozen] ARGS...  what ./pants runs
  ensure [--group GROUP]     set up what is missing; print the folder of an environment
  venv GROUP                 the same for one environment alone: test, pants-test, pants, build
  debs SET                   fetch a set of debian.lock; print one file a line
--frozen (or BACKENDAI_FROZEN=1): refuse Debian packages that are not the locked ones; so it is where
BACKENDAI_SIGNING_KEY names the key of a release, unless --allow-drift (or BACKENDAI_FROZEN=0) is given.
"""


def _cache_root() -> Path:
    """As bootstrap.cache.default_cache, which is too much to import for a warm start."""
    chosen = os.environ.get("BACKENDAI_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(os.path.abspath(chosen or os.path.join(base, "backendai-packaged")))


def ready(frozen: bool) -> Ready:
    """The finished set-up; does what is missing."""
    found = warm(_cache_root(), ROOT)
    if found is None or (frozen and found.drift):
        found = set_up(ROOT, frozen=frozen)
    return found


def launch(args: list[str]) -> int:
    """Set up, then become Pants."""
    from bootstrap import goals

    frozen, args = _take_frozen(args)
    if goals.wanted(ROOT, args):
        return goals.run(ROOT, args, venv)
    found = ready(frozen)
    if found.drift:
        print(
            f"warning: Debian packages drifted from the lock: {', '.join(found.drift)}",
            file=sys.stderr,
        )
    from bootstrap.environment import clean_env

    env = clean_env(
        {**found.environment(_cache_root()), **dict.fromkeys((*_SIGNING, *_SOURCE), "")}
    )
    if "package" in args:
        from bootstrap import source
        from bootstrap.signing import prepare

        _warn_of_little_space()
        env.update(source.environment(ROOT))
        env.update(prepare(ROOT))
    elif _SIGNING_FD in os.environ:
        os.set_inheritable(int(os.environ[_SIGNING_FD]), False)
    pants = found.paths["pants"]
    python = os.path.join(os.path.dirname(pants), "python")
    sys.stdout.flush()
    os.execve(python, [python, str(ROOT / "src/starter"), *args], env)
    return 1  # not reached


def _warn_of_little_space() -> None:
    """Pants itself says no more than "No space left on device", at the end of a long build."""
    for folder in (ROOT, _cache_root()):
        disk = os.statvfs(folder)
        free = disk.f_bavail * disk.f_frsize / 1e9
        if free < _BUILD:
            print(
                f"warning: {folder}: {free:.1f} GB are free; a release takes up to {_BUILD} GB, "
                "most of it in the cache\n"
                f"hint: free some, or name another disk in BACKENDAI_CACHE (now {_cache_root()})",
                file=sys.stderr,
            )
            return


def venv(group: str) -> Path:
    """Make one environment, without the rest of the set-up."""
    from bootstrap.cache import default_cache, exclusive
    from bootstrap.interpreters import Interpreters
    from bootstrap.venvs import ensure_venv
    from releasekit.errors import Failure

    cache = default_cache()
    with exclusive(cache):
        pythons = Interpreters(cache, ROOT, frozen=_frozen_env())
        if pythons.tools is None:
            raise Failure("packaging/locks/tools.lock is missing", hint="run scripts/lock-tools")
        return ensure_venv(cache, pythons, pythons.tools, group)


def debs(name: str) -> list[Path]:
    """Fetch one set of debian.lock."""
    from bootstrap.cache import default_cache, exclusive
    from bootstrap.debs import ensure_debs
    from releasekit.locks import read_debian_lock

    cache = default_cache()
    lock = read_debian_lock(ROOT / "packaging/locks/debian.lock")
    with exclusive(cache):
        used = ensure_debs(cache, lock.of(name), frozen=_frozen_env())
    return [cache.store.path(deb) for deb in used.values()]


def main(argv: list[str]) -> int:
    """0 done, 1 failed, 2 wrong usage."""
    command, args = (argv[0], argv[1:]) if argv else ("", [])
    if command == "launch":
        return launch(args)
    if command == "ensure":
        frozen, args = _take_frozen(args)
        if not args:
            print(Path(ready(frozen).paths["pants"]).parent.parent)
            return 0
        if len(args) == 2 and args[0] == "--group":
            print(venv(args[1]))
            return 0
    if command == "venv" and len(args) == 1:
        print(venv(args[0]))
        return 0
    if command == "debs" and len(args) == 1:
        for path in debs(args[0]):
            print(path)
        return 0
    print(_USAGE, end="", file=sys.stderr)
    return 0 if command in ("-h", "--help") else 2


def _frozen_env() -> bool:
    """A release that is signed by a key of somebody's own holds what the locks name, unless they say else."""
    chosen = os.environ.get("BACKENDAI_FROZEN", "")
    return chosen != "0" if chosen else bool(os.environ.get("BACKENDAI_SIGNING_KEY"))


def _take_frozen(args: list[str]) -> tuple[bool, list[str]]:
    if args[:1] in (["--frozen"], ["--allow-drift"]):
        return args[0] == "--frozen", args[1:]
    return _frozen_env(), args


def run(argv: list[str]) -> int:
    """`main` with every error that a user can mend as two plain lines."""
    from releasekit.errors import Failure

    try:
        return main(argv)
    except Failure as failure:
        print(f"error: {failure}", file=sys.stderr)
    except OSError as error:
        where = error.filename or _cache_root()
        print(f"error: {where}: {error.strerror or error}", file=sys.stderr)
        print(f"hint: {_HINTS.get(error.errno or 0, _OTHER_HINT)}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\ninterrupted; run again to resume", file=sys.stderr)
        return 130
    return 1


_BUILD = 15  # GB, from nothing: what is built, and what Pants keeps of it
_FULL = "set-up needs about 1.5 GB: free some, or name another disk in BACKENDAI_CACHE"
_OTHER_HINT = "the cache must be a folder that you can write: see its owner, or set BACKENDAI_CACHE"
_HINTS = {errno.ENOSPC: _FULL, errno.EDQUOT: _FULL}

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
