"""Fine-tuning of Qwen3-Embedding-0.6B's shape: tokens and pairs a second, memory and MFU, without network or Ray.

    python benchmarks/finetune_shapes.py                          a GPU: 28 layers
    python benchmarks/finetune_shapes.py --shapes two-layers      a CPU: the first two layers and the whole vocabulary
    python benchmarks/finetune_shapes.py --shapes miniature --steps 1     shows that the script runs, no figure

Weights and tokens are random, so the loss means nothing; shapes, memory and speed are those of the model. A step is
InfoNCE over a batch of pairs with LoRA (rank 8 on q, k, v and o) and AdamW, weights in float32, products in bfloat16
where the device has it. Texts have 16 to 112 tokens. A batch is one pass unless `--batch-size` and `--pack-tokens` say
otherwise; of several, each is computed twice. Each row is a process of its own: one step to warm up, then the median of
`--steps`. On a CPU one thread works, and its own seconds count, which a busy machine changes less. Peak memory is what
torch took of the GPU; on a CPU the resident set of the process, loading included.

MFU counts what the model needs, and none of what is computed twice: a forward pass (encoder/flops.py) is its matrices
once (2 operations a weight and token) and its attention once. Backwards, a frozen matrix only passes the gradient on,
which is as much again, and attention takes twice as much. So a step is 2 x matrices + 3 x attention; training all
weights would be 3 and 3. Beside it stands the device's peak (encoder/devices.py).
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))  # runs where the project is not installed
LENGTHS = (16, 112)
COLUMNS = ("shape", "gradient checkpointing", "passes", "tokens/s", "pairs/s", "peak GiB", "MFU")


@dataclass(frozen=True)
class Shape:
    """A model's shape, and the batch that it is measured with."""

    settings: dict[str, int]
    batch_size: int
    pack_tokens: int


QWEN3 = {
    "vocab_size": 151_669,
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 32_768,
}
SMALL = {"vocab_size": 2000, "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "head_dim": 16}
SHAPES = {
    "qwen3-0.6b": Shape({**QWEN3, "num_hidden_layers": 28}, 120, 16_384),
    "two-layers": Shape({**QWEN3, "num_hidden_layers": 2}, 16, 4096),
    "miniature": Shape({**SMALL, "num_key_value_heads": 2, "num_hidden_layers": 2}, 8, 512),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", help=f"comma-separated, of {', '.join(SHAPES)}; default: what suits the device")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--batch-size", type=int, help="pairs; default: of the shape")
    parser.add_argument("--pack-tokens", type=int, help="tokens of a pass; default: of the shape")
    parser.add_argument("--checkpointing", choices=("yes", "no"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    from theta_ray.encoder.precision import resolve_precision

    on_gpu = torch.cuda.is_available()
    options.shapes = options.shapes or ("qwen3-0.6b" if on_gpu else "two-layers")
    if options.checkpointing:
        print(json.dumps(measure(options, "cuda" if on_gpu else "cpu")))
        return
    device = torch.cuda.get_device_name() if on_gpu else "CPU, one thread"
    precision = resolve_precision("auto", "cuda" if on_gpu else "cpu")
    print(f"{device}, torch {torch.__version__}, random weights, products in {precision}, {options.steps} steps\n")
    print(f"| {' | '.join(COLUMNS)} |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for name in options.shapes.split(","):
        for checkpointing in ("no", "yes"):
            print(row_of(name, checkpointing), flush=True)


def row_of(name: str, checkpointing: str) -> str:
    """One line of the table, by another process."""
    command = [sys.executable, __file__, *sys.argv[1:], "--shapes", name, "--checkpointing", checkpointing]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason"])[-1]
        return f"| {name} | {checkpointing} | failed: {reason} | | | | |"
    found = json.loads(done.stdout.splitlines()[-1])
    seconds = found["seconds"]
    rates = f"{found['tokens'] / seconds:,.0f} | {found['pairs'] / seconds:,.1f}"
    mfu = found["operations"] / seconds / found["peak_rate"]
    return f"| {name} | {checkpointing} | {found['passes']} | {rates} | {found['peak'] / 2**30:.2f} | {mfu:.1%} |"


def measure(options: argparse.Namespace, device: str) -> dict[str, Any]:
    """Seconds of a step, peak bytes, and what the step was of."""
    from theta_ray.config_finetune import Finetune
    from theta_ray.encoder.packing import plan_packs
    from theta_ray.training.loop import make_optimizer
    from theta_ray.training.step import Alone, Step, add_gradients

    shape = SHAPES[options.shapes]
    if device == "cpu":
        torch.set_num_threads(1)
    count, pack_tokens = options.batch_size or shape.batch_size, options.pack_tokens or shape.pack_tokens
    settings = Finetune(
        batch_size=count, pack_tokens=pack_tokens, gradient_checkpointing=options.checkpointing == "yes"
    )
    with tempfile.TemporaryDirectory(prefix="theta-ray-shape-") as folder:
        encoder = make_encoder(shape, Path(folder), settings, device)
    parameters = {name: parameter for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    step = Step(encoder, encoder.width, list(parameters.values()), Alone(), settings.loss, pack_tokens, 0)
    optimizer, batch = make_optimizer(parameters, settings), make_batch(count, shape.settings["vocab_size"])
    encoder.train()
    clock, times = time.perf_counter if device == "cuda" else time.process_time, []
    for number in range(options.steps + 1):
        began = clock()
        optimizer.zero_grad()
        add_gradients(step, batch, number)
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(clock() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "seconds": statistics.median(times[1:]),
        "peak": torch.cuda.max_memory_allocated() if device == "cuda" else peak,
        "passes": len(plan_packs(batch.sequences.lengths, pack_tokens)),
        "tokens": int(batch.sequences.lengths.sum()),
        "pairs": count,
        **operations_of(encoder.model.config, batch.sequences.lengths, encoder.precision, device),
    }


def make_encoder(shape: Shape, folder: Path, settings: Any, device: str) -> Any:
    """A model of the shape with random weights and a LoRA adapter."""
    from theta_ray.config import Encoder
    from theta_ray.encoder.source import resolve_model
    from theta_ray.training.encode import LearningEncoder
    from theta_ray.training.loop import compute_layers_twice
    from theta_ray.training.lora import add_lora

    save(shape, folder)
    config = Encoder(model=str(folder), pooling="last", precision="auto")
    encoder = LearningEncoder(config, resolve_model(config), device=device)
    add_lora(encoder.model, settings.lora, seed=0)
    if settings.gradient_checkpointing:
        compute_layers_twice(encoder.model)
    return encoder


def save(shape: Shape, folder: Path) -> None:
    """Random weights, and a tokenizer of a few words, as no text is read."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

    words = {word: number for number, word in enumerate(["<pad>", "<end>", "word"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="word"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <end>", special_tokens=[("<end>", 1)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=512, pad_token="<pad>", eos_token="<end>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen3Config(pad_token_id=0, dtype="bfloat16", **shape.settings)
    Qwen3Model(config).to(torch.bfloat16).save_pretrained(folder)


def make_batch(num_pairs: int, vocab_size: int) -> Any:
    """Pairs of random tokens."""
    from theta_ray.encoder.tokenize import TokenSequences
    from theta_ray.training.batch import Batch, Keys

    generator, count = np.random.default_rng(0), 2 * num_pairs
    lengths = generator.integers(*LENGTHS, count)
    tokens = generator.integers(2, vocab_size, lengths.sum()).astype(np.int32)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    sequences = TokenSequences(tokens, offsets, np.arange(count, dtype=np.int32), count)
    return Batch(sequences, Keys(np.full(count, -1), np.arange(count)), num_pairs)


def operations_of(config: Any, lengths: Any, precision: str, device: str) -> dict[str, float]:
    """Operations that a step needs, and the device's best rate."""
    from theta_ray.encoder.devices import peak_of
    from theta_ray.encoder.flops import count_flops, layers_of

    layers = layers_of(config)
    assert layers is not None, "Qwen3 is known"
    matrices = 2 * layers.weights * int(lengths.sum())
    attention = count_flops(config, lengths, 0) - matrices
    rate = best_rate_of_thread(config, precision) if device == "cpu" else peak_of(device, precision, config).flops
    return {"operations": 2 * matrices + 3 * attention, "peak_rate": rate}


@torch.inference_mode()
def best_rate_of_thread(config: Any, precision: str) -> float:
    """Operations a second of the thread's own, of the best of some feed-forward products."""
    rows, width, inner = 2048, config.hidden_size, config.intermediate_size
    dtype, seconds = getattr(torch, precision), []
    layer = torch.nn.Linear(width, inner, bias=False, dtype=dtype)
    states = torch.rand((rows, width), dtype=dtype)
    for _ in range(30):
        began = time.process_time()
        layer(states)
        seconds.append(time.process_time() - began)
    return 2 * rows * width * inner / min(seconds)


if __name__ == "__main__":
    main()
