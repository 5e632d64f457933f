"""Fine-tuning on Ray Train: two processes over gloo take the steps of one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.corpora import DAY
from tests.tuned import tuning_config
from theta_ray.errors import InputError
from theta_ray.objects import read_bytes
from theta_ray.training import finetune


@pytest.mark.usefixtures("ray_cluster")
def test_two_workers_take_the_steps_of_one_with_whole_and_with_sharded_layers(bert: Path, tmp_path: Path) -> None:
    found = []
    two_workers = {"executor": "ray", "num_actors": 2}
    for workers, resources in ((1, {}), (2, two_workers), (2, {**two_workers, "fsdp": True})):
        # many small packs, and dropout of the model and of the adapter
        config = tuning_config(tmp_path, bert, resources=resources, pack_tokens=64, max_steps=6)
        card = finetune.run(config, DAY)
        assert card.figures["workers"] == workers
        adapter = finetune.make_job(config, DAY).job.adapter
        found.append(json.loads(read_bytes(adapter.at("metrics.json"))))
        shutil.rmtree(adapter.path)
    one, *others = found
    for other in others:
        assert other["losses"] == pytest.approx(one["losses"], rel=1e-4)
        assert other["tuned"]["mrr"]["value"] == pytest.approx(one["tuned"]["mrr"]["value"], abs=0.02)


@pytest.mark.usefixtures("ray_cluster")
def test_an_error_of_all_workers_is_one_line_and_not_tried_again(bert: Path, tmp_path: Path) -> None:
    resources = {"executor": "ray", "num_actors": 2}
    config = tuning_config(tmp_path, bert, resources=resources, loss={"name": "triplet"})
    with pytest.raises(InputError, match=r"^[^\n]*has no negatives; set pairs\.negatives, or finetune\.loss\.mining$"):
        finetune.run(config, DAY)
