"""The `pairs` section of a recipe: which documents belong together, and which of them are kept for evaluation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from theta_ray.config_negatives import Negatives
from theta_ray.strict import Strict

PairKind = Literal["dictionary", "hashtag", "ict", "label", "reply", "self", "thread", "title_body"]
SplitBy = Literal["author", "group", "text", "time"]
Share = Annotated[float, Field(ge=0, le=1)]
# Kinds whose two texts come from one document: no other document shares anything with it.
OF_ONE_DOCUMENT = ("ict", "self", "title_body")
# Kinds whose groups are whole conversations or tags, which a model must not have seen any part of.
SPLIT_BY_GROUP = ("hashtag", "reply", "thread")


class Split(Strict):
    """Which pairs are for evaluation. A document is on one side only, and a pair with one on each is dropped."""

    by: SplitBy | None = None
    """`group`: whole tags, labels or threads; `text`: a text with all its copies; `author`; `time`: the latest
    documents are the test. Absent: `group` for hashtag, reply and thread, else `text`."""
    test_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Of groups, texts, authors or documents; 0 is no test split."""


class Noise(Strict):
    """What hides the shared tag, so that the tag itself does not give the pair away. Each side draws for itself."""

    share: Share = 0.5
    """Of the sides, that are changed."""
    drop: Share = 0.5
    """The tag goes altogether."""
    strip: Share = 0.25
    """Its # goes, the word stays."""
    mask: Share = 0.25
    """It is masked. These three are shares of the changed sides and sum to 1."""
    mask_token: Annotated[str, Field(min_length=1)] = "<mask>"
    """What `mask` puts in the tag's place."""
    all_tags: bool = False
    """Every tag of the text draws, not only the shared one."""

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Noise:
        if abs(self.drop + self.strip + self.mask - 1) > 1e-9:
            raise ValueError(f"drop {self.drop:g}, strip {self.strip:g} and mask {self.mask:g} must sum to 1")
        return self


class HashtagPairs(Strict):
    """Posts that share a tag (after #Encoder; the shares of noise are not published there)."""

    min_tag_count: Annotated[int, Field(ge=2)] = 100
    """Documents that a tag needs, in any case of letters."""
    posts_per_anchor: Annotated[int, Field(ge=1)] = 1
    """More than one: the anchor is a hash-document, several posts of the tag without the tag."""
    noise: Noise = Noise()


class Pairs(Strict):
    """Corpus to pairs of an anchor and a positive (jobs/mine_pairs.py)."""

    kind: PairKind
    """`self`: a text with itself (SimCSE); `label`, `hashtag`: documents that share one; `dictionary`: terms of one
    category, which is their label; `reply`: a post and an answer to it; `thread`: neighbours in a thread;
    `title_body`; `ict`: a sentence and the rest of its text (inverse cloze task)."""
    max_pairs_per_group: Annotated[int, Field(ge=1)] = 250
    """Of a tag, label, thread, or of a post's replies; train and test share it, but where groups are split whole."""
    min_words: Annotated[int, Field(ge=1)] = 1
    """Documents with fewer are left out; links, mentions and tags are no words."""
    hashtag: HashtagPairs = HashtagPairs()
    keep_sentence_share: Share = 0.1
    """`ict`: of the views whose positive keeps the anchor's sentence (Lee et al. 2019)."""
    expand: bool = False
    """`dictionary`: documents without a label whose whole text is a form of a term with `*` are terms as well."""
    split: Split = Split()
    negatives: Negatives | None = None
    """Hard negatives of each pair. Absent: none, and the others of a batch are the negatives."""
    shard_candidates: Annotated[int, Field(ge=1)] = 1_000_000
    """Candidates of one shard, about: the unit of work, of commit and of resume."""
    seed: Annotated[int, Field(ge=0)] = 0

    @property
    def split_by(self) -> SplitBy:
        """How documents are split, also where the recipe leaves it to the kind."""
        return self.split.by or ("group" if self.kind in SPLIT_BY_GROUP else "text")

    @model_validator(mode="after")
    def _kind_has_what_is_set(self) -> Pairs:
        for name, kind in (("hashtag", "hashtag"), ("keep_sentence_share", "ict"), ("expand", "dictionary")):
            if name in self.model_fields_set and self.kind != kind:
                raise ValueError(f"{name} is for kind {kind}, not {self.kind}; leave it out")
        if self.split.by == "group" and self.kind in OF_ONE_DOCUMENT:
            raise ValueError(f"split.by group: kind {self.kind} has no groups; split by author, text or time")
        return self
