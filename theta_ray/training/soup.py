"""Several LoRA adapters of one base in, one adapter out that adds the average of their weight changes.

    python -m theta_ray.training.soup A B --out FOLDER [--weights 0.5 0.5]

The change of a layer is B A alpha/r, so the average of changes is not the average of As times that of Bs. It is a
product of longer factors: As stacked, Bs side by side, each times its weight. Nothing is lost; ranks add up.

Model soups: Wortsman et al. 2022, applied to the changes that adapters make. A soup has no contract, since nobody has
computed its vectors: a recipe that uses it names the settings that its adapters share.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from theta_ray.encoder.adapter_files import PROJECTION, WEIGHTS, find_adapter
from theta_ray.encoder.contract import SETTINGS, model_name, read_contract
from theta_ray.encoder.model_files import read_json
from theta_ray.errors import ConfigError, InputError, ThetaError
from theta_ray.store import canonical_json
from theta_ray.terminal import escaped

BEFORE = "base_model.model."
A, B = ".lora_A.weight", ".lora_B.weight"
KINDS = ("use_dora", "modules_to_save", "layer_replication", "fan_in_fan_out", "trainable_token_indices")
# Ways to say which layers are changed, beside their names.
NARROWING = ("target_parameters", "exclude_modules", "layers_to_transform", "layers_pattern")


@dataclass(frozen=True)
class Factors:
    """The two factors of one layer's weight change, the scale in neither."""

    down_RI: torch.Tensor
    """A: rank x inputs, float32."""
    up_OR: torch.Tensor
    """B: outputs x rank, float32."""
    scale: float
    """alpha / r, or alpha / sqrt(r) of rank-stabilised adapters."""


def average(adapters: Sequence[dict[str, Factors]], weights: Sequence[float]) -> dict[str, Factors]:
    """The weighted sum of the weight changes of adapters, exactly, as factors of scale 1.

    Args:
        adapters: factors by layer; a layer that an adapter has not is not changed by it.
        weights: one of each adapter.

    Returns:
        Factors by layer, all of one rank: the sum of the adapters' largest. Shorter ones are filled with zeros.
    """
    ranks = [max(len(factors.down_RI) for factors in adapter.values()) for adapter in adapters]
    soup = {}
    for name in sorted({name for adapter in adapters for name in adapter}):
        shapes = {(f.up_OR.shape[0], f.down_RI.shape[1]) for a in adapters if (f := a.get(name)) is not None}
        if len(shapes) != 1:
            raise InputError(f"{name}: the adapters change matrices of several shapes; they must be of one base")
        ((outputs, inputs),) = shapes
        down, up = [], []
        for adapter, rank, weight in zip(adapters, ranks, weights, strict=True):
            down_RI, up_OR = torch.zeros(rank, inputs), torch.zeros(outputs, rank)
            if (factors := adapter.get(name)) is not None:
                down_RI[: len(factors.down_RI)] = factors.down_RI
                up_OR[:, : len(factors.down_RI)] = weight * factors.scale * factors.up_OR
            down.append(down_RI)
            up.append(up_OR)
        soup[name] = Factors(torch.cat(down), torch.cat(up, dim=1), 1.0)
    return soup


def read_factors(folder: Path) -> dict[str, Factors]:
    """The factors of a LoRA adapter by layer.

    Raises:
        InputError: an adapter that is more than two factors a layer.
    """
    from safetensors.torch import load_file

    config = read_json(folder / WEIGHTS[0])
    odd = next((kind for kind in KINDS if config.get(kind)), None)
    if odd or config.get("peft_type") != "LORA" or (folder / PROJECTION).is_dir():
        what = odd or ("a projection" if config.get("peft_type") == "LORA" else config.get("peft_type"))
        raise InputError(f"{folder}: {what} cannot be averaged by weight changes; take adapters of plain LoRA")
    tensors = load_file(folder / WEIGHTS[1])
    layers = {name.removesuffix(A) for name in tensors if name.endswith(A)}
    expected = {layer + factor for layer in layers for factor in (A, B)}
    if not layers or tensors.keys() != expected or any(tensor.ndim != 2 for tensor in tensors.values()):
        first = next(iter(sorted(tensors.keys() ^ expected)), "a factor that is no matrix")
        raise InputError(f"{folder}: {first} is no factor of a linear layer; take adapters of plain LoRA")
    try:
        return {
            layer: Factors(tensors[layer + A].float(), tensors[layer + B].float(), _scale(config, layer, tensors))
            for layer in sorted(layers)
        }
    except (re.error, ArithmeticError, AttributeError, TypeError, ValueError) as error:
        why = f"its ranks, lora_alpha and alpha_pattern make no scale ({escaped(str(error))})"
        raise InputError(f"{folder}: {why}; save the adapter again") from error


def _scale(config: dict[str, Any], layer: str, tensors: dict[str, torch.Tensor]) -> float:
    """What PEFT multiplies a layer's product with."""
    rank, name = len(tensors[layer + A]), layer.removeprefix(BEFORE)
    patterns = (config.get("alpha_pattern") or {}).items()
    own = [alpha for pattern, alpha in patterns if re.match(rf"(.*\.)?({pattern})$", name)]
    alpha = float([*own, config.get("lora_alpha", 8)][0])
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def make_soup(folders: Sequence[Path], weights: Sequence[float], out: Path) -> None:
    """Write the soup of some adapters as a folder that PEFT loads.

    Raises:
        ConfigError: weights that do not fit, or a folder that is there.
        InputError: adapters of several bases, made with several settings, or of another kind.
    """
    from safetensors.torch import save_file

    if len(weights) != len(folders) or len(folders) < 2:
        raise ConfigError(f"soup: {len(folders)} adapters and {len(weights)} weights; give two or more, a weight each")
    if not all(math.isfinite(weight) for weight in weights):
        raise ConfigError(f"soup: weights {' '.join(map(str, weights))}: must be finite; leave --weights out for equal")
    if out.exists():
        raise ConfigError(f"{out}: is there already; name a new folder")
    _check_alike(folders)
    soup = average([read_factors(folder) for folder in folders], weights)
    rank = len(next(iter(soup.values())).down_RI)
    config = read_json(folders[0] / WEIGHTS[0])
    config |= {"r": rank, "lora_alpha": rank, "use_rslora": False, "rank_pattern": {}, "alpha_pattern": {}}
    config |= {"base_model_name_or_path": model_name(str(config.get("base_model_name_or_path") or ""))}
    config |= {"target_modules": sorted({name.removeprefix(BEFORE) for name in soup})}
    config |= {name: None for name in NARROWING if name in config}
    tensors = {f"{name}{A}": factors.down_RI.contiguous() for name, factors in soup.items()}
    tensors |= {f"{name}{B}": factors.up_OR.contiguous() for name, factors in soup.items()}
    out.mkdir(parents=True)
    save_file(tensors, out / WEIGHTS[1], metadata={"format": "pt"})
    (out / WEIGHTS[0]).write_bytes(canonical_json(config))


def _check_alike(folders: Sequence[Path]) -> None:
    """Raise InputError where contracts tell that adapters do not belong together."""
    known = [(folder, contract) for folder in folders if (contract := read_contract(folder)) is not None]
    for folder, contract in known[1:]:
        first = known[0][1]
        if contract.base.weights_sha256 != first.base.weights_sha256:
            raise InputError(f"{folder}: was made on another base than {known[0][0]}; take adapters of one base")
        for name in SETTINGS:
            if getattr(contract, name) != getattr(first, name):
                raise InputError(f"{folder}: was made with another {name} than {known[0][0]}; take adapters made alike")


def main(arguments: Sequence[str]) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(description="Average the weight changes of LoRA adapters of one base.")
    parser.add_argument("adapters", nargs="+", help="folders or URIs of adapters")
    parser.add_argument("--out", required=True, type=Path, help="folder to make")
    parser.add_argument(
        "--weights", nargs="+", type=float, help="one of each adapter; equal ones that sum to 1 if absent"
    )
    options = parser.parse_args(arguments)
    try:
        folders = [find_adapter(reference) for reference in options.adapters]
        make_soup(folders, options.weights or [1 / len(folders)] * len(folders), options.out)
    except ThetaError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(json.dumps({"soup": str(options.out), "adapters": len(folders)}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
