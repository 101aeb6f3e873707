"""`backendai-ctl doctor`: is this host fit, and is what runs on it well?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from backendai_ctl.cli.output import context, emit, example, json_option, need_root
from backendai_ctl.errors import EXIT_FAILED

_DEFAULT = "-"  # the option without a folder


@click.command(
    **example(
        "backendai-ctl doctor --preflight\n"
        "backendai-ctl doctor --output\n"
        "backendai-ctl doctor --output reports --sign doctor.pem"
    )
)
@click.option("--preflight", is_flag=True, help="Only the host: no service is asked.")
@click.option(
    "--output",
    metavar="[DIR]",
    is_flag=False,
    flag_value=_DEFAULT,
    help="Keep the report in DIR as JSON and text; /var/lib/backendai/ctl/doctor if left out.",
)
@click.option(
    "--sign",
    metavar="KEYFILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep the report, and sign it with this Ed25519 key (PEM).",
)
@json_option
@click.pass_context
def command(
    click_ctx: click.Context,
    preflight: bool,
    output: str | None,
    sign: Path | None,
    as_json: bool,
) -> None:
    """Check this host, before or after installation; change nothing.

    A check that cannot be made here is skipped and says why. Exit status 0: no check failed;
    1: one did.
    """
    from backendai_ctl.doctor import checks, report  # slow to import: not for --help

    need_root()
    ctx = context(click_ctx)
    findings = checks.run(ctx, preflight=preflight)
    made = report.make(ctx.facts.full_version, findings, preflight=preflight)
    data: dict[str, Any] = made.data()
    written = None
    if output or sign:
        folder = ctx.paths.ctl / "doctor" if output in (None, _DEFAULT) else Path(output or "")
        written = report.write(made, folder, key=sign)
        data["written"] = vars(written)

    def text(console: Console) -> None:
        report.show(made, console)
        if written:
            console.print(f"report:    {written.json}\nsha256:    {written.sha256}")
        if written and written.signature:
            console.print(f"signature: {written.signature}")

    emit(data, as_json=as_json, text=text)
    if not made.good:
        sys.exit(EXIT_FAILED)
