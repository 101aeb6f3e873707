"""Fixtures of the scenarios of verify.sh and install.sh: small bundles, signed by a throw-away key."""

from __future__ import annotations

from collections.abc import Iterator

import artefacts
import bundles
import pytest


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[bundles.Key]:
    """The key that signs the small bundles."""
    made = bundles.Key(tmp_path_factory.mktemp("key"))
    yield made
    made.stop()


@pytest.fixture(scope="session")
def other_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[bundles.Key]:
    """A key of somebody else."""
    made = bundles.Key(tmp_path_factory.mktemp("key"))
    yield made
    made.stop()


@pytest.fixture(scope="session")
def light(
    dist: artefacts.Dist, key: bundles.Key, tmp_path_factory: pytest.TempPathFactory
) -> bundles.Bundle:
    """A bundle with one package, which needs no other: for what the scripts do themselves."""
    folder = tmp_path_factory.mktemp("light")
    return bundles.make(folder, dist, key, packages=bundles.LIGHT, rpms=True)


@pytest.fixture(scope="session")
def small_bundle(
    dist: artefacts.Dist, key: bundles.Key, tmp_path_factory: pytest.TempPathFactory
) -> bundles.Bundle:
    """A bundle with a real role and what it needs."""
    return bundles.make(tmp_path_factory.mktemp("small"), dist, key)
