"""A full disk is one line and an exit code, nothing is committed, and with more room the same table comes out."""

from __future__ import annotations

import pytest

from tests.chaos.full_disk import CASES, fill_disk, namespace
from tests.chaos.jobs import Setting

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize(("what", "share"), [CASES[1], CASES[2]])
def test_a_full_disk_is_told_and_with_more_room_the_run_goes_on(long: Setting, what: str, share: float) -> None:
    if namespace() is None:
        pytest.skip("neither root nor user namespaces: a small tmpfs cannot be mounted here")
    assert fill_disk(long, what, share).failures(recomputed=1) == []
