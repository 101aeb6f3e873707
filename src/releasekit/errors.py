"""The one kind of error a user is meant to read: what went wrong, and the cure."""

from __future__ import annotations

import sys
from typing import Callable


class Failure(Exception):
    """Something the user can mend. `what` names the file, the key and the reason; `hint` the cure."""

    def __init__(self, what: str, *, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}\nhint: {self.hint}" if self.hint else self.what


def run_main(main: Callable[[], int]) -> None:
    """Run a program's `main` and end the process: 0 done, 1 a Failure (printed), 130 interrupted."""
    try:
        code = main()
    except Failure as failure:
        print(f"error: {failure}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
