"""Starting programs as another account whose lives are bound to ours.

The kernel kills them when we die (PR_SET_PDEATHSIG), so that nothing goes on behind the back of
the next run. What they say is kept in memory: the disk may be full.
"""

from __future__ import annotations

import contextlib
import logging
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from backendai_ctl.context import Context
from backendai_ctl.database.databases import programs_folder
from backendai_ctl.errors import OutOfTime, Problem
from backendai_ctl.platform.bound import Said
from backendai_ctl.platform.bound import bound as as_other
from backendai_ctl.platform.run import PATH

log = logging.getLogger(__name__)


def bound(ctx: Context, argv: Sequence[str], account: tuple[int, int] | None = None) -> list[str]:
    """The call as an account, the site's by default, if we are root. Problem if the program is missing."""
    found = shutil.which(argv[0], path=f"{programs_folder(ctx)}:{PATH}")
    if not found:
        raise Problem(
            f"{argv[0]} is not installed",
            hint="install PostgreSQL's programs: apt install backendai-postgresql",
        )
    return as_other([found, *argv[1:]], *(account or ctx.owner))


@contextmanager
def started(
    ctx: Context,
    argv: Sequence[str],
    said: Said,
    *,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    stdout: IO[bytes] | int | None = None,
    env: dict[str, str] | None = None,
    account: tuple[int, int] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A running program, as `bound` has it; killed if it still runs when the block ends.

    OutOfTime if the block waited longer for it than it wanted to.
    """
    call, began = bound(ctx, argv, account), time.monotonic()
    process = subprocess.Popen(
        call,
        stdin=stdin,
        stdout=said.out if stdout is None else stdout,
        stderr=said.out,
        cwd="/",
        env={"PATH": PATH, "LANG": "C.UTF-8", **(env or {})},
        start_new_session=True,
    )
    try:
        yield process
    except subprocess.TimeoutExpired as error:
        name = Path(error.cmd[error.cmd.index("--") + 1]).name  # as `bound` made the call
        raise OutOfTime(
            f"{name} was not done after {error.timeout:.0f} s",
            hint="see what keeps the server or the disk busy, then run it again",
        ) from error
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        took = time.monotonic() - began
        log.debug("%s: status %s in %.2f s", shlex.join(call), process.returncode, took)
        for stream in (process.stdin, process.stdout):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()
