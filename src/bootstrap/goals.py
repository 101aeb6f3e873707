"""lint, fmt, check and test of ./pants: the pinned tools on the files of the checkout.

Pants runs without its Python backend and knows packages alone, so its own goals of these names would
find nothing to do and say that all is well.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Callable, NamedTuple

from bootstrap.environment import clean_env
from releasekit.errors import Failure

GOALS = ("lint", "fmt", "check", "test")
USAGE = """\
usage: ./pants GOAL... SPEC... [-- OPTION OF PYTEST...]
  lint   ruff (rules, format) and shellcheck; changes nothing
  fmt    ruff: format, order of imports
  check  mypy --strict: the packages of the source that SPEC touches, each as a whole
  test   scripts/test: what this machine cannot run is skipped with its reason
SPEC is a file, a folder (all below it), FOLDER:: (the same), FOLDER: (without its folders), or :: (all).
Instead of it, --changed-since=REF: the files that differ from that commit, and the tests that mirror them.
"""
_SINCE = "--changed-since="
_SHELL = re.compile(rb"#!\s*/(usr/)?bin/(env )?(ba|da)?sh\b")


class Typed(NamedTuple):
    """Folders that mypy checks in one run. `group`: of the environment whose types count."""

    folders: tuple[str, ...]
    group: str = "test"
    path: str = ""  # MYPYPATH

    def argv(self, root: Path, mypy: Path, venv: Callable[[str], Path]) -> list[str]:
        """The call of mypy; folders of tests are no packages, so their files are named."""
        argv = [str(mypy)]
        if self.group != "test":
            # The types of Pants are those of the environment it is installed in.
            argv += ["--python-executable", str(venv(self.group) / "bin/python")]
        for folder in self.folders:
            if self.path:
                argv += sorted(map(str, (root / folder).rglob("*.py")))
            else:
                argv.append(folder)
        return argv


TYPED = (
    Typed(
        (
            "src/bootstrap",
            "src/devtools",
            "src/packager",
            "src/release_tool",
            "src/releasekit",
            "src/starter",
        ),
        "pants-test",
    ),
    Typed(("src/backendai_command", "src/backendai_ctl", "src/backendai_serve")),
    Typed(("tests/hosts",), path="src:tests:tests/hosts"),
    Typed(("tests/packages",), path="src:tests:tests/packages"),
)


def wanted(root: Path, args: Sequence[str]) -> bool:
    """Whether these words are for this module; Failure where they are for Pants as well."""
    words = list(args[: args.index("--")] if "--" in args else args)
    if words[:1] in (["help"], ["help-advanced"]):
        return len(words) == 2 and (words[1] in GOALS or words[1] in macros(root))
    if any(word in GOALS for word in words):
        words = [word for word in words if not word.startswith(_SINCE)]
    if words and words[0] in GOALS:
        return True
    for word in words:
        if word in GOALS:
            raise Failure(
                f"./pants {' '.join(args)}: `{word}` is not done by Pants, and takes none of its options",
                hint=f"run it alone: ./pants {word} ::",
            )
    return False


def run(root: Path, args: Sequence[str], venv: Callable[[str], Path]) -> int:
    """Do the goals on the files; 0 only if all of them are content. `venv` makes an environment."""
    if args[0].startswith("help"):
        print(macros(root).get(args[1], USAGE), end="")
        return 0
    cut = args.index("--") if "--" in args else len(args)
    words, options = list(args[:cut]), list(args[cut + 1 :])
    goals = [word for word in words if word in GOALS]
    since = [word[len(_SINCE) :] for word in words if word.startswith(_SINCE)]
    specs = [word for word in words if word not in GOALS and not word.startswith(_SINCE)]
    unknown = [word for word in specs if word.startswith("-")]
    if unknown or bool(specs) == bool(since) or len(since) > 1 or (options and goals != ["test"]):
        wrong = f"{unknown[0]} is not an option of {goals[0]}" if unknown else ""
        wrong = wrong or (
            "only test takes options"
            if options
            else f"give files and folders, or one {_SINCE}REF: one of the two"
        )
        raise Failure(f"./pants {' '.join(args)}: {wrong}", hint=f"./pants {goals[0]} ::\n{USAGE}")
    files = changed(root, since[0]) if since else select(root, specs)
    status = 0
    for goal in dict.fromkeys(goals):
        if goal == "test":
            places = tests_of(root, files) if since else specs
            status |= test(root, places, options) if places else _nothing("test")
        else:
            status |= _DO[goal](root, files, venv("test") / "bin", venv)
    return status


def tracked(root: Path) -> list[str]:
    """Files that git knows or would take, that still exist."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=root,
        check=True,
        capture_output=True,
    ).stdout.decode()
    return [name for name in listed.split("\0") if name and (root / name).is_file()]


def select(root: Path, specs: Sequence[str]) -> list[str]:
    """The files that the words mean, of those that git knows or would take."""
    known = tracked(root)
    found: set[str] = set()
    for spec in specs:
        place, colon, name = spec.partition(":")
        place = os.path.normpath(place.rstrip("/")) if place.strip("/") else "."
        if colon and name not in ("", ":"):
            raise Failure(
                f"{spec} is a target: lint, fmt, check and test take files",
                hint=f"name its folder: {place}::",
            )
        here = [file for file in known if _within(file, place, deep=spec != f"{place}:")]
        if not here:
            raise Failure(f"{spec}: git knows no such file, and no file in such a folder")
        found.update(here)
    return sorted(found)


def changed(root: Path, since: str) -> list[str]:
    """Files that differ from a commit, or are new; Failure if git knows no such commit."""
    argv = ["git", "diff", "--name-only", "--no-renames", "-z", since, "--"]
    done = subprocess.run(argv, cwd=root, capture_output=True, check=False)
    if done.returncode:
        raise Failure(f"{_SINCE}{since}: git knows no such commit", hint="see: git log, git branch")
    argv = ["git", "ls-files", "--others", "--exclude-standard", "-z"]
    new = subprocess.run(argv, cwd=root, capture_output=True, check=True)
    names = (done.stdout + new.stdout).decode().split("\0")
    return sorted({name for name in names if name and (root / name).is_file()})


def tests_of(root: Path, files: Iterable[str]) -> list[str]:
    """The tests that mirror files: of a package those of all of it, and tests themselves."""
    found: set[str] = set()
    for file in files:
        first, *rest = file.split("/")
        if first == "tests":
            found.add(file if os.path.basename(file).startswith("test_") else os.path.dirname(file))
        elif first == "src" and rest:
            found.add(f"tests/unit/{rest[0]}")
        elif first == "packaging":  # its BUILD files and templates are what these read
            found |= {"tests/unit/packager", "tests/unit/backendai_ctl"}
        elif file.endswith(".md"):
            found.add("tests/unit/quality")
    return sorted(place for place in found if (root / place).exists())


def macros(root: Path) -> dict[str, str]:
    """What a BUILD file may call besides targets: {name: its fields and what they mean}."""
    found = {}
    for file in sorted((root / "packaging").glob("*macros.py")):
        for node in ast.parse(file.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                fields = ", ".join(argument.arg for argument in node.args.kwonlyargs)
                found[node.name] = f"{node.name}({fields})\n\n{ast.get_docstring(node)}\n"
    return found


def _within(file: str, place: str, *, deep: bool) -> bool:
    if not deep:
        return os.path.dirname(file) == ("" if place == "." else place)
    return place in (".", file) or file.startswith(f"{place}/")


def shell_scripts(root: Path, files: Iterable[str]) -> list[str]:
    """Those that begin as a shell's; templates of scripts are no scripts yet."""
    found = []
    for name in files:
        with (root / name).open("rb") as stream:
            first = stream.readline(80)
        if _SHELL.match(first) and not name.endswith(".j2"):
            found.append(name)
    return found


def _lint(root: Path, files: Sequence[str], tools: Path, _venv: object) -> int:
    python, shell = _python(files), shell_scripts(root, files)
    ruff = str(tools / "ruff")
    status = 0
    if python:
        status |= _call(root, "ruff check", [ruff, "check", "--force-exclude", *python])
        argv = [ruff, "format", "--check", "--force-exclude", *python]
        status |= _call(root, "ruff format", argv, hint="./pants fmt mends it")
    if shell and shutil.which("shellcheck"):
        status |= _call(root, "shellcheck", ["shellcheck", *shell])
    elif shell:
        print(f"skipped: shellcheck of {len(shell)} files: not installed (apt install shellcheck)")
    return status if python or shell else _nothing("lint")


def _fmt(root: Path, files: Sequence[str], tools: Path, _venv: object) -> int:
    python = _python(files)
    if not python:
        return _nothing("fmt")
    ruff, status = str(tools / "ruff"), 0
    order = [ruff, "check", "--force-exclude", "--select", "I", "--fix", *python]
    status |= _call(root, "ruff check --select I --fix", order)
    return status | _call(root, "ruff format", [ruff, "format", "--force-exclude", *python])


def _check(root: Path, files: Sequence[str], tools: Path, venv: Callable[[str], Path]) -> int:
    python = _python(files)
    chosen = [
        typed
        for typed in TYPED
        if any(_within(file, folder, deep=True) for file in python for folder in typed.folders)
    ]
    status = 0
    for typed in chosen:
        argv = typed.argv(root, tools / "mypy", venv)
        env = {"MYPYPATH": typed.path} if typed.path else {}
        status |= _call(root, f"mypy {' '.join(typed.folders)}", argv, env=env)
    return status if chosen else _nothing("check")


def test(root: Path, specs: Sequence[str], options: Sequence[str]) -> int:
    """scripts/test: all suites for ::, else the tests named."""
    places = [os.path.normpath(spec.rstrip(":") or ".") for spec in specs]
    paths = [] if "." in places else places
    for spec, place in zip(specs, places):
        if paths and not (place == "tests" or place.startswith("tests/")):
            raise Failure(
                f"{spec} holds no tests", hint="they are below tests/; tests/unit mirrors src/"
            )
    if "tests" in paths:
        paths = []
    argv = [str(root / "scripts/test"), *paths, *options]
    return _call(root, " ".join(["scripts/test", *paths]), argv)


def _python(files: Iterable[str]) -> list[str]:
    return [name for name in files if name.endswith(".py")]


def _nothing(goal: str) -> int:
    print(f"{goal}: nothing to do: none of these files is of a kind that it looks at")
    return 0


def _call(
    root: Path,
    name: str,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    hint: str = "",
) -> int:
    """Run a tool with its output as it is, then say how it ended; 0 or 1."""
    code = subprocess.run(argv, cwd=root, env=clean_env(env), check=False).returncode
    if code == 0:
        print(f"ok: {name}", flush=True)
        return 0
    print(f"error: {name}: exit status {code}", flush=True)
    if hint:
        print(f"hint: {hint}", flush=True)
    return 1


_DO: dict[str, Callable[[Path, Sequence[str], Path, Callable[[str], Path]], int]] = {
    "lint": _lint,
    "fmt": _fmt,
    "check": _check,
}
