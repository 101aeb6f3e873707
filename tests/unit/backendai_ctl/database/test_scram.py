"""PostgreSQL takes what we compute for what it would have computed."""

from __future__ import annotations

import base64

from backendai_ctl.database.scram import matches, verifier

# Of RFC 7677: user `user`, password `pencil`. The server signature there proves the same keys.
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
STORED = (
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
    ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)


def test_the_verifier_is_that_of_the_standards_example() -> None:
    assert verifier("pencil", salt=SALT) == STORED


def test_a_password_is_recognised_and_others_are_not() -> None:
    assert matches(STORED, "pencil")
    assert not matches(STORED, "Pencil")


def test_other_methods_and_nonsense_never_match() -> None:
    for stored in ("", "md5" + "0" * 32, "SCRAM-SHA-256$x:y$z:w", "MD5$4096:AAAA$a:b"):
        assert not matches(stored, "pencil")


def test_two_verifiers_of_a_password_differ() -> None:
    assert verifier("pencil") != verifier("pencil")
