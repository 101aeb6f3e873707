"""How results are shown, to people and to programs."""

from __future__ import annotations

import json
from typing import Any

from rich.text import Text


def canonical(data: Any) -> str:
    """JSON that is the same for the same data: sorted keys, two spaces, LF at the end."""
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, default=str) + "\n"


def one_line(text: str, most: int) -> str:
    """What somebody else says, as it may be shown: nothing that a terminal or a reader takes for more."""
    return "".join(c if c.isprintable() else " " for c in text)[:most]


def status_word(word: str, ok: bool | None) -> Text:
    """A word that says how it is: green, red, or yellow when neither."""
    style = {True: "green", False: "bold red", None: "yellow"}[ok]
    return Text(word, style=style)
