"""The machine's Debian mirrors, read from its own apt configuration: no host name is written here.

$BACKENDAI_DEBIAN_MIRROR (and $BACKENDAI_DEBIAN_SECURITY_MIRROR) overrule it. The base of the
security archive is the sibling "BASE-security" unless it is given.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from releasekit.deb822 import paragraphs
from releasekit.errors import Failure

# Suites by which a source is known to be Debian's own, not a third party's.
_SUITES = re.compile(
    r"(bullseye|bookworm|trixie|forky|duke|sid|unstable|testing|stable|oldstable|oldoldstable)"
    r"(-updates|-security|-backports|/updates)?"
)
_HINT = (
    "set BACKENDAI_DEBIAN_MIRROR to the base of a Debian mirror, the URL above dists/ and pool/ "
    "(http, https and file URLs serve), or put the files into BACKENDAI_VENDOR"
)


@dataclass(frozen=True)
class Mirrors:
    """Bases of the archives, without a slash at the end."""

    main: str
    security: str

    def url(self, archive: str, path: str) -> str:
        """URL of a pool path in the archive "main" or "security"."""
        return f"{self.security if archive == 'security' else self.main}/{path}"


def find_mirrors(etc: Path = Path("/etc/apt")) -> Mirrors:
    """The mirrors to use; Failure with the cure when none is known."""
    chosen = os.environ.get("BACKENDAI_DEBIAN_MIRROR", "").rstrip("/")
    security = os.environ.get("BACKENDAI_DEBIAN_SECURITY_MIRROR", "").rstrip("/")
    if chosen:
        return Mirrors(_checked(chosen), _checked(security or f"{chosen}-security"))
    main = ""
    for uri, suites in _sources(etc):
        for suite in suites:
            if not _SUITES.fullmatch(suite):
                continue
            if suite.endswith(("-security", "/updates")):
                security = security or uri
            elif "-backports" not in suite:
                main = main or uri
    if not main:
        raise Failure(f"no Debian mirror is known: {etc} names none", hint=_HINT)
    return Mirrors(main, security or f"{main}-security")


def _checked(url: str) -> str:
    if not re.match(r"(https?|file):/", url):
        raise Failure(
            f"BACKENDAI_DEBIAN_MIRROR={url} is not an http, https or file URL", hint=_HINT
        )
    return url


def _sources(etc: Path) -> Iterator[tuple[str, list[str]]]:
    """(URI, suites) of every enabled binary source, in apt's order."""
    files = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    for path in files:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if path.suffix == ".sources":
            yield from _deb822(text)
        elif path.suffix == ".list":
            yield from _one_line(text)


def _one_line(text: str) -> Iterator[tuple[str, list[str]]]:
    for line in text.splitlines():
        words = re.sub(r"\[[^\]]*\]", " ", line.split("#")[0]).split()
        if len(words) >= 4 and words[0] == "deb" and "main" in words[3:]:
            yield _uri(words[1]), [words[2]]


def _deb822(text: str) -> Iterator[tuple[str, list[str]]]:
    for paragraph in paragraphs(text):
        fields = {key.strip().lower(): value for key, value in paragraph.items()}
        if fields.get("enabled", "yes").lower() == "no":
            continue
        if "deb" in fields.get("types", "").split() and "main" in fields.get("components", ""):
            for uri in fields.get("uris", "").split():
                yield _uri(uri), fields.get("suites", "").split()


def _uri(uri: str) -> str:
    """The base without a slash; apt's "mirror+file:" lists are resolved to their first mirror."""
    uri = uri.rstrip("/")
    for prefix in ("mirror+file:", "mirror:file:"):
        if uri.startswith(prefix):
            try:
                lines = Path(uri[len(prefix) :]).read_text(encoding="utf-8").split("\n")
            except OSError:
                return uri
            found = [line.split()[0] for line in lines if line.strip() and line[0] != "#"]
            return found[0].rstrip("/") if found else uri
    return uri


def apt_proxies() -> dict[str, str]:
    """Proxies of apt's own configuration by scheme; "DIRECT" and absent ones are left out."""
    proxies = {}
    for scheme in ("http", "https"):
        key = f"Acquire::{scheme}::Proxy"
        try:
            found = subprocess.run(
                ["apt-config", "shell", "V", key], capture_output=True, text=True, check=False
            ).stdout
        except OSError:
            return {}
        match = re.match(r"V='(.*)'", found.strip())
        if match and match.group(1) and match.group(1).upper() != "DIRECT":
            proxies[scheme] = match.group(1)
    return proxies
