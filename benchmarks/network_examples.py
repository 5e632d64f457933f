"""Public data sets become raw files that the recipes below recipes/networks/ read.

    python benchmarks/network_examples.py FOLDER               # writes sample/networks/NAME/
    python jobs/analyze_network.py --config recipes/networks/NAME.yaml

FOLDER holds what you have of these; what is not there is named and left out:

    reddit_thread   forum_reddit/RC_*.zst, RS_*.zst            monthly dumps (Pushshift, Arctic Shift): one thread
    stack_exchange  forum_se_SITE/posts.parquet                Stack Exchange dump, archive.org/details/stackexchange
    moltbook        forum_moltbook/{posts,comments}.parquet    a crawl of moltbook.com, such as moltbook-observatory
    tweets          tweets_NAME/{tweets,users}.parquet         tweets of the API v2 as one table
    college_msg     net_college_msg/edges.parquet              snap.stanford.edu/data/CollegeMsg.html
    co_share        net_coshare_ru/shares.parquet              russian_coord_tweets of the R package CooRTweet

Needs nothing beyond theta_ray. None of the data is part of this project; mind what its sources allow.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs where the project is not installed

from theta_ray.corpus.document import Unit
from theta_ray.corpus.files import Line, read_lines

THREAD = "t3_n49rw"
SITE = -1  # Stack Exchange's own account
REPOSTED = re.compile(r"RT @(\w+):")
Row = dict[str, Any]
Files = Iterator[tuple[str, Iterable[Mapping[str, Any]]]]


def main() -> None:
    """Write what there is data for, and say how many rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=Path("sample/networks"))
    options = parser.parse_args()
    for name, read in EXAMPLES.items():
        try:
            sizes = {file: write(options.out / name / file, rows) for file, rows in read(options.folder)}
        except FileNotFoundError as error:
            print(f"{name}: no {error.filename}; left out")
            continue
        print(f"{name}: {', '.join(f'{size:,} rows in {file}' for file, size in sizes.items())}")


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows as JSON lines or CSV, by the ending; how many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        for count, row in enumerate(rows, 1):
            if path.suffix != ".csv":
                file.write(json.dumps(row, ensure_ascii=False, default=datetime.isoformat) + "\n")
                continue
            if count == 1:
                csv.writer(file).writerow(row)
            csv.writer(file).writerow(row.values())
    return count


def reddit_thread(folder: Path) -> Files:
    """One submission and all its comments, as they are in the dumps."""
    for kind, key, wanted in (("RS", "id", THREAD.removeprefix("t3_")), ("RC", "link_id", THREAD)):
        found = sorted((folder / "forum_reddit").glob(f"{kind}_*.zst"))
        if not found:
            raise FileNotFoundError(2, "no dump", str(folder / "forum_reddit" / f"{kind}_*.zst"))
        yield f"{kind}.ndjson", (row for file in found for row in json_lines(file) if row.get(key) == wanted)


def json_lines(path: Path) -> Iterator[Row]:
    """Records of a compressed file of JSON lines."""
    for line in read_lines(Unit(str(path), 0, path.stat().st_size)):
        if isinstance(line, Line) and line.data.strip():
            yield json.loads(line.data)


def stack_exchange(folder: Path) -> Files:
    """Questions are posts, answers comments on them; wikis of tags are neither. The site itself is no author."""
    found = sorted(folder.glob("forum_se_*/posts.parquet"))
    if not found:
        raise FileNotFoundError(2, "no posts", str(folder / "forum_se_*" / "posts.parquet"))
    for kind in ("question", "answer"):
        yield f"{kind}s.jsonl", (row for path in found for row in site_posts(path, kind))


def site_posts(path: Path, kind: str) -> Iterator[Row]:
    """Questions or answers of one site. Ids are unique within a site only, and authors' ids as well."""
    site = path.parent.name.removeprefix("forum_se_")
    for post in pq.read_table(path).to_pylist():
        if post["post_type"] != kind:
            continue
        question = post["post_id"] if kind == "question" else post["parent_id"]
        author = post["author_id"] if post["author_id"] != SITE else None
        yield {
            "id": f"{site}-{post['post_id']}",
            "author": None if author is None else f"{site}-{author}",
            "thread": f"{site}-{question}",
            "parent": None if kind == "question" else f"{site}-{question}",
            "site": site,
            "created_at": post["created_at"],
            "score": post["score"],
            "tags": post["tags"],
            "title": post["title"],
            "text": post["text"],
        }


def moltbook(folder: Path) -> Files:
    """Posts and comments, column by column."""
    for name in ("posts", "comments"):
        yield f"{name}.jsonl", pq.read_table(folder / "forum_moltbook" / f"{name}.parquet").to_pylist()


def tweets(folder: Path) -> Files:
    """Tweets by kind, with the ids of those whom they mention, answer and repeat where a table knows them."""
    found = sorted(folder.glob("tweets_*/users.parquet"))
    if not found:
        raise FileNotFoundError(2, "no users", str(folder / "tweets_*" / "users.parquet"))
    rows = [row for path in found for row in pq.read_table(path.with_name("tweets.parquet")).to_pylist()]
    users = [row for path in found for row in pq.read_table(path).to_pylist()]
    ids = {user["username"].lower(): user["user_id"] for user in users}
    authors = {row["tweet_id"]: row["author_id"] for row in rows}
    by_kind: dict[str, list[Row]] = {"posts": [], "comments": [], "reposts": []}
    for row in rows:
        parent = row["retweet_of_id"] or row["reply_to_tweet_id"]
        kind = "reposts" if row["retweet_of_id"] else "comments" if parent else "posts"
        repeated = REPOSTED.match(row["text"]) if kind == "reposts" else None
        parent_author = authors.get(parent)
        if kind == "comments":
            parent_author = row["in_reply_to_user_id"] or parent_author
        if repeated and parent_author is None:
            parent_author = ids.get(repeated[1].lower())
        mentioned = [ids[name.lower()] for name in row["mentions"] if name.lower() in ids]
        by_kind[kind].append({**row, "parent": parent, "parent_author": parent_author, "mention_ids": mentioned})
    for kind, found_rows in by_kind.items():
        yield f"{kind}.jsonl", found_rows


def college_msg(folder: Path) -> Files:
    """A message is a comment whose parent's author is the recipient. No texts are published."""
    edges = pq.read_table(folder / "net_college_msg" / "edges.parquet").to_pylist()
    names = {"sender": "src", "recipient": "dst", "sent_at": "unixts"}
    yield "messages.csv", ({**renamed(edge, names), "text": f"{edge['src']} to {edge['dst']}"} for edge in edges)


def co_share(folder: Path) -> Files:
    """Who shared what and when: a repost of the object."""
    shares = pq.read_table(folder / "net_coshare_ru" / "shares.parquet").to_pylist()
    names = {"account": "account_id", "object": "object_id", "shared_at": "timestamp_share"}
    yield "shares.csv", (renamed(share, names) for share in shares)


def renamed(row: Row, names: Mapping[str, str]) -> Row:
    """Some cells of a row under other names."""
    return {name: row[column] for name, column in names.items()}


EXAMPLES: dict[str, Callable[[Path], Files]] = {
    "co_share": co_share,
    "college_msg": college_msg,
    "moltbook": moltbook,
    "reddit_thread": reddit_thread,
    "stack_exchange": stack_exchange,
    "tweets": tweets,
}

if __name__ == "__main__":
    main()
