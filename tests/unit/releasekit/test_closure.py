from __future__ import annotations

from typing import Any

import pytest

from releasekit.closure import assign, closure
from releasekit.errors import Failure


def package(*requires: str, **extras: list[str]) -> dict[str, Any]:
    return {"requires": list(requires), "extras": extras}


PACKAGES = {
    "manager": package("shared", "only-manager"),
    "agent": package("shared"),
    "plugin": package("agent", "driver"),
    "shared": package("base"),
    "base": package(),
    "only-manager": package(),
    "driver": package(),
}
COMPONENTS = {"m": ["manager"], "a": ["agent"], "p": ["plugin"]}


def test_closure_follows_extras_also_when_asked_for_late() -> None:
    packages = {
        "a": package("b", "c"),
        "b": package(fast=["d"]),
        "c": package("b[fast]"),
        "d": package("a"),
    }
    assert closure(packages, ["a"], wanted_by="x") == {"a", "b", "c", "d"}
    assert closure(packages, ["b"], wanted_by="x") == {"b"}


def test_a_distribution_without_lock_entry_is_named_with_who_asks() -> None:
    with pytest.raises(
        Failure, match=r"python\.lock: no entry for .* `absent`, which the component x"
    ):
        closure(PACKAGES, ["absent"], wanted_by="the component x")
    with pytest.raises(Failure, match="`gone`, which a asks for"):
        closure({"a": package("gone")}, ["a"], wanted_by="x")


def test_every_distribution_has_exactly_one_owner() -> None:
    ownership = assign(PACKAGES, COMPONENTS, "common")
    owned = [name for names in ownership.owned.values() for name in names]
    assert sorted(owned) == sorted(PACKAGES)


def test_what_one_component_needs_is_its_own_and_the_rest_is_common() -> None:
    owned = assign(PACKAGES, COMPONENTS, "common").owned
    assert owned["m"] == ("manager", "only-manager")
    assert owned["common"] == ("base", "shared")


def test_a_plugin_builds_on_the_component_it_extends() -> None:
    ownership = assign(PACKAGES, COMPONENTS, "common")
    assert ownership.owned["p"] == ("driver", "plugin")
    assert ownership.owned["a"] == ("agent",)
    assert ownership.requires["p"] == ("a", "common")
    assert ownership.requires["a"] == ("common",)
    assert ownership.requires["common"] == ()


def test_ownership_does_not_depend_on_the_order_of_components() -> None:
    turned = dict(reversed(COMPONENTS.items()))
    assert assign(PACKAGES, turned, "common") == assign(PACKAGES, COMPONENTS, "common")


def test_no_component_at_all_is_no_error() -> None:
    assert assign(PACKAGES, {}, "common").owned == {"common": ()}
