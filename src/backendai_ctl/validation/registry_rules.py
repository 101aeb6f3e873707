"""Contradictions among the registries of images that are not the site's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from backendai_ctl.facts import Facts
from backendai_ctl.site.faults import Fault
from backendai_ctl.site.registries import Registry
from backendai_ctl.site.schema import Site
from backendai_ctl.topology import registry
from backendai_ctl.validation.files import file_faults


def contradictions(site: Site, facts: Facts) -> Iterator[Fault]:
    """Every one. Reads the files that they name, reaches no server."""
    places: dict[tuple[str, str], str] = {}
    authorities: dict[str, tuple[str, object]] = {}
    for name, one in site.registries.items():
        above = ("registries", name)
        yield from _one(above, one)
        if one.project == registry.PROJECT and one.host in registry.hosts(site, facts):
            yield Fault(
                (*above, "url"),
                "is the site's own registry",
                "leave the table out: the site uses the images of its own registry anyway",
            )
        if (other := places.setdefault((one.host, one.project), name)) != name:
            yield Fault(
                (*above, "project"),
                f"is that of registries.{other} as well",
                "leave one of them out",
            )
        before, ca = authorities.setdefault(one.host, (name, one.ca))
        if ca != one.ca:
            yield Fault(
                (*above, "ca"), f"differs from that of registries.{before}", "name the same one"
            )


def _one(above: tuple[str, ...], one: Registry) -> Iterator[Fault]:
    if one.ca:
        yield from _authority((*above, "ca"), one.ca)
    if one.password_file:
        yield from file_faults((*above, "password_file"), one.password_file, secret=True)
    if bool(one.username) != bool(one.password_file):
        yield Fault(
            (*above, "username" if one.username else "password_file"),
            "is of no use alone",
            "name both `username` and `password_file`, or neither",
        )
    if (one.kind == "gitlab") != bool(one.api):
        yield Fault(
            (*above, "api" if one.api else "kind"),
            "is for gitlab alone" if one.api else 'is "gitlab", and `api` is missing',
            "leave it out" if one.api else 'name the address of GitLab itself: api = "https://..."',
        )
    if one.kind == "harbor2" and "/" in one.project:
        yield Fault((*above, "project"), "has a slash", "name the project of Harbor alone")


def _authority(above: tuple[str, ...], path: Path) -> Iterator[Fault]:
    """It is copied to where container engines and the manager look, which everybody reads."""
    faults = list(file_faults(above, path))
    yield from faults
    with suppress(PermissionError):  # only root can tell
        if not faults and b"PRIVATE KEY-----" in path.read_bytes():
            yield Fault(
                above, f"{path} has a private key in it", "name a file of certificates alone"
            )
