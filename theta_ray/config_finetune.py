"""The `finetune` section of a recipe: everything that decides an adapter."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from theta_ray.config_evaluation import Evaluation
from theta_ray.strict import Strict

LossName = Literal["ce_head", "clm", "distill", "infonce", "simcse", "supcon", "triplet"]
Mining = Literal["given", "semi_hard", "batch_hard"]
Imitated = Literal["cosine", "margin_mse"]
Schedule = Literal["constant", "cosine", "linear"]


class Lora(Strict):
    """Low-rank adapters by PEFT (Hu et al. 2022)."""

    rank: Annotated[int, Field(ge=1)] = 8
    """Of the two matrices that are added to a weight."""
    alpha: Annotated[float, Field(gt=0)] = 16
    """Their product is scaled by alpha / rank."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Of the adapter's input while it learns."""
    targets: tuple[str, ...] = ()
    """Endings of module names. Absent: the query, key, value and output projections of the model's attention."""


class Head(Strict):
    """The classifier that `ce_head` puts on the pooled vector; defaults as published for THETA's adapters."""

    widths: tuple[Annotated[int, Field(ge=1)], ...] = (256, 128)
    """Of the hidden layers, each with ReLU and dropout; empty is a linear classifier."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """After each hidden layer."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Of the head alone; the model has `finetune.learning_rate`."""


class Loss(Strict):
    """What is made small."""

    name: LossName = "infonce"
    """docs/finetuning.md says what each is for."""
    temperature: Annotated[float, Field(gt=0)] = 0.05
    """Of the softmax over similarities."""
    symmetric: bool = False
    """`infonce`: positives look for their anchors as well."""
    margin: Annotated[float, Field(gt=0, lt=2)] = 0.5
    """`triplet`: on unit vectors, which are at most 2 apart."""
    mining: Mining = "given"
    """`triplet`: negatives of the pairs table, or chosen in the batch by label."""
    focal: Annotated[float, Field(ge=0)] = 0
    """Exponent that weighs down what is solved already; 0 is off. 0.5 in KaLM-Embedding (Hu et al. 2025)."""
    dims: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Matryoshka: prefixes that the loss is also taken at (Kusupati et al. 2022)."""
    layers: bool = False
    """2D Matryoshka: each step also at one earlier layer, and with `dims` at one width (Li et al. 2024)."""
    masks_false_negatives: bool = True
    """Leave out columns that share a tag, a label or their text with a row."""
    head: Head = Head()
    """`ce_head`: the classifier."""
    teacher: str | None = None
    """`distill`: committed `embeddings` of the same corpus, whose vectors the model is to have: a folder, a URI, or
    `embeddings/<fingerprint>/dt=<day>` below the root."""
    imitated: Imitated = "cosine"
    """`distill`: the teacher's vectors (1 - cosine), or by how much positives are more similar than the pairs' own
    negatives (squared difference; Hofstaetter et al. 2020)."""
    similarity_weight: Annotated[float, Field(ge=0)] = 0
    """`distill`: of a further term, the squared difference of all cosines in a batch; 0 is off."""

    @model_validator(mode="after")
    def _means_something(self) -> Loss:
        for field, names in MEANT_FOR.items():
            if self.name not in names and getattr(self, field) != type(self).model_fields[field].default:
                raise ValueError(f"{field} is for name {' or '.join(names)}, not {self.name}; leave it out")
        if self.name == "distill" and self.teacher is None:
            raise ValueError("name distill needs teacher; name a committed embeddings partition of this corpus")
        if list(self.dims) != sorted(set(self.dims), reverse=True):
            raise ValueError(f"dims {list(self.dims)}: name each width once, from wide to narrow")
        return self


# Settings of a loss that mean nothing to others.
OF_SIMILARITIES: tuple[LossName, ...] = ("infonce", "simcse", "supcon")
MEANT_FOR: dict[str, tuple[LossName, ...]] = {
    "temperature": OF_SIMILARITIES,
    "symmetric": ("infonce",),
    "margin": ("triplet",),
    "mining": ("triplet",),
    "focal": ("ce_head", *OF_SIMILARITIES),
    "dims": (*OF_SIMILARITIES, "triplet"),
    "layers": (*OF_SIMILARITIES, "triplet"),
    "masks_false_negatives": ("infonce", "simcse"),
    "head": ("ce_head",),
    "teacher": ("distill",),
    "imitated": ("distill",),
    "similarity_weight": ("distill",),
}


class Finetune(Strict):
    """Pairs to an adapter."""

    method: Literal["full", "lora"] = "lora"
    """A low-rank adapter, or all weights of the model."""
    lora: Lora = Lora()
    loss: Loss = Loss()
    batch_size: Annotated[int, Field(ge=2)] = 64
    """Pairs of one optimizer step over all workers: the number of negatives, whatever the number of workers."""
    pack_tokens: Annotated[int, Field(ge=16)] = 8192
    """Tokens of one forward pass. More than one pass a step costs each text a second one (Gao et al. 2021)."""
    max_length: Annotated[int, Field(ge=8)] | None = None
    """Tokens of one text. Absent: the encoder's."""
    epochs: Annotated[float, Field(gt=0)] = 1
    """Passes over the pairs; a fraction is a part of one."""
    max_steps: Annotated[int, Field(ge=1)] | None = None
    """Optimizer steps, whatever `epochs` says."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    """At its highest, after the warm-up (AdamW)."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Of AdamW (Loshchilov and Hutter 2019)."""
    warmup_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Of all optimizer steps."""
    schedule: Schedule = "linear"
    """Of the learning rate after the warm-up: as it is, or down to 0 in a line or half a cosine."""
    max_gradient_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradients of a larger norm are scaled down to it."""
    projection: Annotated[int, Field(ge=1)] | None = None
    """Width of a linear head that is trained on top of the pooled vector. Absent: none."""
    gradient_checkpointing: bool = False
    """Compute activations twice instead of keeping them: less memory, more time."""
    checkpoint_every: Annotated[int, Field(ge=1)] = 100
    """Optimizer steps between checkpoints."""
    evaluation: Evaluation = Evaluation()
    merged: bool = False
    """Also write a sentence-transformers folder of base and adapter in one."""
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _consistent(self) -> Finetune:
        if self.loss.name == "clm" and self.projection is not None:
            raise ValueError("projection: loss.name clm makes no vectors; leave it out")
        return self
