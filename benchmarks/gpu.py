"""One table for a GPU: encoders of three shapes on tweets, ours beside sentence-transformers, then whole jobs on Ray.

    python benchmarks/gpu.py --texts TWEETS.parquet     column `text`; default: the synthetic sample's texts
    python benchmarks/gpu.py --miniature                 small shapes on the CPU: shows that the script runs, no figure

Weights are random, so vectors mean nothing here; shapes, memory and speed are those of the models. The tokenizer is
trained on the texts. Both encoders get the same texts in bfloat16, sentence-transformers sorted by length and with its
fastest attention; medians of `--rounds`, interleaved. MFU is the model's operations without padding (encoder/flops.py)
beside the maker's dense peak (encoder/devices.py). The jobs need Ray and are left out without it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import transformers

transformers.utils.logging.disable_progress_bar()
REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))  # runs where the project is not installed


@dataclass(frozen=True)
class Shape:
    """A model's shape, and the texts and packs it is measured with."""

    name: str
    family: str
    settings: dict[str, int]
    num_texts: int
    pack_tokens: int


QWEN3 = {"vocab_size": 151669, "head_dim": 128, "num_key_value_heads": 8, "max_position_embeddings": 32768}
SHAPES = [
    Shape("BERT-base", "bert", {"vocab_size": 30522}, 200_000, 65_536),
    Shape(
        "Qwen3-Embedding-0.6B",
        "qwen3",
        {**QWEN3, "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16},
        100_000,
        65_536,
    ),
    Shape(
        "Qwen3-Embedding-4B",
        "qwen3",
        {**QWEN3, "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32},
        30_000,
        65_536,
    ),
]
SMALL = {"vocab_size": 2000, "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4}
MINIATURES = [
    Shape("BERT, miniature", "bert", {**SMALL, "num_hidden_layers": 2}, 256, 2048),
    Shape(
        "Qwen3, miniature",
        "qwen3",
        {**SMALL, "num_hidden_layers": 2, "num_key_value_heads": 2, "head_dim": 16},
        256,
        2048,
    ),
]
POOLING = {
    "bert": {"pooling_mode_mean_tokens": True},
    "qwen3": {"pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": False},
}
HUGE_PACK, MAX_LENGTH = 100_000, 128
RECIPE = """
name: gpu-benchmark
corpus:
  inputs: [{{reader: parquet, path: {texts}, columns: {{text: text}}}}]
  authors: drop
  language: none
encoder: {{model: "{model}", max_length: 128}}
embed: {{shard_tokens: {shard_tokens}, parity_rows: 4, min_cosine: -1}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--miniature", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-jobs", action="store_true", help="encoders alone")
    parser.add_argument("--shapes", help="comma-separated parts of names; default: all")
    options = parser.parse_args()
    device = "cpu" if options.miniature else "cuda"
    print(f"{torch.cuda.get_device_name() if device == 'cuda' else 'CPU, in miniature: no figure'}, torch", end=" ")
    print(f"{torch.__version__}, random weights, bfloat16, medians of {options.rounds} rounds")
    with tempfile.TemporaryDirectory(prefix="theta-ray-gpu-") as folder:
        texts = read_texts(options.texts, Path(folder))
        for shape in MINIATURES if options.miniature else SHAPES:
            if any(part in shape.name for part in (options.shapes or shape.name).split(",")):
                chosen = (texts * (shape.num_texts // len(texts) + 1))[: shape.num_texts]
                model = save(shape, texts, Path(folder) / shape.family)
                print_encoders(shape, measure_encoders(shape, model, chosen, (device, options.rounds)))
                if not options.no_jobs:
                    print_job(shape, model, chosen, device)


def read_texts(source: Path | None, folder: Path) -> list[str]:
    """Distinct texts; numbers are appended where a shape needs more, so that none is collapsed."""
    from embed_vs_peers import write_texts

    written = write_texts(source, 50_000, folder)
    texts: list[str] = pq.read_table(written)["text"].to_pylist()
    return texts


def save(shape: Shape, texts: list[str], folder: Path) -> str:
    """Random bfloat16 weights and a tokenizer trained on the texts."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    folder.mkdir(exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    size = min(30_000, shape.settings["vocab_size"])
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=size, special_tokens=["<end>", "<pad>"]))
    end = [("<end>", tokenizer.token_to_id("<end>"))]
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <end>", special_tokens=end)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=512, pad_token="<pad>", eos_token="<end>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = AutoConfig.for_model(shape.family, pad_token_id=1, dtype="bfloat16", **shape.settings)
    AutoModel.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
    parts = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(parts)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    pooling = {"word_embedding_dimension": config.hidden_size, **POOLING[shape.family]}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return str(folder)


def measure_encoders(shape: Shape, model: str, texts: list[str], how: tuple[str, int]) -> dict[str, dict[str, Any]]:
    """Seconds of our encoder and of sentence-transformers for the same texts, tokenising of ours left out."""
    from theta_ray.config import Embed, Encoder
    from theta_ray.encoder.encoder import TextEncoder
    from theta_ray.encoder.source import resolve_model

    device, rounds = how
    config = Encoder(model=model, precision="bfloat16", max_length=MAX_LENGTH)
    encoder = TextEncoder(config, Embed(), resolve_model(config), device=device)
    sequences = encoder.tokenizer.encode(texts)
    lengths, padded = sequences.lengths, {}
    peer = sentence_transformers(model, device)

    def ours() -> None:
        _, work = encoder.embed_sequences(sequences, batch_tokens=shape.pack_tokens)
        padded["ours"] = 1 - work.num_tokens / work.num_padded_tokens

    paths: dict[str, Callable[[], object]] = {f"ours, {encoder.kernels.attention}": ours}
    paths["sentence-transformers"] = lambda: peer(texts)
    times: dict[str, list[float]] = {name: [] for name in paths}
    for path in paths.values():
        path()  # kernels are chosen and memory is taken once
    for _ in range(rounds):
        for name, path in paths.items():
            times[name].append(timed(path, device))
    facts: dict[str, Any] = {"lengths": lengths, "config": encoder.model.config, "padding": padded["ours"]}
    cosines = (encoder.embed_texts(texts[:500]) * peer(texts[:500])).sum(axis=1)
    facts |= {"min_cosine": float(cosines.min()), "device": device}
    facts["huge_pack_gib"] = memory_of_a_huge_pack(encoder, sequences, device)
    return {name: {**facts, "seconds": statistics.median(taken)} for name, taken in times.items()}


def sentence_transformers(folder: str, device: str) -> Callable[[list[str]], np.ndarray]:
    """Its encode in bfloat16 with the fastest attention that is installed; it sorts by length itself."""
    from sentence_transformers import SentenceTransformer

    flash = device == "cuda" and importlib.util.find_spec("flash_attn") is not None
    settings = {"dtype": torch.bfloat16, "attn_implementation": "flash_attention_2" if flash else "sdpa"}
    peer = SentenceTransformer(folder, device=device, model_kwargs=settings, local_files_only=True)
    peer.max_seq_length = MAX_LENGTH
    return lambda texts: np.asarray(peer.encode(texts, batch_size=256, show_progress_bar=False), np.float32)


def timed(path: Callable[[], object], device: str) -> float:
    started = time.perf_counter()
    path()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def memory_of_a_huge_pack(encoder: Any, sequences: Any, device: str) -> float | None:
    """GiB that packs of 100,000 tokens take at most, weights included; None on a CPU."""
    if device != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats()
    encoder.embed_sequences(sequences, batch_tokens=HUGE_PACK)
    return torch.cuda.max_memory_allocated() / 2**30


def print_encoders(shape: Shape, results: dict[str, dict[str, Any]]) -> None:
    from theta_ray.encoder.devices import peak_of
    from theta_ray.encoder.flops import count_flops

    print(f"\n| {shape.name} | texts | useful tokens/s | MFU | padding | x | smallest cosine | GiB at 100k tokens |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    slow = results["sentence-transformers"]["seconds"]
    for name, facts in results.items():
        lengths, seconds = facts["lengths"], facts["seconds"]
        peak = peak_of(facts["device"], "bfloat16", facts["config"]).flops
        mfu = count_flops(facts["config"], lengths, 0) / seconds / peak
        mine = name.startswith("ours")
        memory = f"{facts['huge_pack_gib']:.1f}" if mine and facts["huge_pack_gib"] else ""
        padding = f"{facts['padding']:.1%}" if mine else ""
        print(f"| {name} | {len(lengths):,} | {lengths.sum() / seconds:,.0f} | {mfu:.1%} | {padding} ", end="")
        print(f"| {slow / seconds:.2f} | {facts['min_cosine']:.5f} | {memory} |")


def print_job(shape: Shape, model: str, texts: list[str], device: str) -> None:
    """A whole job on Ray, from parquet to committed vectors: its own run card tells."""
    if importlib.util.find_spec("ray") is None:
        print("whole job: not measured, Ray is not installed")
        return
    with tempfile.TemporaryDirectory(prefix="theta-ray-gpu-job-") as folder:
        place = Path(folder)
        numbered = [f"{text} {number}" for number, text in enumerate(texts)]
        pq.write_table(pa.table({"text": numbered}), place / "texts.parquet", row_group_size=10_000)
        shard_tokens = max(2000, sum(map(len, texts)) // 4 // 12)
        recipe, resources = place / "recipe.yaml", place / "resources.yaml"
        recipe.write_text(RECIPE.format(texts=place / "texts.parquet", model=model, shard_tokens=shard_tokens))
        gpus = int(device == "cuda")
        resources.write_text(f"gpus_per_actor: {gpus}\nbatch_tokens: {shape.pack_tokens}\n")
        command = [sys.executable, str(REPOSITORY / "jobs" / "embed.py"), "--config", str(recipe), "--resources"]
        command += [str(resources), "--root", str(place / "root"), "--date", "2026-01-31"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
        if done.returncode:
            print(f"whole job: failed: {done.stderr.strip().splitlines()[-2:]}")
            return
        (card,) = (place / "root").glob("embeddings/*/dt=*/run_cards/*.json")
        print_card(json.loads(card.read_text()))


def print_card(card: dict[str, Any]) -> None:
    figures, stalls = card["figures"], card["stall_seconds"]
    busy = card["worker_seconds"]["forward"]
    waiting = stalls["tokens"] / (busy + sum(value for cause, value in stalls.items() if cause != "weights"))
    print(
        f"whole job on Ray: {figures['tokens']:,} tokens, {figures['tokens_per_second']:,} tokens/s over the phase, "
        f"{figures['tokens'] / busy:,.0f} while the model computes, MFU {figures['mfu']}, ramp "
        f"{figures['ramp_seconds']} s, waiting for tokens {waiting:.1%}, stalls {np.round(list(stalls.values()), 1)} "
        f"({', '.join(stalls)})"
    )


if __name__ == "__main__":
    main()
