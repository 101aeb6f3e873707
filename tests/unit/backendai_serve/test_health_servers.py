"""What the supervisor makes of PostgreSQL and Valkey, by what goes over the wire."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backendai_serve import health
from backendai_serve.health import Fault

Talk = Callable[[socket.socket], None]


@contextmanager
def talking(talk: Talk, path: Path | None = None) -> Iterator[str]:
    """A server that has this talk with every connection; HOST:PORT, or the path of its socket.

    What fails in a talk fails the test.
    """
    listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    listener.bind(str(path) if path else ("127.0.0.1", 0))
    listener.listen()
    failures: list[BaseException] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                try:
                    talk(connection)
                except BaseException as failure:
                    failures.append(failure)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield str(path) if path else "{}:{}".format(*listener.getsockname())
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        listener.close()
    for failure in failures:
        raise failure


def saying(*answers: bytes) -> Talk:
    """Takes what comes first, and sends these one after the other."""

    def talk(connection: socket.socket) -> None:
        connection.recv(4096)
        for answer in answers:
            connection.sendall(answer)
            time.sleep(0.01)

    return talk


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">i", len(body) + 4) + body


def refusal(state: str, text: str) -> bytes:
    """An error of PostgreSQL 17, as it begins."""
    return message(b"E", f"SFATAL\0VFATAL\0C{state}\0M{text}\0Fpostmaster.c\0\0".encode())


PASSWORD = message(b"R", b"\0\0\0\nSCRAM-SHA-256\0\0")
WELCOME = message(b"R", bytes(4))


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("", b"user\0health\0database\0health\0\0"),
        ("postgres", b"user\0health\0database\0postgres\0\0"),
    ],
)
def test_postgresql_is_well_when_it_asks_who_we_are(path: str, wanted: bytes) -> None:
    packets = []

    def talk(connection: socket.socket) -> None:
        packets.append(connection.recv(4096))
        connection.sendall(PASSWORD)
        assert connection.recv(4096) == b""

    with talking(talk) as place:
        assert health.fault(f"postgresql://{place}/{path}") is None
    assert packets == [struct.pack(">iHH", 8 + len(wanted), 3, 0) + wanted]


def test_a_url_names_user_and_database_for_a_server_without_passwords() -> None:
    packets = []

    def talk(connection: socket.socket) -> None:
        packets.append(connection.recv(4096))
        connection.sendall(WELCOME)

    with talking(talk) as place:
        assert health.fault(f"postgresql://me@{place}/mine") is None
        assert health.fault(f"postgresql://me@{place}/") is None
    assert [packet[8:] for packet in packets] == [
        b"user\0me\0database\0mine\0\0",
        b"user\0me\0database\0me\0\0",
    ]


def test_postgresql_is_left_in_order_so_that_its_log_stays_clean() -> None:
    heard = []

    def talk(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(WELCOME)
        heard.append(connection.recv(4096))  # the end; a reset would raise
        for _ in range(3):  # what a session begins with: nothing of it is refused
            connection.sendall(message(b"S", b"TimeZone\0Etc/UTC\0"))
            time.sleep(0.05)

    with talking(talk) as place:
        assert health.fault(f"postgresql://{place}/") is None
    assert heard == [b""]


@pytest.mark.parametrize("state", ["28000", "28P01", "3D000", "53300", "XX000"])
def test_an_error_of_a_postgresql_at_work_is_well(state: str) -> None:
    with talking(saying(refusal(state, "no"))) as place:
        assert health.fault(f"postgresql://{place}/") is None


@pytest.mark.parametrize("state", ["57P01", "57P02", "57P03"])
def test_a_postgresql_that_takes_no_logins_says_so_in_its_own_words(state: str) -> None:
    with talking(saying(refusal(state, "the database system is starting up"))) as place:
        url = f"postgresql://{place}/"
        wanted = Fault(f"{url}: the database system is starting up", own=True)
        assert health.fault(url) == wanted


def test_an_answer_may_come_in_pieces() -> None:
    whole = refusal("57P03", "not yet")
    with talking(saying(*(whole[i : i + 1] for i in range(len(whole))))) as place:
        url = f"postgresql://{place}/"
        assert health.fault(url) == Fault(f"{url}: not yet", own=True)


def test_what_a_server_says_is_one_line_and_short() -> None:
    with talking(saying(refusal("57P03", "no\nREADY=1\n" + 500 * "x"))) as place:
        found = health.fault(f"postgresql://{place}/")
    assert found and "no READY=1 xxx" in found.text and "\n" not in found.text
    assert len(found.text) < 250


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"E",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"-ERR unknown command\r\n",
        message(b"E", b"Mno state\0\0"),
        b"Ecould not fork new process\n\0",
    ],
)
def test_what_is_no_postgresql_is_not_well(answer: bytes) -> None:
    with talking(saying(answer)) as place:
        url = f"postgresql://{place}/"
        assert health.fault(url) == Fault(f"{url}: the answer is not PostgreSQL's")


def test_postgresql_is_found_by_the_folder_of_its_socket(tmp_path: Path) -> None:
    url = f"postgresql://{str(tmp_path).replace('/', '%2F')}:6543/"
    assert health.fault(url) == Fault(f"{url}: No such file or directory")
    with talking(saying(PASSWORD), tmp_path / ".s.PGSQL.6543"):
        assert health.fault(url) is None
        assert health.fault(url.replace("%2F", "%2f")) is None


@pytest.mark.parametrize(
    "answer",
    [
        b"+PONG\r\n",
        b"-NOAUTH Authentication required.\r\n",
        b"-NOPERM User default has no permissions to run the 'ping' command\r\n",
        b"-ERR max number of clients reached\r\n",
    ],
)
def test_valkey_is_well_when_it_takes_commands_or_wants_a_password(
    answer: bytes, tmp_path: Path
) -> None:
    asked = []

    def talk(connection: socket.socket) -> None:
        asked.append(connection.recv(4096))
        connection.sendall(answer)

    with talking(talk) as place:
        assert health.fault(f"redis://{place}/") is None
        assert health.fault(f"redis://{place}") is None
    with talking(talk, tmp_path / "valkey") as place:
        assert health.fault(f"unix://{place}") is None
    assert asked == 3 * [b"PING\r\n"]


@pytest.mark.parametrize(
    "said",
    [
        "LOADING Valkey is loading the dataset in memory",
        "MASTERDOWN Link with MASTER is down",
        "MISCONF Valkey is configured to save RDB snapshots",
    ],
)
def test_a_valkey_that_does_not_serve_yet_says_so_in_its_own_words(said: str) -> None:
    with talking(saying(f"-{said}\r\n".encode())) as place:
        url = f"redis://{place}/"
        assert health.fault(url) == Fault(f"{url}: {said}", own=True)


def test_any_other_error_of_valkey_is_told_and_is_no_excuse() -> None:
    with talking(saying(b"-BUSY Valkey is busy running a script.\r\n")) as place:
        url = f"redis://{place}/"
        assert health.fault(url) == Fault(f"{url}: BUSY Valkey is busy running a script.")


def loading(password: bytes) -> tuple[list[bytes], Talk]:
    """What a Valkey with a password that loads was asked, and how it talks."""
    asked: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        let_in = False
        while words := connection.recv(4096):
            asked.append(words)
            if words.startswith(b"*2\r\n$4\r\nAUTH\r\n"):
                let_in = words.endswith(b"$%d\r\n%s\r\n" % (len(password), password))
                connection.sendall(b"+OK\r\n" if let_in else b"-WRONGPASS invalid\r\n")
            elif let_in:
                connection.sendall(b"-LOADING Valkey is loading the dataset in memory\r\n")
            else:
                connection.sendall(b"-NOAUTH Authentication required.\r\n")

    return asked, talk


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("password", ["s3cret", 'with "quotes" and blanks', "schlüssel"])
def test_with_its_password_valkey_says_that_it_loads(credentials: Path, password: str) -> None:
    (credentials / "valkey.password").write_text(f"{password}\n", "utf-8")
    asked, talk = loading(password.encode())
    with talking(talk) as place:
        assert health.fault(f"redis://{place}/") is None, "strangers hear NOAUTH"
        url = f"redis://:valkey.password@{place}/"
        said = "LOADING Valkey is loading the dataset in memory"
        assert health.fault(url) == Fault(f"{url}: {said}", own=True)
    assert asked[-1] == b"PING\r\n"
    assert password not in url


def test_a_valkey_whose_password_was_changed_is_at_work(credentials: Path) -> None:
    (credentials / "p").write_text("of before\n")
    asked, talk = loading(b"new")
    with talking(talk) as place:
        assert health.fault(f"redis://:p@{place}/") is None
    assert len(asked) == 1


def test_a_full_valkey_hears_no_password(credentials: Path) -> None:
    (credentials / "p").write_text("x\n")
    with talking(saying(b"-ERR max number of clients reached\r\n")) as place:
        assert health.fault(f"redis://:p@{place}/") is None


def test_what_loads_and_asks_before_a_login_is_heard(credentials: Path) -> None:
    (credentials / "p").write_text("x\n")
    with talking(saying(b"-LOADING not yet\r\n")) as place:
        found = health.fault(f"redis://:p@{place}/")
    assert found and found.own


def test_a_credential_that_is_not_there_is_told(
    credentials: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with talking(saying(b"+OK\r\n")) as place:
        url = f"redis://:absent@{place}/"
        assert health.fault(url) == Fault(f"{url}: No such file or directory")
        monkeypatch.delenv("CREDENTIALS_DIRECTORY")
        found = health.fault(url)
    assert found and "CREDENTIALS_DIRECTORY" in found.text


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n", b"\r\n"])
def test_what_is_no_valkey_is_not_well(answer: bytes) -> None:
    with talking(saying(answer)) as place:
        url = f"redis://{place}/"
        assert health.fault(url) == Fault(f"{url}: the answer is not Valkey's")


@pytest.mark.parametrize("scheme", ["http", "postgresql", "redis"])
def test_a_server_that_drips_or_floods_holds_nobody_up(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "TIMEOUT", 0.3)
    sent = []

    def drip(connection: socket.socket) -> None:
        connection.recv(4096)
        until = time.monotonic() + 5
        while time.monotonic() < until:
            try:
                connection.sendall(b"E")
            except OSError:
                return
            time.sleep(0.05)

    def flood(connection: socket.socket) -> None:
        connection.recv(4096)
        while len(sent) < 10_000:
            try:
                connection.sendall(1024 * b"E")
            except OSError:
                return
            sent.append(1)

    for talk in (drip, flood):
        with talking(talk) as place:
            began = time.monotonic()
            found = health.fault(f"{scheme}://{place}/")
            assert found and not found.own
            assert time.monotonic() - began < 3
    assert len(sent) < 10_000
