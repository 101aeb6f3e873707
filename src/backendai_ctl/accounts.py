"""The accounts of services and servers: whose they are, and whether this host leaves room for them.

The host is asked by its own getent: its name service, not ours, decides whom a unit runs as.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from backendai_ctl.errors import OutOfTime, Problem
from backendai_ctl.facts import Component, Facts
from backendai_ctl.platform.run import check, run

GETENT = "getent"
_TIMEOUT = 20  # seconds; a directory may be slow
_TIMEOUT_OF_ALL = 5  # seconds for the whole list; who is there matters less than whom we ask for
_CLOSED = ("nologin", "false")  # shells with which nobody logs in


@dataclass(frozen=True)
class Account:
    """A row of passwd(5)."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str

    @property
    def closed(self) -> bool:
        """Whether nobody can log in with it."""
        return self.shell.rpartition("/")[2] in _CLOSED


@dataclass(frozen=True)
class Group:
    """A row of group(5)."""

    name: str
    gid: int
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class Known:
    """The accounts and groups of a host, each once."""

    accounts: tuple[Account, ...]
    groups: tuple[Group, ...]

    def account(self, name: str) -> Account | None:
        return next((one for one in self.accounts if one.name == name), None)

    def group(self, name: str) -> Group | None:
        return next((one for one in self.groups if one.name == name), None)


def known(facts: Facts) -> Known:
    """What the host's name service says, of whom it lists and by key.

    A directory may list nobody, or so many that it takes minutes: then those with our name and numbers
    are all that is known.
    """
    accounts = map(_account, _rows("passwd", facts.user, facts.uid))
    groups = map(_group, _rows("group", facts.user, facts.gid))
    return Known(tuple(dict.fromkeys(accounts)), tuple(dict.fromkeys(groups)))


def _account(row: list[str]) -> Account:
    name, _, uid, gid, _, home, shell = row
    return Account(name, int(uid), int(gid), home, shell)


def _group(row: list[str]) -> Group:
    name, _, gid, members = row
    return Group(name, int(gid), tuple(member for member in members.split(",") if member))


def _rows(database: str, name: str, number: int) -> list[list[str]]:
    width = {"passwd": 7, "group": 4}[database]
    try:
        listed = run([GETENT, database], timeout=_TIMEOUT_OF_ALL).stdout
    except OutOfTime:
        listed = ""
    asked = run([GETENT, database, name, str(number)], timeout=_TIMEOUT).stdout
    return _split(listed, width) + _split(asked, width)


def _split(said: str, width: int) -> list[list[str]]:
    lines = (line.split(":") for line in said.splitlines())
    return [row for row in lines if len(row) == width and row[2].isdigit()]


def in_the_way(facts: Facts, found: Known) -> Problem | None:
    """Why the services cannot have their account here: somebody else's has its name or a number.

    None where it is there as it should be, or can be made.
    """
    user, numbers = facts.user, f"{facts.uid}:{facts.gid}"
    mine = found.account(user)
    if mine and not (mine.closed and mine.home == str(facts.paths.state)):
        what = f"the account {user} ({mine.uid}:{mine.gid}, {mine.home}, {mine.shell}) is not ours"
        return Problem(what, hint=_another_name(facts))
    others = [one for one in found.accounts if one.name != user]
    for other in others:
        if other.uid == facts.uid:
            return Problem(
                f"number {facts.uid} of the services' user {user} is the account {other.name}'s",
                hint=_other_numbers(facts, f"usermod -u NUMBER {other.name}", found),
            )
    for group in found.groups:
        if group.gid == facts.gid and group.name != user:
            return Problem(
                f"number {facts.gid} of the services' group {user} is the group {group.name}'s",
                hint=_other_numbers(facts, f"groupmod -g NUMBER {group.name}", found),
            )
    for other in others:
        if other.gid == facts.gid:
            what = f"the account {other.name} is in the services' group {user} ({facts.gid})"
            return Problem(what, hint=f"give it another: usermod -g GROUP {other.name}")
    its_group = found.group(user)
    if mine and (mine.uid, mine.gid) != (facts.uid, facts.gid):
        return Problem(f"{user} is {mine.uid}:{mine.gid}, not {numbers}", hint=_moved(facts, mine))
    if its_group and mine and its_group.gid != facts.gid:
        what = f"the group {user} has number {its_group.gid}, not {facts.gid}"
        return Problem(what, hint=f"run: groupmod -g {facts.gid} {user}")
    if its_group and not mine and (its_group.gid != facts.gid or its_group.members):
        what = f"the group {user} ({its_group.gid}) is not ours"
        return Problem(what, hint=_another_name(facts))
    return None


def _another_name(facts: Facts) -> str:
    return (
        f"rename it, or set [user] name in {facts.paths.site_file}; "
        "then run: backendai-ctl reconfigure"
    )


def _other_numbers(facts: Facts, command: str, found: Known) -> str:
    """Two ways out. Where ours was made with other numbers already, those can be kept."""
    mine = found.account(facts.user)
    clear = f"userdel {facts.user}, " if mine and mine.uid != facts.uid else ""
    return (
        f"{clear}set [user] uid and gid in {facts.paths.site_file} to numbers that are free on every "
        f"node, or give that one another ({command}); then run: backendai-ctl reconfigure"
    )


def _moved(facts: Facts, mine: Account) -> str:
    return (
        f"keep its numbers: [user] uid = {mine.uid}, gid = {mine.gid} in {facts.paths.site_file}; or "
        f"make it anew: systemctl stop backendai.target; userdel {facts.user}; groupdel "
        f"{facts.user}; backendai-ctl reconfigure; then chown -R --from={mine.uid} "
        f"{facts.uid}:{facts.gid} its volumes"
    )


def refuse(facts: Facts) -> Known:
    """Problem if somebody else's account is in the way; else what is known of the host's."""
    found = known(facts)
    if wrong := in_the_way(facts, found):
        raise wrong
    return found


def make(facts: Facts) -> None:
    """Make the account and its group; see sysusers.d(5). What is there keeps its number."""
    rows = (
        f"g {facts.user} {facts.gid}",
        f'u {facts.user} {facts.uid}:{facts.gid} "{facts.user_title}" {facts.paths.state}',
    )
    hint = "see: journalctl -b -p warning; then run: backendai-ctl reconfigure"
    check(["systemd-sysusers", "--inline", *rows], hint=hint, timeout=60)
    owner(facts)


def missing_own(facts: Facts) -> list[Component]:
    """Services and servers on this host whose own account is not there yet.

    Problem where an account or group of that name is somebody else's: it would own the data.
    """
    found = []
    for service in facts.services().values():
        if not (service.user and (facts.paths.units / service.unit).exists()):
            continue
        account, group = _named(service.user)
        if wrong := _not_ours(facts, service, account, group):
            raise Problem(
                f"{wrong} is not ours",
                hint=f"rename it, or install backendai-{service.name} on another host; then run: "
                "backendai-ctl reconfigure",
            )
        if account is None:
            found.append(service)
    return found


def _named(name: str) -> tuple[Account | None, Group | None]:
    accounts = _split(run([GETENT, "passwd", name], timeout=_TIMEOUT).stdout, 7)
    groups = _split(run([GETENT, "group", name], timeout=_TIMEOUT).stdout, 4)
    return next(map(_account, accounts), None), next(map(_group, groups), None)


def group_exists(name: str) -> bool:
    """Whether the host knows a group of that name."""
    return _named(name)[1] is not None


def _not_ours(
    facts: Facts, service: Component, account: Account | None, group: Group | None
) -> str:
    """What of that name is somebody else's; empty: nothing."""
    if account and not (account.closed and account.uid and account.home == _home(facts, service)):
        return f"the account {account.name} ({account.uid}, {account.home}, {account.shell})"
    others = [name for name in group.members if name != service.user] if group else []
    if group and (others or (account and account.gid != group.gid)):
        inside = f", with {', '.join(others)}" if others else ""
        return f"the group {group.name} ({group.gid}{inside})"
    return ""


def own_numbers(service: Component) -> tuple[int, int]:
    """UID and GID of a service's own account. Problem if it is not there."""
    found = numbers([service])
    if service.name not in found:
        raise Problem(
            f"there is no account {service.user} yet", hint="run: backendai-ctl reconfigure"
        )
    return found[service.name]


def numbers(services: Iterable[Component]) -> dict[str, tuple[int, int]]:
    """Names of the services whose own account is there -> its UID and GID."""
    found = {service.user: service.name for service in services if service.user}
    said = run([GETENT, "passwd", *found], timeout=_TIMEOUT).stdout if found else ""
    accounts = map(_account, _split(said, 7))
    return {found[one.name]: (one.uid, one.gid) for one in accounts if one.name in found}


def make_own(facts: Facts) -> None:
    """Make the accounts of services' own, with numbers that the host chooses; see sysusers.d(5)."""
    rows = [
        f'u {service.user} - "Backend.AI {service.name}" {_home(facts, service)}'
        for service in missing_own(facts)
    ]
    if rows:
        hint = "see: journalctl -b -p warning; then run: backendai-ctl reconfigure"
        check(["systemd-sysusers", "--inline", *rows], hint=hint, timeout=60)


def _home(facts: Facts, service: Component) -> str:
    return str(facts.paths.state / service.name)


_looked_at: set[tuple[str, int, int]] = set()


def owner(facts: Facts) -> tuple[int, int]:
    """UID and GID of the services' account, for files and programs that are given to it.

    Problem if it is not there or is not ours: nothing is given to a number that may be somebody
    else's. Who is not root can give nothing to others.
    """
    numbers = facts.uid, facts.gid
    if os.geteuid() != 0 or facts.uid == 0:
        return numbers
    if (facts.user, *numbers) not in _looked_at:
        if not refuse(facts).account(facts.user):
            raise Problem(
                f"there is no account {facts.user} yet", hint="run: backendai-ctl reconfigure"
            )
        _looked_at.add((facts.user, *numbers))
    return numbers
