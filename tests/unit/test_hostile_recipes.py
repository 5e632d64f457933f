"""Recipe files made to run code, to fill the memory or to be misread: refused, each in one line."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.hostile import measured
from theta_ray.config import Config
from theta_ray.errors import ConfigError
from theta_ray.recipe_files import MAX_FILE_BYTES, MAX_PROBLEMS, load_config

GOOD = """\
name: tiny
corpus:
  inputs:
    - {reader: text, path: a.txt, source: SOURCE}
encoder: {model: package:tiny/model}
"""
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def load(folder: Path, text: str | bytes, *overrides: str) -> Config:
    (folder / "r.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_config(str(folder / "r.yaml"), root="/tables", overrides=overrides)


def problems(folder: Path, text: str | bytes, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as told:
        load(folder, text, *overrides)
    return str(told.value).replace(f"{folder}/", "").splitlines()


def test_a_bomb_of_aliases_is_refused_at_its_first_anchor(tmp_path: Path) -> None:
    started = time.monotonic()
    assert problems(tmp_path, BOMB + GOOD) == ["r.yaml:1: anchors and aliases are not read; write the value out"]
    assert time.monotonic() - started < 5


def test_merge_keys_are_no_way_around(tmp_path: Path) -> None:
    assert "anchors and aliases are not read" in problems(tmp_path, GOOD + "x: &x {name: y}\nz: {<<: *x}\n")[0]
    assert problems(tmp_path, GOOD + "<<: {name: other}\n")[0].startswith("r.yaml:6: << is not a key")


@pytest.mark.parametrize(
    "tagged",
    [
        '!!python/object/apply:os.mkdir ["MARKER"]',
        "!!python/object/new:os.system [touch MARKER]",
        "!!python/name:os.system x",
        "!!python/module:os x",
        "!!binary aGVsbG8=",
        "!!str yes",
        "!own thing",
        "!<tag:yaml.org,2002:python/tuple> [a]",
        "! word",
    ],
)
def test_every_tag_is_refused_and_none_is_run(tmp_path: Path, tagged: str) -> None:
    text = GOOD.replace("SOURCE", tagged.replace("MARKER", str(tmp_path / "was-run")))
    (problem,) = problems(tmp_path, text)
    assert problem.startswith("r.yaml:4: the tag ")
    assert not (tmp_path / "was-run").exists()


def test_a_tag_on_a_mapping_or_list_is_refused_too(tmp_path: Path) -> None:
    text = GOOD.replace("inputs:", "inputs: !!python/tuple")
    assert problems(tmp_path, text)[0].startswith("r.yaml:3: the tag 'tag:yaml.org,2002:python/tuple' is not read")


def test_a_tag_in_set_is_not_run(tmp_path: Path) -> None:
    override = f'encoder.model=!!python/object/apply:os.mkdir ["{tmp_path}/was-run"]'
    with pytest.raises(ConfigError):
        load(tmp_path, GOOD, override)
    assert not (tmp_path / "was-run").exists()


def test_a_key_given_twice_is_told_at_any_depth(tmp_path: Path) -> None:
    text = GOOD.replace("source: SOURCE", "path: b.txt")
    assert problems(tmp_path, text) == ["r.yaml:4: corpus.inputs.0.path is given twice; keep one"]


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "NO"])
def test_words_that_yaml_takes_for_booleans_are_told_where_text_belongs(tmp_path: Path, word: str) -> None:
    (problem,) = problems(tmp_path, GOOD.replace("SOURCE", word))
    assert problem.startswith("r.yaml:4: corpus.inputs.0.source is ")
    assert problem.endswith("YAML takes yes, no, on and off for booleans: put it in quotes")
    assert load(tmp_path, GOOD.replace("SOURCE", f'"{word}"')).recipe.corpus.inputs[0].source == word


def test_the_language_of_norway_is_told(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, GOOD, "corpus.keep_languages=[en, no]")
    assert "corpus.keep_languages.1 is False" in problem
    assert "put it in quotes" in problem


@pytest.mark.parametrize("value", ["9" * 5000, "0x" + "f" * 5000, "2026-02-31", "1:99:99", ".nan", "-.inf", "1e999"])
def test_numbers_and_days_that_are_none_are_told_or_text(tmp_path: Path, value: str) -> None:
    text = GOOD.replace("SOURCE", "x") + f"embed: {{shard_tokens: {value}}}\n"
    (problem,) = problems(tmp_path, text)
    assert problem.startswith("r.yaml:6: embed.shard_tokens is ")
    assert len(problem) < 250


def test_fifty_megabytes_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    with path.open("wb") as file:
        file.truncate(50 * 2**20)
    code = """
from theta_ray.errors import ConfigError
from theta_ray.recipe_files import load_config
before = peak()
try:
    load_config(sys.argv[1], root="/tables")
except ConfigError as error:
    result = str(error)
"""
    found = measured(code, str(path))
    assert "larger than 256 KiB" in found["result"]
    assert found["growth_mib"] < 10, found


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(ConfigError, match="larger than 256 KiB"):
        load_config("/dev/zero", root="/tables")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_the_deepest_file_of_the_allowed_size_is_refused(tmp_path: Path, opening: str) -> None:
    started = time.monotonic()
    (problem, *_) = problems(tmp_path, "a: " + opening * ((MAX_FILE_BYTES - 10) // len(opening)))
    assert problem.startswith("r.yaml:1: ")
    assert time.monotonic() - started < 10  # without a limit of depth, hours


def test_thousands_of_mistakes_are_cut(tmp_path: Path) -> None:
    found = problems(tmp_path, GOOD + "".join(f"key{i}: 1\n" for i in range(5_000)))
    assert len(found) == MAX_PROBLEMS + 1
    assert found[-1] == "and more"


def test_a_mistake_is_one_short_printable_line(tmp_path: Path) -> None:
    key = '"\\e]0;owned\\a\\u202e\\n' + "x" * 5000 + '"'
    (problem,) = problems(tmp_path, GOOD + f"{key}: 1\n")
    assert problem.isprintable()
    assert len(problem) < 250


@pytest.mark.parametrize("path", ['"a\\0b"', '"a\\nb"', '""'])
def test_a_path_that_no_file_has_is_refused(tmp_path: Path, path: str) -> None:
    (problem,) = problems(tmp_path, GOOD.replace("path: a.txt", f"path: {path}"))
    assert "path is empty or holds a control character" in problem


def test_half_a_character_is_refused_without_a_traceback(tmp_path: Path) -> None:
    assert problems(tmp_path, GOOD.replace("SOURCE", '"\\uD800"'))
