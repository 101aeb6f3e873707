"""The environment given to child processes."""

from __future__ import annotations

import os
from collections.abc import Mapping

# These change what a child Python loads or writes, or how it is timed; none is meant for ours.
_DISTORTING = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPYCACHEPREFIX",
    "PYTHONSTARTUP",
    "PYTHONOPTIMIZE",
    "PYTHONWARNINGS",
    "PYTHONUSERBASE",
    "PYTHONNOUSERSITE",
    "PYTHONSAFEPATH",
    "PYTHONINSPECT",
    "PYTHONEXECUTABLE",
    "PYTHONPLATLIBDIR",
    "__PYVENV_LAUNCHER__",
    "VIRTUAL_ENV",
    "PEX_PYTHON",
    "PEX_ROOT",
    "PEX_MODULE",
    "PEX_SCRIPT",
    "PEX_INTERPRETER",
)
# For bootstrap.signing alone; a daemon of Pants would keep them as long as it lives.
_SECRET = (
    "BACKENDAI_SIGNING_PASSPHRASE",
    "BACKENDAI_SIGNING_PASSPHRASE_FD",
)


def clean_env(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for children: ours, without what distorts a Python and secrets, plus `extra`."""
    left_out = (*_DISTORTING, *_SECRET)
    env = {key: value for key, value in os.environ.items() if key not in left_out}
    env.update(extra or {})
    return env
