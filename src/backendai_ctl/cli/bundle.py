"""backendai-ctl bundle: releases as they come, before they are unpacked."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console

from backendai_ctl.bundle import verify as check
from backendai_ctl.cli.output import emit, example, json_option


@click.group(**example("backendai-ctl bundle verify backendai-26.9.6-2-linux-amd64.tar"))
def command() -> None:
    """Bundles: the tars of releases."""


@command.command(**example("backendai-ctl bundle verify backendai-26.9.6-2-linux-amd64.tar"))
@click.argument("tar", type=click.Path(path_type=Path), metavar="FILE.tar")
@click.option(
    "--allow-older", is_flag=True, help="Accept a release older than the newest seen here."
)
@json_option
def verify(tar: Path, allow_older: bool) -> None:
    """Check FILE.tar by FILE.tar.sig beside it and the keys that this host trusts.

    Nothing out of the bundle is run. Exit status other than 0: do not unpack it.
    """
    found = check.verify(tar, allow_older=allow_older)

    def text(console: Console) -> None:
        rows = [
            f"{tar}: Backend.AI {found.version}, release {found.number} of {found.date}, "
            f"is as it was signed ({found.tool})",
            f"by {check.spaced(found.fingerprint)}, which this host trusts.",
            f"Next: tar xf {tar} && sudo ./{found.folder}/install.sh --help",
        ]
        console.print("\n".join(rows), soft_wrap=True)

    emit({"tar": str(tar), **asdict(found)}, text=text)
