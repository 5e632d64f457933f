"""The topic map: small, without overlaps, in words too; drawn alike whatever the shards and the order of rows."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpora import DAY
from tests.topic_tables import commit_clusters, topics_config
from theta_ray.config import Config, Resources
from theta_ray.config_report import Report
from theta_ray.manifest import commit, read_manifest
from theta_ray.report.map_labels import Label, place_labels
from theta_ray.report.map_picture import (
    GRID,
    OTHER,
    MapPoints,
    MapTopic,
    densest,
    dots,
    spread_colours,
    topic_map,
    where,
)
from theta_ray.report.map_points import map_points
from theta_ray.report.projection import project, start
from theta_ray.report.tables import Committed
from theta_ray.schemas import embeddings_schema
from theta_ray.store import Partition, ShardWriter, read_shard
from theta_ray.tasks import Executor
from theta_ray.topics.label_topics import label

HOSTILE = "<script>alert(1)</script>\u202e {{7*7}} " + "long " * 40
cells = st.lists(st.tuples(st.integers(0, GRID), st.integers(0, GRID)), max_size=50)


def clouds(num_topics: int, count: int, spread: float = 0.03) -> MapPoints:
    rng = np.random.default_rng(0)
    ids = rng.integers(0, num_topics, count)
    places = rng.uniform(0.1, 0.9, (num_topics, 2))[ids] + rng.normal(0, spread, (count, 2))
    return MapPoints(np.clip(places, 0, 1), ids, {}, count)


def topics(count: int, words: str = "some words") -> list[MapTopic]:
    return [MapTopic(i, f"{words} {i}", 100 - i) for i in range(count)]


def drawn(path: str) -> set[tuple[int, int]]:
    """Places of the dots of a path."""
    steps = np.array([step.split() for step in re.findall(r"m(-?\d+ -?\d+)z", path)], np.int64).reshape(-1, 2)
    return {(x, y) for x, y in np.cumsum(steps, axis=0).tolist()}


@given(cells)
def test_a_path_has_each_place_once(places: list[tuple[int, int]]) -> None:
    path = dots(np.array(places, np.int64).reshape(-1, 2))
    assert drawn(path) == set(places)
    assert path.count("z") == len(set(places))


def test_fifty_thousand_documents_are_less_than_half_a_megabyte() -> None:
    points = clouds(100, 50_000, 0.1)
    texts = {row: "an excerpt of a document " * 6 for row in range(1_500)}
    found = topic_map(MapPoints(points.places, points.topic_ids, texts, 10**9), topics(100))
    assert len(found.svg) < 750_000
    assert len(topic_map(points, topics(100)).svg) < 450_000
    assert "50,000 of" in topic_map(points, topics(100)).svg


def test_all_documents_are_drawn_those_of_other_topics_in_grey() -> None:
    points = clouds(3, 300)
    root = ElementTree.fromstring(topic_map(points, topics(2)).svg)
    groups = {each.get("data-topic"): each for each in root.iter("g") if "dots" in (each.get("class") or "")}
    assert set(groups) == {None, "0", "1"}
    for name, group in groups.items():
        mine = points.places[points.topic_ids == (2 if name is None else int(name))]
        path = group.find("path")
        assert path is not None
        assert drawn(path.get("d") or "") == {(x, y) for x, y in np.rint(mine * GRID).astype(int).tolist()}


def test_a_map_says_the_same_in_words() -> None:
    places = np.repeat([[0.1, 0.1], [0.9, 0.1], [0.5, 0.5]], 20, axis=0)
    found = topic_map(MapPoints(places, np.repeat([7, 8, 9], 20)), [MapTopic(i, f"t{i}", 20) for i in (7, 8, 9, 10)])
    assert [(region.topic_id, region.where) for region in found.regions] == [
        (7, "top left"),
        (8, "top right"),
        (9, "middle"),
    ]
    assert found.regions[0].near == (9, 8)
    assert where((0.5, 0.95)) == "bottom"


def test_strangers_texts_on_a_map_are_text() -> None:
    points = clouds(3, 60)
    hostile = MapPoints(points.places, points.topic_ids, dict.fromkeys(range(60), HOSTILE), 60)
    root = ElementTree.fromstring(topic_map(hostile, topics(3, HOSTILE)).svg)
    assert {each.tag for each in root.iter()} == {"svg", "title", "desc", "g", "path", "circle", "text"}
    assert all(len("".join(each.itertext())) < 400 for each in root.iter("title"))


@given(
    st.lists(
        st.tuples(st.integers(0, 1_000), st.floats(0, 640), st.floats(0, 640)), max_size=60, unique_by=lambda t: t[0]
    )
)
def test_labels_never_overlap_and_stay_in_the_picture(where_to: list[tuple[int, float, float]]) -> None:
    found = place_labels([Label(number, "some words of it", x, y) for number, x, y in where_to], 640)
    boxes = []
    for each in map(ElementTree.fromstring, found):
        x, y, text = float(each.get("x", "")), float(each.get("y", "")), each.text or ""
        kind = (each.get("class") or "").split()[-1]
        wide = 11.5 * len(text) if kind == "number" else 7.5 * len(text)
        left = x - {"number": wide / 2, "below": wide / 2, "after": 0, "before": wide}[kind]
        boxes.append((left, y - 10, left + wide))
    assert all(left >= -1 and right <= 641 for left, _, right in boxes)
    for (a, b, c), (d, e, f) in combinations(boxes, 2):
        assert a >= f - 1 or d >= c - 1 or abs(b - e) >= 10
    if where_to:
        assert f">{where_to[0][0]}<" in found[0]


def test_topics_beside_each_other_have_different_colours() -> None:
    rng = np.random.default_rng(1)
    centres = {i: (float(x), float(y)) for i, (x, y) in enumerate(rng.uniform(0, 1, (60, 2)))}
    colours = spread_colours(centres)
    nearest = {i: min((j for j in centres if j != i), key=lambda j: np.hypot(*np.subtract(centres[i], centres[j])))
               for i in centres}  # fmt: skip
    assert np.mean([colours[i] != colours[j] for i, j in nearest.items()]) >= 0.95
    assert max(np.bincount(list(colours.values()))) <= 15


def test_a_label_stands_where_most_documents_are() -> None:
    rng = np.random.default_rng(0)
    crowd, few = rng.normal(900, 20, (200, 2)), rng.uniform(0, 400, (150, 2))
    x, y = densest(np.rint(np.concatenate([crowd, few])).astype(np.int64))
    assert abs(x * GRID - 900) < 40
    assert abs(y * GRID - 900) < 40


def vectors(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors of five topics, which topics these are, and keys."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 5, count)
    middles = np.random.default_rng(9).normal(size=(5, 16))
    rows = (middles[ids] + rng.normal(0, 0.4, (count, 16))).astype(np.float32)
    return rows, ids.astype(np.int64), rng.permutation(np.arange(10**6, dtype=np.uint64))[:count]


def test_places_do_not_depend_on_the_order_of_rows_and_keep_topics_together() -> None:
    rows, ids, keys = vectors(150)
    places = project(rows, ids, keys, 0)
    order = np.random.default_rng(3).permutation(len(rows))
    assert np.array_equal(project(rows[order], ids[order], keys[order], 0), places[order])
    assert places.min() >= 0
    assert places.max() <= 1
    nearest = [np.argsort(np.hypot(*(places - place).T))[1] for place in places]
    assert np.mean(ids[nearest] == ids) > 0.95


def test_topics_stay_where_they_were_the_next_night() -> None:
    (one, ids, keys), (new, new_ids, new_keys) = vectors(150), vectors(40, seed=5)
    night = (
        np.concatenate([one[15:], new]),
        np.concatenate([ids[15:], new_ids]),
        np.concatenate([keys[15:], new_keys + 10**6]),
    )
    before, after = project(one, ids, keys, 0), project(*night, 0)
    middles = [np.array([places[mine == i].mean(axis=0) for i in range(5)])
               for places, mine in ((before, ids), (after, night[1]))]  # fmt: skip
    assert np.corrcoef(middles[0].ravel(), middles[1].ravel())[0, 1] > 0.9


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_few_documents_have_places(count: int) -> None:
    rows, ids, keys = vectors(count)
    places = project(rows, ids, keys, 0)
    assert places.shape == (count, 2)
    assert ((places >= 0) & (places <= 1)).all()


def test_the_start_tells_topics_apart_and_has_fixed_signs() -> None:
    rows, ids, _ = vectors(200)
    rows = rows.astype(np.float64)
    assert np.allclose(start(rows, ids), start(rows[::-1], ids[::-1])[::-1])
    between = np.var([start(rows, ids)[ids == i].mean(axis=0) for i in range(5)], axis=0)
    assert (between > np.var(start(rows, ids)[ids == 0], axis=0)).all()


def committed(folder: Path, shard_bytes: int) -> tuple[Config, dict[str, Committed]]:
    """120 documents of 100 texts in three clusters and none, whose vectors are of their texts."""
    records = [{"id": str(i), "text": f"a text {i % 100} of some length"} for i in range(120)]
    config = topics_config(folder, {DAY: records}, shard_bytes=shard_bytes)
    number = lambda row: int(row["text"].split()[2])  # noqa: E731
    job = commit_clusters(config, lambda row: number(row) % 4 - 1)
    label(config, job)
    embeddings = Partition(config.root, "embeddings", "2" * 12, DAY)
    manifest = read_manifest(job.corpus)
    assert manifest is not None
    parts = {entry["shard"]: read_shard(job.corpus, entry["shard"]) for entry in manifest["shards"]}
    texts = {row["doc_id"]: row for part in parts.values() for row in part.to_pylist()}
    assigned = read_manifest(job.assignments)
    assert assigned is not None
    written = []
    for name in (entry["shard"] for entry in assigned["shards"]):
        ids = read_shard(job.assignments, name)["doc_id"].to_pylist()
        values = np.array([[1, number(texts[i]), number(texts[i]) % 4] for i in ids], np.float16)
        column = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 3)
        schema = embeddings_schema(3, "float16")
        with ShardWriter(embeddings, name.rpartition("-")[0], schema) as writer:
            writer.write(pa.table([ids, column, np.ones(len(ids), np.int32)], schema=schema))
            written.append(writer.publish())
    commit(embeddings, embeddings_schema(3, "float16"), written, {})
    partitions = {"corpus": job.corpus, "embeddings": embeddings, "assignments": job.assignments, "topics": job.topics}
    return config, {name: Committed(at, read_manifest(at) or {}) for name, at in partitions.items()}


def map_of(made: tuple[Config, dict[str, Committed]], shown: set[int], **settings: object) -> MapPoints | None:
    config, tables = made
    recipe = config.recipe.model_copy(update={"report": Report.model_validate(settings)})
    executor = Executor("report", Resources(executor="local"), lambda: None)
    return map_points(config.model_copy(update={"recipe": recipe}), tables, shown, executor)


def test_a_map_has_each_text_of_a_topic_once_whatever_the_shards(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()
    one, many = committed(tmp_path / "one", 1_000_000), committed(tmp_path / "many", 1_000)
    shown = set(range(2))
    whole, other = map_of(one, shown, show_text=True), map_of(many, shown, show_text=True)
    assert whole is not None
    assert other is not None
    assert len(many[1]["corpus"].manifest["shards"]) > 1
    assert len(whole.places) == 75, "100 texts, a quarter of them in no cluster"
    assert np.array_equal(whole.places, other.places)
    assert np.array_equal(whole.topic_ids, other.topic_ids)
    assert whole.num_documents == 120
    assert sorted(whole.texts.values()) == sorted({f"a text {i} of some length" for i in range(100) if i % 4})
    assert np.bincount(whole.topic_ids - OTHER).tolist() == [25, 25, 25]


def test_a_map_has_as_many_points_as_asked_for_and_no_text_unless_allowed(tmp_path: Path) -> None:
    made = committed(tmp_path, 1_000_000)
    some, whole = map_of(made, {0}, num_points=20), map_of(made, {0})
    assert some is not None
    assert whole is not None
    assert 8 <= len(some.places) <= 20
    assert not some.texts
    assert map_of(made, {0}, num_points=0) is None
    assert map_of((made[0], {"corpus": made[1]["corpus"]}), {0}) is None
