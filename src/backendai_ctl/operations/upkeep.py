"""What has to be done from time to time on a host that nobody looks at; backendai-upkeep.timer asks for it.

It does what passes without a decision, and leaves a site file that was edited meanwhile to `reconfigure`.
"""

from __future__ import annotations

from contextlib import suppress

from backendai_ctl.context import Context
from backendai_ctl.errors import Pending, Problem
from backendai_ctl.operations import reconfigure, scratch
from backendai_ctl.services import state
from backendai_ctl.steps.create_certificates import CreateCertificates
from backendai_ctl.steps.start_services import StartServices
from backendai_ctl.storage import session_files

LATER = "run: backendai-ctl reconfigure"


def upkeep(ctx: Context) -> str:
    """Renew what ends soon, remove what sessions left; the line to print, "" for nothing.

    Problem if a certificate cannot be renewed: on a node, whose certificate another one issues; Pending
    where a service waits for other steps and runs on with the certificate that ends.
    """
    renewed = _renew(ctx)
    swept = old = 0
    with suppress(Pending), reconfigure.exclusive(ctx):  # another is at work: there is a next time
        swept = scratch.sweep(ctx)
        old = session_files.sweep(ctx)
    said = [f"removed {what}" for what in _shown(swept, old)]
    return "; ".join([*filter(None, [renewed]), *said])


def _shown(scratches: int, releases: int) -> list[str]:
    """What is removed, if there is any."""
    found = {_folders(scratches): scratches, _of_releases(releases): releases}
    return [what for what, count in found.items() if count]


def _of_releases(count: int) -> str:
    return f"session files of {count} earlier release{'s' if count > 1 else ''}"


def _folders(count: int) -> str:
    return f"{count} scratch folder{'s' if count > 1 else ''} of ended sessions"


def _renew(ctx: Context) -> str:
    """Renew certificates that end soon, and start anew what uses them."""
    changed = _run(ctx, CreateCertificates.name)
    if not changed:
        return ""
    _run(ctx, StartServices.name)
    if old := _with_old_ones(ctx):
        raise Pending(
            f"the certificates are renewed, but {', '.join(old)} did not start with them: other "
            "changes wait",
            hint=LATER,
        )
    return "the certificates are renewed"


def plan(ctx: Context) -> str:
    """What `upkeep` would do now, in the words of its line; changes nothing."""
    report = reconfigure.reconfigure(ctx, dry_run=True, only=[CreateCertificates.name])
    found = report.plan[CreateCertificates.name]
    if isinstance(found, Problem):
        raise found
    left = _shown(len(scratch.left(ctx)), len(session_files.unused(ctx)))
    said = ["would renew certificates"] if found else []
    return "; ".join([*said, *(f"would remove {what}" for what in left)])


def _run(ctx: Context, step: str) -> bool:
    """Run one step if it differs; whether it did something. Problem if it failed."""
    report = reconfigure.reconfigure(ctx, only=[step])
    for outcome in report.outcomes.values():
        if not outcome.ok:
            raise Problem(outcome.message, hint=outcome.hint)
    return bool(report.changed)


def _with_old_ones(ctx: Context) -> list[str]:
    """Services that run with other files than they would start with."""
    components = (ctx.facts.components[name] for name in ctx.facts.installed())
    found = [state.find(ctx, component) for component in components]
    return [s.unit for s in found if s.flagged not in ("", s.fingerprint) and not s.left_alone]
