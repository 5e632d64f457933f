"""Texts made to take quadratic time: a byte of them costs at most a few times what a byte of usual text does."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.models import wordpiece_tokenizer
from theta_ray.corpus.bertweet import FastNormalizer
from theta_ray.corpus.document import Damaged
from theta_ray.corpus.language import identify
from theta_ray.corpus.links import find_links, to_column
from theta_ray.corpus.text import HASHTAGS, NORMALIZERS, bertweet, bertweet_words, text_hash
from theta_ray.corpus.values import text_to_id, to_tags, to_time
from theta_ray.terminal import escaped, masked_secrets

SENTENCE = "RT @someone: the caf\u00e9 opens at 9 a.m., isn't it? #coffee https://example.org/a \U0001f600 "
SIZES = (25_000, 100_000)
# Four times the text: 4 times the time where work is linear (6 was measured, caches count too), 16 where quadratic.
MOST_GROWTH = 9.0
HOSTILE: dict[str, Callable[[int], str]] = {
    "one letter": lambda n: "a" * n,
    "digits": lambda n: "1" * n,
    "dots": lambda n: "." * n,
    "combining marks": lambda n: "a" + "\u0301" * (n // 2),
    "marks of two classes": lambda n: "a" + "\u0316\u0301" * (n // 4),
    "hashes": lambda n: "#" * n,
    "hashtags": lambda n: "#a" * (n // 2),
    "at signs": lambda n: "@" * n,
    "ampersands": lambda n: "&" * n,
    "entities": lambda n: "&#x" * (n // 3),
    "addresses": lambda n: "http://" * (n // 7),
    "one address": lambda n: "http://" + "a." * (n // 2),
    "addresses in brackets": lambda n: ("http://a.b/" + "()" * 500 + ")" * 900 + " ") * (n // 1912),
    "short addresses": lambda n: "".join(f"http://a.b/{i} " for i in range(n // 16)),
    "hyphens": lambda n: "a-" * (n // 2),
    "apostrophes": lambda n: "n't" * (n // 3),
    "spaces": lambda n: " " * n + "a",
    "new lines": lambda n: "\n\r" * (n // 2),
    "emoji joined": lambda n: "\U0001f468\u200d" * (n // 7),
    "flags": lambda n: "\U0001f1e6" * (n // 4),
    "brackets": lambda n: "<[({" * (n // 4),
    "short words": lambda n: "".join(chr(97 + i % 7) + ":;.8"[i % 4] + str(i % 999) + " " for i in range(n // 6)),
    "faces": lambda n: ":-" * (n // 2),
    "slashes": lambda n: "//" * (n // 2),
    "phone numbers": lambda n: "+1 (555) " * (n // 9),
    "zero width": lambda n: "\u200b\u200d" * (n // 6),
    "mail": lambda n: "a@" * (n // 2),
    "full width": lambda n: "\uff21\ufdfa" * (n // 6),
}
FAST = FastNormalizer(bertweet, bertweet_words).fast
WORK: dict[str, Callable[[str], object]] = {
    **{f"normalise {name}": function for name, function in NORMALIZERS.items()},
    "normalise many, bertweet": lambda text: FAST([text[start : start + 8000] for start in range(0, len(text), 8000)]),
    **{f"hashtags {name}": function for name, function in HASHTAGS.items()},
    "hash": text_hash,
    "language": identify,
    "escape": escaped,
    "mask": masked_secrets,
    "tags": to_tags,
    "links": lambda text: to_column(find_links(text)),
    "id": text_to_id,
}
# Times the seconds that the costliest of the normalisations takes for usual text.
# The most that was measured is 9: words of letters and dots, cut at 128 characters for NLTK.
MOST = 16.0
# Below this a comparison measures the clock.
NOTHING = 0.05


def seconds(function: Callable[[str], object], text: str, runs: int = 2) -> float:
    """Seconds of this thread, the shortest of some runs: other work on the machine does not count."""
    times = []
    for _ in range(runs):
        started = time.thread_time()
        function(text)
        times.append(time.thread_time() - started)
    return min(times)


@pytest.fixture(scope="module")
def usual() -> float:
    """Seconds of the costliest normalisation for usual text of the larger size."""
    NORMALIZERS["bertweet"](SENTENCE)
    return seconds(NORMALIZERS["bertweet"], SENTENCE * (SIZES[1] // len(SENTENCE)))


@pytest.mark.parametrize("work", WORK)
def test_time_grows_with_the_length_of_a_text_and_no_faster(work: str, usual: float) -> None:
    function = WORK[work]
    function(SENTENCE)  # models and tables are loaded once
    # A neighbour that takes the caches slows one run down; slow work is slow in every run
    slow = [name for name in HOSTILE if too_slow(function, HOSTILE[name], usual, runs=2)]
    assert [name for name in slow if too_slow(function, HOSTILE[name], usual, runs=6)] == []


def too_slow(function: Callable[[str], object], make: Callable[[int], str], usual: float, runs: int) -> bool:
    """Whether a text costs far more than usual text of its length, or than its length explains."""
    small, large = (seconds(function, make(size), runs) for size in SIZES)
    return large > MOST * usual or (large > NOTHING and large > MOST_GROWTH * small)


def test_quadratic_work_is_told_from_linear_work() -> None:
    def quadratic(text: str) -> int:
        # The interpreter's own steps: searches in memory are too fast for the clock where caches are large
        return sum(1 for start in range(0, len(text), 400) for _ in text[start:])

    assert too_slow(quadratic, HOSTILE["one letter"], 1.0, runs=2)
    assert not too_slow(text_hash, HOSTILE["one letter"], 1.0, runs=2)


@pytest.mark.parametrize("size", [5 * 2**20])
def test_a_word_of_five_megabytes_takes_seconds(size: int) -> None:
    for make in (HOSTILE["one letter"], HOSTILE["digits"], HOSTILE["combining marks"]):
        text = make(size)
        for work in ("normalise basic", "normalise bertweet", "hashtags unicode", "hash", "language"):
            assert seconds(WORK[work], text) < 20


@pytest.mark.parametrize("text", ["1" * 10**6, "2026-01-31T" + "0" * 10**6, " " * 10**6, "Mon " * 250_000])
def test_a_time_of_a_million_characters_is_told_at_once(text: str) -> None:
    started = time.perf_counter()
    with pytest.raises(Damaged, match="bad_time"):
        to_time(text)
    assert time.perf_counter() - started < 1


def test_tokenising_hostile_texts_takes_time_by_length(usual: float) -> None:
    tokenizer = wordpiece_tokenizer()

    def tokenize(text: str) -> object:
        return tokenizer(text, truncation=True, max_length=64)

    taken = {name: seconds(tokenize, make(SIZES[1])) for name, make in HOSTILE.items()}
    assert {name: time for name, time in taken.items() if time > MOST * usual} == {}
