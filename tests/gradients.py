"""One optimizer step of a small model, for tests: a batch of everything that losses ask for, and its gradient."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch

from tests.models import save_bert, save_qwen3
from theta_ray.config import Encoder
from theta_ray.config_finetune import Loss
from theta_ray.encoder.source import resolve_model
from theta_ray.training.batch import Batch, Keys
from theta_ray.training.classifier import Classifier
from theta_ray.training.encode import LearningEncoder
from theta_ray.training.language import NextToken
from theta_ray.training.local_copy import key_of
from theta_ray.training.step import Step, Workers, add_gradients

WORDS = ("sun", "moon", "rain", "coffee", "tea", "city", "road", "river", "bird", "song")
CLASSES = ("label 0", "label 1", "label 2", "label 3")
NUM_PAIRS, NUM_NEGATIVES, WIDTH = 7, 2, 16
ALL_TOKENS = 10**6
SEED, NUMBER = 3, 5


def make_encoder(family: str, folder: Path, *, projection: int | None = WIDTH) -> LearningEncoder:
    """A BERT with mean pooling or a Qwen3 with its last token, all of whose numbers learn."""
    save, pooling = {"bert": (save_bert, "mean"), "qwen3": (save_qwen3, "last")}[family]
    config = Encoder.model_validate({"model": str(save(folder)), "pooling": pooling})
    encoder = LearningEncoder(config, resolve_model(config), device="cpu", projection=projection)
    for parameter in encoder.parameters():
        parameter.requires_grad_()
    return encoder.train()


def make_batch(encoder: LearningEncoder, seed: int = 0) -> Batch:
    """Pairs of four labels with tags and negatives, one of which is missing, and a teacher's vectors of all texts."""
    rng = np.random.default_rng(seed)
    count = NUM_PAIRS * (2 + NUM_NEGATIVES)
    texts = [" ".join(rng.choice(WORDS, rng.integers(1, 9))) for _ in range(count)]
    labels = np.array([key_of(CLASSES[label]) for label in rng.integers(0, len(CLASSES), NUM_PAIRS)])
    groups = np.concatenate([labels, labels, np.full(NUM_PAIRS * NUM_NEGATIVES, -1)])
    tags = tuple(frozenset(rng.integers(0, 30, rng.integers(0, 3)).tolist()) for _ in range(count))
    text_keys = np.unique(texts, return_inverse=True)[1]
    missing = np.arange(count) == count - 1
    teacher = rng.normal(size=(count, WIDTH)).astype(np.float32) * ~missing[:, None]
    keys = Keys(groups, text_keys, tags)
    whole = Batch(encoder.tokenizer.encode(texts), keys, NUM_PAIRS, NUM_NEGATIVES, missing, teacher)
    return whole.only(~missing)


def gradient(
    encoder: LearningEncoder, workers: Workers, loss: Loss, pack_tokens: int, batch: Batch | None = None
) -> tuple[float, torch.Tensor]:
    """Loss and gradient of a batch, on parameters of this worker's own; a head's come last."""
    parameters, of_texts = [p for p in encoder.parameters() if p.requires_grad], None
    if loss.name == "clm":
        of_texts = NextToken(encoder)
    if loss.name == "ce_head":
        of_texts = Classifier(encoder, CLASSES, loss, SEED)
        of_texts.head.train(encoder.training)
        parameters += list(of_texts.head.parameters())
    num_layers = encoder.earlier.num_layers if loss.layers else 0
    step = Step(
        encoder,
        encoder.width,
        parameters,
        workers,
        loss,
        pack_tokens,
        SEED,
        of_texts=of_texts,
        num_layers=num_layers,
    )
    value = add_gradients(step, batch or make_batch(encoder), NUMBER)
    return value, flat(parameters)


def flat(parameters: list[torch.nn.Parameter]) -> torch.Tensor:
    """Their gradients, zeros where there is none."""
    return torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters])


def copies(encoder: LearningEncoder, count: int) -> list[LearningEncoder]:
    """The model so many times over, without gradients."""
    made = [copy.deepcopy(encoder) for _ in range(count)]
    for one in made:
        one.zero_grad()
    return made


def assert_equal(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Within 1e-5 of the largest value."""
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-5
