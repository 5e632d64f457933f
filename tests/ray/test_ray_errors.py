"""What a full disk of a node is told as, on the session's Ray cluster."""

from __future__ import annotations

import re
import time

import pytest

from theta_ray.errors import InputError
from theta_ray.ray_errors import raise_cause

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


def test_a_full_disk_is_told_with_the_spill_folder_of_its_node_and_the_bytes_there() -> None:
    import ray
    from ray._private.worker import global_worker

    with pytest.raises(InputError) as stopped:
        raise_cause(ray.exceptions.OutOfDiskError("Local disk is full"))
    (node,) = [node["NodeManagerAddress"] for node in ray.nodes()]
    folder = re.escape(f"node {node}: Ray's spill folder {global_worker.node.get_session_dir_path()} is too full (")
    assert re.fullmatch(rf"{folder}[\d,]+ of [1-9][\d,]+ bytes free\); make room there, then rerun", str(stopped.value))


def test_where_a_node_does_not_answer_in_time_the_full_disk_is_told_without_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ray

    def busy() -> None:
        time.sleep(5)

    monkeypatch.setattr("theta_ray.ray_errors.find_spill_folder", busy)
    monkeypatch.setattr("theta_ray.ray_errors.SECONDS_TO_ASK", 0.1)
    with pytest.raises(InputError, match="^the folder that a node's Ray spills to is full; make room there"):
        raise_cause(ray.exceptions.ObjectStoreFullError("full"))
