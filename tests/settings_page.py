"""The tables of docs/settings.md: every setting of a recipe and of a resources file, from the models that check them.

`python -m tests.readme_tables` writes them; a test fails while the page is stale, or a setting has no meaning.
"""

from __future__ import annotations

import ast
import inspect
import types
import typing
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from theta_ray.config import Columns, Corpus, Encoder, Input, OnDamage, Recipe, Resources
from theta_ray.config_nightly import Migrate
from theta_ray.schemas import DAMAGED

# Means the same in every section.
SEED = "Of this section's random choices."
# Settings whose name says enough in the code, but not to somebody who meets it on a page.
NAMED: dict[type[BaseModel], dict[str, str]] = {
    Recipe: {"name": "Of what is published: `<root>/published/<name>/`."},
    Input: {"reader": "The format; [data.md](data.md#what-can-be-read) has them."},
    Columns: {
        "author_id": "Who wrote it; `corpus.authors` says how it is stored.",
        "context_id": "The thread, conversation or post that the row belongs to, which `co_thread` goes by.",
        "parent_id": "The row that this one answers or repeats.",
        "container": "Where it was said: a forum, subreddit or channel.",
        "created_at": "ISO 8601, Unix seconds or milliseconds, or a Twitter date; UTC where it has no offset.",
        "lang": "Its language; read with `corpus.language: source`.",
        "tags": "Hashtags: a list, or text that holds one; those that `corpus.hashtags` finds in the text are added.",
        "label": "A known class, for pairs and for the evaluation of topics.",
        "score": "Votes or likes, a whole number.",
    },
    OnDamage: DAMAGED,
    Corpus: {
        "language": "`identify` by fastText; `source`: as the dump says; `none`: all stay unknown.",
        "min_chars": "Of the stored text; a shorter one is turned away.",
        "max_chars": "Of the stored text; a longer one is turned away.",
    },
    Encoder: {
        "long_documents": "Those above `max_length`: cut, or read in windows.",
        "window_length": "`windows`: tokens of one.",
        "document_prompt": "Put before each text with `encode_as: document`. Absent: the folder's own, else none.",
        "encode_as": "Which of the two prompts is put before the texts.",
    },
    Migrate: {"num_neighbours": "By exact cosine, that are compared before and after."},
    Resources: {"gpus_per_actor": "0.5 puts two actors on a GPU; 0 computes on the CPU."},
}
NAMES = {bool: "true or false", int: "whole number", float: "number", str: "text"}


def recipe() -> str:
    """All sections of a recipe, in their order."""
    return "\n\n".join(_sections(Recipe, ""))


def resources() -> str:
    """The keys of a resources file."""
    return _table(Resources, "")


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """What each field means, as one line: what stands under it, or what it is a section or a cause of."""
    found = {"seed": SEED, **NAMED.get(model, {})}
    for name, field in model.model_fields.items():
        if (inner := _model_of(field.annotation)) is not None:
            found[name] = inspect.cleandoc(inner.__doc__ or "").split("\n")[0]
    tree = ast.parse(inspect.getsource(model)).body[0]
    assert isinstance(tree, ast.ClassDef)
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            found[field.target.id] = " ".join(str(ast.literal_eval(below.value)).split())
    return found


def models(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """A model and those inside it, depth first, each with the path of its keys."""
    yield path, model
    for name, field in model.model_fields.items():
        inner = _model_of(field.annotation)
        if inner is not None:
            yield from models(inner, f"{path}.{name}".lstrip("."))


def _sections(model: type[BaseModel], path: str) -> Iterator[str]:
    for where, inner in models(model, path):
        said = inspect.cleandoc(inner.__doc__ or "").replace("\n\n", "<br>").replace("\n", " ")
        level = "###" if where.count(".") == 0 else "####"
        yield f"{level} {f'`{where}`' if where else 'The sections'}\n\n{said}\n\n{_table(inner, where)}"


def _table(model: type[BaseModel], path: str) -> str:
    said = meanings(model)
    rows = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    for name, field in model.model_fields.items():
        below = f"{path}.{name}".lstrip(".")
        key = f"[`{name}`](#{below.replace('.', '')})" if _model_of(field.annotation) else f"`{name}`"
        rows.append(f"| {key} | {_value(field)} | {_default(field)} | {said[name].replace('|', chr(92) + '|')} |")
    return "\n".join(rows)


def _value(field: FieldInfo) -> str:
    """What may stand there, in words."""
    return f"{_words(field.annotation)}{_bounds(field.metadata)}"


def _words(annotation: Any) -> str:
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _words(parts[0]) + _bounds(parts[1:])
    if origin is typing.Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_words(part) for part in parts if part is not type(None))
    if origin is tuple:
        return f"list of {_words(parts[0])}"
    return NAMES.get(annotation, "section")


def _bounds(metadata: Iterable[Any]) -> str:
    """Limits of a number, such as ` > 0, ≤ 1`."""
    limits = [limit for each in metadata for limit in getattr(each, "metadata", [each])]
    signs = (("≥", "ge"), (">", "gt"), ("≤", "le"), ("<", "lt"))
    found = [f"{sign} {getattr(limit, name):,}" for limit in limits for sign, name in signs if hasattr(limit, name)]
    return " " + ", ".join(found) if found else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is None or isinstance(value, BaseModel):
        return ""
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if isinstance(value, str) else f"`{value:_}`" if isinstance(value, int) else f"`{value:g}`"


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """The section that a value is, or a list of, if it is one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_of, typing.get_args(annotation))), None)
