"""A step's pairs as the model reads them: places in the table to texts, views, tokens and keys."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from theta_ray.config_pairs import Pairs
from theta_ray.encoder.tokenize import Tokenizer, TokenSequences
from theta_ray.errors import InputError
from theta_ray.training.batch import NO_KEY, Batch, Keys
from theta_ray.training.local_copy import LocalCopy, key_of
from theta_ray.training.order import Order
from theta_ray.training.teacher import TeacherVectors
from theta_ray.training.views import fold_tag, hash_document, negative_view, views

MASK = "\ue000"
"""Stands for the mask token in views: a character of the private use area, which texts lose."""
EVALUATION = 2**31
"""Takes the place of the epoch where views are drawn for evaluation."""


@dataclass
class PairData:
    """The pairs of one split and their documents."""

    copy: LocalCopy
    split: str
    settings: Pairs
    tokenizer: Tokenizer
    seed: int
    teacher: TeacherVectors | None = None

    def __post_init__(self) -> None:
        self._pairs, self._documents = self.copy.pairs(self.split), self.copy.documents
        noise = self.settings.hashtag.noise
        if self.tokenizer.mask_id is None:  # a model without a mask token gets the tag's word
            noise = noise.model_copy(update={"strip": noise.strip + noise.mask, "mask": 0.0})
        hashtag = self.settings.hashtag.model_copy(update={"noise": noise.model_copy(update={"mask_token": MASK})})
        self._views = self.settings.model_copy(update={"hashtag": hashtag})
        sampled = self._pairs.values("negatives", np.arange(min(len(self), 1024)))
        self.num_negatives = max((len(negatives) for negatives in sampled), default=0)

    def __len__(self) -> int:
        return len(self._pairs)

    @cached_property
    def classes(self) -> list[str]:
        """The groups of this split, sorted: the same on all workers."""
        return self._pairs.distinct("group")

    def batch(self, order: Order, step: int) -> Batch:
        """The global batch of a step."""
        return self.batch_of(order.batch(step), step // order.steps_per_epoch)

    def batch_of(self, places: npt.NDArray[np.int64], epoch: int) -> Batch:
        """The pairs at some places of the table, with the views of an epoch."""
        anchors, positives = (np.array(self._pairs.values(name, places)) for name in ("anchor", "positive"))
        negatives = self._negatives(places)
        left, right, groups = self.texts(places, epoch)
        texts = [*left, *right]
        rows = np.concatenate([anchors, positives, negatives[negatives >= 0]])
        extra = self._negative_views(places, negatives, epoch)
        encoded = self.tokenizer.encode([*texts, *extra], mask_at=MASK)
        group_keys = [key_of(group) if group is not None else NO_KEY for group in groups]
        missing = np.concatenate([np.zeros(2 * len(places), bool), negatives < 0])
        return Batch(
            _with_gaps(encoded, missing),
            self._keys(rows, group_keys, missing),
            len(places),
            self.num_negatives,
            missing,
            self._teacher(rows, missing),
        )

    def _teacher(self, rows: npt.NDArray[np.int64], missing: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32] | None:
        """[S, E], the teacher's vectors of the documents."""
        if self.teacher is None:
            return None
        vectors = np.zeros((len(missing), self.teacher.width), np.float32)
        vectors[~missing] = self.teacher.of(rows)
        return vectors

    def _negatives(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """[B x K], rows of documents; -1 where a pair has fewer."""
        found = np.full((len(places), self.num_negatives), -1, np.int64)
        for number, negatives in enumerate(self._pairs.values("negatives", places)):
            chosen = negatives[: self.num_negatives]
            found[number, : len(chosen)] = chosen
        return found.ravel()

    def texts(self, places: npt.NDArray[np.int64], epoch: int) -> tuple[list[str], list[str], list[str | None]]:
        """The views of anchors and positives at some places of the table, and their groups."""
        kinds, groups = (self._pairs.values(name, places) for name in ("kind", "group"))
        lefts, rights = (self._texts(np.array(self._pairs.values(name, places))) for name in ("anchor", "positive"))
        for number, more in enumerate(self._pairs.values("more_anchors", places)):
            if more:
                lefts[number] = hash_document([lefts[number], *self._texts(np.array(more))])
        both = zip(lefts, rights, strict=True)
        made = [
            views(kind, texts, group, np.random.default_rng((self.seed, epoch, int(place))), self._views)
            for kind, texts, group, place in zip(kinds, both, groups, places, strict=True)
        ]
        return [anchor for anchor, _ in made], [positive for _, positive in made], groups

    def negatives(self, places: npt.NDArray[np.int64], epoch: int) -> list[tuple[int, str]]:
        """The views of the negatives at some places of the table: which of these places has it, and its text."""
        rows = self._negatives(places)
        pairs = np.flatnonzero(rows >= 0) // max(1, self.num_negatives)
        return list(zip(pairs.tolist(), self._negative_views(places, rows, epoch), strict=True))

    def _texts(self, rows: npt.NDArray[np.int64]) -> list[str]:
        """Documents' texts without the character that is ours."""
        return [text.replace(MASK, " ") for text in self._documents.values("text", rows)]

    def _negative_views(self, places: npt.NDArray[np.int64], negatives: npt.NDArray[np.int64], epoch: int) -> list[str]:
        """The views of the negatives that there are; each has random numbers of its own."""
        there = np.flatnonzero(negatives >= 0)
        pairs = places[there // max(1, self.num_negatives)]
        made = zip(
            there.tolist(),
            pairs.tolist(),
            self._pairs.values("kind", pairs),
            self._texts(negatives[there]),
            strict=True,
        )
        return [
            negative_view(
                kind,
                text,
                np.random.default_rng((self.seed, epoch, pair, 1 + number % self.num_negatives)),
                self._views,
            )
            for number, pair, kind, text in made
        ]

    def _keys(self, rows: npt.NDArray[np.int64], groups: list[int], missing: npt.NDArray[np.bool_]) -> Keys:
        """Keys of all texts; a text that is missing is like no other."""
        count = len(missing)
        texts, tags = -np.arange(count, dtype=np.int64) - 1, [frozenset[int]()] * count
        there = np.flatnonzero(~missing)
        hashes = self._documents.values("text_hash", rows)
        named = self._documents.values("tags", rows)
        for place, text_hash, names in zip(there.tolist(), hashes, named, strict=True):
            texts[place] = key_of(text_hash)
            tags[place] = frozenset(key_of(fold_tag(name)) for name in names)
        all_groups = np.full(count, NO_KEY, np.int64)
        all_groups[: 2 * len(groups)] = [*groups, *groups]
        return Keys(all_groups, texts, tuple(tags))


def _with_gaps(encoded: TokenSequences, missing: npt.NDArray[np.bool_]) -> TokenSequences:
    """The sequences with empty ones where a text is missing."""
    if len(encoded.lengths) != encoded.num_texts:
        raise InputError("encoder.long_documents windows: is for embedding; set truncate, or max_length, for training")
    lengths = np.zeros(len(missing), np.int64)
    lengths[~missing] = encoded.lengths
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    return TokenSequences(encoded.tokens, offsets, np.arange(len(missing), dtype=np.int32), len(missing))
