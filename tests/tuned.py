"""Small fine-tuning jobs for tests: texts of planted labels, a small model, and the recipe over both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.corpora import config_of, jsonl_input, write_jsonl
from theta_ray.config import Config, Encoder, Resources
from theta_ray.config_finetune import Finetune
from theta_ray.config_pairs import Pairs

LABELS = ("sun", "rain", "coffee", "river")
COMMON = ("the", "a", "city", "road", "bird", "song", "night", "day")


def labelled_texts(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Records whose label is one word of the text among words that all labels share."""
    rng = np.random.default_rng(seed)
    records = []
    for number in range(count):
        label = LABELS[number % len(LABELS)]
        words = [*rng.choice(COMMON, rng.integers(2, 6)), label]
        rng.shuffle(words)
        records.append({"id": f"d{number}", "text": f"{' '.join(words)} {number}", "label": label})
    return records


def tuning_config(
    folder: Path,
    model: Path,
    *,
    pairs: dict[str, Any] | None = None,
    resources: dict[str, Any] | None = None,
    **section: Any,
) -> Config:
    """A recipe that tunes `model` on pairs of a label; `section` changes its section `finetune`."""
    source = jsonl_input(write_jsonl(folder / "raw.jsonl", labelled_texts(240)), label="label")
    base = config_of(folder, source)
    values = {"batch_size": 16, "epochs": 1, "max_steps": 12, "learning_rate": 5e-3, "checkpoint_every": 4, **section}
    recipe = base.recipe.model_copy(
        update={
            "encoder": Encoder(model=str(model), pooling="mean"),
            "pairs": Pairs.model_validate({"kind": "label", **(pairs or {})}),
            "finetune": Finetune.model_validate(values),
        }
    )
    settings = Resources(**{"executor": "local", "threads_per_actor": 1, **(resources or {})})
    return base.model_copy(update={"recipe": recipe, "resources": settings})
