"""The rules of the firewall in the kernel: a unit loads them, another looks whether they are there.

nft needs CAP_NET_ADMIN, also to look. What backendai-ctl runs in may lack it (the boot's
backendai-reconfigure.service does), so rules are loaded by the unit alone. It notes what nft then shows
of them, in nft's own words: whoever compares needs to know nothing of how nft writes things.
"""

from __future__ import annotations

import re
from pathlib import Path

from backendai_ctl.change import Change
from backendai_ctl.context import Context
from backendai_ctl.errors import Problem
from backendai_ctl.firewall import ruleset
from backendai_ctl.platform import files, systemd, units
from backendai_ctl.platform.run import run
from backendai_ctl.topology.backing import UNITS

UNIT = UNITS["firewall"]
WATCH = "backendai-nft-watch.service"
TIMER = "backendai-nft-watch.timer"
# Of 26.9.6-1, by which that release tells that the operator asked for rules of nodes: where it comes back,
# it must not find one that nobody asked it for.
EARLIER = "backendai-firewall.service"
NOTE = Path("/run/backendai-nft/loaded")
STATUS = Path("/proc/self/status")
_CAP_NET_ADMIN = 12
TIMEOUT = 20  # seconds for nft
_CTL = "/usr/bin/backendai-ctl"  # a link, which is there through an upgrade, whatever it leads to
# Others empty the whole ruleset when they start: nftables.service, firewalld.service on some hosts.
_OTHERS = "nftables.service firewalld.service"
_UNIT = f"""\
[Unit]
Description=Backend.AI: who may connect to this host, and where its containers may not
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target shutdown.target
After={_OTHERS}
ReloadPropagatedFrom={_OTHERS}
Conflicts=shutdown.target
ConditionPathExists={{rules}}
ConditionFileIsExecutable={{nft}}

[Service]
Type=oneshot
RemainAfterExit=yes
RuntimeDirectory={NOTE.parent.name}
RuntimeDirectoryMode=0700
ExecStart={{nft}} --file {{rules}}
ExecStart=/bin/sh -c '{{nft}} --stateless list table {ruleset.TABLE} >{NOTE}'
ExecReload={{nft}} --file {{rules}}
ExecReload=/bin/sh -c '{{nft}} --stateless list table {ruleset.TABLE} >{NOTE}'
ExecStop=-{{nft}} delete table {ruleset.TABLE}

[Install]
WantedBy=sysinit.target
"""
# After a start of the others, and every half minute: `nft flush ruleset` tells nobody. It ends by itself
# where an earlier release took the rules away, or whoever could change them is not installed any more.
_WATCH = f"""\
[Unit]
Description=Backend.AI: load the rules of the firewall again where they are gone
After={_OTHERS} {UNIT}

[Service]
Type=oneshot
LogLevelMax=notice
ExecStart=/bin/sh -c '[ -e {{rules}} ] && [ -L {_CTL} ] || exec systemctl stop {TIMER}; \\
  now=$$({{nft}} --stateless list table {ruleset.TABLE} 2>/dev/null); \\
  [ -n "$$now" ] && [ "$$now" = "$$(cat {NOTE})" ] && exit 0; \\
  echo "<4>the kernel has not the rules that were loaded: loading them again"; \\
  exec systemctl reload-or-restart {UNIT}'

[Install]
WantedBy={_OTHERS}
"""
_TIMER = f"""\
[Unit]
Description=Backend.AI: look again and again whether the rules of the firewall are in the kernel
ConditionPathExists={{rules}}
ConditionPathIsSymbolicLink={_CTL}

[Timer]
OnActiveSec=30
OnUnitInactiveSec=30
AccuracySec=5

[Install]
WantedBy=timers.target
"""


def wanted(ctx: Context, *, of_nodes: bool) -> list[units.File]:
    """The rules, and the units that load them before the network is up and keep them loaded."""
    return [
        units.File(ruleset.path(ctx), ruleset.text(ctx, of_nodes=of_nodes)),
        *_units(ctx),
    ]


def _units(ctx: Context) -> list[units.File]:
    texts = {UNIT: _UNIT, WATCH: _WATCH, TIMER: _TIMER}
    told = {"rules": ruleset.path(ctx), "nft": nft(ctx)}
    return [
        units.File(units.FOLDER / name, files.HEAD + text.format(**told))
        for name, text in texts.items()
    ]


def nft(ctx: Context) -> Path:
    """The program of the package backendai-nftables."""
    return ctx.facts.paths.servers / "nftables/sbin/nft"


def _earlier() -> units.File:
    return units.File(units.FOLDER / EARLIER, "")


def changes(ctx: Context) -> list[Change]:
    """What is to be done that the rules of this host are those that it needs, and in the kernel."""
    found = unwritten(ctx)
    if found or not systemd.booted():
        return found
    why = amiss(ctx) if may_look() else _noted_otherwise(ctx)
    return [Change(ruleset.TABLE, f"load it again: {why}")] if why else []


def unwritten(ctx: Context) -> list[Change]:
    """What of the rules and their units is not as the site file, or a name in it, says now."""
    files_ = wanted(ctx, of_nodes=_of_nodes(ctx))
    found = [Change(str(file.path), "write and load it") for file in files_ if not file.same]
    if _earlier().path.exists():
        found.append(Change(EARLIER, f"have {UNIT} in its place"))
    return found


def amiss(ctx: Context) -> str:
    """What is wrong with the rules in the kernel, by the file of rules; empty if nothing is."""
    made = files.read(ruleset.path(ctx))
    if made is None:
        return "no rules were made"
    shown = run(
        [str(nft(ctx)), "--stateless", "list", "table", *ruleset.TABLE.split()], timeout=TIMEOUT
    )
    if shown.returncode:
        return f"the kernel has no table {ruleset.TABLE}"
    if ruleset.fingerprint(made) not in shown.stdout:
        return f"the kernel has other rules than {ruleset.path(ctx)}"
    if shown.stdout != files.read(NOTE):
        return f"the rules of table {ruleset.TABLE} in the kernel were changed"
    return ""


def _noted_otherwise(ctx: Context) -> str:
    """As `amiss` where nft does not work: the watch holds the kernel against the unit's note."""
    fingerprint = ruleset.fingerprint(files.read(ruleset.path(ctx)) or "")
    if fingerprint and fingerprint in (files.read(NOTE) or ""):
        return ""
    return f"{UNIT} has not loaded them"


def may_look() -> bool:
    """Whether nft works here at all."""
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", STATUS.read_text(), re.MULTILINE)
    return bool(found and int(found[1], 16) >> _CAP_NET_ADMIN & 1)


def load(ctx: Context, *, of_nodes: bool | None = None) -> None:
    """Write the rules and load them, now and at every boot."""
    files_ = wanted(ctx, of_nodes=_of_nodes(ctx) if of_nodes is None else of_nodes)
    units.write(files_)
    systemd.systemctl("--no-reload", "enable", UNIT, WATCH, TIMER)
    if systemd.booted():
        systemd.forget_failures([UNIT])
        if run(["systemctl", "reload-or-restart", UNIT], timeout=90).returncode:
            raise Problem(
                f"the rules were not loaded: {_said()}", hint="is nf_tables in this kernel?"
            )
        systemd.systemctl("start", TIMER)
    _retire()


def _retire() -> None:
    """Take away the unit of an earlier release, last, and not its rules: ours replaced them at once.

    Without its file it is stopped without its ExecStop=, which would delete the table.
    """
    if _earlier().path.exists():
        systemd.systemctl("--no-reload", "disable", EARLIER)
        units.remove([_earlier()])
        if systemd.booted():
            run(["systemctl", "stop", EARLIER], timeout=90)  # fails where it did not run


def unload(ctx: Context) -> bool:
    """Take the rules back; whether there were any."""
    # Backwards: the earlier unit before ours, as its ExecStop= fails where there is no table any more.
    unit, *watch = _units(ctx)
    made = [units.File(ruleset.path(ctx), ""), unit, _earlier(), *watch]
    there = [file.path for file in made if file.path.exists()]
    if names := [path.name for path in there if path.parent == units.FOLDER]:
        if systemd.booted():
            systemd.systemctl("stop", *reversed(names))
        systemd.systemctl("--no-reload", "disable", *names)
    units.remove(made)
    return bool(there)


def _of_nodes(ctx: Context) -> bool:
    return bool(ctx.node and ruleset.asked_for(ctx))


def _said() -> str:
    """Why nft refused, in its own words."""
    said = run(["journalctl", "-u", UNIT, "-b", "-n", "20", "-o", "cat"]).stdout.splitlines()
    return next((line for line in said if "Error" in line), f"see: journalctl -u {UNIT}")
