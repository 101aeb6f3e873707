"""Import modules and say how each went: `python -I import_probe.py SITE GROUPS OUT`.

GROUPS is a JSON file {group: [module, ...]}. Each group is imported by a process of its own, forked
before anything else is loaded, so that one group cannot disturb another. OUT becomes a JSON file {module:
"ok" or "ERROR: message"}. Runs by the interpreter under test, so it imports the standard library alone.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import site
import sys
import warnings

TIMEOUT = 240  # seconds for one group on a busy machine


def main() -> None:
    packages, groups_file, out = sys.argv[1:]
    with open(groups_file, encoding="utf-8") as stream:
        groups = json.load(stream)
    site.addsitedir(packages)
    sys.argv = ["probe"]
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True
    results: dict[str, str] = {}
    for group, modules in groups.items():
        results.update(in_a_fork(modules, packages, f"{out}.{group}"))
    with open(out, "w", encoding="utf-8") as stream:
        json.dump(results, stream, indent=0, sort_keys=True)


def in_a_fork(modules: list[str], packages: str, journal: str) -> dict[str, str]:
    """Import modules in a child; one that hangs or kills the child is reported as such."""
    child = os.fork()
    if not child:
        # a module may replace handlers and threads, but not the timeout of its group
        signal.alarm(TIMEOUT)
        try:
            with open(journal, "w", encoding="utf-8", buffering=1) as stream:
                for name in modules:
                    stream.write(json.dumps([name, "does not end or kills its process"]) + "\n")
                    stream.write(json.dumps([name, outcome(name, packages)]) + "\n")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    with open(journal, encoding="utf-8") as stream:
        seen = dict(json.loads(line) for line in stream)
    return {
        name: seen.get(name, "not reached: an earlier module ended the process") for name in modules
    }


def outcome(name: str, packages: str) -> str:
    """`ok`, or what the import raised, without what differs from run to run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            importlib.import_module(name)
        except BaseException as error:
            said = f"{type(error).__name__}: {error}".replace(packages, "")
            return re.sub(r"0x[0-9a-f]+", "0x", said)[:500]
    return "ok"


if __name__ == "__main__":
    main()
