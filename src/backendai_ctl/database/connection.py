"""One connection to a database, usable from code that is not asynchronous."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from backendai_ctl.database.databases import APPLICATION, Target
from backendai_ctl.database.reasons import of_error
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.platform import deadline

CONNECT_TIMEOUT = 15  # seconds
_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.PostgresConnectionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)


class NotMade(Pending):
    """The role or the database does not exist yet, or the role has another password."""


class LockTaken(Pending):
    """Somebody else holds a lock longer than lock_timeout."""


class Connection:
    """An open connection. Pending is raised when the server is or goes away, Problem on refusal."""

    def __init__(self, target: Target, runner: asyncio.Runner) -> None:
        self.target = target
        self._runner = runner
        self._link: asyncpg.Connection | None = None
        self.member = target.members[0]  # host and port of the server that it leads to

    def open(self) -> None:
        """Connect, again if need be. Pending if the server is away, NotMade, Problem."""
        target = self.target
        try:
            self._link, self.member = self._runner.run(dial(target, CONNECT_TIMEOUT))
        except (
            asyncpg.InvalidPasswordError,
            asyncpg.InvalidAuthorizationSpecificationError,
            asyncpg.InvalidCatalogNameError,
        ) as error:
            raise NotMade(f"{target.where}: {of_error(error)}", hint=_hint(target)) from error
        except ssl.SSLCertVerificationError as error:
            raise Problem(
                f"{target.where}: its certificate is refused: {error.verify_message}",
                hint="see host and ca in [database] of the site file, then run: "
                "backendai-ctl reconfigure",
            ) from error
        except _AWAY as error:
            raise away(target, error) from error
        except asyncpg.PostgresError as error:
            raise Problem(f"{target.where}: {of_error(error)}", hint=_hint(target)) from error

    def close(self) -> None:
        link, self._link = self._link, None
        if link:
            link.terminate()

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """The rows of a query."""
        return [dict(row) for row in self._call("fetch", sql, *values)]

    def value(self, sql: str, *values: Any) -> Any:
        """The first field of the first row; None if there is none."""
        return self._call("fetchval", sql, *values)

    def do(self, sql: str, *values: Any) -> None:
        """Run a statement; several without values, in one transaction."""
        self._call("execute", sql, *values)

    def _call(self, method: str, sql: str, *values: Any) -> Any:
        try:
            return self._runner.run(getattr(self._link, method)(sql, *values))
        except _AWAY as error:
            raise away(self.target, error) from error
        except asyncpg.LockNotAvailableError as error:
            raise LockTaken(
                f"{self.target.where}: {of_error(error)}", hint="try again later"
            ) from error
        except asyncpg.PostgresError as error:
            raise Problem(
                f"{self.target.where}: {of_error(error)}",
                hint="see the log of PostgreSQL for details",
            ) from error


async def dial(target: Target, timeout: float) -> tuple[asyncpg.Connection, tuple[str, int]]:
    """Connect to the primary among the members, `timeout` seconds each; which one it is.

    Raises OSError, TimeoutError and the driver's errors.
    """
    failures: list[tuple[str, BaseException]] = []
    for host, port in target.members:
        try:
            link = await asyncpg.connect(
                host=host,
                port=port,
                user=target.user,
                password=target.password,
                database=target.dbname,
                ssl=target.tls,
                timeout=deadline.left(timeout),
                target_session_attrs="primary",
                server_settings={"application_name": APPLICATION, "tcp_keepalives_idle": "60"},
            )
        except ssl.SSLCertVerificationError:
            raise
        except asyncpg.TargetServerAttributeNotMatched:
            standby = ConnectionError("it is a standby, not the primary")
            failures.append((f"{host}:{port}", standby))
        except _AWAY as error:
            failures.append((f"{host}:{port}", error))
        else:
            return link, (host, port)
    last = failures[-1][1]
    if len(failures) == 1:
        raise last
    raise ConnectionError("; ".join(f"{at}: {_why(error)}" for at, error in failures)) from last


def primary(target: Target) -> tuple[str, int]:
    """Host and port of the member that programs are to work on. Pending, NotMade, Problem."""
    if len(target.members) == 1:
        return target.members[0]
    with connect(target) as db:
        return db.member


@contextmanager
def connect(target: Target) -> Iterator[Connection]:
    """An open connection, until the block ends."""
    with asyncio.Runner() as runner:
        connection = Connection(target, runner)
        try:
            connection.open()
            yield connection
        finally:
            connection.close()


def away(target: Target, error: BaseException) -> Pending:
    """What to say when the server does not answer."""
    return Pending(f"{target.where} does not answer: {_why(error)}", hint=_hint(target))


def _why(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _hint(target: Target) -> str:
    if target.ctx.site.database.mode == "local":
        return "see: backendai-ctl logs postgresql; then run: backendai-ctl reconfigure"
    return "see [database] in the site file, then run: backendai-ctl reconfigure"
