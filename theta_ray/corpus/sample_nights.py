"""Two days of the synthetic platform, for what goes on from night to night.

    FOLDER/nights/2026-01-31/posts-NN.jsonl.gz   the posts of a day as in FOLDER/raw, half a day a file;
                 /2026-02-01/posts-NN.jsonl.gz   a recipe names both by FOLDER/nights/{date}/*.jsonl.gz
                 /deleted-2026-02-01.txt         ids that were deleted on the second day, one a line
                 /topics.json                    for the second day, planted topics by `kept`, `born` and `died`
                 /truth.parquet                  a row a post: as FOLDER/truth.parquet, with `date` and `is_deleted`

Both days have the same authors. The second has one topic that the first has not, and lacks one that the first has; a
tenth of its posts repeat texts of the first day under new ids (`is_duplicate_of` names the first post of a text, on
either day). Deleted are all posts of one busy author, on both days, and some others of the first.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from theta_ray.corpus.sample import DAY_MS, Platform, Span, midnight_ms, planted_truth, write_files
from theta_ray.corpus.sample_phrases import TOPICS
from theta_ray.corpus.sample_post import Post

NIGHTS = ("2026-01-31", "2026-02-01")
NUM_POSTS = 1000
BORN, DIED = "telescopes", "houseplants"
KEPT = tuple(topic for topic in TOPICS if topic not in (BORN, DIED))
NUM_OTHERS_DELETED = 20
README = """SYNTHETIC DATA. No person wrote any of these texts; authors, ids and events are invented.

Made by: python -m theta_ray.corpus.sample (seed {seed}, {num_posts} posts a day)
What each file holds: theta_ray/corpus/sample_nights.py
"""


def write_nights(folder: str | Path, seed: int = 0, num_posts: int = NUM_POSTS) -> tuple[str, ...]:
    """Write the files above below `folder`, which is created; the days. The same seed gives the same bytes."""
    folder = Path(folder) / "nights"
    nights: list[list[Post]] = []
    for day, topics in zip(NIGHTS, ((*KEPT, DIED), (*KEPT, BORN)), strict=True):
        span = Span(midnight_ms(day), num_days=1, ms_per_file=DAY_MS // 2)
        platform = Platform(random.Random(seed), span, topics)  # the same authors
        platform.rng = rng = random.Random(f"{seed} {day}")
        again = _again(platform, nights[0], num_posts // 10) if nights else []
        nights.append(platform.run(num_posts - len(again), again))
        write_files(folder / day, nights[-1], span, rng)
    deleted = _deleted(nights, random.Random(seed))
    (folder / f"deleted-{NIGHTS[1]}.txt").write_text("".join(f"{doc_id}\n" for doc_id in deleted), encoding="utf-8")
    planted = {NIGHTS[1]: {"kept": KEPT, "born": [BORN], "died": [DIED]}}
    (folder / "topics.json").write_text(json.dumps(planted, indent=1) + "\n", encoding="utf-8")
    (folder / "README.txt").write_text(README.format(seed=seed, num_posts=num_posts), encoding="utf-8")
    pq.write_table(_truth(nights, set(deleted)), folder / "truth.parquet")
    return NIGHTS


def _again(platform: Platform, earlier: list[Post], count: int) -> list[Post]:
    """Posts that say word for word what was said the day before, of topics that go on."""
    said = [post for post in earlier if post.topic in platform.topics and post.kind != "comment"]
    posts = []
    for original in platform.rng.choices(said, k=count):
        author = platform.pick(None)
        values = (original.text, original.topic, original.lang, original.kind, original.container)
        posts.append(Post(author, *values, platform.moment()))
    return posts


def _deleted(nights: list[list[Post]], rng: random.Random) -> list[str]:
    """Ids of all posts of the second busiest author of the first day, and of some others of that day."""
    counts = Counter(post.author.handle for post in nights[0])
    author = counts.most_common(2)[1][0]
    others = [post.doc_id for post in nights[0] if post.author.handle != author]
    gone = [post.doc_id for night in nights for post in night if post.author.handle == author]
    return sorted([*gone, *rng.sample(others, min(NUM_OTHERS_DELETED, len(others) // 10))])


def _truth(nights: list[list[Post]], deleted: set[str]) -> pa.Table:
    posts = [post for night in nights for post in night]
    days = [datetime.fromtimestamp(post.ms / 1000, UTC).date().isoformat() for post in posts]
    table = planted_truth(posts).append_column(pa.field("date", pa.string(), nullable=False), [days])
    is_deleted = pa.array([post.doc_id in deleted for post in posts])
    return table.append_column(pa.field("is_deleted", pa.bool_(), nullable=False), [is_deleted])
