"""Promise: where the site file names a domain for it, each app of a session is at a name of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from people import People, with_ssh

DOMAIN = "apps.example.org"
SITE = f'[apps]\ndomain = "{DOMAIN}"\n'
PORT = 10205


@dataclass(frozen=True)
class Opened:
    """JupyterLab of a session of ann's: its host name, and what her browser saw in two visits."""

    name: str
    texts: list[str]


@pytest.fixture(scope="module")
def named(people: People) -> Iterator[People]:
    with people.ann.site.described(SITE):
        yield people


@pytest.fixture(scope="module")
def opened(named: People) -> Iterator[Opened]:
    with named.ann.session("named", memory="512m") as session:
        visits = named.ann.browse(app=[session, "jupyterlab", None], domain=DOMAIN)["visits"]
        where = urlsplit(visits[0][0])
        assert where.port == PORT
        yield Opened(str(where.hostname), [text for _, text in visits])


def test_it_opens_at_a_name_in_the_domain_with_a_certificate_for_it(opened: Opened) -> None:
    assert opened.name.endswith(f".{DOMAIN}")
    assert all("JupyterLab" in text for text in opened.texts), opened.texts


def test_it_opens_for_nobody_else(named: People, opened: Opened) -> None:
    ask = "curl -sk -o /dev/null -w '%{http_code} ' --resolve"
    names = (opened.name, f"another.{DOMAIN}")
    script = "; ".join(f"{ask} {n}:{PORT}:127.0.0.1 https://{n}:{PORT}/lab" for n in names)
    answers = with_ssh(named.ann, script).stdout.split()
    assert answers == ["401", "400"], answers


def test_doctor_asks_the_name_servers_for_it(named: People, opened: Opened) -> None:
    told = json.loads(named.ann.host.run(["backendai-ctl", "doctor", "--json"]).stdout)
    (found,) = [row for row in told["findings"] if row["name"] == "apps.domain"]
    assert found["level"] == "warn" and f"*.{DOMAIN}" in found["hint"], found
