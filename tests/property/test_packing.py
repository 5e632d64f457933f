from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from theta_ray.encoder.packing import plan_packs

LENGTHS = st.lists(st.integers(0, 300), max_size=80).map(lambda values: np.array(values, np.int64))
BUDGETS = st.integers(16, 1000)


@given(LENGTHS, BUDGETS)
def test_every_sequence_with_a_token_is_in_exactly_one_pack(lengths: np.ndarray, max_tokens: int) -> None:
    packs = plan_packs(lengths, max_tokens)
    assert sorted(index for pack in packs for index in pack.sequences_B) == np.flatnonzero(lengths).tolist()
    assert all((pack.lengths_B == lengths[pack.sequences_B]).all() for pack in packs)


@given(LENGTHS, BUDGETS)
def test_a_pack_of_several_sequences_stays_in_the_budget(lengths: np.ndarray, max_tokens: int) -> None:
    for pack in plan_packs(lengths, max_tokens):
        assert len(pack.sequences_B) == 1 or pack.num_tokens <= max_tokens


@given(LENGTHS, BUDGETS)
def test_no_pack_could_have_taken_the_first_sequence_of_the_next(lengths: np.ndarray, max_tokens: int) -> None:
    packs = plan_packs(lengths, max_tokens)
    for pack, following in zip(packs, packs[1:], strict=False):
        assert pack.num_tokens + following.lengths_B[0] > max_tokens
        assert pack.lengths_B[-1] >= following.lengths_B[0]


@given(LENGTHS, BUDGETS)
def test_positions_offsets_and_groups_tell_of_the_same_sequences(lengths: np.ndarray, max_tokens: int) -> None:
    for pack in plan_packs(lengths, max_tokens):
        assert pack.positions_T.tolist() == [place for length in pack.lengths_B for place in range(length)]
        assert np.diff(pack.offsets).tolist() == pack.lengths_B.tolist()
        assert [length for count, length in pack.groups for _ in range(count)] == pack.lengths_B.tolist()
        assert len(pack.groups) == len(set(pack.lengths_B.tolist()))


@given(LENGTHS.filter(lambda lengths: (lengths > 0).sum() > 1), BUDGETS)
def test_a_split_takes_what_fits_and_leaves_the_rest(lengths: np.ndarray, max_tokens: int) -> None:
    (pack,) = plan_packs(lengths, int(lengths.sum()))
    first, rest = pack.split(max_tokens)
    assert [*first.sequences_B, *rest.sequences_B] == pack.sequences_B.tolist()
    assert len(first.sequences_B) == 1 or first.num_tokens <= max_tokens
    assert not len(rest.lengths_B) or first.num_tokens + rest.lengths_B[0] > max_tokens
