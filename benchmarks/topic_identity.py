"""Which weight of words and which bound of similarity tell planted births, deaths, splits and merges apart.

    python benchmarks/topic_identity.py

Two nights share 22 topics; two more die, one is born, one splits and two merge, without a document in common. Topics
come in families of three that share directions and words; all embeddings share a direction as well. The table has the
share of events that are recorded as planted, the mean over nights of the five kinds of event.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from theta_ray.config_quality import Identity
from theta_ray.topics.align import Alignment, TopicSet, align

NUM_TOPICS, DIM, VOCABULARY, OWN_WORDS = 30, 64, 4000, 40
WEIGHTS, BOUNDS = (0.0, 0.25, 0.5, 0.75, 1.0), (0.3, 0.4, 0.45, 0.5, 0.6)
# common direction, likeness of a family, documents of a topic, noise of a document
CASES = ((0, 0.2, 200, 2), (1, 0.2, 200, 2), (2, 0.2, 200, 2), (0, 0.5, 200, 2), (1, 0.5, 50, 2), (0, 0.2, 30, 4))
Parts = Sequence[tuple[int, float]]
BEFORE: list[Parts] = [*([(t, 1.0)] for t in range(24)), [(27, 0.5), (28, 0.5)], [(24, 0.5)], [(25, 0.5)]]
NOW: list[Parts] = [*([(t, 1.0)] for t in range(22)), [(29, 1.0)], [(27, 0.5)], [(28, 0.5)], [(24, 0.5), (25, 0.5)]]
SPLIT_ID, MERGED_IDS, DEAD_IDS = 24, {25, 26}, {22, 23}


def make_topics(generator: np.random.Generator, common: float, likeness: float) -> tuple[np.ndarray, list[np.ndarray]]:
    directions, words = [], []
    for _ in range(NUM_TOPICS // 3):
        base, shared = generator.normal(size=DIM), generator.choice(VOCABULARY, OWN_WORDS, replace=False)
        for _ in range(3):
            directions.append(np.sqrt(likeness) * base + np.sqrt(1 - likeness) * generator.normal(size=DIM))
            own, count = generator.choice(VOCABULARY, OWN_WORDS, replace=False), int(OWN_WORDS * likeness)
            words.append(np.concatenate([generator.permutation(shared)[:count], own[count:]]))
    return (np.array(directions) + common) / np.sqrt(DIM), words


def make_night(
    generator: np.random.Generator, topics: tuple[np.ndarray, list[np.ndarray]], night: list[Parts], case: tuple
) -> TopicSet:
    directions, words = topics
    _, _, documents, noise = case
    shares = np.arange(1, OWN_WORDS + 1) ** -0.7
    centroids, terms, sizes = [], [], []
    for parts in night:
        total, counts, size = np.zeros(DIM), np.zeros(VOCABULARY), 0
        for topic, share in parts:
            many = int(documents * share)
            rows = directions[topic] + noise * generator.normal(size=(many, DIM)) / np.sqrt(DIM)
            total += (rows / np.linalg.norm(rows, axis=1, keepdims=True)).sum(axis=0)
            np.add.at(counts, generator.choice(words[topic], 4 * many, p=shares / shares.sum()), 1)
            size += many
        best = np.argsort(-counts, kind="stable")[:10]
        centroids.append(total / size)
        terms.append({f"w{word}": float(counts[word]) for word in best})
        sizes.append(size)
    return TopicSet(list(range(len(night))), np.array(centroids), terms, sizes)


def score(found: Alignment) -> float:
    """Mean share of right events over the five kinds."""
    topics = found.topics
    return float(
        np.mean(
            [
                np.mean([topics[t].topic_id == t and topics[t].event == "kept" for t in range(22)]),
                topics[22].event == "born",
                all(topics[t].event == "split" and topics[t].previous_ids == (SPLIT_ID,) for t in (23, 24)),
                topics[25].event == "merged" and set(topics[25].previous_ids) == MERGED_IDS,
                {e.topic_id for e in found.ended if e.event == "died"} == DEAD_IDS,
            ]
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=12)
    options = parser.parse_args()
    print("| common direction | likeness | documents | noise | words_weight | " + " | ".join(map(str, BOUNDS)) + " |")
    print("| ---: " * (5 + len(BOUNDS)) + "|")
    for case in CASES:
        nights = []
        for seed in range(options.nights):
            generator = np.random.default_rng(seed)
            topics = make_topics(generator, *case[:2])
            nights.append([make_night(generator, topics, night, case) for night in (BEFORE, NOW)])
        for weight in WEIGHTS:
            rows = [
                np.mean([score(align(b, a, Identity(words_weight=weight, min_similarity=bound))) for a, b in nights])
                for bound in BOUNDS
            ]
            print(f"| {' | '.join(map(str, case))} | {weight} | {' | '.join(f'{row:.2f}' for row in rows)} |")


if __name__ == "__main__":
    main()
