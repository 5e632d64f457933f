"""One table: texts per CPU second and padding of the encoder, by the token budget of its batches.

    python benchmarks/batch_tokens.py                         the synthetic sample's texts
    python benchmarks/batch_tokens.py --texts FILE.parquet    column `text` of a file of yours

One thread, float32, all-MiniLM-L6-v2; medians over interleaved rounds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq
from embed_vs_peers import load_ours, write_texts

BUDGETS = (512, 1024, 2048, 4096, 8192)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, help="parquet file with a column `text`; default: the sample corpus")
    parser.add_argument("--limit", type=int, default=700, help="texts to use (default 700)")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="theta-ray-benchmark-") as name:
        texts = pq.read_table(write_texts(options.texts, options.limit, Path(name)))["text"].to_pylist()
    encoder = load_ours(texts)[0].__self__
    sequences = encoder.tokenizer.encode(texts)
    seconds: dict[int, list[float]] = {budget: [] for budget in BUDGETS}
    padding = {}
    for _ in range(options.rounds):
        for budget in BUDGETS:
            started = time.process_time()
            _, work = encoder.embed_sequences(sequences, batch_tokens=budget)
            seconds[budget].append(time.process_time() - started)
            padding[budget] = 1 - work.num_tokens / work.num_padded_tokens
    print(f"\n{len(texts)} texts, {len(sequences.tokens) / len(texts):.0f} tokens each, {options.rounds} rounds\n")
    print("| batch_tokens | texts per CPU-s | padding |\n| ---: | ---: | ---: |")
    for budget in BUDGETS:
        print(f"| {budget} | {len(texts) / statistics.median(seconds[budget]):.1f} | {padding[budget]:.1%} |")


if __name__ == "__main__":
    main()
