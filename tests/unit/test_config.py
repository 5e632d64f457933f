"""Recipe files: every mistake at once, each with its place and what to do."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY
from theta_ray.config import Config
from theta_ray.errors import ConfigError
from theta_ray.recipe_files import load_config

GOOD = """\
name: tiny
corpus:
  inputs:
    - reader: text
      path: [a.txt, b.txt]
    - reader: jsonl
      path: c.jsonl
      columns: {text: body, doc_id: id}
encoder:
  model: package:tiny/model
embed:
  shard_tokens: 1000
"""


def _load(folder: Path, text: str, *overrides: str, resources: str | None = None) -> Config:
    (folder / "recipe.yaml").write_text(text)
    resources_path = None
    if resources is not None:
        (folder / "resources.yaml").write_text(resources)
        resources_path = str(folder / "resources.yaml")
    return load_config(str(folder / "recipe.yaml"), resources_path=resources_path, root="/tables", overrides=overrides)


def _problems(folder: Path, text: str, *overrides: str, resources: str | None = None) -> list[str]:
    """Messages of the mistakes, without the folder's name."""
    with pytest.raises(ConfigError) as caught:
        _load(folder, text, *overrides, resources=resources)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def test_a_good_recipe_is_read_with_its_defaults(tmp_path: Path) -> None:
    recipe = _load(tmp_path, GOOD).recipe
    assert recipe.corpus.inputs[0].path == ("a.txt", "b.txt")
    assert recipe.embed.shard_tokens == 1000
    assert recipe.embed.store_dtype == "float16"


@pytest.mark.parametrize("resources", ["laptop", "gpu"])
def test_shipped_recipes_and_resources_are_valid(resources: str) -> None:
    config = load_config(
        str(REPOSITORY / "recipes" / "sample.yaml"),
        resources_path=str(REPOSITORY / "cluster_configs" / f"{resources}.yaml"),
        root="/tables",
    )
    assert config.recipe.name == "sample"


@pytest.mark.parametrize("path", sorted((REPOSITORY / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_is_valid_and_opens_with_its_command(path: Path) -> None:
    assert load_config(str(path), root="/tables").recipe.name == path.stem
    job, recipe = re.fullmatch(r"# python (\S+) --config (\S+) .*", path.read_text().splitlines()[0]).groups()
    assert (REPOSITORY / job).is_file()
    assert recipe == f"recipes/{path.name}"


def test_a_recipe_of_your_own_differs_from_the_sample_in_five_lines_at_most() -> None:
    text = (REPOSITORY / "recipes" / "sample.yaml").read_text()
    marked = [line for line in text.splitlines() if " # yours" in line]
    assert 1 <= len(marked) <= 5
    assert text.startswith("# python jobs/embed.py --config recipes/sample.yaml")


def test_every_mistake_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    text = GOOD.replace("name: tiny", "name: Not Good").replace("model:", "modell:").replace("1000", "0")
    assert _problems(tmp_path, text) == [
        "recipe.yaml:1: name is 'Not Good'; string should match pattern '^[a-z0-9][a-z0-9_-]*$'",
        "recipe.yaml:9: encoder.model is missing; add it",
        "recipe.yaml:10: encoder.modell is not a key; did you mean model?",
        "recipe.yaml:12: embed.shard_tokens is 0; input should be greater than or equal to 1",
    ]


def test_mistakes_of_the_resources_file_join_those_of_the_recipe(tmp_path: Path) -> None:
    problems = _problems(tmp_path, GOOD.replace("1000", "0"), resources="executor: ray\nnum_actor: 2\n")
    assert problems == [
        "recipe.yaml:12: embed.shard_tokens is 0; input should be greater than or equal to 1",
        "resources.yaml:2: num_actor is not a key; did you mean num_actors?",
    ]


def test_a_key_like_no_other_is_answered_with_the_known_keys(tmp_path: Path) -> None:
    (problem,) = _problems(tmp_path, GOOD + "xyzzy: 1\n")
    keys = (
        "name, corpus, encoder, embed, pairs, finetune, cluster, topics, choose_k, evaluate, network, report, refresh, "
        "forget, compliance, migrate, clean_up"
    )
    assert problem == f"recipe.yaml:13: xyzzy is not a key; known keys: {keys}"


def test_a_misspelt_key_deep_in_a_list_has_its_line_and_a_hint(tmp_path: Path) -> None:
    problems = _problems(tmp_path, GOOD.replace("doc_id: id", "docid: id"))
    assert problems == ["recipe.yaml:8: corpus.inputs.1.columns.docid is not a key; did you mean doc_id?"]


def test_a_key_with_a_hyphen_is_named_whole(tmp_path: Path) -> None:
    (problem,) = _problems(tmp_path, GOOD.replace("shard_tokens", "shard-tokens"))
    assert problem == "recipe.yaml:12: embed.shard-tokens is not a key; did you mean shard_tokens?"


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("3", "recipe.yaml:7: corpus.inputs.1.path is 3; input should be a valid string"),
        ("[a, 3]", "recipe.yaml:7: corpus.inputs.1.path.1 is 3; input should be a valid string"),
    ],
)
def test_a_value_of_one_or_several_is_told_once(tmp_path: Path, path: str, problem: str) -> None:
    assert _problems(tmp_path, GOOD.replace("path: c.jsonl", f"path: {path}")) == [problem]


def test_a_wrong_choice_is_answered_with_all_choices(tmp_path: Path) -> None:
    (problem,) = _problems(tmp_path, GOOD + "  store_dtype: float8\n")
    assert problem == "recipe.yaml:13: embed.store_dtype is 'float8'; choose 'binary', 'float16', 'float32' or 'int8'"


@pytest.mark.parametrize("value", ['"64"', "true", "1.5", "[1]"])
def test_only_a_whole_number_is_a_whole_number(tmp_path: Path, value: str) -> None:
    (problem,) = _problems(tmp_path, GOOD.replace("1000", value))
    assert problem.startswith("recipe.yaml:12: embed.shard_tokens is ")
    assert "integer" in problem


@pytest.mark.parametrize("value", ["7", "2026-01-31"])
def test_values_that_look_like_text_are_checked_as_written(tmp_path: Path, value: str) -> None:
    text = GOOD.replace("model: package:tiny/model", f"model: {value}")
    if value == "7":
        (problem,) = _problems(tmp_path, text)
        assert problem == "recipe.yaml:10: encoder.model is 7; input should be a valid string"
    else:
        assert _load(tmp_path, text).recipe.encoder.model == "2026-01-31"


def test_a_key_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    problems = _problems(tmp_path, GOOD + "  seed: 1\n  seed: 2\n")
    assert problems == ["recipe.yaml:14: embed.seed is given twice; keep one"]


def test_anchors_are_refused(tmp_path: Path) -> None:
    text = GOOD.replace("path: c.jsonl", "path: &p c.jsonl")
    assert _problems(tmp_path, text) == ["recipe.yaml:7: anchors and aliases are not read; write the value out"]


def test_a_tag_that_would_run_code_is_refused_and_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "was-run"
    text = GOOD.replace("model: package:tiny/model", f'model: !!python/object/apply:os.mkdir ["{marker}"]')
    (problem,) = _problems(tmp_path, text)
    assert "recipe.yaml:10" in problem
    assert not marker.exists()


@pytest.mark.parametrize("text", ["name: [", "- a list\n", "just text\n", "\t: x\n"])
def test_what_is_no_mapping_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    (problem,) = _problems(tmp_path, text)
    assert problem.startswith("recipe.yaml")
    assert problem.endswith(("mend the line", "see recipes/sample.yaml"))


def test_an_empty_file_lacks_every_required_key(tmp_path: Path) -> None:
    problems = _problems(tmp_path, "")
    assert len(problems) >= 1
    assert problems[0].startswith("recipe.yaml: ")


def test_a_file_that_is_not_there_is_told_with_an_example(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read .*; name a file, such as recipes/sample.yaml"):
        load_config(str(tmp_path / "none.yaml"), root="/tables")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_bytes(b"name: \xff\xfe\n")
    with pytest.raises(ConfigError, match="not YAML"):
        load_config(str(tmp_path / "recipe.yaml"), root="/tables")


def test_a_mistake_across_fields_is_told_at_their_parent(tmp_path: Path) -> None:
    (problem,) = _problems(tmp_path, GOOD.replace("reader: text", "reader: csv"))
    assert problem == "recipe.yaml:4: corpus.inputs.0: reader csv needs columns"


def test_set_changes_a_nested_value(tmp_path: Path) -> None:
    config = _load(tmp_path, GOOD, "encoder.max_length=64", "embed.min_cosine=0.99", "corpus.keep_languages=[en, de]")
    assert config.recipe.encoder.max_length == 64
    assert config.recipe.embed.min_cosine == 0.99
    assert config.recipe.corpus.keep_languages == ("en", "de")


def test_set_takes_a_day_as_text(tmp_path: Path) -> None:
    assert _load(tmp_path, GOOD, "encoder.revision=2026-01-31").recipe.encoder.revision == "2026-01-31"


def test_set_reaches_into_a_list(tmp_path: Path) -> None:
    config = _load(tmp_path, GOOD, "corpus.inputs.1.path=/other.jsonl", "corpus.inputs.0.path.1=z.txt")
    assert config.recipe.corpus.inputs[1].path == "/other.jsonl"
    assert config.recipe.corpus.inputs[0].path == ("a.txt", "z.txt")


def test_set_makes_a_section_that_the_file_leaves_out(tmp_path: Path) -> None:
    text = GOOD.replace("embed:\n  shard_tokens: 1000\n", "")
    assert _load(tmp_path, text, "embed.seed=3").recipe.embed.seed == 3


def test_set_of_an_unknown_key_is_a_mistake_of_the_command_line(tmp_path: Path) -> None:
    assert _problems(tmp_path, GOOD, "encoder.maxlength=64") == [
        "--set: encoder.maxlength is not a key; did you mean max_length?"
    ]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("encoder.max_length", "--set encoder.max_length: must be key=value, such as encoder.max_length=64"),
        ("=3", "--set =3: must be key=value, such as encoder.max_length=64"),
        ("encoder.max_length='64'", "--set: encoder.max_length is '64'; input should be a valid integer"),
        ("corpus.inputs.7.path=x", "--set corpus.inputs.7.path: there is no corpus.inputs.7.path to set; see --plan"),
        ("name.first=x", "--set name.first: there is no name.first to set; see --plan"),
        ("corpus.inputs.first.path=x", "--set corpus.inputs.first.path: there is no corpus.inputs.first.path to set"),
        (
            "corpus.inputs.\u00b2.path=x",
            "--set corpus.inputs.\u00b2.path: there is no corpus.inputs.\u00b2.path to set",
        ),
        ("encoder={model: x, model: y}", "--set encoder:1: model is given twice; keep one"),
        ("encodr.max_length=8", "--set: encodr is not a key; did you mean encoder?"),
        ("name=", "--set: name is None; input should be a valid string"),
        ("corpus.inputs=[", "--set: corpus.inputs is '['; input should be a valid "),
    ],
)
def test_a_wrong_set_is_told(tmp_path: Path, override: str, message: str) -> None:
    (problem,) = _problems(tmp_path, GOOD, override)
    assert problem.startswith(message)


def test_set_mistakes_join_those_of_the_file(tmp_path: Path) -> None:
    problems = _problems(tmp_path, GOOD.replace("1000", "0"), "encoder.max_length=1")
    assert sorted(problems) == [
        "--set: encoder.max_length is 1; input should be greater than or equal to 3",
        "recipe.yaml:12: embed.shard_tokens is 0; input should be greater than or equal to 1",
    ]


def test_a_deep_file_is_refused_without_a_traceback(tmp_path: Path) -> None:
    (problem,) = _problems(tmp_path, "a: " + "[" * 1500 + "]" * 1500)
    assert "nested more than 16 deep" in problem


def test_a_huge_file_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    (problem,) = _problems(tmp_path, GOOD + "#" * 2**20)
    assert "larger than 256 KiB" in problem


def test_a_resolved_recipe_reads_back_as_itself(tmp_path: Path) -> None:
    first = _load(tmp_path, GOOD).recipe
    again = _load(tmp_path, yaml.safe_dump(first.model_dump(mode="json"))).recipe
    assert again == first


def test_checking_a_recipe_imports_neither_ray_nor_torch() -> None:
    code = (
        "import sys, theta_ray.config, theta_ray.recipe_files, theta_ray.runtime;"
        "sys.exit(', '.join({'ray', 'torch', 'transformers'} & set(sys.modules)) or None)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
