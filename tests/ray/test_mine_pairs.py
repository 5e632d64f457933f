"""Mining pairs on the session's Ray cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpora import DAY
from tests.unit.test_pairs_splits import config_of_tags, manifest_of
from theta_ray.training import mine_pairs

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


def test_the_cluster_commits_the_bytes_of_one_process(tmp_path: Path) -> None:
    local = config_of_tags(tmp_path)
    resources = local.resources.model_copy(update={"executor": "ray"})
    remote = local.model_copy(update={"resources": resources, "root": str(tmp_path / "ray")})
    cards = [mine_pairs.run(config, DAY) for config in (local, remote)]
    assert manifest_of(local) == manifest_of(remote)
    assert cards[1].upstream[0].stage == "prepare"
    assert cards[0].figures == cards[1].figures
