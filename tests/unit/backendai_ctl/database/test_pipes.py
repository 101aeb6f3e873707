"""A program that takes too long is ended, and told by its name."""

from __future__ import annotations

import pytest

from backendai_ctl.context import Context
from backendai_ctl.database.pipes import Said, started
from backendai_ctl.errors import OutOfTime


def test_a_program_out_of_time_is_killed_and_named(ctx: Context) -> None:
    said = Said()
    with (
        pytest.raises(OutOfTime, match=r"^sleep was not done") as caught,
        started(ctx, ["sleep", "60"], said) as late,
        started(ctx, ["true"], said) as other,
    ):
        other.wait(30)
        late.wait(0.1)
    assert caught.value.hint
    assert late.returncode == -9
