"""What a trained model is, in words: the README.md beside its weights. Strangers' text in it stays text."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Sequence
from typing import Any

import yaml

from theta_ray import __version__
from theta_ray.encoder.contract import SETTINGS, Contract, model_name
from theta_ray.terminal import escaped
from theta_ray.uris import SCHEME, masked

MARKS = re.compile(r"([\\`*_\[\]|~#])")


def model_card(contract: Contract, metrics: dict[str, Any], sections: dict[str, Any], inputs: dict[str, Any]) -> str:
    """The card of an adapter, or of a whole model.

    Args:
        contract: how its vectors are made.
        metrics: see `adapter.Trained`.
        sections: of the recipe.
        inputs: identities of the tables that it was made of, by name.
    """
    parts = [
        _front_matter(contract),
        f"# {'A whole model tuned from' if contract.adapter_sha256 is None else 'A LoRA adapter for'} "
        f"{plain(contract.base.model)}",
        f"Made by theta_ray {__version__} from {plain(contract.base.identity)}. Without its base, and on texts of "
        "another kind than those below, it promises nothing.",
        "## Results",
        _results(metrics),
        "## Data",
        _table(("input", "table", "fingerprint", "version", "sha256"), [_input(*item) for item in inputs.items()]),
        "## How a text becomes a vector",
        _table(("setting", "value"), [(name, _value(getattr(contract, name))) for name in (*SETTINGS, "dim")]),
        "Probe texts and their vectors are in contract.json: whoever gets others uses it in another way.",
        "## Use",
        _usage(contract),
        "## Recipe",
        _indented(yaml.safe_dump(sections, sort_keys=False)),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(contract: Contract) -> str:
    facts = {"base_model": contract.base.model, "tags": ["feature-extraction", "sentence-similarity"]}
    library = "peft" if contract.adapter_sha256 is not None else "transformers"
    return f"---\n{yaml.safe_dump({'library_name': library, **facts})}---"


def _results(metrics: dict[str, Any]) -> str:
    base, tuned = (metrics.get(name) or {} for name in ("base", "tuned"))
    rows = [(name, _metric(base.get(name)), _metric(tuned.get(name))) for name in dict.fromkeys([*base, *tuned])]
    if not rows:
        return "None were measured."
    return _table(("metric", "base", "tuned"), rows) + "\n\nIn brackets: bootstrap intervals, where there are some."


def _metric(value: Any) -> str:
    if isinstance(value, dict):
        interval = [_number(value.get(name)) for name in ("low", "high")]
        return _number(value.get("value")) + (f" ({interval[0]} to {interval[1]})" if "-" not in interval else "")
    return _number(value)


def _number(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:.4g}" if isinstance(value, float) else str(value)
    return "-" if value is None else str(value)


def _input(name: str, identity: Any) -> tuple[str, ...]:
    known = identity if isinstance(identity, dict) else {"sha256": identity}
    return name, *(_value(known.get(key)) for key in ("table", "fingerprint", "version", "sha256"))


def _value(value: Any) -> str:
    return "-" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *(tuple(plain(cell) for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _usage(contract: Contract) -> str:
    if contract.adapter_sha256 is None:
        lines = ["from transformers import AutoModel", 'model = AutoModel.from_pretrained("merged")']
    else:
        is_hub = not contract.base.identity.startswith("sha256:")
        lines = [
            "from peft import PeftModel",
            "from transformers import AutoModel",
            *([] if is_hub else ["# the folder that has this model on your machine"]),
            f"base = AutoModel.from_pretrained({json.dumps(contract.base.model)})",
            'model = PeftModel.from_pretrained(base, ".")',
        ]
    return _indented("\n".join(lines))


def _indented(text: str) -> str:
    """A block of code that nothing in it can end."""
    return "\n".join(f"    {escaped(line)}" for line in text.splitlines())


def plain(text: str) -> str:
    """`text` as Markdown that shows it as it is, in one line."""
    return MARKS.sub(r"\\\1", html.escape(escaped(text), quote=False))


def public(value: Any) -> Any:
    """JSON values without paths of this machine, what could be a secret in a URI, and numbers that are none."""
    if isinstance(value, dict):
        return {str(key): public(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [public(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return masked(value) if SCHEME.match(value) else model_name(value)
    return value
