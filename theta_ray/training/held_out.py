"""How good the tuned model is on the pairs that were kept from it, beside its base: each worker encodes a part.

test pairs -> views of their own -> distinct texts -> vectors, a share of the packs a worker -> metrics on all
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from theta_ray.config_evaluation import Evaluation
from theta_ray.encoder.packing import plan_packs
from theta_ray.errors import InputError
from theta_ray.training.batch import Batch, Keys
from theta_ray.training.collapse import check_collapse
from theta_ray.training.data import EVALUATION, PairData
from theta_ray.training.encode import LearningEncoder
from theta_ray.training.evaluation import HeldOut, compare, per_query
from theta_ray.training.step import Workers

LABELLED = ("dictionary", "hashtag", "label")
MAX_PAIRS = 20_000
"""Test pairs that are compared: a split may hold millions, and intervals are narrow long before."""
Vectors = npt.NDArray[np.float32]


def held_out(data: PairData) -> HeldOut:
    """The texts of a test split.

    Raises:
        InputError: it is empty.
    """
    if not len(data):
        raise InputError(f"{data.copy.path}: has no test pairs to evaluate on; raise pairs.split.test_share")
    places = np.arange(len(data))[:: max(1, len(data) // MAX_PAIRS)]
    anchors, positives, groups = data.texts(places, EVALUATION)
    pairs = list(zip(anchors, positives, groups, strict=True))
    labelled = {}
    if data.settings.kind in LABELLED:
        labelled = {text: group for *texts, group in pairs for text in texts if group is not None}
    return HeldOut.of(pairs, labelled=list(labelled.items()) if len(set(labelled.values())) > 1 else [])


@torch.inference_mode()
def encode(encoder: LearningEncoder, texts: Sequence[str], workers: Workers, pack_tokens: int) -> Vectors:
    """[len(texts), width] vectors on every worker."""
    sequences = encoder.tokenizer.encode(list(texts))
    count = len(texts)
    nothing = Keys(np.zeros(count, np.int64), np.arange(count))
    batch = Batch(sequences, nothing, num_pairs=count)
    device = next(encoder.parameters()).device
    pooled_TD = torch.zeros((count, encoder.width), device=device)
    for place, pack in enumerate(plan_packs(sequences.lengths, pack_tokens)):
        if place % workers.size == workers.rank:
            pooled_TD[torch.from_numpy(pack.sequences_B).to(device)] = encoder(batch, pack).float()
    vectors: Vectors = workers.add(pooled_TD).cpu().numpy()
    return vectors


def evaluate(tuned: Vectors, base: Vectors, texts: HeldOut, settings: Evaluation, where: str) -> dict[str, Any]:
    """Metrics of base and tuned on the test split, with intervals.

    Raises:
        StageError: the tuned vectors have collapsed.
    """
    of_tuned, of_base = (per_query(vectors, texts, settings) for vectors in (tuned, base))
    check_collapse(of_tuned.spread, settings, where)
    return compare(of_base, of_tuned, settings)
