"""Fine-tuning beside sentence-transformers' trainer: the same model, pairs, batch, steps, rate and adapter.

    python benchmarks/finetune_vs_peers.py --config recipes/tune_hashtags.yaml --root results --steps 30

Needs `datasets` and `accelerate` beside sentence-transformers. The pairs are mined first where they are missing. Each
side runs in a process of its own, `--rounds` times in turn, with another seed each. sentence-transformers'
MultipleNegativesRankingLoss has no masks, so ours are off and both learn the same thing; each draws its own batches.
Shown: medians of pairs a second, of the clock and of the processor (the ratio is of these, since other programs disturb
it less), and of peak memory; on the test pairs, by our evaluation, medians of both and the paired difference of
every round with its 95 % interval. The rate is constant on both sides: the trainer's warm-up begins with a rate of 0,
and it would be a step behind.
"""

from __future__ import annotations

import argparse
import pickle
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

DAY = "2026-01-31"
SHOWN = ("recall_at_1", "recall_at_10", "mrr")
NAMES = {"ours": "theta_ray", "peer": "sentence-transformers' trainer"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        options.out.write_bytes(pickle.dumps(measure(options)))
        return
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in NAMES}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.rounds):
            for name in NAMES:
                out = Path(folder) / f"{name}-{seed}"
                command = [
                    sys.executable,
                    __file__,
                    *sys.argv[1:],
                    "--one",
                    name,
                    "--seed",
                    str(seed),
                    "--out",
                    str(out),
                ]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
                found[name].append(pickle.loads(out.read_bytes()))
    print_speed(found)
    print_quality(found)


def print_speed(found: dict[str, list[dict[str, Any]]]) -> None:
    print("| trainer | pairs/s | pairs a CPU second | x | peak MiB |\n| --- | ---: | ---: | ---: | ---: |")
    for name, runs in found.items():
        ratios = [run["cpu_rate"] / peer["cpu_rate"] for run, peer in zip(runs, found["peer"], strict=True)]
        rate, of_cpu, peak = (statistics.median(run[key] for run in runs) for key in ("rate", "cpu_rate", "peak"))
        print(f"| {NAMES[name]} | {rate:.1f} | {of_cpu:.1f} | {statistics.median(ratios):.2f} | {peak:,.0f} |")


def print_quality(found: dict[str, list[dict[str, Any]]]) -> None:
    """Medians over the rounds, and the paired difference of the trainers in each, with its interval."""
    from theta_ray.training.evaluation import compare

    print(f"\n| metric | base | {NAMES['ours']} | {NAMES['peer']} | ours - theirs, each round |")
    print("| --- | ---: | ---: | ---: | --- |")
    rounds = list(zip(found["ours"], found["peer"], strict=True))
    beside = [compare(peer["tuned"], ours["tuned"], ours["settings"]) for ours, peer in rounds]
    of_base = compare(found["ours"][0]["base"], found["ours"][0]["tuned"], found["ours"][0]["settings"])
    for metric in SHOWN:
        ours, theirs = (statistics.median(row[metric][side]["value"] for row in beside) for side in ("tuned", "base"))
        differences = [row[metric]["difference"] for row in beside]
        told = ", ".join(f"{each['value']:.3f} [{each['low']:.3f}, {each['high']:.3f}]" for each in differences)
        print(f"| {metric} | {of_base[metric]['base']['value']:.3f} | {ours:.3f} | {theirs:.3f} | {told} |")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """One side's pairs a second, peak memory in MiB, and what evaluation says of every held-out query."""
    import torch

    from theta_ray.recipe_files import load_config
    from theta_ray.training import finetune, mine_pairs
    from theta_ray.training.loop import Learner
    from theta_ray.training.step import Alone

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder) / "resources.yaml"
        where.write_text(f"executor: local\nthreads_per_actor: {options.threads}\n")
        overrides = (f"finetune.max_steps={options.steps}", "finetune.epochs=1000", "finetune.checkpoint_every=1000000")
        overrides += ("finetune.loss.masks_false_negatives=false", "finetune.loss.symmetric=false")
        overrides += (f"finetune.seed={options.seed}", "finetune.schedule=constant", "finetune.warmup_share=0")
        root = str(options.root.resolve())
        config = load_config(options.config, resources_path=str(where), root=root, overrides=overrides)
    mine_pairs.run(config, DAY)
    job = finetune.make_job(config, DAY).job
    learner = Learner(job, Alone())
    train = train_ours if options.one == "ours" else train_peer
    seconds, cpu_seconds = train(learner, options.steps)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    num_pairs = options.steps * learner.order.batch_size
    rates = {"rate": num_pairs / seconds, "cpu_rate": num_pairs / cpu_seconds}
    base = scores_of(Learner(job, Alone())) if options.one == "ours" and not options.seed else None
    return {**rates, "peak": peak, "base": base, "tuned": scores_of(learner), "settings": job.finetune.evaluation}


def scores_of(learner: Any) -> Any:
    """Of the model as it is now."""
    from theta_ray.training.held_out import encode, score

    vectors = encode(learner.encoder.eval(), learner.held_out.texts, learner.workers, learner.job.finetune.pack_tokens)
    return score(vectors, learner.held_out, learner.job.finetune.evaluation, learner.workers, "cpu")


def timed(run: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the clock and of the processor."""
    began, began_cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - began, time.process_time() - began_cpu


def train_ours(learner: Any, steps: int) -> tuple[float, float]:
    from theta_ray.training import loop

    loop.save_checkpoint = lambda *_: None  # neither side writes any
    assert learner.num_steps == steps
    return timed(lambda: learner.train(lambda _: None))


def train_peer(learner: Any, steps: int) -> tuple[float, float]:
    """sentence-transformers with the learner's own model and adapter, on the same pairs' first views."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.losses import MultipleNegativesRankingLoss

    from theta_ray.training.lora import add_lora

    settings, places = learner.job.finetune, np.arange(len(learner.data))
    anchors, positives, _ = learner.data.texts(places, 0)
    model = SentenceTransformer(learner.job.source.folder, device="cpu", local_files_only=True)
    model.max_seq_length = learner.encoder.tokenizer.max_length
    add_lora(model[0].auto_model, settings.lora, seed=settings.seed)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = "lora_" in name
    with tempfile.TemporaryDirectory() as folder:
        arguments = SentenceTransformerTrainingArguments(
            folder,
            max_steps=steps,
            per_device_train_batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            warmup_steps=0,
            lr_scheduler_type="constant",
            max_grad_norm=settings.max_gradient_norm,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
            seed=settings.seed,
            dataloader_drop_last=True,
        )
        trainer = SentenceTransformerTrainer(
            model=model,
            args=arguments,
            train_dataset=Dataset.from_dict({"anchor": anchors, "positive": positives}),
            loss=MultipleNegativesRankingLoss(model, scale=1 / settings.loss.temperature),
        )
        seconds = timed(trainer.train)
    tuned = {name: parameter for name, parameter in model.named_parameters() if "lora_" in name}
    ours = {name: parameter for name, parameter in learner.parameters.items() if "lora_" in name}
    for (_, mine), (_, theirs) in zip(sorted(ours.items()), sorted(tuned.items()), strict=True):
        mine.data.copy_(theirs.data)
    return seconds


if __name__ == "__main__":
    main()
