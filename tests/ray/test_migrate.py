"""Stage `migrate` on the session's Ray cluster: the maps and topics of one process."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.two_models import NIGHTS, save_plain, save_rotated, two_nights, with_model
from theta_ray.manifest import carried_over, read_manifest
from theta_ray.nightly import migrate
from theta_ray.topics import label_topics

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


def test_a_cluster_carries_over_what_one_process_does(tmp_path: Path) -> None:
    plain = save_plain(tmp_path / "plain")
    before = two_nights(tmp_path, plain)
    label_topics.run(before, NIGHTS[0])
    local = with_model(before, save_rotated(tmp_path / "rotated", plain))
    shutil.copytree(tmp_path / "root", tmp_path / "copy")
    resources = local.resources.model_copy(update={"executor": "ray", "num_actors": 2})
    on_ray = local.model_copy(update={"resources": resources, "root": str(tmp_path / "copy")})
    cards = [migrate.run(config, NIGHTS[0]) for config in (local, on_ray)]
    assert [card.status for card in cards] == ["committed", "committed"]
    found = []
    for config in (local, on_ray):
        topics = label_topics.make_job(config, NIGHTS[0])
        maps = read_manifest(migrate.make_migration(config, NIGHTS[0]).job.maps)
        found.append((maps, carried_over(topics.centroids), carried_over(topics.topics)))
    assert found[0] == found[1]
    assert all(manifest is not None for manifest in found[0])
