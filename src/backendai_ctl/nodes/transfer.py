"""What a node is given by the node that makes secrets, and how it takes it.

The bundle is a table of files, text by path: below the configuration folder (`secrets/...`), or
where the site file itself names a file of the operator's. Nothing else is ever written.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backendai_ctl import accounts
from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest, Problem
from backendai_ctl.facts import Facts
from backendai_ctl.pki import issuing
from backendai_ctl.platform import files
from backendai_ctl.site.schema import Site
from backendai_ctl.topology import here, holders, layout
from backendai_ctl.validation.load import parse
from backendai_ctl.validation.node_rules import files_of

FORMAT = 1
_MODES = {"tls/ca.crt": 0o644, "tls/trust.crt": 0o644, "tls/server.crt": 0o644}
_MODES |= {"rpc/manager.key": 0o644, "site.toml": 0o644, "node": 0o644}
_RPC = ("rpc/manager.key", "rpc/manager.key_secret")
_TLS = ("tls/ca.crt", "tls/trust.crt", "tls/server.crt", "tls/server.key")


@dataclass(frozen=True)
class File:
    """A file that a node is given, and its mode."""

    path: Path
    text: str
    mode: int

    @property
    def change(self) -> Change | None:
        """What writing it would change; never what is in it."""
        found = files.read(self.path)
        if found is None:
            return Change(str(self.path), "write it")
        if found != self.text:
            return Change(str(self.path), "replace it: it differs")
        if self.path.stat().st_mode & 0o7777 != self.mode:
            return Change(str(self.path), f"give it mode {self.mode:o}")
        return None


@dataclass(frozen=True)
class Bundle:
    """Everything for one node. Not to be printed."""

    node: str
    files: dict[str, str]
    made: int = field(
        default=0, compare=False
    )  # when it was exported, in seconds of the exporting node's clock

    def content(self) -> bytes:
        row = {"format": FORMAT, "node": self.node, "files": self.files, "made": self.made}
        return json.dumps(row).encode()

    @classmethod
    def of(cls, content: bytes) -> Bundle:
        """BadRequest if it is from a release whose format is another."""
        data: Any = json.loads(content)
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise BadRequest(
                "the file is from another release of backendai-ctl",
                hint="install the same release on both nodes",
            )
        return cls(str(data["node"]), dict(data["files"]), int(data.get("made", 0)))


def export(ctx: Context, node: str, *, dry_run: bool = False) -> Bundle:
    """What a node needs by its roles. BadRequest if it is unknown, or asked on the wrong host.

    Its certificate is kept on this host, so that it is the same next time; with dry_run it is not.
    """
    _refuse(ctx, node)
    site_text = files.read(ctx.paths.site_file) or ""
    given = here.on_behalf(ctx.facts, _whole(ctx, site_text), node)
    made = {"site.toml": site_text, **_secrets(ctx, given)}
    made |= _certificates(ctx, given, dry_run=dry_run)
    wanted = [_RPC[0]] if given.here("agent") or given.here("manager") else []
    wanted += [_RPC[1]] if given.here("manager") else []
    made |= {path: _text(ctx.paths.config / path) for path in wanted}
    for path in sorted(files_of(given.site, ctx.facts, node)):
        made[str(path)] = _text(path)
    return Bundle(node, made, int(time.time()))


def take(facts: Facts, bundle: Bundle, *, force: bool = False) -> tuple[Site, list[File]]:
    """The site, and the files to be written, the site file last. Nothing is written.

    Raises SiteFaults if the site file does not fit this host, BadRequest if this host is another
    node or a site of its own, Problem if somebody else has the services' account here.
    """
    text = bundle.files.get("site.toml", "")
    paths = {name: facts.paths.config / name for name in bundle.files}  # / keeps absolute ones
    site = parse(facts.paths.site_file, text, facts, node=bundle.node, brought=list(paths.values()))
    if bundle.node not in site.nodes:
        raise BadRequest(f"the site file in it has no node {bundle.node!r}", hint="export it again")
    if not force:
        _refuse_older(facts, bundle)
        _refuse_host(facts, site, bundle.node)
    accounts.refuse(here.with_user(facts, site))
    allowed = {*_allowed(facts), *map(str, files_of(site, facts, bundle.node))}
    for name in bundle.files:
        if name not in allowed:
            raise BadRequest(f"it brings {name}, which no node needs", hint="export it again")
    ordered = [name for name in bundle.files if name != "site.toml"]
    made = [File(paths[name], bundle.files[name], _MODES.get(name, 0o600)) for name in ordered]
    made.append(File(here.name_file(facts), f"{bundle.node}\n", 0o644))
    made.append(File(facts.paths.site_file, text, _MODES["site.toml"]))
    return site, made


def write(facts: Facts, wanted: list[File], bundle: Bundle) -> None:
    """Write the files, each atomically; until the last one is there, this host is what it was."""
    files.make_folder(facts.paths.secrets, mode=0o700)
    files.write(_taken(facts), f"{bundle.made}\n", mode=0o600)
    for file in wanted:
        files.write(file.path, file.text, mode=file.mode)


def _allowed(facts: Facts) -> Iterator[str]:
    yield from ("site.toml", *_RPC, *_TLS)
    yield from (f"secrets/{name}" for name in facts.holders())


def _refuse(ctx: Context, node: str) -> None:
    if not ctx.site.nodes:
        raise BadRequest(
            "the site file has no nodes: this site is a single host",
            hint=f"describe them in {ctx.paths.site_file}: [nodes.NAME]; see docs/NODES.md",
        )
    if node not in ctx.site.nodes:
        raise BadRequest(
            f"there is no node {node!r}", hint=f"nodes are: {', '.join(ctx.site.nodes)}"
        )
    origin = layout.origin(ctx.site, ctx.facts)
    if ctx.node != origin:
        raise BadRequest(
            f"this host ({ctx.node}) does not make the site's secrets", hint=f"run it on {origin}"
        )
    if node == origin:
        raise BadRequest(
            f"{node} is this host, which has everything", hint="run: backendai-ctl reconfigure"
        )


def _taken(facts: Facts) -> Path:
    """Holds when the file was exported that this host joined by."""
    return facts.paths.ctl / "joined"


def _refuse_older(facts: Facts, bundle: Bundle) -> None:
    """An old export would bring back an old site file, passwords and certificates that were replaced."""
    text = (files.read(_taken(facts)) or "").strip()
    last = int(text) if text.isdecimal() else 0
    if bundle.made < last:
        raise BadRequest(
            f"the file was exported {_when(bundle.made)}, and this host joined by one of {_when(last)}",
            hint=f"export {bundle.node} again; or give --force to go back to that one",
        )


def _when(made: int) -> str:
    shown = datetime.fromtimestamp(made, UTC)
    return f"{shown:%Y-%m-%d %H:%M:%S} UTC" if made else "by an earlier release"


def _refuse_host(facts: Facts, site: Site, node: str) -> None:
    written = (files.read(here.name_file(facts)) or "").strip()
    if written and written != node:
        raise BadRequest(
            f"this host is node {written!r}, the file is for {node!r}",
            hint=f"run on the management node: backendai-ctl node export {written}; or give --force to "
            f"make this host {node}",
        )
    if not written and here.host_name() != node and here.host_name() in site.nodes:
        raise BadRequest(
            f"this host's name is {here.host_name()!r}, the file is for {node!r}",
            hint=f"run on the management node: backendai-ctl node export {here.host_name()}; or give "
            f"--force to make this host {node}",
        )
    if not written and _own_site(facts, site, node):
        raise BadRequest(
            "this host is set up as a site of its own, whose passwords would be replaced",
            hint="delete that site first: backendai-ctl purge --data --yes-delete-all-data; or give "
            "--force",
        )


def _own_site(facts: Facts, site: Site, node: str) -> bool:
    """Whether this host has a site to lose.

    A role with servers makes secrets before its host joins: there only a started manager tells.
    """
    if files.read(facts.paths.ready("manager")):
        return True
    servers = layout.servers_of(facts, site.nodes[node])
    return not servers and (facts.paths.secrets / "etcd-root-password").exists()


def _whole(ctx: Context, text: str) -> Site:
    """The site as its file has it; `ctx.site` is as this node sees it."""
    return parse(ctx.paths.site_file, text, ctx.facts, node=ctx.node)


def _secrets(ctx: Context, given: Context) -> Mapping[str, str]:
    own = {name for node, name in holders.of_nodes(ctx) if node == given.node}
    places = {
        name: ctx.secrets.of_node(given.node) if name in own else ctx.secrets
        for name in holders.needed(given)
    }
    return {f"secrets/{name}": f"{place.get(name)}\n" for name, place in places.items()}


def _certificates(ctx: Context, given: Context, *, dry_run: bool) -> Mapping[str, str]:
    """The authority's certificate for all, one of its own for who serves users."""
    made = {"tls/trust.crt": _text(ctx.paths.tls / "trust.crt")}
    if ctx.site.tls.mode == "own":
        return made
    made["tls/ca.crt"] = _text(ctx.paths.tls / "ca.crt")
    if any(given.here(component) for component in ctx.facts.certified()):
        certificate, key = issuing.issue_for(given, given.node, dry_run=dry_run)
        made |= {"tls/server.crt": certificate.decode(), "tls/server.key": key.decode()}
    return made


def _text(path: Path) -> str:
    text = files.read(path)
    if not text:
        raise Problem(f"{path}: is not here", hint="run: backendai-ctl reconfigure")
    return text
