"""How fast terms are counted, beside scikit-learn's CountVectorizer on the same texts and one core.

python benchmarks/topic_words.py FOLDER    # of data sets, each a folder with a parquet file that has a column text

Both make unigrams and bigrams without English stop words. Ours also counts by cluster (50) and day (30), and cuts
Chinese into words; CountVectorizer gives a row for each document and takes a run of Chinese characters as one word.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1"}

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.feature_extraction.text import CountVectorizer

from theta_ray.config_topics import Topics
from theta_ray.topics.counts import Documents, TermCounter
from theta_ray.topics.words import words

BATCH_ROWS, ROUNDS = 1024, 5
SETS = {
    "tweets_health/tweets.parquet": "tweets",
    "docs_bbc/docs.parquet": "news articles",
    "docs_reddit_top/posts.parquet": "Reddit titles",
    "docs_thucnews_zh/docs.parquet": "Chinese headlines",
}


def ours(texts: list[str]) -> int:
    counter = TermCounter(Topics())
    for start in range(0, len(texts), BATCH_ROWS):
        batch = texts[start : start + BATCH_ROWS]
        places = np.arange(start, start + len(batch), dtype=np.int32)
        buckets = pa.array(places % 30).cast(pa.date32())
        counter.add(Documents(batch, [None] * len(batch), places % 50, buckets))
    return int(counter.counts().num_rows)


def scikit_learn(texts: list[str]) -> int:
    return int(CountVectorizer(ngram_range=(1, 2), stop_words="english").fit_transform(texts).nnz)


def seconds(function: Callable[[list[str]], int], texts: list[str]) -> float:
    began = time.process_time()
    function(texts)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    print("| texts | documents | words | ours, words per CPU-s | scikit-learn | ratio |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for file, name in SETS.items():
        table = pq.read_table(folder / file)
        texts = table["text" if "text" in table.column_names else "title"].to_pylist()
        num_words = sum(word[0].isalnum() for text in texts for word in words(text))
        rounds = [(seconds(ours, texts), seconds(scikit_learn, texts)) for _ in range(ROUNDS)]
        rates = [num_words / statistics.median(values) for values in zip(*rounds, strict=True)]
        ratio = statistics.median(other / mine for mine, other in rounds)
        print(f"| {name} | {len(texts):,} | {num_words:,} | {rates[0]:,.0f} | {rates[1]:,.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
