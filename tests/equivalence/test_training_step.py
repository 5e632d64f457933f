"""The gradient of a global batch is the same on 1, 2 and 4 workers, in one pack or in many, dropout included."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from tests.lockstep import Lockstep
from tests.models import save_bert, save_qwen3
from theta_ray.config import Encoder
from theta_ray.config_finetune import Loss
from theta_ray.encoder.packing import Pack
from theta_ray.encoder.source import resolve_model
from theta_ray.training.batch import Batch, Keys
from theta_ray.training.encode import LearningEncoder
from theta_ray.training.step import Alone, Step, Workers, add_gradients

WORDS = ("sun", "moon", "rain", "coffee", "tea", "city", "road", "river", "bird", "song")
LOSSES = {
    "infonce": Loss(),
    "infonce both ways": Loss(symmetric=True),
    "infonce, focal": Loss(focal=0.5),
    "infonce, matryoshka": Loss(dims=(16, 8)),
    "simcse": Loss(name="simcse"),
    "supcon": Loss(name="supcon"),
    "triplet": Loss(name="triplet", margin=1.0),
    "triplet, batch hard": Loss(name="triplet", mining="batch_hard"),
    "triplet, semi-hard": Loss(name="triplet", mining="semi_hard"),
}
NUM_PAIRS, NUM_NEGATIVES = 7, 2
ALL_TOKENS = 10**6


@pytest.fixture(scope="module", params=["bert", "qwen3"])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LearningEncoder:
    save = {"bert": save_bert, "qwen3": save_qwen3}[request.param]
    config = Encoder(model=str(save(tmp_path_factory.mktemp("model") / request.param)), pooling=pooling(request.param))
    learning = LearningEncoder(config, resolve_model(config), device="cpu", projection=16)
    for parameter in learning.parameters():
        parameter.requires_grad_()
    return learning.train()


def pooling(family: str) -> str:
    return "mean" if family == "bert" else "last"


def make_batch(encoder: LearningEncoder, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    count = NUM_PAIRS * (2 + NUM_NEGATIVES)
    texts = [" ".join(rng.choice(WORDS, rng.integers(1, 9))) for _ in range(count)]
    labels = rng.integers(0, 4, NUM_PAIRS)
    groups = np.concatenate([labels, labels, np.full(NUM_PAIRS * NUM_NEGATIVES, -1)])
    tags = tuple(frozenset(rng.integers(0, 30, rng.integers(0, 3)).tolist()) for _ in range(count))
    text_keys = np.unique(texts, return_inverse=True)[1]
    return Batch(encoder.tokenizer.encode(texts), Keys(groups, text_keys, tags), NUM_PAIRS, NUM_NEGATIVES)


def gradient(encoder: LearningEncoder, workers: Workers, loss: Loss, pack_tokens: int) -> tuple[float, torch.Tensor]:
    """Loss and gradient of one batch, on parameters of this worker's own."""
    parameters = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    step = Step(encoder, encoder.width, parameters, workers, loss, pack_tokens, seed=3)
    value = add_gradients(step, make_batch(encoder), number=5)
    return value, torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])


def copies(encoder: LearningEncoder, count: int) -> list[LearningEncoder]:
    made = [copy.deepcopy(encoder) for _ in range(count)]
    for one in made:
        one.zero_grad()
    return made


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_the_gradient_does_not_depend_on_workers_or_packs(encoder: LearningEncoder, loss: Loss) -> None:
    encoder.train()
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


def assert_equal(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Within 1e-5 of the largest value."""
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-5


def test_dropout_is_on_and_follows_the_step(encoder: LearningEncoder) -> None:
    encoder.train()
    values = []
    for number in (1, 1, 2):
        (one,) = copies(encoder, 1)
        step = Step(one, one.width, list(one.parameters()), Alone(), Loss(), 64, seed=3)
        values.append(add_gradients(step, make_batch(encoder), number))
    assert values[0] == values[1]
    assert (values[1] != values[2]) == (encoder.model.config.model_type == "bert")  # Qwen3 has none of its own


def test_the_gradient_is_that_of_plain_torch(encoder: LearningEncoder) -> None:
    """InfoNCE on vectors of the whole batch in one graph, without packs, workers or masks."""
    encoder.eval()
    loss = Loss(masks_false_negatives=False)
    batch = make_batch(encoder)
    value, found = gradient(copies(encoder, 1)[0], Alone(), loss, 64)
    (plain,) = copies(encoder, 1)
    packs = [Pack(np.array([text]), batch.sequences.lengths[[text]]) for text in range(batch.num_texts)]
    vectors = [plain(batch, pack)[0] for pack in packs]
    unit = torch.nn.functional.normalize(torch.stack(vectors), dim=1)
    logits = unit[:NUM_PAIRS] @ unit[NUM_PAIRS:].T / loss.temperature
    expected = torch.nn.functional.cross_entropy(logits, torch.arange(NUM_PAIRS))
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-5)
    assert_equal(found, torch.cat([p.grad.flatten() for p in plain.parameters() if p.grad is not None]))
