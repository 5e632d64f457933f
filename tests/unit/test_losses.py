"""Losses against values computed by hand or by the published formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from theta_ray.config_finetune import Loss
from theta_ray.encoder.tokenize import TokenSequences
from theta_ray.errors import ConfigError
from theta_ray.training.batch import Batch, Keys, share
from theta_ray.training.objective import part_of_loss

NOTHING = np.zeros(0, np.int64)


def batch_of(groups: list[int], num_pairs: int, num_negatives: int = 0, tags: list[set[int]] | None = None) -> Batch:
    """A batch whose texts all differ; tokens play no part in a loss."""
    count = num_pairs * (2 + num_negatives)
    sequences = TokenSequences(NOTHING.astype(np.int32), NOTHING, NOTHING.astype(np.int32), count)
    sets = tuple(frozenset(tags[i]) if tags else frozenset() for i in range(count))
    return Batch(sequences, Keys(np.array(groups), np.arange(count), sets), num_pairs, num_negatives)


def value(vectors: list[list[float]], batch: Batch, loss: Loss) -> float:
    return float(part_of_loss(torch.tensor(vectors), batch, (0, 1), loss))


def test_simcse_has_the_published_value() -> None:
    batch = batch_of([-1] * 4, 2)
    loss = Loss(name="simcse", temperature=0.5)
    assert value([[1, 0], [0, 1], [1, 0.2], [0.1, 1]], batch, loss) == pytest.approx(0.322003, abs=1e-6)


@pytest.mark.parametrize(
    ("labels", "expected"),
    # with singletons counted as 0, as published, the second would be 0.150166
    [([0, 0, 1, 1], 0.300695), ([0, 0, 1, 2], 0.300332)],
)
def test_supcon_averages_over_texts_that_have_a_positive(labels: list[int], expected: float) -> None:
    loss = Loss(name="supcon", temperature=0.5)
    vectors = [[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.8]]
    assert value(vectors, batch_of(labels, 2), loss) == pytest.approx(expected, abs=1e-6)


def test_a_batch_of_labels_without_any_pair_has_no_loss() -> None:
    assert value([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.8]], batch_of([0, 1, 2, 3], 2), Loss(name="supcon")) == 0


def test_infonce_is_a_softmax_over_positives_and_negatives_of_all_pairs() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(8, 3, generator=torch.manual_seed(0)), dim=1)
    batch = batch_of([-1] * 8, 2, num_negatives=2)
    logits = vectors[:2] @ vectors[2:].T / 0.1
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1]))
    assert value(vectors.tolist(), batch, Loss(temperature=0.1)) == pytest.approx(float(expected), abs=1e-6)


def test_the_symmetric_form_is_the_mean_of_both_ways() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(6, 4, generator=torch.manual_seed(1)), dim=1)
    logits, targets = vectors[:3] @ vectors[3:].T / 0.2, torch.arange(3)
    both = [torch.nn.functional.cross_entropy(scores, targets) for scores in (logits, logits.T)]
    found = value(vectors.tolist(), batch_of([-1] * 6, 3), Loss(temperature=0.2, symmetric=True))
    assert found == pytest.approx(float(sum(both)) / 2, abs=1e-6)


def alike_batches() -> list[Batch]:
    same_text = batch_of([-1] * 6, 3)
    same_text.keys.texts[4] = same_text.keys.texts[3]
    tags: list[set[int]] = [{1}, {2}, {3}, {1, 9}, {2, 1}, {3}]
    return [batch_of([7, 7, 1, 7, 7, 1], 3), batch_of([-1] * 6, 3, tags=tags), same_text]


@pytest.mark.parametrize("batch", alike_batches(), ids=["group", "tag", "text"])
def test_columns_that_are_alike_are_no_negatives(batch: Batch) -> None:
    """Anchor 0 shares its group, a tag, or its positive's text with positive 1, so only positive 2 is a negative."""
    vectors = torch.nn.functional.normalize(torch.randn(6, 4, generator=torch.manual_seed(2)), dim=1)
    if batch.keys.texts[3] == batch.keys.texts[4]:
        batch.keys.texts[0] = batch.keys.texts[3]
    kept = vectors[0] @ vectors[[3, 5]].T / 0.05
    of_first = part_of_loss(vectors, batch, (0, 3), Loss())
    assert float(of_first) * 3 == pytest.approx(
        float(torch.nn.functional.cross_entropy(kept[None], torch.zeros(1).long())), abs=1e-5
    )
    unmasked = part_of_loss(vectors, batch, (0, 3), Loss(masks_false_negatives=False))
    assert float(unmasked) > float(of_first)


def test_a_triplet_counts_by_how_far_it_breaks_the_margin() -> None:
    vectors = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]  # anchor = positive, negative at distance sqrt 2
    batch = batch_of([-1] * 3, 1, num_negatives=1)
    assert value(vectors, batch, Loss(name="triplet", margin=0.5)) == pytest.approx(0, abs=1e-5)
    assert value(vectors, batch, Loss(name="triplet", margin=1.5)) == pytest.approx(1.5 - math.sqrt(2), abs=1e-5)


def test_hard_mining_takes_the_farthest_positive_and_the_nearest_negative() -> None:
    angles = torch.tensor([0.0, 0.9, 0.3, 2.0])
    vectors = torch.stack([angles.cos(), angles.sin()], dim=1)
    batch = batch_of([0, 0, 1, 1], 2)
    far = (vectors[:, None] - vectors[None]).norm(dim=2)
    hardest = [far[0, 1] - far[0, 2], far[1, 0] - far[1, 2], far[2, 3] - far[2, 0], far[3, 2] - far[3, 1]]
    expected = sum(max(0.0, float(gap) + 0.5) for gap in hardest) / 4
    loss = Loss(name="triplet", mining="batch_hard")
    assert value(vectors.tolist(), batch, loss) == pytest.approx(expected, abs=1e-5)


def test_semi_hard_mining_takes_the_nearest_negative_that_is_farther_than_the_positive() -> None:
    angles = torch.tensor([0.0, 0.9, 0.3, 2.0])
    vectors = torch.stack([angles.cos(), angles.sin()], dim=1)
    far = (vectors[:, None] - vectors[None]).norm(dim=2)
    # 0: only text 3 is farther than 1; 1: only 3; 2 and 3: none is farther, so the farthest counts
    gaps = [far[0, 1] - far[0, 3], far[1, 0] - far[1, 3], far[2, 3] - far[2, 1], far[3, 2] - far[3, 0]]
    expected = sum(max(0.0, float(gap) + 0.5) for gap in gaps) / 4
    loss = Loss(name="triplet", mining="semi_hard")
    assert value(vectors.tolist(), batch_of([0, 0, 1, 1], 2), loss) == pytest.approx(expected, abs=1e-5)


def test_matryoshka_is_the_mean_over_widths_each_of_unit_length() -> None:
    vectors = torch.randn(6, 8, generator=torch.manual_seed(3))
    batch = batch_of([-1] * 6, 3)
    each = [value(vectors[:, :width].tolist(), batch, Loss()) for width in (8, 4, 2)]
    assert value(vectors.tolist(), batch, Loss(dims=(4, 2))) == pytest.approx(sum(each) / 3, abs=1e-6)


def test_focal_weights_count_solved_rows_less() -> None:
    vectors = [[1.0, 0.0], [0.0, 1.0], [0.9, 0.1], [0.6, 0.5]]
    plain, focal = (value(vectors, batch_of([-1] * 4, 2), Loss(temperature=0.5, focal=focal)) for focal in (0, 0.5))
    assert 0 < focal < plain


@pytest.mark.parametrize("margin", [0.0, 2.0, 5.0])
def test_a_margin_that_unit_vectors_cannot_keep_is_refused(margin: float) -> None:
    from theta_ray.training.losses import check_margin

    with pytest.raises(ConfigError, match=r"finetune.margin .*: unit vectors are at most 2 apart"):
        check_margin(margin)


def test_triplets_without_negatives_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"the pairs have no negatives; set pairs.negatives or loss.mining"):
        value([[1, 0], [0, 1]], batch_of([-1, -1], 1), Loss(name="triplet"))


@pytest.mark.parametrize("count", [1, 5, 8])
@pytest.mark.parametrize("workers", [1, 3, 8])
def test_workers_share_all_rows(count: int, workers: int) -> None:
    rows = [place for rank in range(workers) for place in range(count)[share(count, rank, workers)]]
    assert rows == list(range(count))
