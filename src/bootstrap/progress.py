"""Progress of long work: a bar that redraws on a terminal, plain lines in a log."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, TextIO, TypeVar

Job = TypeVar("Job")

_LOG_EVERY = 10.0  # seconds between two lines of one step in a log
_WIDTH = 24


def say(text: str) -> None:
    """Print one line for the user. Standard error: standard output belongs to the command."""
    print(text, file=sys.stderr, flush=True)


def warn_loudly(lines: list[str]) -> None:
    """Print a warning that cannot be overlooked."""
    rule = "!" * 78
    say("\n".join([rule, *(f"! {line}" for line in lines), rule]))


def megabytes(size: int) -> str:
    """Bytes as whole decimal megabytes, without the unit."""
    return f"{size / 1e6:.0f}"


class Progress:
    """Counts files and bytes of one step. Safe to use from several threads."""

    def __init__(self, label: str, files: int, size: int, stream: TextIO | None = None) -> None:
        self.label = label
        self.files = files
        self.size = size
        self.done_files = 0
        self.done_size = 0
        self._stream = sys.stderr if stream is None else stream
        self._bar = self._stream.isatty() and os.environ.get("TERM", "") != "dumb"
        self._lock = threading.Lock()
        self._last = time.monotonic()

    def text(self) -> str:
        """For example "wheels 120/236, 98 of 270 MB"."""
        text = f"{self.label} {self.done_files}/{self.files}"
        if self.size:
            text += f", {megabytes(self.done_size)} of {megabytes(self.size)} MB"
        return text

    def add(self, files: int, size: int) -> None:
        """Note that more is done."""
        with self._lock:
            self.done_files += files
            self.done_size += size
            self._draw()

    def end(self) -> None:
        """Close the step; in a log, print its last line."""
        with self._lock:
            if self._bar:
                self._stream.write(f"\r\033[K  {self.text()}\n")
            else:
                self._stream.write(f"  {self.text()}\n")
            self._stream.flush()

    def clear(self) -> None:
        """Take the bar away, before something else is printed."""
        if self._bar:
            self._stream.write("\r\033[K")
            self._stream.flush()

    def _draw(self) -> None:
        now = time.monotonic()
        if self._bar:
            part = self.done_size / self.size if self.size else self.done_files / (self.files or 1)
            full = int(_WIDTH * min(part, 1.0))
            bar = "#" * full + "-" * (_WIDTH - full)
            self._stream.write(f"\r\033[K  [{bar}] {self.text()}")
            self._stream.flush()
        elif now - self._last >= _LOG_EVERY:
            self._last = now
            self._stream.write(f"  {self.text()}\n")
            self._stream.flush()


def at_once(
    count: int, work: Callable[[Job], None], jobs: Iterable[Job], progress: Progress
) -> None:
    """Do `work` for every job, `count` at a time, and close the step.

    The first error ends it: jobs not yet begun are dropped, those under way are waited for.
    """
    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(work, job) for job in jobs]
        try:
            for future in futures:
                future.result()
        except BaseException:
            for future in futures:
                future.cancel()
            progress.clear()
            raise
    progress.end()
