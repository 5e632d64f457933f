"""The gradient of a global batch is the same on 1, 2 and 4 workers, in one pack or in many, dropout included."""

from __future__ import annotations

import pytest
import torch

from tests.gradients import ALL_TOKENS, assert_equal, copies, gradient, make_batch, make_encoder
from tests.lockstep import Lockstep
from theta_ray.config_finetune import Loss
from theta_ray.training.encode import LearningEncoder
from theta_ray.training.objective import LOSSES, LOSSES_OF_TEXTS
from theta_ray.training.step import Alone, Step, add_gradients

TEACHER = "embeddings/0123456789ab/dt=2026-01-31"
SETTINGS = {
    "infonce": Loss(),
    "infonce both ways": Loss(symmetric=True),
    "infonce, focal": Loss(focal=0.5),
    "infonce, matryoshka": Loss(dims=(16, 8)),
    "infonce, two layers": Loss(layers=True),
    "simcse": Loss(name="simcse"),
    "supcon": Loss(name="supcon"),
    "supcon, two layers and widths": Loss(name="supcon", layers=True, dims=(8, 4)),
    "triplet": Loss(name="triplet", margin=1.0),
    "triplet, batch hard": Loss(name="triplet", mining="batch_hard"),
    "triplet, semi-hard": Loss(name="triplet", mining="semi_hard"),
    "distill": Loss(name="distill", teacher=TEACHER),
    "distill, margins": Loss(name="distill", teacher=TEACHER, imitated="margin_mse"),
    "distill, similarities": Loss(name="distill", teacher=TEACHER, similarity_weight=2),
    "classes": Loss(name="ce_head"),
    "classes, focal": Loss(name="ce_head", focal=2),
    "next token": Loss(name="clm"),
}
FAMILIES = ("bert", "qwen3")
CASES = [(family, name) for family in FAMILIES for name in SETTINGS if (family, name) != ("bert", "next token")]


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LearningEncoder]:
    return {family: make_encoder(family, tmp_path_factory.mktemp(family)) for family in FAMILIES}


@pytest.mark.parametrize(("family", "name"), CASES, ids=[f"{name}, {family}" for family, name in CASES])
def test_the_gradient_does_not_depend_on_workers_or_packs(
    encoders: dict[str, LearningEncoder], family: str, name: str
) -> None:
    encoder, loss = encoders[family].train(), SETTINGS[name]
    # one pass with its graph needs no replay; small packs are computed twice
    for pack_tokens, sizes in ((64, (2, 4)), (ALL_TOKENS, (2,))):
        (one,) = copies(encoder, 1)
        value, expected = gradient(one, Alone(), loss, pack_tokens)
        assert value > 0
        assert expected.abs().max() > 0
        for size in sizes:
            ranks = copies(encoder, size)
            found = Lockstep(size).run(lambda rank: gradient(ranks[rank.rank], rank, loss, pack_tokens))  # noqa: B023
            for rank_value, rank_gradient in found:
                assert rank_value == pytest.approx(value, rel=1e-5)
                assert_equal(rank_gradient, expected)
    encoder.eval()  # other packs have other dropout
    small, whole = (gradient(copies(encoder, 1)[0], Alone(), loss, tokens) for tokens in (64, ALL_TOKENS))
    assert small[0] == pytest.approx(whole[0], rel=1e-5)
    assert_equal(small[1], whole[1])


def test_every_loss_is_among_those_above() -> None:
    assert {loss.name for loss in SETTINGS.values()} == {*LOSSES, *LOSSES_OF_TEXTS}


@pytest.mark.parametrize("family", FAMILIES)
def test_dropout_is_on_and_follows_the_step(encoders: dict[str, LearningEncoder], family: str) -> None:
    encoder = encoders[family].train()
    values = []
    for number in (1, 1, 2):
        (one,) = copies(encoder, 1)
        step = Step(one, one.width, list(one.parameters()), Alone(), Loss(), 64, seed=3)
        values.append(add_gradients(step, make_batch(encoder), number))
    assert values[0] == values[1]
    assert (values[1] != values[2]) == (family == "bert")  # Qwen3 has none of its own


@pytest.mark.parametrize("family", FAMILIES)
def test_the_dropout_of_a_head_is_on(encoders: dict[str, LearningEncoder], family: str) -> None:
    encoder = encoders[family].eval()
    loss = Loss(name="ce_head")
    (one,) = copies(encoder, 1)
    without, _ = gradient(one, Alone(), loss, 64)
    one = copies(encoder, 1)[0].train()
    for module in one.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # only the head's is left
    assert gradient(one, Alone(), loss, 64)[0] != pytest.approx(without, rel=1e-3)
