"""Promise: every database migration of the wheels is on the host, in one unbroken line."""

from __future__ import annotations

import zipfile

import locked
import pytest
from scenario import REPOSITORY, SITE, Installed

from dist import unavailable

ALEMBIC = "/opt/backendai/current/bin/alembic"
# distribution -> folder of its alembic environment
ENVIRONMENTS = {
    "backend-ai-manager": "ai/backend/manager/models/alembic",
    "backend-ai-appproxy-coordinator": "ai/backend/appproxy/coordinator/models/alembic",
}
both = pytest.mark.parametrize("distribution", ENVIRONMENTS)


@both
def test_every_revision_file_is_there(installed: Installed, distribution: str) -> None:
    versions = f"{ENVIRONMENTS[distribution]}/versions/"
    try:
        wheel = locked.wheel(REPOSITORY, distribution)
    except locked.NotInCache as missing:
        unavailable(str(missing))
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith(versions)]
    expected = {name.removeprefix(versions) for name in names if name.endswith(".py")}
    shown = installed.host.sh(f"cd {SITE}/{versions} && find . -name '*.py' -printf '%P\\n'")
    assert len(expected) > 1
    assert set(shown.split()) == expected


@both
def test_there_is_one_head(installed: Installed, distribution: str) -> None:
    """Alembic itself reads all revisions and finds where they lead."""
    package, _, rest = ENVIRONMENTS[distribution].rpartition("/models/")
    location = f"{package.replace('/', '.')}:models/{rest}"
    ini = f"/tmp/{distribution}.ini"
    installed.host.write(ini, f"[alembic]\nscript_location = {location}\n")
    heads = installed.host.check([ALEMBIC, "-c", ini, "heads"]).stdout
    assert len(heads.split()) == 2, heads
    assert heads.split()[1] == "(head)"
