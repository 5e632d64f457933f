"""A base whose layers are sharded over two processes learns what one process learns, and each holds half of them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.corpora import DAY
from tests.models import save_bert, save_qwen3
from tests.tuned import tuning_config
from theta_ray.encoder.layers import find_layers
from theta_ray.training import finetune
from theta_ray.training.checkpoint import remove_checkpoints
from theta_ray.training.fsdp import resident_bytes
from theta_ray.training.loop import Learner, TrainJob
from theta_ray.training.step import Alone, Distributed, Step, Workers, add_gradients

SAVE = {"bert": save_bert, "qwen3": save_qwen3}


@dataclass(frozen=True)
class Learned:
    """What one worker has seen."""

    gradient: np.ndarray
    """Of the first step."""
    losses: list[float]
    metrics: dict[str, Any]
    bytes_of_layers: int
    """That it held of the frozen layers when training was over."""


def learn(job: TrainJob, workers: Workers) -> Learned:
    """Train and evaluate."""
    learner = Learner(job, workers)
    parameters, settings = list(learner.parameters.values()), job.finetune
    step = Step(learner.encoder, learner.encoder.width, parameters, workers, settings.loss, settings.pack_tokens, 0)
    learner.encoder.train()
    add_gradients(replace(step, equal_passes=learner.is_sharded), learner.data.batch(learner.order, 0), 0)
    gradient = torch.cat([parameter.grad.flatten() for parameter in parameters if parameter.grad is not None])
    progress = learner.train(lambda _: None)
    metrics = learner.evaluate()
    layers = find_layers(learner.encoder.model, 2)
    assert layers is not None
    learning = sum(p.numel() * 4 for p in layers.parameters() if p.requires_grad)
    return Learned(gradient.numpy(), progress.losses, metrics, resident_bytes(layers) - learning)


def learn_as(rank: int, job: TrainJob, store: str) -> Learned:
    """One of two processes over gloo."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    try:
        return learn(job, Distributed(rank, 2))
    finally:
        torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize(
    ("family", "section"),
    [
        # many packs, of which one worker has more; then one pack for two workers; each with dropout
        ("bert", {"pack_tokens": 64, "projection": 8}),
        ("bert", {"pack_tokens": 100_000, "gradient_checkpointing": True}),
        ("qwen3", {"pack_tokens": 50, "gradient_checkpointing": True}),
    ],
)
def test_sharded_layers_learn_what_one_process_learns(
    family: str, section: dict[str, Any], processes: ProcessPoolExecutor, tmp_path: Path
) -> None:
    config = tuning_config(tmp_path, SAVE[family](tmp_path / family), max_steps=3, **section)
    finetune.mine_pairs.run(config, DAY)
    job = finetune.make_job(config, DAY).job
    one = learn(job, Alone())
    remove_checkpoints(job.adapter)
    waiting = [processes.submit(learn_as, rank, replace(job, fsdp=True), str(tmp_path / "store")) for rank in (0, 1)]
    two = [each.result(timeout=240) for each in waiting]
    largest = np.abs(one.gradient).max()
    assert largest > 0
    for found in two:
        assert np.abs(found.gradient - one.gradient).max() / largest < 1e-5
        assert found.losses == pytest.approx(one.losses, rel=1e-5)
        assert found.metrics == two[0].metrics
        for name, row in one.metrics.items():
            assert found.metrics[name]["base"]["value"] == pytest.approx(row["base"]["value"], abs=1e-4), name
        assert found.bytes_of_layers == pytest.approx(one.bytes_of_layers / 2, rel=0.02)  # rows of odd counts
