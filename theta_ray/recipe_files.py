"""YAML files and `--set` values in, a checked `Config` out, or every mistake at once with its place.

Safe YAML only. Anchors, aliases, tags and duplicate keys are refused: a recipe is read by people.
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from theta_ray.config import Config, Recipe, Resources
from theta_ray.errors import ConfigError
from theta_ray.terminal import escaped, masked_secrets

Place = tuple[str | int, ...]
MAX_FILE_BYTES = 2**18
MAX_BITS = 64
# PyYAML takes quadratic time for brackets within brackets.
MAX_DEPTH = 16
MAX_PROBLEMS = 50
MAX_SHOWN_CHARS = 80
M = TypeVar("M", bound=BaseModel)


class _Source:
    """One YAML file's values, with the line of each key, and what `--set` put over them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.values: Any = {}
        self.lines: dict[Place, int] = {}
        self.problems: list[str] = []

    def where(self, place: Place) -> str:
        """Name and line of the closest known key at or above `place`."""
        for length in range(len(place), -1, -1):
            if place[:length] in self.lines:
                line = self.lines[place[:length]]
                return f"{self.name}:{line}" if line else "--set"
        return self.name


def load_config(
    recipe_path: str, *, resources_path: str | None = None, root: str, overrides: tuple[str, ...] = ()
) -> Config:
    """Read the recipe and the resources file, put `overrides` over the recipe, and check everything.

    Args:
        recipe_path: a YAML file; see `recipes/`.
        resources_path: a YAML file; see `cluster_configs/`. None: a laptop's defaults.
        root: absolute folder or URI of all tables.
        overrides: `key=value` strings, such as `encoder.max_length=64`; the value is YAML.

    Raises:
        ConfigError: one line for each mistake, with its file and line.
    """
    recipe_source = _read(recipe_path)
    for override in overrides:
        _override(recipe_source, override)
    resources_source = _read(resources_path) if resources_path else _Source("resources")
    recipe = _build(Recipe, recipe_source)
    resources = _build(Resources, resources_source)
    problems = recipe_source.problems + resources_source.problems
    if problems or recipe is None or resources is None:
        more = ["and more"] if len(problems) > MAX_PROBLEMS else []
        raise ConfigError(
            "\n".join([*(masked_secrets(escaped(problem)) for problem in problems[:MAX_PROBLEMS]), *more])
        )
    return Config(recipe=recipe, resources=resources, root=root, recipe_path=recipe_path)


def _read(path: str) -> _Source:
    source = _Source(path)
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        source.problems.append(f"{path}: cannot be read ({reason}); name a file, such as recipes/sample.yaml")
        return source
    if len(data) > MAX_FILE_BYTES:
        source.problems.append(f"{path}: larger than {MAX_FILE_BYTES >> 10} KiB; a recipe is about 40 lines")
        return source
    try:
        text = data.decode("utf-8")
        node = _compose(text)
        if node is not None:
            source.values = _to_values(node, source, ())
    except _RefusedError as error:
        source.problems.append(f"{path}:{error.line}: {error}")
        return source
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        source.problems.append(f"{path}{line}: not YAML ({problem}); mend the line")
    if not isinstance(source.values, dict):
        source.problems.append(f"{path}: must be keys and values; see recipes/sample.yaml")
        source.values = {}
    return source


class _RefusedError(Exception):
    """YAML that is not for people to read, and its line."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(f"{problem}; write the value out")
        self.line = line


def _compose(text: str) -> yaml.Node | None:
    """The nodes of a text without anchors, aliases and tags, which may stand for more than they show."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        problem, tag = None, getattr(event, "tag", None)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            problem = "anchors and aliases are not read"
        elif tag is not None:
            problem = f"the tag {_shown(tag)} is not read"
        elif depth > MAX_DEPTH:
            problem = f"nested more than {MAX_DEPTH} deep, where no recipe is"
        if problem:
            raise _RefusedError(problem, getattr(event.start_mark, "line", 0) + 1)
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _to_values(node: yaml.Node, source: _Source, place: Place) -> Any:
    """Plain Python values of a node, with the line of every key written into `source.lines`."""
    source.lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in values:
                source.problems.append(f"{source.name}:{line}: {_dotted((*place, key))} is given twice; keep one")
            values[key] = _to_values(value_node, source, (*place, key))
            source.lines[(*place, key)] = line
        return values
    if isinstance(node, yaml.SequenceNode):
        return [_to_values(item, source, (*place, index)) for index, item in enumerate(node.value)]
    loader = yaml.SafeLoader("")
    try:
        value = loader.construct_object(node)
    except ValueError:
        value = node.value  # a day such as 2026-02-31, a number of thousands of digits: told as the text that it is
    finally:
        loader.dispose()
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        value = node.value
    # YAML 1.1 turns 2026-01-31 into a date; a recipe has only text, numbers and booleans.
    return value if value is None or isinstance(value, str | bool | int | float) else str(getattr(node, "value", value))


def _override(source: _Source, override: str) -> None:
    """Put one `key=value` into the values; list items are reached by their number."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        source.problems.append(f"--set {override}: must be key=value, such as encoder.max_length=64")
        return
    place: Place = tuple(int(part) if part.isdecimal() else part for part in key.split("."))
    given = _Source(f"--set {key}")
    try:
        node = _compose(text)
        value = None if node is None else _to_values(node, given, ())
    except _RefusedError as error:
        source.problems.append(f"--set {key}: {error}")
        return
    except yaml.YAMLError:
        value = text
    source.problems += given.problems
    target = source.values
    for depth, part in enumerate(place, start=1):
        known = isinstance(target, dict) or (isinstance(target, list) and isinstance(part, int) and part < len(target))
        if not known:
            source.problems.append(f"--set {key}: there is no {_dotted(place)} to set; see --plan for the recipe")
            return
        if depth == len(place):
            target[part] = value
        elif isinstance(target, dict) and part not in target:
            source.lines[place[:depth]] = 0
            target = target.setdefault(part, {})
        else:
            target = target[part]
    for known_place in [p for p in source.lines if p[: len(place)] == place]:
        del source.lines[known_place]
    source.lines[place] = 0


def _build(model: type[M], source: _Source) -> M | None:
    if source.problems and not source.values:
        return None
    try:
        # strict as JSON: "64" is no number, yet a list may fill a tuple
        return model.model_validate_json(json.dumps(source.values), strict=True)
    except ValidationError as error:
        details = error.errors()[: 2 * MAX_PROBLEMS]
        places = [_place_in_file(source, detail) for detail in details]
        told: set[Place] = set()
        for detail, place in zip(details, places, strict=True):
            follows = any(len(other) > len(place) and other[: len(place)] == place for other in places)
            if follows or place in told:
                continue  # a mistake further in, or another branch of the same union, says it better
            told.add(place)
            source.problems.append(_explain(model, source, place, detail))
        return None


def _place_in_file(source: _Source, detail: Any) -> Place:
    """pydantic names the branches of unions in a place; a reader knows only the keys of the file."""
    *parents, last = detail["loc"] or ("",)
    place: Place = ()
    found = source.values
    for part in (*parents, last):
        is_there = part in found if isinstance(found, dict) else isinstance(found, list) and isinstance(part, int)
        if is_there:
            place, found = (*place, part), found[part]
    return (*place, last) if detail["type"] == "missing" else place


def _explain(model: type[BaseModel], source: _Source, place: Place, detail: Any) -> str:
    where, key, kind = source.where(place), _dotted(place), detail["type"]
    if kind == "extra_forbidden":
        names = _field_names(model, place[:-1])
        close = difflib.get_close_matches(str(place[-1]), names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(names)}"
        return f"{where}: {key} is not a key; {hint}"
    if kind == "missing":
        return f"{where}: {key} is missing; add it"
    if kind == "literal_error":
        return f"{where}: {key} is {_shown(detail['input'])}; choose {detail['ctx']['expected']}"
    if kind == "value_error":
        return f"{where}: {key}: {detail['ctx']['error']}"
    is_word = isinstance(detail["input"], bool) and kind == "string_type"
    hint = "; YAML takes yes, no, on and off for booleans: put it in quotes" if is_word else ""
    return f"{where}: {key} is {_shown(detail['input'])}; {detail['msg'][0].lower()}{detail['msg'][1:]}{hint}"


def _shown(value: Any) -> str:
    text = masked_secrets(repr(value))  # before it is cut: half a URI would hide its secret from the mask
    return text if len(text) <= MAX_SHOWN_CHARS else text[: MAX_SHOWN_CHARS - 3] + "..."


def _field_names(model: type[BaseModel], place: Place) -> list[str]:
    """Names of the fields of the model found by following `place` from `model`."""
    found: Any = model
    for part in place:
        if isinstance(part, int):
            continue
        annotation = found.model_fields[part].annotation
        found = next(m for m in _models_in(annotation))
    return list(found.model_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in getattr(annotation, "__args__", ()) for model in _models_in(inner)]


def _dotted(place: Place) -> str:
    text = ".".join(str(part) for part in place) or "the file"
    return text if len(text) <= MAX_SHOWN_CHARS else text[: MAX_SHOWN_CHARS - 3] + "..."
