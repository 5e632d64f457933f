"""What cannot give pairs is told in one line that says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.corpora import DAY, config_of, jsonl_input, write_jsonl
from tests.mined import pairs_config, with_pairs
from tests.unit.test_pairs import tweets
from theta_ray.config_pairs import Noise, Pairs
from theta_ray.errors import ConfigError, InputError
from theta_ray.training import mine_pairs


def labelled(*labels: str) -> list[dict[str, Any]]:
    return [{"id": f"{label}{n}", "text": f"{label} text {n}", "label": label} for label in labels for n in range(6)]


@pytest.mark.parametrize(
    ("records", "section", "message"),
    [
        (labelled("x"), {"kind": "label"}, "one label only has pairs .the largest, x, has 6.; .* add a second one"),
        (
            tweets({"flu": 7, "diet": 6}),
            {"kind": "hashtag"},
            "no tag has 100 documents .the largest, flu, has 7.; lower pairs.hashtag.min_tag_count",
        ),
        (tweets({"flu": 4}), {"kind": "hashtag"}, "no tag has 100 documents .the largest has 4.; lower"),
        (
            tweets({"flu": 9, "diet": 6}),
            {"kind": "hashtag", "hashtag": {"min_tag_count": 9}, "split": {"by": "text"}},
            "one tag only has pairs .the largest, flu, has 9.",
        ),
        (
            labelled("x", "y"),
            {"kind": "label", "split": {"test_share": 0.001}},
            "test split by text is empty .groups with pairs: 2.; change .*.test_share, pairs.split.by or pairs.seed",
        ),
        (
            labelled("x", "y"),
            {"kind": "self", "split": {"test_share": 0.9999}},
            "the train split by text is empty .groups with pairs: 12.; change",
        ),
        ([{"id": "a", "text": "no label"}], {"kind": "label"}, "no document has label, which pairs.kind label needs"),
        (labelled("x"), {"kind": "hashtag"}, "no document has tags, which pairs.kind hashtag needs"),
        (labelled("x"), {"kind": "reply"}, "no document has parent_id, which pairs.kind reply needs"),
        (
            [{"id": "a", "text": "A reply", "parent": "gone"}],
            {"kind": "reply"},
            "no pairs of kind reply .dropped: no_parent 1.; choose another kind or split",
        ),
        (
            [{"id": "a", "text": "http://t.co/1"}, {"id": "b", "text": "RT @x: #yes"}],
            {"kind": "self"},
            "all 2 candidates were left out, most for few_words: ",
        ),
        (
            labelled("x", "y"),
            {"kind": "label", "split": {"by": "author"}},
            "all 12 candidates were left out, most for no_split_key: nothing to split by: no author, no time",
        ),
    ],
)
def test_a_corpus_without_pairs_is_told_in_one_line(
    tmp_path: Path, records: list[dict[str, Any]], section: dict[str, Any], message: str
) -> None:
    config = pairs_config(tmp_path, records, section)
    with pytest.raises(InputError, match=message) as told:
        mine_pairs.run(config, DAY)
    assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("section", "corpus", "message"),
    [
        ({"kind": "label"}, {}, "pairs.kind label: needs label, which no input of the corpus has; add label"),
        ({"kind": "dictionary"}, {}, "pairs.kind dictionary: needs label, which no input"),
        ({"kind": "thread"}, {}, "pairs.kind thread: needs context_id, which no input"),
        ({"kind": "hashtag"}, {"hashtags": "none"}, "pairs.kind hashtag: needs tags, which no input"),
        ({"kind": "self", "split": {"by": "time"}}, {}, "pairs.split.by time: needs created_at, which no input"),
        (
            {"kind": "self", "split": {"by": "author"}},
            {"authors": "drop"},
            "pairs.split.by author: needs authors, which the corpus drops; set corpus.authors: pseudonym",
        ),
    ],
)
def test_a_recipe_whose_corpus_lacks_a_column_stops_before_anything_is_read(
    tmp_path: Path, section: dict[str, Any], corpus: dict[str, Any], message: str
) -> None:
    source = jsonl_input(write_jsonl(tmp_path / "raw.jsonl", [{"id": "a", "text": "b"}]))
    config = with_pairs(config_of(tmp_path, source, **corpus), section)
    for job in (mine_pairs.plan, mine_pairs.run):
        with pytest.raises(ConfigError, match=message):
            job(config, DAY)
    assert not Path(config.root).exists()


def test_a_recipe_without_pairs_is_told_what_to_add(tmp_path: Path) -> None:
    config = config_of(tmp_path, jsonl_input(write_jsonl(tmp_path / "raw.jsonl", [{"id": "a", "text": "b"}])))
    assert config.sections("pairs") == {"pairs": None}
    with pytest.raises(ConfigError, match="the recipe has no section pairs; add one, such as `pairs: {kind: self}`"):
        mine_pairs.plan(config, DAY)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "label", "hashtag": {"min_tag_count": 5}}, "hashtag is for kind hashtag, not label; leave it out"),
        ({"kind": "self", "expand": True}, "expand is for kind dictionary, not self"),
        ({"kind": "self", "keep_sentence_share": 0.2}, "keep_sentence_share is for kind ict, not self"),
        ({"kind": "self", "split": {"by": "group"}}, "kind self has no groups; split by author, text or time"),
        ({"kind": "self", "split": {"test_share": 1}}, "less than 1"),
        ({"kind": "selves"}, "Input should be"),
    ],
)
def test_a_section_that_contradicts_itself_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Pairs.model_validate(values)


def test_shares_of_noise_must_sum_to_one() -> None:
    with pytest.raises(ValidationError, match="drop 0.5, strip 0.5 and mask 0.25 must sum to 1"):
        Noise(strip=0.5)
