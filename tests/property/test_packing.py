from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from theta_ray.encoder.packing import padded_tokens, plan_batches

LENGTHS = st.lists(st.integers(1, 300), max_size=80).map(lambda values: np.array(values, np.int64))


@given(LENGTHS, st.integers(16, 1000))
def test_every_sequence_is_in_exactly_one_batch(lengths: np.ndarray, batch_tokens: int) -> None:
    batches = plan_batches(lengths, batch_tokens)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))


@given(LENGTHS, st.integers(16, 1000))
def test_a_batch_of_several_sequences_stays_in_the_budget(lengths: np.ndarray, batch_tokens: int) -> None:
    for batch in plan_batches(lengths, batch_tokens):
        assert len(batch) == 1 or lengths[batch].max() * len(batch) <= batch_tokens


@given(LENGTHS, st.integers(16, 1000))
def test_padding_is_counted_and_never_more_than_without_sorting(lengths: np.ndarray, batch_tokens: int) -> None:
    padded = padded_tokens(lengths, plan_batches(lengths, batch_tokens))
    assert lengths.sum() <= padded <= len(lengths) * lengths.max(initial=0)


def test_equal_lengths_need_no_padding() -> None:
    lengths = np.full(100, 7, np.int64)
    assert padded_tokens(lengths, plan_batches(lengths, 64)) == 700
