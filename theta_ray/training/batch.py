"""The texts of one optimizer step, over all workers: which belong together, and which only look as if they did not.

    pairs -> texts: anchors, then positives, then the negatives of each pair -> sequences of tokens
    keys of each text (group, label, tags, the text itself) -> who is whose positive, negative, or neither

Every worker knows the whole batch but for its vectors. Shapes: B pairs, K negatives of each, S = B (2 + K) texts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from theta_ray.encoder.tokenize import TokenSequences
from theta_ray.training.losses import Contrast, by_label, in_batch

NO_KEY = -1


@dataclass(frozen=True)
class Keys:
    """What makes two texts of a batch alike, for each of S texts."""

    groups: npt.NDArray[np.int64]
    """[S], the label, tag or thread that made the pair; -1 for none."""
    texts: npt.NDArray[np.int64]
    """[S], equal for equal texts."""
    tags: tuple[frozenset[int], ...] = ()
    """S sets of tags; empty where the corpus has none."""

    def alike(self, rows: slice, columns: slice) -> npt.NDArray[np.bool_]:
        """[rows, columns], whether two texts share a group, a tag or their text."""
        same = self.same_group(rows, columns)
        same |= self.texts[rows, None] == self.texts[None, columns]
        same |= self._share_tags(rows, columns)
        return same

    def same_group(self, rows: slice, columns: slice) -> npt.NDArray[np.bool_]:
        """[rows, columns], whether two texts are of one group."""
        left, right = self.groups[rows, None], self.groups[None, columns]
        same: npt.NDArray[np.bool_] = (left == right) & (left != NO_KEY)
        return same

    def _share_tags(self, rows: slice, columns: slice) -> npt.NDArray[np.bool_]:
        places = {tag: place for place, tag in enumerate(sorted(frozenset().union(*self.tags)))}
        has_tag = np.zeros((len(self.texts), len(places)), np.float32)
        for text, tags in enumerate(self.tags):
            has_tag[text, [places[tag] for tag in tags]] = 1
        shared: npt.NDArray[np.bool_] = has_tag[rows] @ has_tag[columns].T > 0
        return shared


@dataclass(frozen=True)
class Batch:
    """One global batch."""

    sequences: TokenSequences
    """Of S texts, one sequence each."""
    keys: Keys
    num_pairs: int
    num_negatives: int = 0
    """Of each pair."""
    missing: npt.NDArray[np.bool_] | None = None
    """[S], places of negatives that a pair has not; their sequences are empty. None: none are."""
    teacher: npt.NDArray[np.float32] | None = None
    """[S, E], a teacher's vectors of the texts' documents, zeros where a text is missing. None: there is no teacher."""

    @property
    def num_texts(self) -> int:
        """S."""
        return self.num_pairs * (2 + self.num_negatives)

    @property
    def anchors(self) -> slice:
        """Places of the anchors among the texts."""
        return slice(0, self.num_pairs)

    @property
    def positives(self) -> slice:
        """Places of the positives."""
        return slice(self.num_pairs, 2 * self.num_pairs)

    @property
    def candidates(self) -> slice:
        """Places of positives and negatives: the columns of InfoNCE."""
        return slice(self.num_pairs, self.num_texts)

    @property
    def both(self) -> slice:
        """Places of anchors and positives."""
        return slice(0, 2 * self.num_pairs)

    @property
    def there(self) -> npt.NDArray[np.bool_]:
        """[S], which texts are there."""
        return np.ones(self.num_texts, bool) if self.missing is None else ~self.missing

    def only(self, kept: npt.NDArray[np.bool_]) -> Batch:
        """The batch with the sequences of all other texts emptied."""
        lengths = np.where(kept, self.sequences.lengths, 0)
        tokens = self.sequences.tokens[np.repeat(kept, self.sequences.lengths)]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        return replace(self, sequences=replace(self.sequences, tokens=tokens, offsets=offsets))

    def negatives_of(self, rows: slice) -> npt.NDArray[np.int64]:
        """[R, K], places of the negatives that the pairs of some rows brought along."""
        first = 2 * self.num_pairs + np.arange(rows.start, rows.stop)[:, None] * self.num_negatives
        return first + np.arange(self.num_negatives)[None]


def share(count: int, rank: int, num_workers: int) -> slice:
    """The rows of one worker: runs that differ by one row at most."""
    return slice(count * rank // num_workers, count * (rank + 1) // num_workers)


def pair_contrast(batch: Batch, rows: slice, *, reverse: bool, masks: bool) -> Contrast:
    """InfoNCE: each anchor among all positives and negatives; `reverse`: each positive among all anchors.

    Args:
        batch: with its keys.
        rows: pairs that this worker scores.
        reverse: for the symmetric form.
        masks: leave out columns that are alike to the row.
    """
    start = batch.num_pairs if reverse else 0
    rows_of_texts = slice(start + rows.start, start + rows.stop)
    columns = batch.anchors if reverse else batch.candidates
    own = np.zeros((rows.stop - rows.start, columns.stop - columns.start), bool)
    alike = batch.keys.alike(rows_of_texts, columns) if masks else np.zeros_like(own)
    if batch.missing is not None:
        alike |= batch.missing[None, columns]
    positive_of = torch.arange(rows.start, rows.stop)
    return in_batch(torch.from_numpy(own), positive_of, torch.from_numpy(alike), batch.num_pairs)


def view_contrast(batch: Batch, rows: slice, *, masks: bool) -> Contrast:
    """SimCSE: each of the 2B views among all others, its partner the positive."""
    count, total = batch.num_pairs, 2 * batch.num_pairs
    places = np.arange(rows.start, rows.stop)
    own = places[:, None] == np.arange(total)[None]
    alike = batch.keys.alike(rows, batch.both) if masks else np.zeros_like(own)
    positive_of = torch.from_numpy((places + count) % total)
    return in_batch(torch.from_numpy(own), positive_of, torch.from_numpy(alike), total)


def label_contrast(batch: Batch, rows: slice) -> Contrast:
    """SupCon: anchors and positives as texts of a label, all others of that label the positives."""
    total = 2 * batch.num_pairs
    same = batch.keys.same_group(batch.both, batch.both)
    np.fill_diagonal(same, val=False)
    num_anchors = int(same.any(axis=1).sum())
    own = np.arange(rows.start, rows.stop)[:, None] == np.arange(total)[None]
    return by_label(torch.from_numpy(own), torch.from_numpy(same[rows]), num_anchors)
