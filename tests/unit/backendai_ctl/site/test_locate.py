"""Finding the line of a key."""

from __future__ import annotations

from backendai_ctl.site.locate import line_of, lines, syntax_error

TEXT = '''\
# a comment with [brackets] and key = 1
top = 1

[network]  # here
listen = "127.0.0.1"
allow = [
  "10.0.0.0/8",  # ] no end
  "192.168.0.0/16",
]

[network.ports.manager]
api = 1
"quoted.key" = """
[not.a.table]
x = 1
"""
inline = { a = 1, b.c = 2 }
dotted.key = 3

[[list]]
x = 1
[[list]]
x = 2
'''


def test_every_statement_is_found() -> None:
    found = lines(TEXT)
    assert found == {
        ("top",): 2,
        ("network",): 4,
        ("network", "listen"): 5,
        ("network", "allow"): 6,
        ("network", "ports"): 11,
        ("network", "ports", "manager"): 11,
        ("network", "ports", "manager", "api"): 12,
        ("network", "ports", "manager", "quoted.key"): 13,
        ("network", "ports", "manager", "inline"): 17,
        ("network", "ports", "manager", "inline", "a"): 17,
        ("network", "ports", "manager", "inline", "b"): 17,
        ("network", "ports", "manager", "inline", "b", "c"): 17,
        ("network", "ports", "manager", "dotted"): 18,
        ("network", "ports", "manager", "dotted", "key"): 18,
        ("list",): 20,
        ("list", "x"): 21,
    }


def test_what_is_not_there_is_where_it_belongs() -> None:
    found = lines(TEXT)
    assert line_of(found, ("network", "allow", 1)) == 6
    assert line_of(found, ("network", "missing")) == 4
    assert line_of(found, ("nothing",)) == 1


def test_syntax_errors_have_a_line() -> None:
    assert syntax_error(TEXT) is None
    assert syntax_error("a = 1\nb = \n") == (2, "Invalid value")
    assert syntax_error('a = 1\nb = "x') == (2, "Unterminated string")
    assert syntax_error("a = 1\na = 2\n") == (2, "Cannot overwrite a value")
