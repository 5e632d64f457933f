"""A small synthetic platform with known topics, communities and duplicates, as raw files and their truth.

    python -m theta_ray.corpus.sample FOLDER

FOLDER/raw/ holds one month, FOLDER/truth.parquet what was planted in it, FOLDER/nights/ two days more
that are told apart by day (sample_nights.py).

1. Authors get a home community, a second language and a heavy-tailed activity.
2. They open threads about the topics that their community prefers, by day more than by night.
3. Replies, mostly from the community of the thread's author, stay in the thread, its topic and language.
4. Reposts (`RT @user: ...`) and copies repeat earlier texts, and the page that goes with one in three of them;
   a few damaged lines are mixed in.

No person wrote any of it, and every row says so. The same seed gives the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from theta_ray.corpus.sample_phrases import POST_FRAMES, REPLY_FRAMES, TOPICS, WHEN
from theta_ray.corpus.sample_post import Author, Post

NUM_POSTS = 3000
NUM_AUTHORS = 240
COMMUNITIES = {
    "north_harbour": ("marathon", "city_cycling"),
    "old_town": ("sourdough", "houseplants"),
    "university": ("telescopes", "election_polling"),
    "riverside": ("film_photography", "city_cycling"),
    "hillside": ("home_energy", "houseplants"),
    "station_quarter": ("election_polling", "marathon"),
}
SECOND_LANGUAGES = ("es", "fr", "zh", "pt", "de", "es")
DAMAGE_PER_3000 = dict(bad_record=8, missing_text=10, bad_time=6, damaged_id=3, too_short=12, duplicate_id=5)
# Relative activity by hour of the day, UTC: quiet nights, a bump at noon, busy evenings.
HOURS = (2, 1, 1, 1, 1, 2, 5, 9, 10, 9, 9, 10, 13, 11, 9, 9, 10, 13, 16, 18, 18, 14, 9, 5)
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
SNOWFLAKE_EPOCH_MS = 1_288_834_974_657
TRUTH_SCHEMA = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("topic", pa.string(), nullable=False),
        pa.field("community", pa.string(), nullable=False),
        pa.field("lang", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("is_duplicate_of", pa.string()),
    ]
)
README = """SYNTHETIC DATA. No person wrote any of these texts; authors, ids and events are invented.

Made by: python -m theta_ray.corpus.sample (seed {seed}, {num_posts} posts)
raw/posts-NN.jsonl.gz  one post a line, four days a file, as a platform's dump; {num_damaged} damaged or unwanted lines
truth.parquet          planted topic, author's community, language and duplicates of every well-formed post
Damaged or unwanted, by the reason under which they must be turned away: {damage}
"""


@dataclass(frozen=True)
class Span:
    """Days that are written about, and how long those of one file are."""

    start_ms: int
    """Midnight UTC, counted from 1970."""
    num_days: int
    ms_per_file: int

    @property
    def end_ms(self) -> int:
        """Before the last minute, so that ids that are moved on stay within."""
        return self.start_ms + self.num_days * DAY_MS - 60_000

    def hour(self, ms: int) -> int:
        """Of the day, UTC."""
        return (ms - self.start_ms) // HOUR_MS % 24


def midnight_ms(day: str) -> int:
    """The beginning of a day in UTC, in milliseconds from 1970."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)


MONTH = Span(midnight_ms("2026-01-01"), num_days=31, ms_per_file=4 * DAY_MS)


def write_sample(folder: str | Path, seed: int = 0, num_posts: int = NUM_POSTS) -> None:
    """Write `raw/*.jsonl.gz`, `truth.parquet` and `README.txt` into `folder`, which is created."""
    folder = Path(folder)
    rng = random.Random(seed)
    posts = Platform(rng, MONTH).run(num_posts)
    write_files(folder / "raw", posts, MONTH, rng)
    damage = planted_damage(num_posts)
    listed = ", ".join(f"{reason} {count}" for reason, count in damage.items())
    text = README.format(seed=seed, num_posts=num_posts, num_damaged=sum(damage.values()), damage=listed)
    (folder / "README.txt").write_text(text, encoding="utf-8")
    pq.write_table(planted_truth(posts), folder / "truth.parquet")  # last: where it is, the rest is


def write_files(folder: Path, posts: list[Post], span: Span, rng: random.Random) -> None:
    """Write `posts-NN.jsonl.gz` of posts in order of time, with the damaged lines that belong to so many."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("posts-*.jsonl.gz"):
        old.unlink()  # of another size or version; readers take all files of the folder
    for number, lines in enumerate(_files(posts, span, rng), start=1):
        data = "".join(f"{line}\n" for line in lines).encode()
        # without the time of writing, so that the same seed gives the same bytes
        (folder / f"posts-{number:02d}.jsonl.gz").write_bytes(gzip.compress(data, mtime=0))


def planted_damage(num_posts: int) -> dict[str, int]:
    """How many lines a sample of `num_posts` holds beside them, by the reason to turn them away."""
    return {reason: -(-count * num_posts // NUM_POSTS) for reason, count in DAMAGE_PER_3000.items()}


class Platform:
    """Invents authors, then threads about some topics, replies, reposts and copies."""

    def __init__(self, rng: random.Random, span: Span, topics: Sequence[str] = tuple(TOPICS)) -> None:
        self.rng, self.span, self.topics = rng, span, list(topics)
        self.authors = [self._author(number) for number in range(NUM_AUTHORS)]
        self.seen: set[str] = set()

    def _author(self, number: int) -> Author:
        home = number % len(COMMUNITIES)
        second = SECOND_LANGUAGES[home]
        lang = second if number // len(COMMUNITIES) % (8 if second == "zh" else 4) == 0 else "en"
        activity = min(self.rng.paretovariate(1.1), 20.0)
        return Author(f"sample_user_{number:03d}", list(COMMUNITIES)[home], lang, activity)

    def run(self, num_posts: int, also: Sequence[Post] = ()) -> list[Post]:
        """`num_posts` posts, and those that are there `also`, in order of time, their ids given."""
        rng = self.rng
        num_reposts, num_copies, num_comments = num_posts // 10, num_posts // 25, num_posts * 11 // 20
        threads = [self._open_thread() for _ in range(num_posts - num_reposts - num_copies - num_comments)]
        popularity = [min(rng.paretovariate(0.9), 40.0) for _ in threads]
        comments = [self._reply(thread) for thread in rng.choices(threads, popularity, k=num_comments)]
        reposts = [self._repost(thread) for thread in rng.choices(threads, popularity, k=num_reposts)]
        copies = [self._copy(thread) for thread in rng.choices(threads, k=num_copies)]
        posts = sorted([*threads, *comments, *reposts, *copies, *also], key=lambda post: post.ms)
        last_ms = 0
        for post in posts:
            post.ms = last_ms = max(post.ms, last_ms + 1)
            post.doc_id = str(_snowflake(post.ms, rng))
            post.likes = min(int(rng.paretovariate(1.1)) - 1, 5000)
        return posts

    def pick(self, community: str | None) -> Author:
        """An author of a community, or of any, by activity."""
        candidates = [author for author in self.authors if community in (None, author.community)]
        return self.rng.choices(candidates, [author.activity for author in candidates])[0]

    def _open_thread(self) -> Post:
        author = self.pick(None)
        favourites = COMMUNITIES[author.community]
        topic = self.rng.choices(self.topics, [6 if topic in favourites else 1 for topic in self.topics])[0]
        at_home = self.rng.random() < 0.85
        container = author.community if at_home else self.rng.choice(list(COMMUNITIES))
        text = self._text(topic, author.lang, POST_FRAMES, author.handle)
        return Post(author, text, topic, author.lang, "post", container, self.moment())

    def _reply(self, thread: Post) -> Post:
        parent = thread
        if thread.replies and self.rng.random() < 0.4:
            parent = self.rng.choice(thread.replies)
        author = self.pick(parent.author.community if self.rng.random() < 0.7 else None)
        text = self._text(thread.topic, thread.lang, REPLY_FRAMES, parent.author.handle)
        reply = Post(author, text, thread.topic, thread.lang, "comment", thread.container, self._after(parent.ms, 3))
        reply.parent, reply.thread = parent, thread
        thread.replies.append(reply)
        return reply

    def _repost(self, original: Post) -> Post:
        author = self.pick(original.author.community if self.rng.random() < 0.7 else None)
        text = f"RT @{original.author.handle}: {original.text}"
        ms = self._after(original.ms, 8)
        return Post(author, text, original.topic, original.lang, "repost", original.container, ms)

    def _copy(self, original: Post) -> Post:
        author = self.pick(None)
        ms = self._after(original.ms, 48)
        return Post(author, original.text, original.topic, original.lang, "post", author.community, ms)

    def moment(self) -> int:
        """A time on any day but the last of several, so that everything else finds room before they end."""
        day = self.rng.randrange(max(1, self.span.num_days - 1))
        hour = self.rng.choices(range(24), HOURS)[0]
        return self.span.start_ms + day * DAY_MS + hour * HOUR_MS + self.rng.randrange(HOUR_MS)

    def _after(self, ms: int, mean_hours: float) -> int:
        """A time after `ms` and within the days, in the waking hours where one of some tries is."""
        end_ms = self.span.end_ms
        for _ in range(8):
            later = ms + 30_000 + int(self.rng.expovariate(1 / mean_hours) * HOUR_MS)
            awake = HOURS[self.span.hour(later)] > self.rng.randrange(18)
            if later < end_ms and awake:
                return later
        return ms + 1 + int((end_ms - ms) * self.rng.random() / 2)

    def _text(self, topic: str, lang: str, frames: tuple[str, ...], user: str) -> str:
        """A text that is not there yet, where some tries find one."""
        for _ in range(20):
            text = self._draw_text(topic, lang, frames, user)
            if text not in self.seen:
                break
        self.seen.add(text)
        return text

    def _draw_text(self, topic: str, lang: str, frames: tuple[str, ...], user: str) -> str:
        rng, phrases = self.rng, TOPICS[topic]
        when = rng.choice(WHEN[lang])
        if lang == "en":
            parts = {part: rng.choice(phrases[part]) for part in ("did", "result", "advice", "question")}
            capitals = {"When": when, "Result": parts["result"], "Advice": parts["advice"]}
            capitals = {name: text[0].upper() + text[1:] for name, text in capitals.items()}
            text = rng.choice(frames).format(user=user, when=when, **parts, **capitals)
        else:
            statement, tip = rng.choice(phrases[lang][:2]), rng.choice(phrases[lang][2:])
            opener = f"@{user} " if frames is REPLY_FRAMES else ""
            text = f"{opener}{when} {statement} {tip}"
        num_tags = rng.choices((0, 1, 2), (5, 3, 2))[0]
        return " ".join([text, *(f"#{tag}" for tag in rng.sample(phrases["tags"], num_tags))])


def _snowflake(ms: int, rng: random.Random) -> int:
    """An id as real platforms make them: milliseconds and 22 low bits, far beyond 2^53."""
    return ((ms - SNOWFLAKE_EPOCH_MS) << 22) | rng.getrandbits(22)


def _files(posts: list[Post], span: Span, rng: random.Random) -> list[list[str]]:
    """The lines of each file, damaged lines put between the others."""
    parts: list[list[Post]] = [[] for _ in range(-(-span.num_days * DAY_MS // span.ms_per_file))]
    for post in posts:
        parts[(post.ms - span.start_ms) // span.ms_per_file].append(post)
    filled = [part for part in parts if part]
    files = [[_line(post.row()) for post in part] for part in filled]
    for reason, count in planted_damage(len(posts)).items():
        for _ in range(count):
            number = rng.randrange(len(filled))
            post = rng.choice(filled[number])
            if reason == "duplicate_id":
                files[number].append(_line(post.row()))  # delivered again, after the first
            else:
                files[number].insert(rng.randrange(len(files[number])), _damaged_line(post, reason, rng))
    return files


def _damaged_line(post: Post, reason: str, rng: random.Random) -> str:
    """A line that resembles `post` under an id of its own, and must be turned away for `reason`."""
    new_id = _snowflake(post.ms, rng)
    row = {**post.row(), "id": str(new_id), "parent": None}
    if reason == "bad_record":
        line = _line(row)
        return line[: len(line) * 2 // 3]
    changes: dict[str, dict[str, Any]] = {
        "missing_text": {"text": ""},
        "bad_time": {"created_at": "yesterday evening"},
        "damaged_id": {"id": float(new_id)},
        "too_short": {"text": rng.choice("k?!+x")},
    }
    return _line(row | changes[reason])


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False)


def planted_truth(posts: list[Post]) -> pa.Table:
    """A row for each post, with what was planted: `TRUTH_SCHEMA`."""
    first: dict[str, str] = {}
    rows = []
    for post in posts:
        original = first.setdefault(post.text, post.doc_id)
        duplicate_of = original if original != post.doc_id else None
        rows.append((post.doc_id, post.topic, post.author.community, post.lang, post.kind, duplicate_of))
    return pa.table(list(zip(*rows, strict=True)), schema=TRUTH_SCHEMA)


if __name__ == "__main__":
    from theta_ray.corpus.sample_nights import write_nights  # which is made of this module

    parser = argparse.ArgumentParser(description="Write the synthetic sample corpus.")
    parser.add_argument("folder", metavar="FOLDER")
    arguments = parser.parse_args()
    nights = write_nights(arguments.folder)
    write_sample(arguments.folder)
    sys.stdout.write(f"{NUM_POSTS:,} synthetic posts in {arguments.folder}/raw, their truth in truth.parquet\n")
    sys.stdout.write(f"{' and '.join(nights)}: a day of posts each in {arguments.folder}/nights\n")
