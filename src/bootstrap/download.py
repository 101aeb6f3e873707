"""Fetching one file by URL with the standard library: proxies, retries, clear errors."""

from __future__ import annotations

import http.client
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Callable

from releasekit.errors import Failure

RETRIES = 4
_TIMEOUT = 60  # seconds without a byte


class Gone(Exception):
    """The server says that the file is not there (404, 410, or no such local file)."""


def fetch_url(
    url: str,
    target: Path,
    *,
    proxies: Mapping[str, str],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Download `url` to `target`. Raises Gone, or Failure when it cannot be reached.

    `proxies` (apt's own, by scheme) come before those of the environment.
    """
    handlers = [urllib.request.ProxyHandler(dict(proxies))] if proxies else []
    opener = urllib.request.build_opener(*handlers)
    problem: Exception = OSError("not tried")
    for attempt in range(RETRIES):
        if attempt:
            sleep(2.0 ** (attempt - 1))
        try:
            with opener.open(url, timeout=_TIMEOUT) as response, target.open("wb") as out:
                shutil.copyfileobj(response, out, 1 << 18)
                expected = response.headers.get("Content-Length")
            if expected is not None and target.stat().st_size != int(expected):
                raise http.client.IncompleteRead(b"", int(expected))
            return
        except urllib.error.HTTPError as error:
            if error.code in (404, 410):
                raise Gone(url) from None
            problem = error
            if error.code in (401, 403, 407):
                break
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError) as error:
            reason = getattr(error, "reason", None)
            if isinstance(reason, FileNotFoundError) or "No such file" in str(reason):
                raise Gone(url) from None
            problem = error
        except TimeoutError as error:
            problem = error
    raise Failure(
        f"could not fetch {url}: {problem}",
        hint="check the network, apt's proxy (Acquire::http::Proxy) and BACKENDAI_DEBIAN_MIRROR; "
        "what was fetched is kept, so run again",
    )
