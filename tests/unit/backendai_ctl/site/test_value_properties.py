"""What the site file accepts is what programs, units and URLs take."""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backendai_ctl.site import values

addresses = st.ip_addresses().map(str)
labels = st.from_regex(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,20}[A-Za-z0-9_])?", fullmatch=True)
names = st.lists(labels, min_size=1, max_size=4).map(".".join).filter(lambda n: not n[-1].isdigit())
hosts = addresses | names
ports = st.integers(1, 65535)
# What people type by mistake.
odd = st.text(
    st.characters(codec="utf-8") | st.sampled_from("0123456789abcdef.:/[]%-_ \n\t$\\'\""),
    max_size=20,
)


@given(hosts)
def test_hosts_are_taken_as_they_are(host: str) -> None:
    assert values.host(host) == host
    assert values.canonical(values.canonical(host)) == values.canonical(host)
    assert values.host(values.canonical(host))


@given(hosts, ports)
def test_a_host_and_its_port_come_apart_again(host: str, port: int) -> None:
    text = f"{values.bracketed(host)}:{port}"
    assert values.host_port(text) == text
    assert values.split_host_port(text) == (host, port)
    url = urlsplit(f"https://{text}/")
    assert (url.hostname, url.port) == (host.lower(), port)


@given(odd)
def test_what_is_no_host_is_refused_in_words(text: str) -> None:
    for check in (values.host, values.address, values.network, values.host_port, values.interface):
        try:
            assert check(text) == text
        except ValueError as error:
            assert str(error).startswith(("is ", "has "))
        else:
            assert text.isprintable() and text.isascii() and not set(text) & set(" \"'\\$%")


@given(odd, ports)
def test_only_a_host_comes_before_a_port(text: str, port: int) -> None:
    try:
        host, found = values.split_host_port(f"{text}:{port}")
    except ValueError:
        return
    assert values.host(host) == host and found == port
    assert values.bracketed(host) == text


@given(
    st.integers() | st.sampled_from(["", "0", "65536", "+1", "1_0", " 1", "1 ", "٣", "-1", "08"])
)
def test_a_port_is_one_that_sockets_take(port: object) -> None:
    try:
        found = values.split_host_port(f"x:{port}")[1]
    except ValueError:
        return
    assert 1 <= found <= 65535 and str(port).isascii() and str(port).isdigit()


@given(st.ip_addresses(), st.integers(0, 128))
def test_networks_are_those_of_ipaddress(address: object, prefix: int) -> None:
    text = f"{address}/{prefix}"
    try:
        ipaddress.ip_network(text)
    except ValueError:
        with pytest.raises(ValueError, match="is not a network"):
            values.network(text)
    else:
        assert values.network(text) == text


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=6), max_size=4).map("/".join))
def test_a_path_can_stand_in_units_and_commands(text: str) -> None:
    try:
        path = values.path(f"/{text}")
    except ValueError:
        return
    assert path.is_absolute() and ".." not in path.parts
    assert f"/{text}".split() == [f"/{text}"] and not set(text) & set("\"'\\%$")


@given(odd)
def test_a_relative_path_is_refused(text: str) -> None:
    if not text.startswith("/"):
        with pytest.raises(ValueError, match="absolute"):
            values.path(text)


@settings(max_examples=25)
@given(
    st.lists(
        st.text(
            st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=6
        ).filter(lambda part: part not in (".", "..")),
        min_size=1,
        max_size=3,
    )
)
def test_a_unit_of_a_path_is_named_as_systemd_names_it(parts: list[str]) -> None:
    if not shutil.which("systemd-escape"):
        pytest.skip("systemd-escape is not on this machine")
    path = "/" + "/".join(parts)
    named = subprocess.run(
        ["systemd-escape", "--path", path], capture_output=True, text=True, check=True
    )
    assert values.unit_of(Path(path)) == named.stdout.removesuffix("\n")
