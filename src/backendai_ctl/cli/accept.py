"""`backendai-ctl accept`: does the site do for its users what it is for?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from backendai_ctl.acceptance import outcomes, report, suite, trials
from backendai_ctl.acceptance.account import notebook_image
from backendai_ctl.acceptance.browser import Browser, Refused
from backendai_ctl.checks.report import load_key
from backendai_ctl.cli.output import context, emit, example, json_option, need_root, show
from backendai_ctl.context import Context
from backendai_ctl.credentials import read_password
from backendai_ctl.errors import BadRequest, Problem
from backendai_ctl.operations.reconfigure import exclusive
from backendai_ctl.topology.addresses import public_url


@click.command(
    **example(
        "backendai-ctl accept\n"
        "backendai-ctl accept --node gpu1 --node gpu2\n"
        "backendai-ctl accept --model\n"
        "backendai-ctl accept --full\n"
        "backendai-ctl accept --sign acceptance.pem"
    )
)
@click.option(
    "--node", "nodes", metavar="NAME", multiple=True, help="Only on this node. Default: on each."
)
@click.option(
    "--image",
    metavar="IMAGE",
    default="",
    help="Image of the sessions. Default: the smallest one with JupyterLab.",
)
@click.option("--model", is_flag=True, help="Deploy a small language model, too: takes minutes.")
@click.option(
    "--full",
    is_flag=True,
    help="Try a model and upstream's integration suite, which the package backendai-test brings.",
)
@click.option(
    "--email", metavar="ADDRESS", help="E-mail of an administrator. Default: admin.email."
)
@click.option(
    "--password-file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with that password. Default: the one made at installation.",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    help="How long a session may take to start.",
)
@click.option(
    "--output",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the report to DIR. Default: /var/lib/backendai/ctl/accept.",
)
@click.option(
    "--sign",
    metavar="KEYFILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Sign the report with this Ed25519 private key (PEM).",
)
@json_option
@click.pass_context
def command(
    click_ctx: click.Context,
    nodes: tuple[str, ...],
    image: str,
    model: bool,
    full: bool,
    email: str | None,
    password_file: Path | None,
    timeout: int,
    output: Path | None,
    sign: Path | None,
) -> None:
    """Use the site as a user does, on every node, and write a report.

    An account is made for it and removed at the end. With it: sign in, make a folder on each volume, send a
    file and get it back; on each node start a session, compute, read and write the folders, open a
    notebook, a terminal and SSH, get a device of each kind; start a session of two containers, which
    exchange data. With --full: all of that, a model, and upstream's integration suite. Exit status 1:
    something failed.
    """
    need_root()
    ctx = context(click_ctx)
    if sign:
        load_key(sign)  # not after some minutes
    if full:
        suite.require(ctx)
    admin = Browser(public_url(ctx, "webserver", "http"), ctx.paths.tls / "trust.crt")
    _sign_in(ctx, admin, email, password_file)
    folder = output or ctx.paths.ctl / "accept"
    last = report.newest(folder)
    wanted = trials.Wanted(nodes, image or notebook_image(admin), timeout, model or full)

    def tell(outcome: outcomes.Outcome) -> None:
        show(lambda console: console.print(report.line(last.beside(outcome))))

    with exclusive(ctx, "accept-lock"):
        tried = trials.run(ctx, admin, wanted, tell)
        if full:
            tried += suite.run(ctx, admin, wanted.image, tell)
    made = report.make(ctx.facts.full_version, admin.url, wanted.image, tried, last)
    written = report.write(made, folder, key=sign)
    data: dict[str, Any] = {**made.data(), "written": vars(written)}

    def text(console: Console) -> None:
        report.conclude(made, console)
        console.print(f"report:    {written.json}\n           {written.html}")
        console.print(f"sha256:    {written.sha256}")
        if written.signature:
            console.print(f"signature: {written.signature}")

    emit(data, text=text, errors=made.errors)


def _sign_in(ctx: Context, admin: Browser, email: str | None, password_file: Path | None) -> None:
    if email and not password_file:
        raise BadRequest("--email needs --password-file", hint="the file holds that password alone")
    file = password_file or ctx.secrets.path("admin-password")
    try:
        admin.sign_in(email or ctx.site.admin.email, read_password(file))
    except Refused as refused:
        raise Problem(
            f"{refused.message}; the password is that of {file}",
            hint="name an administrator: --email ADDRESS --password-file FILE",
        ) from refused
