"""Recipes and data that cannot be trained on: the job says so in one line and leaves with its exit code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.corpora import DAY, write_jsonl
from tests.tuned import labelled_texts
from theta_ray.runtime import main
from theta_ray.training import finetune, mine_pairs

COLUMNS = {"text": "text", "doc_id": "id", "label": "label"}
ONE_LABEL = [{**record, "label": "sun"} for record in labelled_texts(40)]
WITHOUT_LABELS = [{name: record[name] for name in ("id", "text")} for record in labelled_texts(40)]
TAGS_OF_ONE_POST = [{"id": f"d{n}", "text": f"a post on #topic{n}"} for n in range(40)]
HASHTAGS = {"kind": "hashtag"}
NOTHING: dict[str, Any] = {}


def recipe_of(folder: Path, model: Path, records: list[dict[str, Any]], changes: dict[str, Any]) -> dict[str, Any]:
    """A good recipe over the records, some of its sections changed, or taken out by None."""
    columns = {name: column for name, column in COLUMNS.items() if any(column in record for record in records)}
    source = {"reader": "jsonl", "path": str(write_jsonl(folder / "raw.jsonl", records)), "columns": columns}
    sections: dict[str, Any] = {
        "corpus": {"inputs": [source], "language": "none", "authors": "raw", "hashtags": "unicode"},
        "encoder": {"model": str(model), "pooling": "mean"},
        "pairs": {"kind": "label"},
        "finetune": {"batch_size": 8, "max_steps": 1},
    }
    for name, section in changes.items():
        sections[name] = {**sections[name], **section} if section is not None else None
    return {"name": "bad", **{name: section for name, section in sections.items() if section is not None}}


def run_job(folder: Path, stage: Any, recipe: dict[str, Any], resources: dict[str, Any]) -> None:
    """Run the job of a stage in this process; it leaves with its exit code."""
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (folder / "where.yaml").write_text(yaml.safe_dump({"executor": "local", "threads_per_actor": 1, **resources}))
    options = ["--config", str(folder / "recipe.yaml"), "--resources", str(folder / "where.yaml")]
    main(stage, [*options, "--root", str(folder / "tables"), "--date", DAY])


def loss(**settings: Any) -> dict[str, Any]:
    return {"finetune": {"loss": settings}}


IN_THE_RECIPE = {
    "temperature 0": (loss(temperature=0), "finetune.loss.temperature is 0; input should be greater than 0"),
    "margin 2": (loss(name="triplet", margin=2), "finetune.loss.margin is 2; input should be less than 2"),
    "margin 0": (loss(name="triplet", margin=0), "finetune.loss.margin is 0; input should be greater than 0"),
    "unknown loss": (loss(name="cosine"), "finetune.loss.name is 'cosine'; choose"),
    "mining without triplets": (
        loss(mining="semi_hard"),
        "mining is for name triplet, not infonce; leave",
    ),
    "a batch of one": ({"finetune": {"batch_size": 1}}, "finetune.batch_size is 1; input should be greater than"),
    "rate 0": ({"finetune": {"learning_rate": 0}}, "finetune.learning_rate is 0; input should be greater than 0"),
    "no section": ({"finetune": None}, "finetune: is missing in the recipe; add the section"),
    "no pairs": ({"pairs": None}, "the recipe has no section pairs; add one"),
    "an adapter as base": ({"encoder": {"adapter": "/adapter"}}, "encoder.adapter: training starts from the base"),
    "no such layers": ({"finetune": {"lora": {"targets": ["gate"]}}}, "BertModel has no linear layer gate; name some"),
    "labels of a loss, of pairs without": (
        {"pairs": {"kind": "self"}, **loss(name="supcon")},
        "finetune.loss supcon: needs texts of a label, pairs.kind self has none; mine pairs of kind label",
    ),
    "groups of single texts": (
        {"pairs": {"kind": "self", "split": {"by": "group"}}},
        "split.by group: kind self has no groups",
    ),
}
IN_THE_DATA = {
    "one class": (ONE_LABEL, NOTHING, "one label only has pairs (the largest, sun, has 40); nothing would be"),
    "one class, by supcon": (ONE_LABEL, loss(name="supcon"), "one label only has pairs (the largest, sun, has 40)"),
    "labels empty": ([{**r, "label": ""} for r in ONE_LABEL], NOTHING, "no document has label, which pairs.kind"),
    "tags without pairs": (
        TAGS_OF_ONE_POST,
        {"pairs": HASHTAGS},
        "no tag has 100 documents (the largest has 1)",
    ),
    "no tags": (WITHOUT_LABELS, {"pairs": HASHTAGS}, "no document has tags, which pairs.kind hashtag needs"),
    "test split switched off": (
        labelled_texts(40),
        {"pairs": {"split": {"test_share": 0}}},
        "has no test pairs to evaluate on; raise pairs.split.test_share",
    ),
    "test split empty": (
        labelled_texts(12),
        {"pairs": {"split": {"test_share": 0.0001}}},
        "the test split by text is empty (groups with pairs: 4); change pairs.split.test_share",
    ),
    "train split empty": (
        labelled_texts(12),
        {"pairs": {"split": {"test_share": 0.9999}}},
        "the train split by text is empty (groups with pairs: 4); change pairs.split.test_share",
    ),
    "triplets without negatives": (
        labelled_texts(40),
        loss(name="triplet"),
        "has no negatives; set pairs.negatives, or finetune.loss.mining",
    ),
    "no such model": (labelled_texts(40), {"encoder": {"model": "/no/model"}}, "encoder.model /no/model: "),
    "scores nowhere": (
        labelled_texts(40),
        {"finetune": {"evaluation": {"scored": {"path": "/no/scores.csv"}}}},
        "finetune.evaluation.scored /no/scores.csv: ",
    ),
}


@pytest.fixture
def fails(bert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a job that must fail: its exit code, and all that it writes but its log."""

    def run(
        records: list[dict[str, Any]], changes: dict[str, Any], resources: dict[str, Any], stage: Any = finetune
    ) -> tuple[int, list[str]]:
        recipe = recipe_of(tmp_path, bert, records, changes)
        with pytest.raises(SystemExit) as left:
            run_job(tmp_path, stage, recipe, resources)
        lines = capsys.readouterr().err.splitlines()
        assert lines.pop().startswith(f"exit code {left.value.code}: ")
        return int(str(left.value.code)), [line for line in lines if not re.match(r"\d\d:\d\d:\d\d ", line)]

    return run


@pytest.mark.parametrize(("changes", "message"), IN_THE_RECIPE.values(), ids=IN_THE_RECIPE)
def test_a_recipe_that_cannot_be_trained_is_told_in_one_line(changes: dict[str, Any], message: str, fails: Any) -> None:
    code, lines = fails(labelled_texts(40), changes, NOTHING)
    assert code == 2
    assert len(lines) == 1
    assert message in lines[0]


@pytest.mark.parametrize(("records", "changes", "message"), IN_THE_DATA.values(), ids=IN_THE_DATA)
def test_data_that_cannot_be_trained_on_is_told_in_one_line(
    records: list[dict[str, Any]], changes: dict[str, Any], message: str, fails: Any
) -> None:
    code, lines = fails(records, changes, NOTHING)
    assert code == 3
    assert len(lines) == 1
    assert message in lines[0]


@pytest.mark.parametrize("name", ["one class", "labels empty", "tags without pairs", "no tags", "test split empty"])
def test_the_job_that_mines_pairs_says_the_same(name: str, fails: Any) -> None:
    records, changes, message = IN_THE_DATA[name]
    code, lines = fails(records, changes, NOTHING, mine_pairs)
    assert code == 3
    assert len(lines) == 1
    assert message in lines[0]


def test_labels_that_no_input_has_are_told_from_the_recipe_alone(fails: Any) -> None:
    code, lines = fails(WITHOUT_LABELS, NOTHING, NOTHING)
    assert code == 2
    assert lines == [
        "pairs.kind label: needs label, which no input of the corpus has; add label to the columns of an input"
    ]


@pytest.mark.parametrize("name", ["num_actors", "min_actors"])
def test_more_workers_than_pairs_are_told_before_any_starts(
    name: str, fails: Any, bert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="^0$"):
        run_job(tmp_path, mine_pairs, recipe_of(tmp_path, bert, labelled_texts(40), NOTHING), NOTHING)
    capsys.readouterr()
    code, lines = fails(labelled_texts(40), NOTHING, {"executor": "ray", name: 1000})
    assert code == 3
    assert len(lines) == 1
    assert re.fullmatch(rf"finetune: 1000 workers for (\d+) training pairs; set {name} to \1 or less", lines[0])


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"num_actors": 2, "min_actors": 3}, "min_actors 3 is above num_actors 2"),
        ({"num_actors": 0}, "num_actors is 0; input should be greater than or equal to 1"),
    ],
)
def test_a_range_of_workers_that_is_none_is_told(resources: dict[str, Any], message: str, fails: Any) -> None:
    code, lines = fails(labelled_texts(40), NOTHING, resources)
    assert code == 2
    assert len(lines) == 1
    assert message in lines[0]


def test_a_base_that_changes_is_not_sharded(fails: Any) -> None:
    code, lines = fails(labelled_texts(40), {"finetune": {"method": "full"}}, {"fsdp": True})
    assert code == 2
    assert lines == ["resources.fsdp: shards a base that stays as it is; leave it out, or set finetune.method to lora"]
