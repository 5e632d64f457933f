"""What an API server does with a custom resource, without one: fills in defaults, refuses unknown fields, has rules.

The schemas are the `openAPIV3Schema` of KubeRay's CustomResourceDefinitions. Not done: rules over the object before an
update (`oldSelf`), admission by the operator, which checks some values itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import celpy
import jsonschema
import pytest
import yaml

from tests.conftest import REPOSITORY

VARIABLE = "THETA_RAY_KUBERAY_CRDS"


def folder_of_crds() -> Path:
    """Folder of KubeRay's CRDs as YAML; what needs them is skipped without."""
    named = os.environ.get(VARIABLE)
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "kuberay"
    if not list(folder.glob("*.yaml")):
        pytest.skip(f"no CRDs of KubeRay 1.7 in {folder}; `kubectl get crd -o yaml` them and name it in {VARIABLE}")
    return folder


@cache
def schema_of(kind: str) -> dict[str, Any]:
    """The schema of a kind of KubeRay's."""
    for path in sorted(folder_of_crds().glob("*.yaml")):
        if kind.lower() not in path.stem:
            continue
        for crd in yaml.load_all(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if crd and crd["spec"]["names"]["kind"] == kind:
                version = next(each for each in crd["spec"]["versions"] if each["name"] == "v1")
                return dict(version["schema"]["openAPIV3Schema"])
    raise AssertionError(f"no CRD of {kind} in {folder_of_crds()}")


def strict(schema: Any) -> Any:
    """The same schema as JSON Schema that refuses fields it does not name."""
    if not isinstance(schema, dict):
        return schema
    made = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes")}
    if schema.get("x-kubernetes-int-or-string"):
        made = {"type": ["integer", "string"]}
    if "properties" in made:
        made["properties"] = {name: strict(value) for name, value in made["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields") and "additionalProperties" not in made:
            made["additionalProperties"] = False
    for key in ("items", "additionalProperties"):
        if isinstance(made.get(key), dict):
            made[key] = strict(made[key])
    if made.pop("nullable", False) and "type" in made:
        made["type"] = [made["type"], "null"]
    made.pop("format", None)
    return made


def with_defaults(value: Any, schema: dict[str, Any]) -> Any:
    """What the API server stores: absent fields with a default have it, nulls of fields that take none are dropped."""
    if isinstance(value, dict):
        known = schema.get("properties", {})
        rest = schema.get("additionalProperties")
        filled = {}
        for name, inner in value.items():
            of_field = known.get(name) or (rest if isinstance(rest, dict) else {})
            if inner is None and not of_field.get("nullable"):
                continue
            filled[name] = with_defaults(inner, of_field)
        for name, of_field in known.items():
            if name not in filled and "default" in of_field:
                filled[name] = with_defaults(of_field["default"], of_field)
        return filled
    if isinstance(value, list):
        return [with_defaults(inner, schema.get("items", {})) for inner in value]
    return value


def rule_problems(value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
    """The rules in CEL that a value breaks, at any depth."""
    for rule in schema.get("x-kubernetes-validations", ()):
        if "oldSelf" not in rule["rule"] and not _holds(rule["rule"], value):
            yield f"{where}: {rule.get('message', rule['rule'])}"
    if isinstance(value, dict):
        known, rest = schema.get("properties", {}), schema.get("additionalProperties")
        for name, inner in value.items():
            of_field = known.get(name) or (rest if isinstance(rest, dict) else {})
            yield from rule_problems(inner, of_field, f"{where}.{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from rule_problems(inner, schema.get("items", {}), f"{where}[{number}]")


@cache
def _program(rule: str) -> celpy.Runner:
    environment = celpy.Environment()
    return environment.program(environment.compile(rule))


def _holds(rule: str, value: Any) -> bool:
    return bool(_program(rule).evaluate({"self": celpy.json_to_cel(value)}))


def problems_of(manifest: dict[str, Any]) -> list[str]:
    """Everything that an API server would refuse a custom resource for."""
    schema = schema_of(manifest["kind"])
    stored = with_defaults(manifest, schema)
    # metadata is the API server's own and no part of a CRD's schema
    checked = {**stored, "metadata": {}}
    checker = jsonschema.Draft7Validator(_validator(manifest["kind"]))
    found = [f"{error.json_path}: {_short(error.message)}" for error in checker.iter_errors(checked)]
    return found + list(rule_problems(checked, schema, "$"))


@cache
def _validator(kind: str) -> Any:
    return strict(schema_of(kind))


def _short(text: str) -> str:
    return re.sub(r"\s+", " ", text)[-200:]
