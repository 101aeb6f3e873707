from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from bootstrap.apt import PrivateApt
from bootstrap.closure import lockstep, resolve

ROOT = Path(__file__).resolve().parents[3]

CONTROL = {
    "perl": {"Depends": "perl-base (= 5.40.1-6+deb13u1), libc6 (>= 2.41)", "Installed-Size": "7"},
    "perl-base": {"Pre-Depends": "libc6 (>= 2.41)"},
    "libc6": {"Depends": "libgcc-s1"},
    "libgcc-s1": {"Depends": "gcc-base (= 14)"},
    "gcc-base": {},
    "client": {"Depends": "libssl (>= 3.5.9-1~deb13u1), tls:any (>= 1.0)"},
    "libssl": {},
    "tls": {},
}


def test_an_exact_version_of_a_base_package_is_carried() -> None:
    assert lockstep(["perl"], frozenset(("perl-base", "libc6")), CONTROL) == {"perl-base"}


def test_a_version_of_a_stable_update_is_carried_and_an_older_one_is_not() -> None:
    assert lockstep(["client"], frozenset(("libssl", "tls")), CONTROL) == {"libssl"}


def test_what_names_an_updated_package_exactly_follows_it() -> None:
    control = {**CONTROL, "new": {"Depends": "gcc-base (= 14)"}}
    base = frozenset(("gcc-base", "libgcc-s1", "libc6"))
    assert lockstep(["new"], base, control) == {"gcc-base", "libgcc-s1"}


class SolvedApt:
    """apt's answers for a Debian of eight packages; only what `resolve` asks."""

    def would_install(self, names: Iterable[str]) -> frozenset[str]:
        wanted = set(names)
        base = {"libc6", "libgcc-s1", "gcc-base", "perl-base"}
        base |= {"libssl"} if "?priority(standard)" in wanted or "vim" in wanted else set()
        return frozenset(base | ({"perl", "client", "libssl"} if "stunnel4" in wanted else set()))

    def control(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        return {name: CONTROL[name] for name in names}


def test_the_closure_is_what_any_base_lacks_and_what_must_move_with_it() -> None:
    found = resolve(cast(PrivateApt, cast(Any, SolvedApt())), ROOT)
    assert found.names == ("client", "libssl", "perl", "perl-base")
    minimal, standard = found.facts["bases"]["minimal"], found.facts["bases"]["standard"]
    assert (minimal["packages"], minimal["lacks"]) == (4, ["client", "libssl", "perl"])
    assert minimal["updates"] == ["perl-base"]
    assert (standard["lacks"], standard["updates"]) == (
        ["client", "perl"],
        ["libssl", "perl-base"],
    )
    assert found.facts["installed"]["perl"] == 7 * 1024
