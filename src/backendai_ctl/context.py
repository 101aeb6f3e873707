"""What every step and command works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from backendai_ctl import accounts
from backendai_ctl.facts import Facts, Paths
from backendai_ctl.secrets import Secrets
from backendai_ctl.site.schema import Site


def _silent(_text: str) -> None:
    return None


@dataclass(frozen=True)
class Context:
    """The facts of the release, the site as its operator wants it, and where to say progress."""

    facts: Facts
    site: Site
    say: Callable[[str], None] = field(default=_silent)
    node: str = ""  # which of the site's nodes this host is; empty: the site is a single host

    @property
    def paths(self) -> Paths:
        return self.facts.paths

    @property
    def secrets(self) -> Secrets:
        return Secrets(self.facts.paths.secrets, self.facts.holders())

    @property
    def numbers(self) -> tuple[int, int]:
        """UID and GID that the services' user should have, to compare with or to be told."""
        return self.facts.uid, self.facts.gid

    @property
    def owner(self) -> tuple[int, int]:
        """UID and GID of the services' user, to give something to it. Problem if it is not ours."""
        return accounts.owner(self.facts)

    @property
    def user(self) -> str:
        """Name of the services' user, to run something as it. Problem if it is not ours."""
        accounts.owner(self.facts)
        return self.facts.user

    def here(self, component: str) -> bool:
        """Whether the component is installed on this host."""
        return component in self.facts.installed()

    def port(self, component: str, what: str) -> int:
        """The port a component listens on: the site file's, or the component's own default."""
        default = self.facts.components[component].ports[what]
        return self.site.network.ports.get(component, {}).get(what, default)
