"""A node is given what its roles need and no more; a host takes what is its own."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Accounts
from cryptography import x509
from site_nodes import EDGE

from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest, Problem
from backendai_ctl.facts import Facts
from backendai_ctl.nodes import transfer
from backendai_ctl.nodes.transfer import Bundle
from backendai_ctl.pki import tls
from backendai_ctl.site.faults import SiteFaults
from backendai_ctl.steps import create_certificates, create_rpc_keypair, create_secrets
from backendai_ctl.topology import here
from backendai_ctl.validation.load import parse

At = Callable[..., Context]


@pytest.fixture
def mgmt(at: At) -> Context:
    """The node that makes everything, with everything made."""
    ctx = at("mgmt", EDGE)
    for step in (
        create_secrets.CreateSecrets(),
        create_certificates.CreateCertificates(),
        create_rpc_keypair.CreateRpcKeypair(),
    ):
        step.apply(ctx)
    return ctx


@pytest.fixture
def other(facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Facts:
    """The facts of a bare host."""
    monkeypatch.setattr(socket, "gethostname", lambda: "bare")
    return replace(facts, paths=replace(facts.paths, config=tmp_path / "other"))


def secrets(bundle: Bundle) -> set[str]:
    return {name for name in bundle.files if name.startswith(("secrets/", "rpc/", "tls/"))}


def test_a_compute_node_is_given_two_passwords(mgmt: Context) -> None:
    found = secrets(transfer.export(mgmt, "gpu1"))
    assert found == {
        *("secrets/cache-password", "secrets/etcd-agent"),
        *("rpc/manager.key", "tls/ca.crt", "tls/trust.crt"),
    }


def test_a_storage_node_has_a_certificate_of_its_own(mgmt: Context) -> None:
    bundle = transfer.export(mgmt, "store")
    assert {"secrets/storage-manager", "secrets/storage-token"} <= secrets(bundle)
    assert "rpc/manager.key" not in bundle.files
    made = x509.load_pem_x509_certificate(bundle.files["tls/server.crt"].encode())
    authority = x509.load_pem_x509_certificate(bundle.files["tls/ca.crt"].encode())
    assert tls.issued_by(made, authority)
    assert {"10.77.0.2", "store", "localhost"} <= tls.names_of(made)


def test_another_export_brings_the_same_certificate(mgmt: Context) -> None:
    planned = transfer.export(mgmt, "store", dry_run=True)
    assert not (mgmt.paths.tls / "nodes").exists(), "looking keeps nothing"
    first = transfer.export(mgmt, "store")
    assert planned.files.keys() == first.files.keys()
    assert transfer.export(mgmt, "store") == first
    edge = transfer.export(mgmt, "edge")
    assert edge.files["tls/server.key"] != first.files["tls/server.key"]


def test_no_node_is_given_what_only_its_maker_needs(mgmt: Context) -> None:
    for node in ("store", "gpu1", "gpu2", "edge"):
        found = secrets(transfer.export(mgmt, node))
        kept = ("root-password", "etcd-token", "ca.key", "admin-", "key_secret", "database-manager")
        assert not [name for name in found if any(word in name for word in kept)]
    assert "secrets/database-coordinator" in transfer.export(mgmt, "edge").files


def test_each_node_has_a_login_of_its_own(mgmt: Context) -> None:
    given = [transfer.export(mgmt, node).files for node in ("gpu1", "gpu2")]
    assert len({files["secrets/etcd-agent"] for files in given}) == len(given)


def test_options_of_a_volume_go_to_storage_proxies_alone(at: At, tmp_path: Path) -> None:
    options = tmp_path / "weka.toml"
    options.write_text('weka_password = "hunter2"\n')
    options.chmod(0o600)
    more = f'[storage.volumes.fast]\nbackend = "weka"\nbackend_options = "{options}"\n'
    ctx = at("mgmt", more)
    for step in (
        create_secrets.CreateSecrets(),
        create_certificates.CreateCertificates(),
        create_rpc_keypair.CreateRpcKeypair(),
    ):
        step.apply(ctx)
    given = {node: str(options) in transfer.export(ctx, node).files for node in ("store", "gpu1")}
    assert given == {"store": True, "gpu1": False}


def test_files_of_the_operators_come_along_where_they_are_needed(at: At, tmp_path: Path) -> None:
    password = tmp_path / "etcd-password"
    password.write_text("given\n")
    password.chmod(0o600)
    more = (
        f'[etcd]\nmode = "external"\nendpoints = ["10.9.9.9:2379"]\npassword_file = "{password}"\n'
    )
    ctx = at("mgmt", more)
    for step in (
        create_secrets.CreateSecrets(),
        create_certificates.CreateCertificates(),
        create_rpc_keypair.CreateRpcKeypair(),
    ):
        step.apply(ctx)
    bundle = transfer.export(ctx, "gpu1")
    assert bundle.files[str(password)] == "given\n"
    assert not [name for name in bundle.files if name.startswith("secrets/etcd")]


@pytest.mark.parametrize(
    ("node", "asked", "why"),
    [
        ("mgmt", "nobody", "there is no node 'nobody'"),
        ("mgmt", "mgmt", "is this host"),
        ("gpu1", "gpu2", "does not make the site's secrets"),
    ],
)
def test_exports_that_cannot_be_are_refused(at: At, node: str, asked: str, why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        transfer.export(at(node), asked)


def test_a_single_host_exports_nothing(ctx: Context) -> None:
    with pytest.raises(BadRequest, match="has no nodes"):
        transfer.export(ctx, "gpu1")


def test_a_host_becomes_the_node_and_the_second_time_nothing_changes(
    mgmt: Context, other: Facts
) -> None:
    bundle = Bundle.of(transfer.export(mgmt, "gpu1").content())
    _, wanted = transfer.take(other, bundle)
    assert wanted[-1].path == other.paths.site_file, "the site file makes it a node: last"
    assert not other.paths.config.exists(), "nothing is written by looking"
    transfer.write(other, wanted, bundle)
    assert here.name_file(other).read_text() == "gpu1\n"
    password = other.paths.secrets / "etcd-agent"
    assert password.read_text() == mgmt.secrets.of_node("gpu1").path("etcd-agent").read_text()
    assert password.stat().st_mode & 0o777 == 0o600
    _, again = transfer.take(other, bundle)
    assert not [file.change for file in again if file.change]
    joined = here.context(other, transfer.take(other, bundle)[0])
    assert create_secrets.CreateSecrets().check(joined) == []
    assert [c.what for c in create_rpc_keypair.CreateRpcKeypair().check(joined)] == [
        str(other.paths.config / "rpc/agent.key_secret")
    ]


def test_a_joined_nodes_certificate_is_good_as_it_came(mgmt: Context, other: Facts) -> None:
    bundle = transfer.export(mgmt, "edge")
    site, wanted = transfer.take(other, bundle)
    transfer.write(other, wanted, bundle)
    joined = here.context(other, site)
    assert create_certificates.CreateCertificates().check(joined) == []
    (other.paths.tls / "server.crt").unlink()
    with pytest.raises(Problem, match="issued by the site's authority"):
        create_certificates.CreateCertificates().check(joined)


def test_a_node_without_its_secrets_makes_none(at: At) -> None:
    ctx = at("gpu1")
    with pytest.raises(Problem, match="not here") as wrong:
        create_secrets.CreateSecrets().apply(ctx)
    assert "node join FILE" in wrong.value.hint
    assert not ctx.paths.secrets.exists()


def test_the_order_of_nodes_moves_no_secrets(mgmt: Context) -> None:
    """Of several management nodes the first makes them: that stays the one that did."""
    second = '[nodes.second]\naddress = "10.77.0.31"\nroles = ["management"]\n'
    file, facts = mgmt.paths.site_file, mgmt.facts
    swapped = parse(file, second + file.read_text(), facts, node="mgmt")
    flag = mgmt.paths.ctl / "ready/manager"
    flag.parent.mkdir(parents=True)
    flag.write_text("fingerprint\n")
    here.name_file(facts).unlink()
    first = replace(mgmt, site=swapped)
    with pytest.raises(Problem, match="second now comes before mgmt, which made") as wrong:
        create_secrets.CreateSecrets().check(first)
    assert wrong.value.hint == "put [nodes.mgmt] before [nodes.second] again"

    here.name_file(facts).write_text("second\n")
    mgmt.secrets.path("etcd-root-password").unlink()  # what a node that joined is not given
    with pytest.raises(Problem, match="second now comes first, but it joined"):
        create_secrets.CreateSecrets().check(replace(mgmt, site=swapped, node="second"))
    assert not mgmt.secrets.exists("etcd-root-password")


def test_another_nodes_file_is_refused(
    mgmt: Context, other: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = transfer.export(mgmt, "gpu1")
    monkeypatch.setattr(socket, "gethostname", lambda: "gpu2")
    with pytest.raises(BadRequest, match="this host's name is 'gpu2'"):
        transfer.take(other, bundle)
    transfer.take(other, bundle, force=True)
    other.paths.config.mkdir()
    here.name_file(other).write_text("store\n")
    with pytest.raises(BadRequest, match="this host is node 'store'"):
        transfer.take(other, bundle)


def test_a_site_of_its_own_is_not_taken_over(mgmt: Context, other: Facts) -> None:
    other.paths.secrets.mkdir(parents=True)
    (other.paths.secrets / "etcd-root-password").write_text("x\n")
    with pytest.raises(BadRequest, match="a site of its own"):
        transfer.take(other, transfer.export(mgmt, "gpu1"))


def test_a_host_where_somebody_else_has_the_account_is_left_as_it_is(
    mgmt: Context, other: Facts, host_accounts: Accounts
) -> None:
    given = transfer.export(mgmt, "gpu1")
    host_accounts.set(["alice:x:1100:1000::/home/alice:/bin/sh"], ["alice:x:1000:"])
    with pytest.raises(Problem, match="is the account alice's"):
        transfer.take(other, given)
    assert not other.paths.config.exists()


def test_a_second_management_node_joins_until_its_manager_was_started(
    at: At, mgmt: Context, other: Facts
) -> None:
    """Its packages make secrets of a site before it joins; only a manager has a site to lose."""
    more = '[nodes.second]\naddress = "10.77.0.31"\nroles = ["management"]\n'
    wider = at("mgmt", EDGE + more)
    create_secrets.CreateSecrets().apply(wider)
    bundle = transfer.export(wider, "second")
    other.paths.secrets.mkdir(parents=True)
    (other.paths.secrets / "etcd-root-password").write_text("x\n")
    transfer.take(other, bundle)
    flag = other.paths.ctl / "ready/manager"
    flag.parent.mkdir(parents=True)
    flag.touch()  # a package empties it
    transfer.take(other, bundle)
    flag.write_text("fingerprint\n")
    with pytest.raises(BadRequest, match="a site of its own") as refused:
        transfer.take(other, bundle)
    assert "--force" in refused.value.hint
    transfer.take(other, bundle, force=True)
    other.paths.config.joinpath("node").write_text("second\n")
    transfer.take(other, bundle)  # as a node of this site it has a manager that runs


def test_a_file_can_bring_only_what_nodes_have(mgmt: Context, other: Facts) -> None:
    bundle = transfer.export(mgmt, "gpu1")
    for path in ("/etc/passwd", "../escape", "secrets/other", "node"):
        with pytest.raises(BadRequest, match="which no node needs"):
            transfer.take(other, replace(bundle, files={**bundle.files, path: "x"}))


def test_a_wrong_site_file_is_refused_whole(mgmt: Context, other: Facts) -> None:
    bundle = transfer.export(mgmt, "gpu1")
    broken = {**bundle.files, "site.toml": bundle.files["site.toml"] + "\n[nonsense]\n"}
    with pytest.raises(SiteFaults, match="nonsense"):
        transfer.take(other, replace(bundle, files=broken))


def test_other_formats_are_refused() -> None:
    with pytest.raises(BadRequest, match="another release"):
        Bundle.of(b'{"format": 2}')


def test_an_older_export_is_refused_unless_it_is_forced(mgmt: Context, other: Facts) -> None:
    """It would bring back an old site file, replaced passwords, a certificate that was renewed."""
    newer = Bundle.of(transfer.export(mgmt, "gpu1").content())
    transfer.write(other, transfer.take(other, newer)[1], newer)
    transfer.take(other, newer)
    for made, when in ((newer.made - 86400, "UTC"), (0, "by an earlier release")):
        older = replace(newer, made=made)
        with pytest.raises(
            BadRequest, match=f"was exported .*{when}, and this host joined"
        ) as told:
            transfer.take(other, older)
        assert told.value.hint == "export gpu1 again; or give --force to go back to that one"
        transfer.take(other, older, force=True)
    flag = other.paths.ctl / "joined"
    assert flag.read_text() == f"{newer.made}\n" and flag.stat().st_mode & 0o777 == 0o600
