"""Promise: `./pants help` knows every target type, and says what each of its fields takes and is for."""

from __future__ import annotations

import pytest
from pants.engine.target import Target
from pants.engine.unions import UnionMembership
from pants.help.help_info_extracter import TargetTypeHelpInfo

from packager import register


@pytest.mark.parametrize("target_type", register.target_types(), ids=lambda target: target.alias)
def test_help_tells_of_every_field(target_type: type[Target]) -> None:
    found = TargetTypeHelpInfo.create(
        target_type,
        provider="packager",
        union_membership=UnionMembership({}),
        get_field_type_provider=None,
    )
    assert found.description.strip() and found.fields
    for field in found.fields:
        assert field.type_hint and field.description.strip(), field
