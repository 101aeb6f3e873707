"""`backendai-ctl doctor`: is this host fit, and is what runs on it ok?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from backendai_ctl.cli.output import context, emit, example, json_option, need_root

_DEFAULT = "-"  # the option without a folder


@click.command(
    **example(
        "backendai-ctl doctor --preflight\n"
        "backendai-ctl doctor --output\n"
        "backendai-ctl doctor --output reports --sign doctor.pem"
    )
)
@click.option("--preflight", is_flag=True, help="Check the host only; contact no service.")
@click.option(
    "--output",
    metavar="[DIR]",
    is_flag=False,
    flag_value=_DEFAULT,
    help="Write the report to DIR as JSON and text. Default: /var/lib/backendai/ctl/doctor.",
)
@click.option(
    "--sign",
    metavar="KEYFILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report, and sign it with this Ed25519 private key (PEM).",
)
@json_option
@click.pass_context
def command(
    click_ctx: click.Context,
    preflight: bool,
    output: str | None,
    sign: Path | None,
) -> None:
    """Check this host, before or after installation; change nothing.

    A check that is not possible on this host is skipped, with the reason. Exit status 1: a check failed.
    """
    from backendai_ctl.checks import checks, report  # slow to import: not for --help

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

    emit(data, text=text, errors=made.errors)
