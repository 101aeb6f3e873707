"""Whom connections of the command trust: the host's store, and its site; or whom the operator named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509

from backendai_ctl.pki import tls

SOURCES = Path(__file__).resolve().parents[3] / "src"
# The names of the authorities that a default context trusts.
NAMES = """
import ssl, sys
from pathlib import Path
from backendai_command import trust
trust.install(Path(sys.argv[1]))
found = ssl.create_default_context().get_ca_certs()
names = (dict(rdn for rdns in cert["subject"] for rdn in rdns) for cert in found)
print(*(name.get("commonName", "") for name in names), sep=";")
"""


def authority(path: Path, name: str) -> Path:
    path.write_bytes(tls.authority(tls.new_key(), name))
    assert x509.load_pem_x509_certificate(path.read_bytes())
    return path


def trusted(site: Path, **env: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", NAMES, str(site)],
        env={"PYTHONPATH": str(SOURCES), **env},
        capture_output=True,
        text=True,
        check=True,
    )
    return {*done.stdout.strip().split(";")}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return authority(tmp_path / "trust.crt", "the site")


def host_store(tmp_path: Path) -> dict[str, str]:
    """The runtime names the host's own store in the environment, as it finds it."""
    store = authority(tmp_path / "store.crt", "of the host")
    (tmp_path / "sitecustomize.py").write_text(
        f"import os\n_KNOWN = ({str(store)!r},)\nos.environ['SSL_CERT_FILE'] = _KNOWN[0]\n"
    )
    return {"PYTHONPATH": f"{SOURCES}:{tmp_path}"}


def test_the_site_is_trusted_beside_the_hosts_store(site: Path, tmp_path: Path) -> None:
    assert trusted(site, **host_store(tmp_path)) == {"the site", "of the host"}


def test_who_names_a_file_is_obeyed(site: Path, tmp_path: Path) -> None:
    own = authority(tmp_path / "own.crt", "of the operator")
    assert trusted(site, SSL_CERT_FILE=str(own)) == {"of the operator"}


def test_a_host_without_a_site_is_as_ever(site: Path, tmp_path: Path) -> None:
    plain = trusted(tmp_path / "absent.crt")
    assert "the site" not in plain
    assert trusted(site) - {""} == plain - {""} | {"the site"}


def test_a_broken_file_hinders_nobody(tmp_path: Path) -> None:
    broken = tmp_path / "trust.crt"
    broken.write_text("no certificate\n")
    assert trusted(broken) == trusted(tmp_path / "absent.crt")


def test_a_server_does_not_trust_clients_of_the_site(site: Path) -> None:
    code = NAMES.replace(
        "create_default_context()", "create_default_context(ssl.Purpose.CLIENT_AUTH)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(site)],
        env={"PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "the site" not in done.stdout
