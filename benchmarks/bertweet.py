"""One table: BERTweet's normaliser and tokenizer, the reference beside the fast one, on one core.

    python benchmarks/bertweet.py                         the synthetic sample's texts
    python benchmarks/bertweet.py --texts FILE.parquet    column `text` of a file of yours

The tokenizer's files are trained on a tenth of the texts. Cold: nothing known, every text once. Warm: the same texts
again. The fast ones compare one text in 256 with the reference, as they do in a job. Medians over interleaved rounds,
CPU seconds; ratios are taken within a round. Outcomes are compared text for text.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from embed_vs_peers import REPOSITORY, write_texts

sys.path.insert(0, str(REPOSITORY))

from tests.bertweet import save_bertweet
from theta_ray.corpus.bertweet import normalizer
from theta_ray.corpus.text import bertweet
from theta_ray.encoder.bertweet import FastBertweet

BATCH, SHARD = 256, 8192
CUT = {"truncation": True, "max_length": 128}
Work = Callable[[list[str]], list[Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, help="parquet file with a column `text`; default: the sample corpus")
    parser.add_argument("--limit", type=int, default=20_000, help="texts to use (default 20000)")
    parser.add_argument("--pieces", type=int, default=40_000, help="pieces of the tokenizer (BERTweet has 64000)")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="theta-ray-benchmark-") as name:
        folder = Path(name)
        texts = pq.read_table(write_texts(options.texts, options.limit, folder))["text"].to_pylist()
        normalized = normalizer("bertweet")(texts)
        save_bertweet(folder / "model", normalized[::10], options.pieces)
        print(
            f"{len(texts):,} texts, {sum(map(len, texts)) / len(texts):.0f} characters each, {options.rounds} rounds\n"
        )
        print("| step | reference, texts/s | fast, cold | fast, warm | cold / reference | warm / reference |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        show("normalise", measure(texts, BATCH, normalizers, options.rounds))
        show("tokenise", measure(normalized, SHARD, lambda: tokenizers(folder / "model"), options.rounds))


def normalizers() -> tuple[Work, Work]:
    """The reference and a fast one that has seen nothing."""
    bertweet("NLTK compiles its expression at the first text")
    return lambda texts: [bertweet(text) for text in texts], normalizer("bertweet")


def tokenizers(folder: Path) -> tuple[Work, Work]:
    """transformers' and a fast one, which have seen nothing."""
    from transformers import AutoTokenizer

    slow, inner = (AutoTokenizer.from_pretrained(folder) for _ in range(2))
    fast = FastBertweet.of(inner)
    assert fast is not None
    options = {"return_attention_mask": False, "return_token_type_ids": False, **CUT}
    return lambda texts: list(slow(texts, **options).input_ids), lambda texts: fast(texts, **CUT)


def measure(texts: list[str], size: int, make: Callable[[], tuple[Work, Work]], rounds: int) -> list[list[float]]:
    """Texts a CPU second of the reference, the fast one cold and warm, for each round."""
    rates = []
    for _ in range(rounds):
        reference, fast = make()
        expected, slow_rate = run(reference, texts, size)
        cold, cold_rate = run(fast, texts, size)
        warm, warm_rate = run(fast, texts, size)
        assert expected == cold == warm
        rates.append([slow_rate, cold_rate, warm_rate])
    return rates


def run(work: Work, texts: list[str], size: int) -> tuple[list[Any], float]:
    """What the work makes of the texts, so many at a time, and texts a CPU second."""
    started = time.process_time()
    found = [item for start in range(0, len(texts), size) for item in work(texts[start : start + size])]
    return found, len(texts) / (time.process_time() - started)


def show(step: str, rates: list[list[float]]) -> None:
    """A row of the table."""
    slow, cold, warm = (statistics.median(rate[i] for rate in rates) for i in range(3))
    over = [statistics.median(rate[i] / rate[0] for rate in rates) for i in (1, 2)]
    print(f"| {step} | {slow:,.0f} | {cold:,.0f} | {warm:,.0f} | {over[0]:.1f} | {over[1]:.1f} |")


if __name__ == "__main__":
    main()
