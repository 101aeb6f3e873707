"""Why a program failed is told; rows that it worked on are not."""

from __future__ import annotations

import asyncpg
import pytest

from backendai_ctl.database.reasons import of_error, reason

MARKER = "AKIAMARKER"
PSQL = "psql:<stdin>:311: ERROR:  "


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            f"""\
{PSQL}duplicate key value violates unique constraint "pk_keypairs"
DETAIL:  Key (access_key)=({MARKER}) already exists.
CONTEXT:  COPY keypairs, line 3: "me@example.org	{MARKER}	s3cr3t"
pg_restore: error: could not write to output file: Broken pipe
""",
            f'{PSQL}duplicate key value violates unique constraint "pk_keypairs"',
        ),
        (
            f'{PSQL}invalid input syntax for type integer: "a "b" {MARKER}"\n{MARKER}\n',
            f"{PSQL}invalid input syntax for type integer (not shown)",
        ),
        (
            f'{PSQL}value "{MARKER}" is out of range for type integer',
            f"{PSQL}value (not shown)",
        ),
        (
            f"""\
psql:<stdin>:3: WARNING:  there is no transaction in progress
{PSQL}insert or update on table "b" violates foreign key constraint "b_ref_fkey"
DETAIL:  Key (ref)=({MARKER}) is not present in table "a".
""",
            f'{PSQL}insert or update on table "b" violates foreign key constraint "b_ref_fkey"',
        ),
        (
            'psql: error: connection to server at "127.0.0.1", port 5432 failed: Connection refused\n'
            "\tIs the server running on that host and accepting TCP/IP connections?\n",
            'psql: error: connection to server at "127.0.0.1", port 5432 failed: Connection refused',
        ),
        (
            'pg_dump: error: query failed: ERROR:  permission denied for table "users"\n'
            f"pg_dump: detail: Query was: COPY {MARKER}\n",
            'pg_dump: error: query failed: ERROR:  permission denied for table "users"',
        ),
        (
            "Traceback (most recent call last):\n"
            f"  run({MARKER!r})\n"
            "KeyError: 'first'\n"
            "sqlalchemy.exc.IntegrityError: (sqlalchemy.dialects.postgresql.asyncpg.IntegrityError) "
            "<class 'asyncpg.exceptions.UniqueViolationError'>: duplicate key value violates unique "
            f'constraint "pk_users" [SQL: INSERT {MARKER}]\n'
            f"DETAIL:  Key (uuid)=({MARKER}) already exists.\n",
            "sqlalchemy.exc.IntegrityError: (sqlalchemy.dialects.postgresql.asyncpg.IntegrityError) "
            "<class 'asyncpg.exceptions.UniqueViolationError'>: duplicate key value violates unique "
            'constraint "pk_users"',
        ),
        (
            f"ValueError: can't use {MARKER.lower()!r}: '{MARKER}'",
            "ValueError: can't use (not shown)",
        ),
        (f"{MARKER}\n", "exit status 3, no reason given"),
        ("", "exit status 3, no reason given"),
    ],
)
def test_the_error_is_told_without_rows(said: str, told: str) -> None:
    assert reason(said, 3) == told
    assert MARKER not in told


def test_errors_of_the_driver_are_told_alike() -> None:
    error = asyncpg.PostgresError.new(
        {
            "C": "23505",
            "M": 'duplicate key value violates unique constraint "pk"',
            "D": f"Key (x)=({MARKER}) already exists.",
        }
    )
    assert MARKER in str(error)
    assert of_error(error) == 'duplicate key value violates unique constraint "pk"'
    assert of_error(asyncpg.PostgresError("")) == "PostgresError"
