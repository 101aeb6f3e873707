from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from releasekit.deb822 import paragraphs

PACKAGES = """\
Package: backendai-agent
Version: 1-1
Description: the agent
 more of it
 .
 and more

# a comment
Package: etcd
Types:
 deb
Description: a store
"""


def test_paragraphs_read() -> None:
    rows = list(paragraphs(PACKAGES))
    assert [row["Package"] for row in rows] == ["backendai-agent", "etcd"]
    assert rows[0]["Description"] == "the agent\nmore of it\n.\nand more"
    assert rows[1]["Description"] == "a store"
    assert rows[1]["Types"].split() == ["deb"]


def test_nothing_is_no_paragraph() -> None:
    assert list(paragraphs("\n \n# a comment\n\n")) == []


WORD = some.text("abc:# .", min_size=1).map(str.strip).filter(bool)
NEXT = "\n "
NAME = some.text("ABC-abc", min_size=1)


@given(some.lists(some.dictionaries(NAME, some.lists(WORD, min_size=1), min_size=1)))
def test_what_is_written_is_read(written: list[dict[str, list[str]]]) -> None:
    rows = [[f"{name}: {NEXT.join(lines)}\n" for name, lines in row.items()] for row in written]
    text = "\n".join("".join(row) for row in rows)
    assert list(paragraphs(text)) == [
        {name: "\n".join(lines) for name, lines in row.items()} for row in written
    ]
