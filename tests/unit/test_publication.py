"""Publications: each version is created once, one of them counts, and what a rollback takes back stays back."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theta_ray.errors import ConflictError, InputError
from theta_ray.publication import Publications, content_of


def content(day: int, tables: int) -> dict[str, Any]:
    """What one night publishes."""
    return {"date": f"2026-01-{day:02d}", "tables": {"corpus": {"version": tables}}}


def published(publications: Publications, *contents: dict[str, Any]) -> list[int]:
    """The version that counts after each."""
    found = []
    for each in contents:
        publications.publish(each, publications.highest())
        current = publications.read()
        assert current is not None
        found.append(current["version"])
    return found


@pytest.fixture
def publications(tmp_path: Path) -> Publications:
    return Publications(str(tmp_path), "small")


def test_the_latest_day_counts_and_its_newest_version(publications: Publications) -> None:
    assert publications.read() is None
    assert publications.of_day("2026-01-01") is None
    assert published(publications, content(1, 1), content(2, 1), content(1, 2), content(2, 2)) == [1, 2, 2, 4]
    late = publications.of_day("2026-01-01")
    assert late is not None
    assert late["version"] == 3
    assert publications.of_day("2026-01-03") is None


def test_another_run_that_publishes_in_between_is_not_overtaken_unseen(publications: Publications) -> None:
    before = publications.highest()
    publications.publish(content(1, 1), before)
    publications.publish(content(1, 1), before)  # the same again is the same object
    with pytest.raises(ConflictError, match=r"00000001.json: another run has published something else"):
        publications.publish(content(1, 2), before)
    assert publications.versions() == [1]


def test_a_rollback_publishes_again_and_withdraws_what_came_after(publications: Publications) -> None:
    published(publications, content(1, 1), content(2, 1), content(2, 2))
    made = publications.restore(2)
    assert (made["version"], made["withdrawn"], made["current"]) == (4, [3], 4)
    assert publications.withdrawn_version(content(2, 2)) == 3
    assert publications.withdrawn_version(content(2, 3)) is None
    assert publications.restore(2) == made  # twice is once
    made = publications.restore(3)  # taken back into use
    assert (made["version"], made["withdrawn"]) == (5, [])
    assert content_of(made) == content(2, 2)


def test_after_a_rollback_to_the_day_before_a_new_night_counts(publications: Publications) -> None:
    published(publications, content(1, 1), content(2, 1))
    assert publications.restore(1)["withdrawn"] == [2]
    assert publications.of_day("2026-01-02") is None
    assert published(publications, content(1, 2), content(3, 1)) == [4, 5]
    assert publications.withdrawn_version(content(2, 1)) == 2  # a later night forgets nothing


def test_what_is_no_publication_is_told_in_one_line(publications: Publications) -> None:
    publications.publish(content(1, 1), None)
    with pytest.raises(InputError, match="there is no such publication; published so far: 1"):
        publications.restore(7)
    path = Path(publications.path(2))
    path.write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        publications.read()
    path.write_text("[]")
    with pytest.raises(InputError, match="is no publication"):
        publications.read()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(1, 4), st.integers(1, 3)),
        st.tuples(st.just("restore"), st.integers(1, 8), st.just(0)),
    ),
    max_size=12,
)


@given(STEPS)
@settings(max_examples=40, deadline=None)
def test_what_was_withdrawn_counts_only_where_somebody_asks_for_it(steps: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        publications = Publications(folder, "small")
        for kind, number, tables in steps:
            if kind == "restore":
                if number not in publications.versions():
                    continue
                asked = publications.read(number)
                publications.restore(number)
                current = publications.read()
                assert asked is not None
                assert current is not None
                assert content_of(current) == content_of(asked)
                assert publications.withdrawn_version(content_of(asked)) is None
            elif publications.withdrawn_version(content(number, tables)) is None:
                publications.publish(content(number, tables), publications.highest())
            highest, current = publications.highest(), publications.read()
            assert (highest is None) == (current is None)
            if highest is not None and current is not None:
                assert current["version"] not in highest["withdrawn"]
                days = {f"2026-01-{day:02d}": publications.of_day(f"2026-01-{day:02d}") for day in range(1, 5)}
                assert max(day for day, found in days.items() if found is not None) == current["date"]
                assert days[current["date"]] == current
