"""Loss and gradient of a step are those of plain torch, or of transformers, on all texts in one graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, kl_div, normalize
from transformers import AutoModelForCausalLM

from tests.gradients import CLASSES, NUM_PAIRS, SEED, assert_equal, copies, flat, gradient, make_batch, make_encoder
from theta_ray.config_finetune import Loss
from theta_ray.encoder.packing import Pack
from theta_ray.training import language
from theta_ray.training.batch import Batch, Keys
from theta_ray.training.classifier import Classifier
from theta_ray.training.encode import LearningEncoder
from theta_ray.training.local_copy import key_of
from theta_ray.training.step import Alone

TEACHER = "embeddings/0123456789ab/dt=2026-01-31"
BOTH = 2 * NUM_PAIRS


@pytest.fixture(scope="module", params=["bert", "qwen3"])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LearningEncoder:
    return make_encoder(request.param, tmp_path_factory.mktemp(request.param)).eval()


def alone(encoder: LearningEncoder, batch: Batch, **options: int) -> torch.Tensor:
    """[S, D] vectors, each text in a pass of its own; zeros where one is missing."""
    packs = [Pack(np.array([text]), batch.sequences.lengths[[text]]) for text in range(batch.num_texts)]
    found = [encoder(batch, pack, **options)[0] for pack in packs if pack.num_tokens]
    missing = [torch.zeros_like(found[0])] * (batch.num_texts - len(found))  # the last ones
    return torch.stack([*found, *missing])


def check(encoder: LearningEncoder, loss: Loss, plain: LearningEncoder, expected: torch.Tensor, *more: object) -> None:
    """The step's loss and gradient are those of `expected` on the parameters of `plain`."""
    expected.backward()
    value, found = gradient(copies(encoder, 1)[0], Alone(), loss, 64)
    assert value == pytest.approx(expected.item(), rel=1e-5)
    assert_equal(found, flat([*plain.parameters(), *more]))  # type: ignore[list-item]


def test_infonce(encoder: LearningEncoder) -> None:
    (plain,) = copies(encoder, 1)
    loss = Loss(masks_false_negatives=False)
    unit = normalize(alone(plain, make_batch(encoder)), dim=1)
    logits = unit[:NUM_PAIRS] @ unit[NUM_PAIRS:-1].T / loss.temperature  # the last negative is missing
    check(encoder, loss, plain, cross_entropy(logits, torch.arange(NUM_PAIRS)))


def test_a_classifier_on_the_vectors_as_they_are_pooled(encoder: LearningEncoder) -> None:
    (plain,) = copies(encoder, 1)
    loss, batch = Loss.model_validate({"name": "ce_head", "head": {"widths": [6]}}), make_batch(encoder)
    head = Classifier(plain, CLASSES, loss, SEED).head.eval()
    numbers = {key_of(name): number for number, name in enumerate(CLASSES)}
    classes = torch.tensor([numbers[key] for key in batch.keys.groups[:BOTH].tolist()])
    logits = head[2:](torch.relu(head[0](alone(plain, batch)[:BOTH])))
    check(encoder, loss, plain, cross_entropy(logits, classes), *head.parameters())


def test_the_vectors_of_a_teacher(encoder: LearningEncoder) -> None:
    (plain,) = copies(encoder, 1)
    batch = make_batch(encoder)
    assert batch.teacher is not None
    expected = 1 - torch.cosine_similarity(alone(plain, batch), torch.from_numpy(batch.teacher))[:-1]
    check(encoder, Loss(name="distill", teacher=TEACHER), plain, expected.mean())


def test_the_margins_of_a_teacher_and_its_similarities(encoder: LearningEncoder) -> None:
    (plain,) = copies(encoder, 1)
    batch = make_batch(encoder)
    assert batch.teacher is not None
    ours, theirs = (
        (unit @ unit.T)
        for unit in (normalize(alone(plain, batch), dim=1), normalize(torch.from_numpy(batch.teacher), dim=1))
    )
    triplets = [(pair, BOTH + 2 * pair + number) for pair in range(NUM_PAIRS) for number in (0, 1)][:-1]
    margins = [(s[pair, NUM_PAIRS + pair] - s[pair, negative]) for pair, negative in triplets for s in (ours, theirs)]
    squared = [(one - other) ** 2 for one, other in zip(margins[::2], margins[1::2], strict=True)]
    off = ~torch.eye(batch.num_texts - 1, dtype=torch.bool)
    alike = (ours[:-1, :-1] - theirs[:-1, :-1])[off].square().mean()
    loss = Loss(name="distill", teacher=TEACHER, imitated="margin_mse", similarity_weight=3)
    check(encoder, loss, plain, torch.stack(squared).mean() + 3 * alike)


def test_two_layers(encoder: LearningEncoder) -> None:
    (plain,) = copies(encoder, 1)
    loss = Loss(layers=True, masks_false_negatives=False)
    both = alone(plain, make_batch(encoder), num_layers=1)
    last, earlier = (normalize(half, dim=1) for half in both.chunk(2, dim=1))
    losses = [
        cross_entropy(unit[:NUM_PAIRS] @ unit[NUM_PAIRS:-1].T / loss.temperature, torch.arange(NUM_PAIRS))
        for unit in (last, earlier)
    ]
    off = ~torch.eye(BOTH, dtype=torch.bool)
    target, found = (
        (unit[:BOTH] @ unit[:BOTH].T)[off].view(BOTH, BOTH - 1).div(0.3) for unit in (last.detach(), earlier)
    )
    divergence = kl_div(found.log_softmax(dim=1), target.softmax(dim=1), reduction="batchmean")
    # the first of two layers counts half
    check(encoder, loss, plain, losses[0] + losses[1] / 2 + 0.3 * divergence)


@pytest.mark.parametrize("max_logits", [language.MAX_LOGITS, 1200], ids=["at once", "three tokens at a time"])
def test_the_next_token_of_transformers_own_causal_model(
    max_logits: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language, "MAX_LOGITS", max_logits)
    encoder = make_encoder("qwen3", tmp_path, projection=None).eval()
    texts = ["the sun", "a river runs", "the sun", "rain", "coffee and tea in the city", "a river runs"]
    sequences = encoder.tokenizer.encode(texts)
    batch = Batch(sequences, Keys(np.zeros(6, np.int64), np.arange(6)), num_pairs=3)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    total, count = torch.zeros(()), 0
    for text in (0, 1, 3, 4):  # each text once
        ids = torch.from_numpy(sequences.tokens[sequences.offsets[text] : sequences.offsets[text + 1]].astype(np.int64))
        total = total + theirs(input_ids=ids[None], labels=ids[None]).loss * (len(ids) - 1)
        count += len(ids) - 1
    (total / count).backward()
    for pack_tokens in (16, 1000):
        (one,) = copies(encoder, 1)
        value, _ = gradient(one, Alone(), Loss(name="clm"), pack_tokens, batch)
        assert value == pytest.approx(total.item() / count, rel=1e-5)
        expected = dict(theirs.model.named_parameters())
        assert expected["embed_tokens.weight"].grad is not None
        for name, parameter in one.model.named_parameters():
            assert parameter.grad is not None
            assert_equal(parameter.grad, expected[name].grad)
