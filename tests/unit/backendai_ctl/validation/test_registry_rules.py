"""Registries of images that the site file names: what is refused, and which node is given what of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from site_nodes import FOUR

from backendai_ctl.facts import Facts
from backendai_ctl.pki import tls
from backendai_ctl.site.faults import SiteFaults
from backendai_ctl.site.schema import Site
from backendai_ctl.validation import node_rules
from backendai_ctl.validation.load import parse

GOOD = 'url = "https://harbor.example"\nproject = "science"\n'


def site(facts: Facts, text: str, before: str = "") -> Site:
    return parse(
        facts.paths.site_file,
        f"{before}\n[registries.one]\n{text}",
        facts,
        node="mgmt" * bool(before),
    )


def test_a_registry_is_named_by_its_url_and_project(facts: Facts) -> None:
    one = site(facts, GOOD).registries["one"]
    assert (one.host, one.kind, one.project) == ("harbor.example", "docker", "science")
    for host in ("Harbor.example:443", "[::1]", "[::1]:5000", "192.0.2.1:5000"):
        assert site(facts, GOOD.replace("harbor.example", host)).registries["one"].host == host


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('url = "http://harbor.example"\nproject = "a"', "is not https://HOST"),
        ('url = "https://harbor.example/science"\nproject = "a"', "is not https://HOST"),
        ('url = "https://me:secret@harbor.example"\nproject = "a"', "is not https://HOST"),
        ('url = "https://harbor.example:port"\nproject = "a"', "is not HOST:PORT"),
        ('url = "https://harbor.example:"\nproject = "a"', "is not HOST:PORT"),
        ('url = "https://[::1]:70000"\nproject = "a"', "is not HOST:PORT"),
        ('url = "https://harbor.example"', "project"),
        (f'{GOOD}kind = "ecr"', "kind"),
        (f'{GOOD}kind = "gitlab"', "`api` is missing"),
        (f'{GOOD}api = "https://code.example"', "is for gitlab alone"),
        (f'{GOOD}username = "robot"', "is of no use alone"),
        (f'{GOOD}ca = "/no/such.crt"', "No such file"),
        (f'{GOOD.replace("science", "a/b")}kind = "harbor2"', "has a slash"),
        (f"{GOOD}[registries.two]\n{GOOD}", "registries.one as well"),
        ('url = "https://127.0.0.1:8140"\nproject = "stable"', "is the site's own registry"),
    ],
)
def test_what_cannot_be_is_refused(facts: Facts, text: str, said: str) -> None:
    with pytest.raises(SiteFaults) as caught:
        site(facts, text)
    assert said in str(caught.value) and "secret" not in str(caught.value)


def test_a_node_s_own_registry_is_refused(facts: Facts) -> None:
    """Another project there, or another port, is somebody else's."""
    with pytest.raises(SiteFaults, match=r"registries\.one\.url: is the site's own registry"):
        site(facts, 'url = "https://10.77.0.1:8140"\nproject = "stable"', FOUR)
    for url, project in (("https://10.77.0.1:8140", "science"), ("https://10.77.0.1", "stable")):
        assert site(facts, f'url = "{url}"\nproject = "{project}"', FOUR)


def test_a_password_that_everybody_may_read_is_refused(facts: Facts, tmp_path: Path) -> None:
    (tmp_path / "robot").write_text("token")
    (tmp_path / "robot").chmod(0o644)
    with pytest.raises(SiteFaults, match="open to everybody"):
        site(facts, f'{GOOD}username = "robot"\npassword_file = "{tmp_path}/robot"')


@pytest.mark.parametrize("kind", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_authority_with_its_key_is_refused(
    facts: Facts, tmp_path: Path, kind: PrivateFormat
) -> None:
    """Everybody could read the copies."""
    key = tls.load_key(tls.new_key()).private_bytes(Encoding.PEM, kind, NoEncryption())
    (tmp_path / "both.pem").write_bytes(tls.authority(key, "theirs") + key)
    with pytest.raises(SiteFaults, match="has a private key in it"):
        site(facts, f'{GOOD}ca = "{tmp_path}/both.pem"')


def test_no_compute_node_is_given_the_password(facts: Facts, tmp_path: Path) -> None:
    ca, password = tmp_path / "ca.crt", tmp_path / "robot"
    for path in (ca, password):
        path.write_text("x")
        path.chmod(0o600)
    files = f'ca = "{ca}"\nusername = "robot"\npassword_file = "{password}"'
    made = site(facts, f"{GOOD}{files}", FOUR)
    given = {name: node_rules.files_of(made, facts, name) for name in made.nodes}
    assert given["mgmt"] == {ca, password} and given["gpu1"] == {ca} and given["store"] == set()
