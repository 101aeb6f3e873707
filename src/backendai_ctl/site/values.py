"""Kinds of values in the site file that a pattern cannot describe."""

from __future__ import annotations

import ipaddress
import math
import re
from pathlib import Path

LOOPBACK = "127.0.0.1"
WILDCARDS = ("0.0.0.0", "::")  # every address of a host
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_HANDED_OUT = range(61184, 65536)  # to units with DynamicUser=; nobody; the 16-bit -1
CONTROL = r"\x00-\x1f\x7f-\x9f"  # characters of ASCII and, one byte more, of terminals
NO_CONTROL = rf"^[^{CONTROL}]+$"
EMAIL = rf"^[^@\s{CONTROL}]+@[^@\s{CONTROL}]+$"
SETTING = r"^[a-z][a-z0-9_.-]{0,62}$"  # the name of a setting of PostgreSQL, Valkey, etcd
DURATION = r"^(0|[1-9][0-9]{0,4}[smhd])$"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}  # seconds
_ODD = re.compile(rf"[\s\"'\\%${CONTROL}]")


def host(value: str) -> str:
    """A host name, an IPv4 or an IPv6 address (without brackets)."""
    if is_address(value):
        return value
    labels = value.split(".")
    if len(value) > 253 or not all(map(_LABEL.fullmatch, labels)) or labels[-1].isdigit():
        raise ValueError("is neither a host name nor an IP address")
    return value


def number_of_user(value: int) -> int:
    """A number that an account may keep."""
    if value in _HANDED_OUT:
        raise ValueError("is the system's: systemd gives 61184 to 65519 to running services")
    return value


def setting(value: object) -> object:
    """What a setting of a server may be: text in one line, a number, true or false."""
    if not isinstance(value, str | int | float):
        raise ValueError("is neither text nor a number, nor true or false")
    if isinstance(value, float) and not math.isfinite(value):  # JSON has none of them
        raise ValueError("is no finite number")
    if isinstance(value, str) and not re.fullmatch(NO_CONTROL, value):
        raise ValueError("is empty, or more than one line")
    return value


def address(value: str) -> str:
    """An IP address."""
    if not is_address(value):
        raise ValueError("is not an IP address")
    return value


def duration(value: str) -> str:
    """A time that fits a column of the database: 32 bits."""
    if seconds(value) >= 2**31:
        raise ValueError("is longer than 68 years")
    return value


def seconds(duration: str) -> int:
    """Of a text that DURATION matches."""
    return int(duration[:-1]) * _UNITS[duration[-1]] if duration != "0" else 0


def network(value: str) -> str:
    """A network in CIDR notation, or one address."""
    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError(f"is not a network such as 192.168.0.0/24: {error}") from error
    if "%" in value:  # a zone may be any text
        raise ValueError("is a network with a zone, which means something on one host alone")
    return value


def network4(value: str) -> str:
    """A network of IPv4 with room for two hosts or more."""
    found = ipaddress.ip_network(network(value))
    if found.version != 4 or found.num_addresses < 4:
        raise ValueError("is not a network of IPv4 with two addresses or more")
    return value


def interface(value: str | None) -> str | None:
    """The name of a network interface, or a network."""
    if value is None or re.fullmatch(r"[A-Za-z0-9_.-]{1,15}", value):
        return value
    return network(value)


def host_port(value: str) -> str:
    """HOST:PORT; IPv6 addresses in brackets."""
    split_host_port(value)
    return value


def bracketed(host: str) -> str:
    """A host as it stands before a port: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


def split_host_port(value: str) -> tuple[str, int]:
    """The two parts of HOST:PORT, without brackets. ValueError if it is not that."""
    name, colon, port = value.rpartition(":")
    if not colon or not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise ValueError("is not HOST:PORT")
    if name.startswith("[") and name.endswith("]"):
        return address(name[1:-1]), int(port)
    if ":" in name:
        raise ValueError("has an IPv6 address without brackets")
    return host(name), int(port)


def path(value: object) -> Path:
    """An absolute path of plain characters: it goes into unit files and commands."""
    text = str(value) if isinstance(value, str | Path) else ""
    if not text.startswith("/") or ".." in text.split("/"):
        raise ValueError("is not an absolute path")
    if _ODD.search(text):
        raise ValueError("has a blank, a quote, `\\`, `%` or `$` in it")
    return Path(text)


def ascending(value: tuple[int, int]) -> tuple[int, int]:
    """First and last, in this order."""
    if value[0] > value[1]:
        raise ValueError("has its last port before its first")
    return value


def none_if_empty(value: object) -> object:
    """TOML has no null: an empty text stands for none."""
    return None if value == "" else value


def is_loopback(value: str) -> bool:
    """Whether a host is this one, as written (no name is looked up)."""
    if is_address(value):
        return ipaddress.ip_address(value).is_loopback
    return value == "localhost" or value.endswith(".localhost")


def canonical(value: str) -> str:
    """An IP address in its shortest form, a host name in small letters."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return value.lower()


def is_address(value: str) -> bool:
    """Whether a host is an IP address, without a zone."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return "%" not in value


def unit_of(path: Path) -> str:
    """A path as systemd has it in names of units, before the dot (systemd-escape --path)."""
    text = re.sub(r"/+", "/", str(path)).strip("/")
    return "".join(_escaped(c, first=i == 0) for i, c in enumerate(text))


def _escaped(character: str, *, first: bool) -> str:
    if character == "/":
        return "-"
    if re.fullmatch(r"[A-Za-z0-9:_.]", character) and not (first and character == "."):
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode())
