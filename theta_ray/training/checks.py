"""Whether recipe, pairs, loss and model go together: told in one line before the first step."""

from __future__ import annotations

from theta_ray.config_finetune import Finetune
from theta_ray.config_pairs import Pairs
from theta_ray.errors import ConfigError, InputError
from theta_ray.training.data import PairData

LABELLED = ("label", "hashtag", "dictionary")
CUT = ("ict", "title_body")
"""Kinds whose texts are parts of a document, of which a teacher has the whole."""


def check_recipe(pairs: Pairs, settings: Finetune) -> None:
    """Raise ConfigError where pairs of this kind cannot serve a loss: before hours of mining."""
    loss = settings.loss
    if (loss.name in ("ce_head", "supcon") or loss.mining != "given") and pairs.kind not in LABELLED:
        raise ConfigError(
            f"finetune.loss {loss.name}: needs texts of a label, pairs.kind {pairs.kind} has none; "
            "mine pairs of kind label, hashtag or dictionary"
        )
    if loss.name == "distill" and (pairs.kind in CUT or pairs.hashtag.posts_per_anchor > 1):
        cut = f"pairs.kind {pairs.kind}" if pairs.kind in CUT else "pairs.hashtag.posts_per_anchor"
        raise ConfigError(
            f"finetune.loss distill: a teacher's vector is of one whole document, {cut} makes other texts; "
            "mine pairs of kind self or label"
        )


def check_data(data: PairData, settings: Finetune, *, width: int, num_workers: int) -> None:
    """Raise InputError or ConfigError where the pairs cannot make a step of this run.

    Args:
        data: of the training split.
        settings: of the run.
        width: values of the model's vectors.
        num_workers: of the run.
    """
    count, loss = len(data), settings.loss
    if count < 2:
        raise InputError(f"{data.copy.path}: has {count} training pairs, a step needs 2; mine more, or from more texts")
    if num_workers > count:
        where = f"finetune: {num_workers} workers for {count} training pairs"
        raise InputError(f"{where}; set num_actors to {count} or less")
    if loss.name == "triplet" and loss.mining == "given" and not data.num_negatives:
        raise InputError(f"{data.copy.path}: has no negatives; set pairs.negatives, or finetune.loss.mining")
    if loss.imitated == "margin_mse" and not data.num_negatives:
        raise InputError(f"{data.copy.path}: has no negatives; set pairs.negatives, or finetune.loss.imitated: cosine")
    if data.teacher is not None and loss.imitated == "cosine" and data.teacher.width != width:
        raise ConfigError(
            f"finetune.loss distill: the teacher's vectors have {data.teacher.width} values, the model's {width}; "
            f"set finetune.projection: {data.teacher.width}"
        )
