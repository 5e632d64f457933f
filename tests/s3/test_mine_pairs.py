"""Pairs with hard negatives on a real S3 server: what a local disk gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import S3
from tests.corpora import DAY
from tests.mined import mine
from tests.unit.test_pairs_negatives import config_of_labels
from tests.unit.test_pairs_splits import manifest_of
from theta_ray.config import Config, Resources
from theta_ray.training import mine_pairs


def on(config: Config, root: str, executor: str) -> Config:
    """The same recipe elsewhere."""
    resources = Resources.model_validate({"executor": executor, "threads_per_actor": 1, "lease_seconds": 5})
    return config.model_copy(update={"root": root, "resources": resources})


@pytest.mark.s3
def test_a_bucket_gets_the_pairs_and_negatives_of_a_local_disk(s3: S3, tmp_path: Path, bert: Path) -> None:
    local = on(config_of_labels(tmp_path, bert), str(tmp_path / "root"), "local")
    bucket = on(local, s3.root("pairs"), "local")
    _, expected = mine(local)
    card, found = mine(bucket)
    assert found == expected
    assert card.figures["negatives"] > 0
    assert manifest_of(bucket) == manifest_of(local)
    assert mine_pairs.run(bucket, DAY).status == "nothing to do"


@pytest.mark.s3
@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_two_workers_on_a_bucket_find_the_negatives_of_one_process(s3: S3, tmp_path: Path, bert: Path) -> None:
    local = on(config_of_labels(tmp_path, bert), str(tmp_path / "root"), "local")
    remote = on(local, s3.root("pairs"), "ray")
    cards = [mine_pairs.run(config, DAY) for config in (local, remote)]
    assert [card.upstream[0].stage for card in cards] == ["embed", "embed"]
    assert manifest_of(remote) == manifest_of(local)
    assert cards[0].figures == cards[1].figures
