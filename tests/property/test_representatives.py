"""Representative documents: chosen from parts they are those chosen from all, and no template comes twice."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theta_ray.topics.representatives import (
    CANDIDATES,
    TEMPLATES,
    add_up_templates,
    choose,
    count_templates,
    largest_templates,
    rank_by,
    template,
    template_key,
)
from theta_ray.topics.words import plain

ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4), st.sampled_from([0.1, 0.2, 0.3, float("inf")])))
Row = tuple[int, int, float]


def table(rows: list[tuple[int, Row]]) -> pa.Table:
    names = CANDIDATES.names
    values = [(cluster, key, rank, f"d{number:03d}", "") for number, (cluster, key, rank) in rows]
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in values], schema=CANDIDATES)


@given(ROWS, st.integers(0, 10), st.integers(0, 4))
def test_chosen_from_parts_are_chosen_from_all(rows: list[Row], cut: int, limit: int) -> None:
    numbered = list(enumerate(rows))
    whole = choose([table(numbered)], limit)
    parts = [choose([table(numbered[:cut])], limit), choose([table(numbered[cut:])], limit)]
    assert choose(parts, limit).equals(whole)
    found = whole.to_pylist()
    assert len({(row["cluster_id"], row["template"]) for row in found}) == len(found)
    assert all(np.isfinite(row["rank_by"]) for row in found)
    best = {}
    for number, (cluster, key, rank) in numbered:
        if rank < 1:
            best[cluster, key] = min(best.get((cluster, key), (rank, number)), (rank, number))
    expected = sorted((cluster, rank, number) for (cluster, _), (rank, number) in best.items())
    kept = [row for i, row in enumerate(expected) if sum(r[0] == row[0] for r in expected[:i]) < limit]
    assert [row["doc_id"] for row in found] == [f"d{number:03d}" for _, _, number in kept]


@given(ROWS, st.integers(0, 10))
def test_templates_add_up(rows: list[Row], cut: int) -> None:
    values = [(key, cluster, f"d{number:03d}", 1) for number, (cluster, key, _) in enumerate(rows)]
    made = [dict(zip(TEMPLATES.names, row, strict=True)) for row in values]
    parts = [add_up_templates([pa.Table.from_pylist(part, schema=TEMPLATES)]) for part in (made[:cut], made[cut:])]
    whole = add_up_templates([pa.Table.from_pylist(made, schema=TEMPLATES)])
    assert add_up_templates(parts).equals(whole)
    assert sum(whole["documents"].to_pylist()) == len(rows)
    assert sum(count_templates(whole).values()) == whole.num_rows
    largest = largest_templates(whole, 1).to_pylist()
    assert all(row["documents"] > 1 for row in largest)


def test_a_template_has_no_numbers_addresses_and_mentions() -> None:
    texts = [
        "@bob Win 1,000 EUR at https://t.co/a1 now!",
        "@eve_2 win 25 eur at http://x.org/b?c=3  NOW!",
        "@bob Win 1,000 EUR at https://t.co/a1 later!",
    ]
    assert template(plain(texts[0])) == "win 0 eur at now!"
    keys = [template_key(plain(text)) for text in texts]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("role", ["representative", "borderline"])
def test_documents_without_a_number_are_ranked_nowhere(role: str) -> None:
    values = np.array([0.5, np.nan, np.inf, 0.25], np.float32)
    found = rank_by(values, values, role)  # type: ignore[arg-type]
    order = [3, 0] if role == "borderline" else [0, 3]
    assert [i for i in np.argsort(found, kind="stable").tolist() if np.isfinite(found[i])] == order
