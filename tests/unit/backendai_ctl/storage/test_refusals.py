"""What a server refuses is told in words that name the volume, the reason and the key to correct."""

from __future__ import annotations

from pathlib import Path

import pytest

from backendai_ctl.errors import Pending, Problem
from backendai_ctl.site.schema import Volume
from backendai_ctl.storage import refusals
from backendai_ctl.topology.places import Place

PLACE = Place(
    "home", Volume(kind="nfs", server="nas.invalid", export=Path("/srv/a")), Path("/vfroot/home")
)


@pytest.mark.parametrize(
    ("said", "told", "cure"),
    [
        (
            "mount.nfs: mounting nas:/srv/a failed, reason given by server: No such file or "
            "directory",
            "the server exports no /srv/a",
            "storage.volumes.home.export",
        ),
        (
            "mount.nfs: access denied by server while mounting nas:/srv/a",
            "does not let this host mount it",
            "name this host's address",
        ),
        (
            "mount.nfs: an incorrect mount option was specified",
            "incorrect mount option",
            "storage.volumes.home.options",
        ),
    ],
)
def test_what_only_the_operator_can_mend(said: str, told: str, cure: str) -> None:
    problem = refusals.of_mount(PLACE, said)
    assert not isinstance(problem, Pending)
    assert "volume home (nas.invalid:/srv/a)" in problem.message
    assert told in problem.message
    assert cure in problem.hint


@pytest.mark.parametrize("said", ["mount.nfs: Connection refused", "its server did not answer"])
def test_a_server_that_is_away_is_waited_for(said: str) -> None:
    problem = refusals.of_mount(PLACE, said)
    assert isinstance(problem, Pending)
    assert "once it answers" in problem.hint


def test_a_name_that_does_not_resolve() -> None:
    with pytest.raises(Problem, match=r"the server's name nas\.invalid does not resolve") as caught:
        refusals.unresolved(PLACE)
    assert "storage.volumes.home.server" in caught.value.hint
    local = Place("home", PLACE.volume.model_copy(update={"server": "127.0.0.1"}), PLACE.path)
    refusals.unresolved(local)
