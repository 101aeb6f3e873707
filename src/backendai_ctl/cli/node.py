"""backendai-ctl node: the nodes of a site, and giving each what it needs."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from backendai_ctl import facts
from backendai_ctl.checks.firewall import APPLY
from backendai_ctl.cli.output import (
    context,
    dry_run_option,
    emit,
    example,
    json_option,
    need_root,
    table,
)
from backendai_ctl.cli.reconfigure import finish
from backendai_ctl.context import Context
from backendai_ctl.errors import BadRequest, Problem
from backendai_ctl.firewall import loaded
from backendai_ctl.firewall import ruleset as rules
from backendai_ctl.nodes import announced, hosts, sealed, transfer
from backendai_ctl.operations.reconfigure import exclusive, reconfigure
from backendai_ctl.platform import files
from backendai_ctl.probes import servers
from backendai_ctl.topology import here, layout

passphrase_option = click.option(
    "--passphrase-file",
    metavar="FILE",
    help="Read the passphrase from the first line of FILE; `-`: standard input.",
)


@click.group(
    **example(
        "backendai-ctl node list\n"
        "backendai-ctl node export compute1 --output compute1.node\n"
        "backendai-ctl node join compute1.node"
    )
)
def command() -> None:
    """The hosts of this site, as [nodes.NAME] in the site file describes them."""


@command.command("list", **example("backendai-ctl node list"))
@json_option
@click.pass_context
def list_(ctx: click.Context) -> None:
    """Show the nodes, what they are for, how they are, and which of them this host is."""
    known = context(ctx)
    said = _said(known)
    faults = {name: announced.faults(known, name, said or {}) for name in known.site.nodes}
    rows = [
        {
            "name": name,
            "here": name == known.node,
            "address": node.address,
            "roles": list(node.roles),
            "components": sorted(layout.components_of(known.site, known.facts, name)),
            "resource_group": layout.group_of(known.site, name),
            "labels": list(node.labels),
            "ok": None if said is None else not faults[name],
            "message": "" if said is None else "; ".join(faults[name]),
            "firewall": said[name].firewall if said and name in said else None,
        }
        for name, node in known.site.nodes.items()
    ]

    def text(console: Console) -> None:
        if not rows:
            console.print("This site is a single host.")
            return
        shown = table("NODE", "ADDRESS", "ROLES", "COMPONENTS", "LABELS", "STATE")
        for row in rows:
            shown.add_row(
                f"{row['name']} (here)" if row["here"] else str(row["name"]),
                str(row["address"]),
                *(", ".join(row[key]) for key in ("roles", "components", "labels")),  # type: ignore[arg-type]
                {True: "joined", False: str(row["message"]), None: "unknown"}[row["ok"]],  # type: ignore[index]
            )
        console.print(shown)
        if without := [str(row["name"]) for row in rows if row["firewall"] is False]:
            console.print(f"warning: the firewall of nodes is not loaded on: {', '.join(without)}")
            console.print(f"hint: if no other firewall closes their ports, there {APPLY}")

    emit({"nodes": rows, "here": known.node}, text=text)


@command.command(
    **example(
        "backendai-ctl node export compute1 --output compute1.node\n"
        "backendai-ctl node export compute1 --passphrase-file passphrase"
    )
)
@click.argument("name")
@click.option("--output", metavar="FILE", help="File to write. Default: NAME.node.")
@passphrase_option
@json_option
@dry_run_option
@click.pass_context
def export(
    ctx: click.Context,
    name: str,
    output: str | None,
    passphrase_file: str | None,
    dry_run: bool,
) -> None:
    """Write a sealed file for the node NAME: the site file, and the secrets its roles need.

    Without --passphrase-file a passphrase is generated and shown once. Send it separately from the file.
    """
    need_root()
    bundle = transfer.export(context(ctx), name, dry_run=dry_run)
    path = Path(output or f"{name}.node")
    data: dict[str, Any] = {"file": str(path), "node": name, "contents": sorted(bundle.files)}
    if not dry_run:
        given = _passphrase(passphrase_file) if passphrase_file else ""
        if given and sealed.too_short(given):
            raise BadRequest(
                f"{passphrase_file}: a passphrase of less than {sealed.SHORTEST} characters could be "
                "guessed by who finds the file",
                hint="omit --passphrase-file to have a passphrase generated and shown",
            )
        if not given:
            given = data["passphrase"] = sealed.new_passphrase()
        files.write(path, sealed.seal(bundle.content(), given, {"node": name}), mode=0o600)

    def text(console: Console) -> None:
        console.print(f"{'Would write' if dry_run else 'Written:'} {path}")
        for content in data["contents"]:
            console.print(f"  {content}")
        if "passphrase" in data:
            console.print(f"Passphrase, shown this once: {data['passphrase']}")

    emit(data, text=text)


@command.command(
    **example(
        "backendai-ctl node join compute1.node\n"
        "backendai-ctl node join compute1.node --passphrase-file - --dry-run"
    )
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=False))
@passphrase_option
@click.option(
    "--force",
    is_flag=True,
    help="Even if this host is another node or site, or joined by a newer file.",
)
@click.option("--no-reconfigure", is_flag=True, help="Write the files and do no more.")
@json_option
@dry_run_option
@click.pass_context
def join(
    ctx: click.Context,
    file: str,
    passphrase_file: str | None,
    force: bool,
    no_reconfigure: bool,
    dry_run: bool,
) -> None:
    """Make this host the node that FILE was exported for, and set it up.

    Everything is checked before the first file is written; run again, it changes nothing.
    """
    need_root()
    try:
        text = Path(file).read_text("ascii")
    except UnicodeDecodeError:
        text = ""  # refused below, as everything that is no such file
    node = sealed.node_of(text)
    opened = sealed.unseal(text, _passphrase(passphrase_file, f"Passphrase of node {node}"))
    known = facts.load()
    bundle = transfer.Bundle.of(opened.content)
    site, wanted = transfer.take(known, bundle, force=force)
    changes = [change for made in wanted if (change := made.change)]
    data = {"node": node, "changes": [asdict(change) for change in changes]}
    if dry_run or no_reconfigure:
        if not dry_run:
            transfer.write(known, wanted, bundle)
        said = "\n".join(f"{c.what}: {c.how}" for c in changes) or "Nothing to do."
        emit(data, text=lambda console: console.print(said))
        return
    with exclusive(here.on_behalf(known, site, node)):
        transfer.write(known, wanted, bundle)
    made = context(ctx)
    made.say(f"This host is node {node} now.")
    finish(reconfigure(made), dry_run=False, more=data)


@command.command(
    **example(
        "backendai-ctl node firewall\n"
        "backendai-ctl node firewall --apply\n"
        "backendai-ctl node firewall --remove"
    )
)
@click.option("--apply", "do_apply", is_flag=True, help="Load them, now and at every boot.")
@click.option("--remove", "do_remove", is_flag=True, help="Take back what --apply did.")
@json_option
@dry_run_option
@click.pass_context
def firewall(ctx: click.Context, do_apply: bool, do_remove: bool, dry_run: bool) -> None:
    """Show nftables rules that close the ports of the site to all but its nodes and users.

    The rules have a table of their own and affect the ports of Backend.AI and its servers only. The
    rules that keep containers from nodes and servers are always loaded on hosts with an agent.
    """
    _refuse_both(do_apply, do_remove)
    known = context(ctx)
    stays = known.here("agent") and (do_remove or (not known.node and not do_apply))
    text = "" if do_remove and not stays else rules.text(known, of_nodes=not stays)
    if (do_apply or do_remove) and not dry_run:
        need_root()
        with exclusive(known):
            loaded.load(known, of_nodes=not stays) if text else loaded.unload(known)
            announced.tell(known)
    emit(
        {"node": known.node, "rules": text},
        text=lambda console: console.print(text, end=""),
    )


@command.command(
    "hosts", **example("backendai-ctl node hosts\nbackendai-ctl node hosts --apply --dry-run")
)
@click.option("--apply", "do_apply", is_flag=True, help="Write them to /etc/hosts.")
@click.option("--remove", "do_remove", is_flag=True, help="Take them out of /etc/hosts.")
@json_option
@dry_run_option
@click.pass_context
def hosts_(ctx: click.Context, do_apply: bool, do_remove: bool, dry_run: bool) -> None:
    """Show names and addresses of the nodes as lines for /etc/hosts.

    Backend.AI does not need these lines: its services use the addresses in the site file.
    """
    _refuse_both(do_apply, do_remove)
    known = context(ctx)
    lines = [] if do_remove else hosts.lines(known.site)
    changed = (do_apply or do_remove) and hosts.changed(lines)
    if changed and not dry_run:
        need_root()
        hosts.write(lines)
    emit(
        {"lines": lines, "changed": changed},
        text=lambda console: console.print("\n".join(lines)),
    )


def _said(known: Context) -> dict[str, announced.Told] | None:
    """What the nodes said of themselves; None if the cache cannot be asked."""
    if not known.node:
        return None
    try:
        return announced.told(known)
    except (Problem, *servers.FAILURES):  # away, or the password is not for everyone
        return None


def _refuse_both(do_apply: bool, do_remove: bool) -> None:
    if do_apply and do_remove:
        raise BadRequest("--apply and --remove exclude each other", hint="give one of them")


def _passphrase(source: str | None, ask: str = "Passphrase") -> str:
    """The passphrase; never from the command line itself, which everybody can read."""
    if source is None:
        if not sys.stdin.isatty():
            raise BadRequest("the passphrase is missing", hint="give --passphrase-file FILE")
        return str(click.prompt(ask, hide_input=True, err=True)).strip()
    text = sys.stdin.readline() if source == "-" else files.read(Path(source))
    lines = (text or "").splitlines()
    if not lines or not lines[0].strip():
        raise BadRequest(f"{source}: no passphrase in it", hint="write it into the first line")
    return lines[0].strip()
