"""Pages for tests to open: of facts that a test decides, of the sample, and of a real forum."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from tests.corpora import config_of, jsonl_input, write_jsonl
from tests.report_facts import facts, topic, topics
from tests.unit.test_report_page import hostile
from theta_ray.config import Config, Encoder
from theta_ray.config_cluster import Cluster
from theta_ray.config_report import Report
from theta_ray.config_topics import Topics
from theta_ray.corpus.sample import write_sample
from theta_ray.report import report
from theta_ray.report.facts import Facts, Source
from theta_ray.report.map_picture import MapPoints
from theta_ray.report.page import render

DAY = "2026-01-31"
NUM_POSTS = 300
COLUMNS = {
    **{"author_id": "author", "context_id": "thread", "parent_id": "parent", "created_at": "created_at"},
    **{"score": "likes", "parent_author_id": "parent_author"},
}
# What a text must not do, and how a test would notice: a dialog, a request, another title, a flag.
HOSTILE = (
    "<script>window.hacked=1;document.title='hacked';alert(1)</script>",
    '"\'><img src=https://example.org/x onerror="window.hacked=1;alert(2)">',
    "'><svg/onload=window.hacked=1><style>*{background:url(https://example.org/y)}</style>",
    "{{constructor.constructor('window.hacked=1')()}}${window.hacked=1}{% raw %}",
    "\u202eright to left\u2066\x1b[31mred\x07\0\ud800",
    '=HYPERLINK("https://example.org","click")',
)


def whole_facts(**values: Any) -> Facts:
    """Everything that a page can say, with twelve topics and a map."""
    listed = [topic(i, 200 - i, label=f"word{i}, other{i}", counts=(i, 5, 9), excerpts=("a text",)) for i in range(12)]
    found = facts(topics=topics(*listed, before=None), **values)
    source = Source("assignments", "/root/assignments/0", "0" * 12, 1, 10)
    return replace(found, sources={**found.sources, "assignments": source}, map=points(12, 3_000))


def points(num_topics: int, count: int) -> MapPoints:
    """A map whose topics are round clouds."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, num_topics, count)
    middles = rng.uniform(0.1, 0.9, (num_topics, 2))
    places = np.clip(middles[ids] + rng.normal(0, 0.04, (count, 2)), 0, 1)
    return MapPoints(places, ids, {row: f"an excerpt {row}" for row in range(0, count, 50)}, 10 * count)


def facts_page(folder: Path) -> Path:
    """Of facts without a corpus."""
    return _written(folder / "facts.html", whole_facts())


def hostile_page(folder: Path, number: int) -> Path:
    """With one of the hostile texts in place of all that strangers wrote."""
    text, whole = HOSTILE[number], whole_facts()
    assert whole.topics is not None
    assert whole.map is not None
    found = hostile(replace(whole, map=None), text)
    buckets = replace(found.topics, buckets=whole.topics.buckets)
    told = replace(whole.map, texts=dict.fromkeys(whole.map.texts, text))
    return _written(folder / f"hostile-{number}.html", replace(found, topics=buckets, map=told))


def sample_page(folder: Path, model: Path) -> Path:
    """Of a part of the sample, with all its stages."""
    write_sample(folder / "sample", num_posts=NUM_POSTS)
    source = jsonl_input(folder / "sample" / "raw" / "*.jsonl.gz", **COLUMNS)
    return _reported(folder, source, model, max_damaged_share=0.5)


def forum_page(folder: Path, model: Path, data: Path) -> Path:
    """Of comments of a real forum, of which it may show no text."""
    rows = pq.read_table(data / "forum_moltbook" / "comments.parquet").slice(0, NUM_POSTS).to_pylist()
    posts = [
        {
            "id": str(row["comment_id"]),
            "text": str(row["content"]),
            "author": str(row["author"]),
            "thread": str(row["post_id"]),
            "created_at": row["created_at"].isoformat(),
        }
        for row in rows
    ]
    write_jsonl(folder / "forum.jsonl", posts)
    columns = {"author_id": "author", "context_id": "thread", "created_at": "created_at"}
    return _reported(folder, jsonl_input(folder / "forum.jsonl", **columns), model, min_chars=1)


def _reported(folder: Path, source: Any, model: Path, **corpus: Any) -> Path:
    config: Config = config_of(folder, source, **corpus)
    sections = {
        "encoder": Encoder(model=str(model), pooling="mean"),
        "cluster": Cluster(num_clusters=8),
        "topics": Topics(),
        "report": Report(num_points=300),
    }
    recipe = config.recipe.model_copy(update=sections)
    card = report.run(config.model_copy(update={"recipe": recipe}), DAY)
    return Path(card.figures["page"])


def _written(path: Path, found: Facts) -> Path:
    path.write_bytes(render(found, Report(show_text=True)))
    return path
