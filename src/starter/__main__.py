"""`python src/starter ARGS`: Pants, as the launcher starts it.

A daemon that a loaded machine does not start in time is done without: Pants has a way to run in this
process for other faults of its daemon, but ends in a traceback for this one.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

from pants.bin.pants_loader import main
from pants.bin.remote_pants_runner import RemotePantsRunner
from pants.pantsd.pants_daemon_client import PantsDaemonClient
from pants.pantsd.process_manager import ProcessManager


def without_late_daemon(launch: Any) -> Any:
    """Have Pants run without its daemon when that one is late."""

    @functools.wraps(launch)
    def launched(client: PantsDaemonClient) -> Any:
        try:
            return launch(client)
        except ProcessManager.Timeout as late:
            raise RemotePantsRunner.Fallback(
                f"the daemon of Pants did not start in time, the machine is busy ({late})"
            ) from None

    return launched


if __name__ == "__main__":
    # Nothing is imported from beside this file, and the daemon is started by the same words.
    sys.path[:] = [entry for entry in sys.path if not __file__.startswith(f"{entry}/")]
    PantsDaemonClient.maybe_launch = without_late_daemon(  # type: ignore[method-assign]
        PantsDaemonClient.maybe_launch
    )
    sys.exit(main())  # type: ignore[func-returns-value]
