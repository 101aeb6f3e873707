"""Paragraphs of fields as Debian writes them: control files, indexes, sources of apt. deb822(5)."""

from __future__ import annotations

from collections.abc import Iterator


def paragraphs(text: str) -> Iterator[dict[str, str]]:
    """The fields of each paragraph; continuation lines joined by newlines, comments left out."""
    fields: dict[str, str] = {}
    key = ""
    for line in (*text.split("\n"), ""):
        if not line.strip():
            if fields:
                yield fields
            fields = {}
        elif line[0] in " \t":
            fields[key] = f"{fields.get(key, '')}\n{line[1:]}"
        elif line[0] != "#":
            key, _, value = line.partition(":")
            fields[key] = value.strip()
