"""C_V of topics beside gensim's, on the same texts and topics.

    OPENBLAS_NUM_THREADS=1 python benchmarks/coherence_vs_gensim.py

Texts are of Zipf's law over 5,000 words, 40 of 400 being terms of one of 20 topics. Rounds in turn, CPU seconds of one
thread and one process, medians. gensim's window forgets a word that is in it twice when the first place leaves; so a
second row has texts in which no word repeats, where both must agree.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np
from gensim.corpora import Dictionary
from gensim.models.coherencemodel import CoherenceModel

from theta_ray.topics.coherence import c_v
from theta_ray.topics.cooccurrences import Counter

NUM_TOPICS, NUM_TERMS, VOCABULARY = 20, 10, 5000
Texts = list[list[str]]


def make_texts(count: int, length: int, *, repeats: bool) -> Texts:
    generator = np.random.default_rng(0)
    shares = 1 / (np.arange(VOCABULARY) + 10.0)
    texts = []
    for number in range(count):
        words = [f"v{v}" for v in generator.choice(VOCABULARY, length, p=shares / shares.sum(), replace=repeats)]
        terms = [f"w{number % NUM_TOPICS + NUM_TOPICS * rank}" for rank in range(NUM_TERMS)]
        terms *= length // 100 if repeats else 1
        places = generator.choice(length, len(terms), replace=False).tolist()
        for place, term in zip(places, terms, strict=True):
            words[place] = term
        texts.append(words)
    return texts


def ours(texts: Texts, topics: list[tuple[str, ...]]) -> np.ndarray:
    counter = Counter(topics, 110)
    for text in texts:
        counter.add(text)
    found = counter.result()
    return c_v(found.windows_G[0], found.counts_GTMM[0])


def of_gensim(texts: Texts, topics: list[tuple[str, ...]]) -> np.ndarray:
    lists = [list(topic) for topic in topics]
    model = CoherenceModel(topics=lists, texts=texts, dictionary=Dictionary(texts), coherence="c_v", processes=1)
    return np.array(model.get_coherence_per_topic())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=400)
    parser.add_argument("--words", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    topics = [tuple(f"w{topic + NUM_TOPICS * rank}" for rank in range(NUM_TERMS)) for topic in range(NUM_TOPICS)]
    print("| texts | ours, CPU s | gensim, CPU s | ratio | largest difference |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for repeats in (True, False):
        texts = make_texts(options.texts, options.words, repeats=repeats)
        seconds: dict[str, list[float]] = {"ours": [], "gensim": []}
        found: dict[str, np.ndarray] = {}
        for _ in range(options.rounds):
            for name, measure in (("ours", ours), ("gensim", of_gensim)):
                started = time.process_time()
                found[name] = measure(texts, topics)
                seconds[name].append(time.process_time() - started)
        mine, other = (median(seconds[name]) for name in ("ours", "gensim"))
        apart = np.abs(found["ours"] - found["gensim"]).max()
        name = f"{options.texts} of {options.words} words{'' if repeats else ', none twice'}"
        print(f"| {name} | {mine:.2f} | {other:.2f} | {other / mine:.0f} | {apart:.1e} |")


if __name__ == "__main__":
    main()
