"""What one worker of a training run does: the same steps as all others, on its own packs.

    step -> global batch -> gradient, summed over workers -> clip -> AdamW -> now and then a checkpoint
    after the last: vectors of the held-out texts, base and tuned -> metrics -> rank 0 commits the adapter

All workers have the same weights at all times, as they start from the same ones and add the same gradients.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from theta_ray.config import Encoder
from theta_ray.config_finetune import Finetune
from theta_ray.config_pairs import Pairs
from theta_ray.encoder.precision import resolve_precision
from theta_ray.encoder.shard import source_on_this_node
from theta_ray.encoder.source import ModelSource
from theta_ray.errors import StageError
from theta_ray.steps import reached
from theta_ray.store import Partition
from theta_ray.training.batch import Batch
from theta_ray.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from theta_ray.training.checks import check_data
from theta_ray.training.classifier import Classifier
from theta_ray.training.collapse import check_collapse
from theta_ray.training.data import PairData
from theta_ray.training.encode import LearningEncoder
from theta_ray.training.evaluation import Scores, compare, summarise
from theta_ray.training.fsdp import shard_layers
from theta_ray.training.held_out import encode, held_out, score
from theta_ray.training.local_copy import LocalCopy
from theta_ray.training.lora import add_lora
from theta_ray.training.objective import loss_of_texts
from theta_ray.training.order import Order
from theta_ray.training.step import Step, Workers, add_gradients
from theta_ray.training.teacher import TeacherVectors

logger = logging.getLogger(__name__)
BETAS, EPSILON = (0.9, 0.999), 1e-8
HEAD = "head."
"""Begins the names of a classifier's parameters."""
Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class TrainJob:
    """What every worker of a run needs to know."""

    corpus: Partition
    pairs: Partition
    adapter: Partition
    encoder: Encoder
    finetune: Finetune
    pair_settings: Pairs
    source: ModelSource
    device: str
    threads: int
    fsdp: bool = False
    """Whether workers hold a share of the base's layers each."""
    teacher: Partition | None = None
    """Whose vectors are to be had."""


class Learner:
    """The model of a run on one worker, its optimizer, and how far both are."""

    def __init__(self, job: TrainJob, workers: Workers) -> None:
        torch.set_num_threads(job.threads)
        self.job, self.workers, settings = job, workers, job.finetune
        self.is_sharded = job.fsdp and workers.size > 1
        self._config = _encoder_config(job), source_on_this_node(job.encoder, job.source)
        self.encoder, self.peft = self._make_encoder()
        self.parameters = {name: p for name, p in self.encoder.named_parameters() if p.requires_grad}
        copy = LocalCopy(job.corpus, job.pairs)
        teacher = TeacherVectors(copy, job.teacher) if job.teacher is not None else None
        self.data = PairData(copy, "train", job.pair_settings, self.encoder.tokenizer, settings.seed, teacher)
        check_data(self.data, settings, width=self.encoder.width, num_workers=workers.size)
        self.of_texts = loss_of_texts(self.encoder, self.data, settings)
        if self.classifier is not None:
            self.parameters |= {f"{HEAD}{name}": p for name, p in self.classifier.head.named_parameters()}
        kept = PairData(copy, "test", job.pair_settings, self.encoder.tokenizer, settings.seed)
        # here, so that a split without pairs is told before any step
        self.held_out = held_out(kept, settings.evaluation)
        self.order = Order(len(self.data), settings.batch_size, settings.seed)
        self.num_steps = num_steps(self.order, settings)
        self.optimizer = make_optimizer(self.parameters, settings)

    @property
    def classifier(self) -> Classifier | None:
        """What learns beside the model, with loss `ce_head`."""
        return self.of_texts if isinstance(self.of_texts, Classifier) else None

    def _make_encoder(self) -> tuple[LearningEncoder, Any]:
        """The model with what learns on it, and the `peft.PeftModel` around it, if that is an adapter."""
        job, settings, peft = self.job, self.job.finetune, None
        # the whole of a base that is to be sharded may fit the main memory alone
        device = "cpu" if self.is_sharded else job.device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)  # of a projection's first weights, the same on every worker
            encoder = LearningEncoder(*self._config, device=device, projection=settings.projection)
        self.num_layers = encoder.earlier.num_layers if settings.loss.layers else 0  # looked at before they change
        if settings.method == "lora":
            peft = add_lora(encoder.model, settings.lora, seed=settings.seed)
        else:
            encoder.model.requires_grad_()
        if settings.gradient_checkpointing:
            compute_layers_twice(encoder.model)
        if self.is_sharded:
            shard_layers(encoder.model, device=job.device, num_workers=self.workers.size)
        return encoder.to(job.device), peft

    def evaluate(self) -> dict[str, Any]:
        """Metrics of the model beside its base, on the pairs that were kept from training."""
        self.encoder.eval()
        tuned = self._score(self.encoder, self.job.adapter.path)
        with self._base() as encoder:
            base = self._score(encoder)
        return compare(base, tuned, self.job.finetune.evaluation)

    def _score(self, encoder: LearningEncoder, where: str | None = None) -> Scores:
        """Each held-out query; with `where`, StageError beginning with it where the vectors have collapsed."""
        texts, settings = self.held_out, self.job.finetune
        vectors = encode(encoder, texts.texts, self.workers, settings.pack_tokens, equal_passes=self.is_sharded)
        found = score(vectors, texts, settings.evaluation, self.workers, self.job.device)
        if where is not None:
            check_collapse(found.spread, settings.evaluation, where)
        return found

    @contextmanager
    def _base(self) -> Iterator[LearningEncoder]:
        """The model as it was before training: without its adapter, or loaded once more."""
        if self.peft is None:
            yield LearningEncoder(*self._config, device=self.job.device).eval()
            return
        encoder, projection = self.encoder, self.encoder.projection
        encoder.projection = None
        try:
            with self.peft.disable_adapter():
                yield encoder
        finally:
            encoder.projection = projection

    def train(self, report: Report) -> Progress:
        """Take the steps that are not done; the losses of all."""
        settings, parameters = self.job.finetune, list(self.parameters.values())
        progress = load_checkpoint(self.job.adapter, self.parameters, self.optimizer)
        losses, evaluations, began = list(progress.losses), list(progress.evaluations), time.perf_counter()
        step = Step(
            self.encoder,
            self.encoder.width,
            parameters,
            self.workers,
            settings.loss,
            settings.pack_tokens,
            settings.seed,
            equal_passes=self.is_sharded,
            of_texts=self.of_texts,
            num_layers=self.num_layers,
        )
        self.encoder.train()
        for number, batch in self._batches(progress.step):
            self.optimizer.zero_grad()
            loss = add_gradients(step, batch, number)
            if not math.isfinite(loss):
                raise StageError(f"finetune: the loss of step {number + 1} is {loss}; lower finetune.learning_rate")
            norm = torch.nn.utils.clip_grad_norm_(parameters, settings.max_gradient_norm)
            for group in self.optimizer.param_groups:
                group["lr"] = group["initial_lr"] * rate_at(number, self.num_steps, settings)
            self.optimizer.step()
            losses.append(loss)
            done = number + 1
            reached("step_taken", self.job.adapter.table, str(done))
            if settings.evaluation.every and done % settings.evaluation.every == 0:
                evaluations.append({"step": done, "metrics": self._metrics_at(done)})
            is_due = done % settings.checkpoint_every == 0 or done == self.num_steps
            if is_due and self.workers.rank == 0:
                now = Progress(done, losses, evaluations)
                save_checkpoint(self.job.adapter, self.parameters, self.optimizer, now)
            seconds, began = time.perf_counter() - began, time.perf_counter()
            report(
                {
                    "step": done,
                    "loss": loss,
                    "gradient_norm": float(norm),
                    "pairs_per_second": batch.num_pairs / seconds,
                }
            )
        return Progress(self.num_steps, losses, evaluations)

    def _metrics_at(self, step: int) -> dict[str, Any]:
        """Metrics of the model as it is after a step of training."""
        self.encoder.eval()
        found = self._score(self.encoder, f"{self.job.adapter.path} step {step}")
        self.encoder.train()
        return summarise(found, self.job.finetune.evaluation)

    def _batches(self, first: int) -> Iterator[tuple[int, Batch]]:
        """The batches of the steps from `first` on, each read while the one before is computed."""
        with ThreadPoolExecutor(1) as reader:
            ahead: Future[Batch] | None = None
            for number in range(first, self.num_steps):
                current = ahead or reader.submit(self.data.batch, self.order, number)
                if number + 1 < self.num_steps:
                    ahead = reader.submit(self.data.batch, self.order, number + 1)
                yield number, current.result()


def _encoder_config(job: TrainJob) -> Encoder:
    """The encoder as it learns: in the precision of the device, with the length of the section."""
    length = {"max_length": job.finetune.max_length} if job.finetune.max_length else {}
    return job.encoder.model_copy(update={"precision": resolve_precision(job.encoder.precision, job.device), **length})


def compute_layers_twice(model: Any) -> None:
    """Keep the inputs of layers alone for the backward pass, and compute the layers once more there."""
    # transformers has renamed it
    enable = getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)
    enable({"use_reentrant": False})


def make_optimizer(parameters: dict[str, torch.nn.Parameter], settings: Finetune) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019); vectors, which are biases and scales of normalisations, do not decay.

    A classifier's head has a learning rate of its own; `initial_lr` of a group is the rate that the schedule scales.
    """
    groups: list[dict[str, Any]] = []
    for is_head, rate in ((False, settings.learning_rate), (True, settings.loss.head.learning_rate)):
        found = [p for name, p in parameters.items() if name.startswith(HEAD) == is_head]
        rates = {"lr": rate, "initial_lr": rate}
        groups += [
            {"params": [p for p in found if p.ndim > 1], "weight_decay": settings.weight_decay, **rates},
            {"params": [p for p in found if p.ndim <= 1], "weight_decay": 0.0, **rates},
        ]
    return torch.optim.AdamW([group for group in groups if group["params"]], betas=BETAS, eps=EPSILON)


def num_steps(order: Order, settings: Finetune) -> int:
    """Optimizer steps of a run: its epochs, or `max_steps` where that is less."""
    steps = order.num_steps(settings.epochs)
    return min(steps, settings.max_steps or steps)


def rate_at(step: int, num_steps: int, settings: Finetune) -> float:
    """Share of the learning rate at a step, by optimizer steps: up over the warm-up, then as the schedule says.

    The first step has a rate above 0, and the last one too: it is one step short of the schedule's end.
    """
    warmup = round(settings.warmup_share * num_steps)
    if step < warmup:
        return (step + 1) / warmup
    left = (num_steps - step) / max(1, num_steps - warmup)
    if settings.schedule == "cosine":
        return (1 + math.cos(math.pi * (1 - left))) / 2
    return left if settings.schedule == "linear" else 1.0
