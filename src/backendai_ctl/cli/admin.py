"""backendai-ctl admin."""

from __future__ import annotations

import click

from backendai_ctl.cli.output import context, dry_run_option, emit, example, json_option, need_root
from backendai_ctl.context import Context
from backendai_ctl.database.accounts import reset_password
from backendai_ctl.topology.addresses import public_url


@click.group(**example("backendai-ctl admin show-endpoint"))
def command() -> None:
    """The administrator's password and the address of the web UI."""


@command.command(
    "reset-password", **example("backendai-ctl admin reset-password --email me@example.com")
)
@json_option
@dry_run_option
@click.option("--email", metavar="ADDRESS", help="E-mail of the account. Default: admin.email.")
@click.pass_context
def reset(ctx: click.Context, dry_run: bool, email: str | None) -> None:
    """Give an account a new, generated password, and print it once."""
    need_root()
    found = context(ctx)
    email = email or found.site.admin.email
    if dry_run:
        emit(
            {"email": email},
            text=lambda console: console.print(f"{email} would get a new password"),
        )
        return
    password = reset_password(found, email)
    emit(
        {"email": email, "password": password},
        text=lambda console: console.print(f"{email}: {password}"),
    )


@command.command("show-endpoint", **example("backendai-ctl admin show-endpoint"))
@json_option
@click.pass_context
def show(ctx: click.Context) -> None:
    """Show where the web UI is, who signs in first and where the password is kept."""
    found = context(ctx)
    file = found.secrets.path("admin-password")
    data = {"url": url(found), "email": found.site.admin.email, "password_file": str(file)}
    emit(
        data,
        text=lambda console: console.print(
            f"{data['url']}\nuser:     {data['email']}\npassword: in {data['password_file']}"
        ),
    )


def url(ctx: Context) -> str:
    """Of the web UI, as browsers reach it."""
    return public_url(ctx, "webserver", "http")
