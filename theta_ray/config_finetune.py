"""The `finetune` section of a recipe: everything that decides an adapter."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from theta_ray.config_evaluation import Evaluation
from theta_ray.strict import Strict

LossName = Literal["infonce", "simcse", "supcon", "triplet"]
Mining = Literal["given", "semi_hard", "batch_hard"]
Schedule = Literal["constant", "cosine", "linear"]


class Lora(Strict):
    """Low-rank adapters by PEFT (Hu et al. 2022)."""

    rank: Annotated[int, Field(ge=1)] = 8
    alpha: Annotated[float, Field(gt=0)] = 16
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    targets: tuple[str, ...] = ()
    """Endings of module names. Absent: the query, key, value and output projections of the model's attention."""


class Loss(Strict):
    """What is made small."""

    name: LossName = "infonce"
    temperature: Annotated[float, Field(gt=0)] = 0.05
    """Of the softmax over similarities; of no meaning to `triplet`."""
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
    masks_false_negatives: bool = True
    """Leave out columns that share a tag, a label or their text with a row."""


class Finetune(Strict):
    """Pairs to an adapter."""

    method: Literal["full", "lora"] = "lora"
    lora: Lora = Lora()
    loss: Loss = Loss()
    batch_size: Annotated[int, Field(ge=2)] = 64
    """Pairs of one optimizer step over all workers: the number of negatives, whatever the number of workers."""
    pack_tokens: Annotated[int, Field(ge=16)] = 8192
    """Tokens of one forward pass. More than one pass a step costs each text a second one (Gao et al. 2021)."""
    max_length: Annotated[int, Field(ge=8)] | None = None
    """Tokens of one text. Absent: the encoder's."""
    epochs: Annotated[float, Field(gt=0)] = 1
    max_steps: Annotated[int, Field(ge=1)] | None = None
    """Optimizer steps, whatever `epochs` says."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    warmup_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Of all optimizer steps."""
    schedule: Schedule = "linear"
    max_gradient_norm: Annotated[float, Field(gt=0)] = 1.0
    projection: Annotated[int, Field(ge=1)] | None = None
    """Width of a linear head that is trained on top of the pooled vector. Absent: none."""
    gradient_checkpointing: bool = False
    checkpoint_every: Annotated[int, Field(ge=1)] = 100
    """Optimizer steps between checkpoints."""
    evaluation: Evaluation = Evaluation()
    merged: bool = False
    """Also write a sentence-transformers folder of base and adapter in one."""
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _consistent(self) -> Finetune:
        if self.loss.mining != "given" and self.loss.name != "triplet":
            raise ValueError(f"loss.mining {self.loss.mining}: is for loss.name triplet; leave it out")
        if list(self.loss.dims) != sorted(set(self.loss.dims), reverse=True):
            raise ValueError(f"loss.dims {list(self.loss.dims)}: name each width once, from wide to narrow")
        return self
