"""How many documents an hour, GPU-hours and money a million of them take: the table of cluster_configs/README.md.

    python benchmarks/sizing.py                                  print it
    python benchmarks/sizing.py --write cluster_configs/README.md
    python benchmarks/sizing.py --price "NVIDIA L4=0.70"         prices of your own, an hour

A CPU's row has what `benchmarks/encoder_vs_peers.py` measured: 83 GFLOP/s a core in float32, 54 % of the best product.
A GPU's rows are computed, not measured: operations of the model's layers (theta_ray/encoder/flops.py) against the share
of the peak that `--plan` assumes too (theta_ray/encoder/job.py). `benchmarks/gpu.py` measures it where there is one.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from transformers import BertConfig, Qwen3Config, RobertaConfig

from theta_ray.encoder.devices import peak_in_table
from theta_ray.encoder.flops import count_flops
from theta_ray.encoder.job import GPU_MFU

BEGIN, END = "<!-- sizing -->", "<!-- /sizing -->"
# Tokens of an average tweet and of an average forum post under these models' tokenizers.
TWEET, POST = 30, 200
CORE_FLOPS = 83e9
# Examples, an hour: on demand, without discounts. A reader has others.
PRICES = {
    "8 CPU cores": 0.40,
    "NVIDIA L4": 0.80,
    "NVIDIA A10": 1.20,
    "NVIDIA A100 80GB PCIe": 3.70,
    "NVIDIA H100 80GB HBM3": 6.00,
}


@dataclass(frozen=True)
class Model:
    """The shape of a model."""

    name: str
    config: Any
    weights: int
    """Without embeddings of tokens."""

    def flops(self, num_tokens: int) -> int:
        """Of one document."""
        return count_flops(self.config, np.array([num_tokens]), self.weights)


def models() -> list[Model]:
    """Those that the project is made for, by their published shapes."""
    small = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
    shapes = {"num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 3072}
    middle = Qwen3Config(hidden_size=1024, num_hidden_layers=28, **shapes)
    shapes = {"num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 9728}
    large = Qwen3Config(hidden_size=2560, num_hidden_layers=36, **shapes)
    return [
        Model("all-MiniLM-L6-v2", small, 10_600_000),
        Model("BERTweet-base", RobertaConfig(), 85_000_000),
        Model("Qwen3-Embedding-0.6B", middle, 440_000_000),
        Model("Qwen3-Embedding-4B", large, 3_600_000_000),
    ]


def rate_of(device: str, model: Model) -> float:
    """Operations a second that count, of one device."""
    if device.endswith("cores"):
        return CORE_FLOPS * int(device.split()[0])
    peak = peak_in_table(device, "bfloat16")
    assert peak is not None, device
    return peak.flops * next(share for weights, share in GPU_MFU if model.weights >= weights)


def table(prices: dict[str, float]) -> str:
    """All models on all devices."""
    lines = [
        f"| model | device | tweets an hour ({TWEET} tokens) | posts an hour ({POST}) "
        "| device-hours a million tweets | posts | price an hour | a million tweets | posts |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for model in models():
        for device, price in prices.items():
            if device.endswith("cores") and model.weights > 1_000_000_000:
                continue
            an_hour = [3600 * rate_of(device, model) / model.flops(length) for length in (TWEET, POST)]
            hours = [1e6 / each for each in an_hour]
            cells = [f"{each:,.0f}" for each in (_round(value) for value in an_hour)]
            cells += [f"{each:.2g}" for each in hours]
            cells += [f"{price:.2f}", *(f"{each * price:.2g}" for each in hours)]
            lines.append(f"| {model.name} | {device.removeprefix('NVIDIA ')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _round(value: float) -> float:
    """Two digits that count."""
    return float(f"{value:.2g}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--price", action="append", default=[], metavar="DEVICE=AMOUNT")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    given = dict(each.rsplit("=", 1) for each in options.price)
    text = table({**PRICES, **{device: float(price) for device, price in given.items()}})
    if options.write is None:
        print(text)
        return
    before, _, rest = options.write.read_text().partition(BEGIN)
    options.write.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
