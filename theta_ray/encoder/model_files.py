"""The files of a model folder, checked before anything is built from them: no code, no pickles, no absurd sizes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from theta_ray.errors import InputError
from theta_ray.terminal import escaped

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npz", ".msgpack", ".h5")
# The largest tokenizer.json of a known model has 35 MB.
MAX_JSON_BYTES = 128 * 2**20
MAX_HEADER_BYTES = 100 * 2**20
MAX_LAYERS = 512
MAX_SIZE = 2**31
MAX_ADAPTER_NUMBER = 2**20
LAYERS = ("num_hidden_layers", "num_layers", "n_layers", "n_layer")
# What a model is measured in; other numbers may be negative and mean "not set".
SIZES = (
    *LAYERS,
    *("vocab_size", "hidden_size", "intermediate_size", "embedding_size", "num_attention_heads", "n_heads", "n_head"),
    *("max_position_embeddings", "d_model", "d_ff", "dim", "hidden_dim", "n_embd", "head_dim"),
)
# A configuration may ask for this many times the numbers that the weights hold: heads that are not stored, buffers.
MAX_GROWTH = 8
SPARE_NUMBERS = 2**24


def check_folder(folder: Path, name: str) -> None:
    """Refuse a folder that needs its own code, has no safetensors, or whose numbers cannot be true.

    Raises:
        InputError: what is wrong, and what to do.
    """
    config = read_json(folder / "config.json")
    if not config:
        raise InputError(f"encoder.model {name}: no config.json in {folder}; name a folder saved by transformers")
    for file in ("config.json", "tokenizer_config.json"):
        if read_json(folder / file).get("auto_map"):
            raise InputError(
                f"encoder.model {name}: needs its own Python code (auto_map in {file}), which is never run; "
                "use a model type that transformers has"
            )
    if not list(folder.glob("*.safetensors")):
        others = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
        held = f", only {escaped(others[0])}, which may run code when it is opened" if others else ""
        raise InputError(
            f"encoder.model {name}: no *.safetensors weights in {folder}{held}; convert them "
            "(load with transformers where you trust them, then save_pretrained)"
        )
    _check_index(folder, name)
    _check_sizes(config, f"encoder.model {name}: config.json")
    _check_vocabulary(config, num_stored(str(folder)), name)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, empty where there is no file; a list becomes the value of `modules`."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ValueError(f"larger than {MAX_JSON_BYTES >> 20} MiB")
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error}); fetch the model again") from error
    return value if isinstance(value, dict) else {"modules": value}


def _check_index(folder: Path, name: str) -> None:
    """Weights in several files must be safetensors files of this folder."""
    files = read_json(folder / "model.safetensors.index.json").get("weight_map", {})
    for file in set(files.values()) if isinstance(files, dict) else ():
        if not isinstance(file, str) or "/" in file or "\\" in file or not file.endswith(".safetensors"):
            raise InputError(
                f"encoder.model {name}: its index names {escaped(str(file))}, which is no safetensors file of the "
                "folder; fetch the model again"
            )


def _check_sizes(value: Any, where: str) -> None:
    """Refuse sizes that no model has, before a list or a matrix is made of them."""
    for key, number in _numbers(value):
        if key in SIZES and not 1 <= number <= (MAX_LAYERS if key in LAYERS else MAX_SIZE):
            raise InputError(f"{where} says {escaped(key)} {number:g}, which no model has; fetch it again")


def _numbers(value: Any, key: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _numbers(inner, str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers(inner, key)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield key, min(value, 10**300)


def _check_vocabulary(config: dict[str, Any], stored: int, name: str) -> None:
    nested = config.get("text_config")
    inner = nested if isinstance(nested, dict) else config
    widths = [inner[key] for key in ("embedding_size", "hidden_size", "d_model") if isinstance(inner.get(key), int)]
    words = inner.get("vocab_size")
    if isinstance(words, int) and widths and not may_fill(words * min(widths), stored):
        raise InputError(
            f"encoder.model {name}: config.json says {words} words of {min(widths)} numbers, its weights hold "
            f"{stored} numbers in all; fetch it again"
        )


def may_fill(needed: int, stored: int) -> bool:
    """Whether a model of `needed` numbers may be made for weights that hold `stored`."""
    return needed <= MAX_GROWTH * stored + SPARE_NUMBERS


def check_adapter(folder: Path, name: str) -> None:
    """Refuse an adapter that is no safetensors file, needs code, or whose numbers cannot be true.

    Args:
        folder: where its files are.
        name: as the recipe has it.

    Raises:
        InputError: what is wrong, and what to do.
    """
    if not (folder / "adapter_config.json").is_file() or not (folder / "adapter_model.safetensors").is_file():
        raise InputError(
            f"encoder.adapter {name}: needs adapter_config.json and adapter_model.safetensors; "
            "save it with PEFT's save_pretrained (safetensors)"
        )
    config = read_json(folder / "adapter_config.json")
    where = f"encoder.adapter {name}: adapter_config.json"
    for key, number in _numbers(config):
        if not abs(number) <= MAX_ADAPTER_NUMBER:
            raise InputError(f"{where} says {escaped(key)} {number:g}, which no adapter has; save the adapter again")
    stored = [shape for file in folder.glob("*.safetensors") for shape in shapes_of(file).values()]
    widest = max((min(shape) for shape in stored if len(shape) > 1), default=0)
    pattern = config.get("rank_pattern")
    ranks = [config.get("r"), *(pattern.values() if isinstance(pattern, dict) else ())]
    for rank in ranks:
        if isinstance(rank, int) and not 0 <= rank <= max(widest, 1):
            raise InputError(f"{where} says rank {rank}, its weights have {widest}; save the adapter again")


def shapes_of(path: Path) -> dict[str, list[int]]:
    """Shapes of the tensors of a safetensors file, by name, read off its header.

    Raises:
        InputError: a header that does not fit the file.
    """
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            room = path.stat().st_size - 8
            if not 2 <= size <= min(room, MAX_HEADER_BYTES):
                raise ValueError(f"a header of {size} bytes in a file of {room + 8}")
            header = json.loads(file.read(size))
        tensors = {name: tensor for name, tensor in header.items() if name != "__metadata__"}
        for name, tensor in tensors.items():
            _, end = tensor["data_offsets"]
            if min(tensor["shape"], default=0) < 0 or not 0 <= end <= room - size:
                raise ValueError(f"{name[:60]} does not lie within the file")
        return {name: tensor["shape"] for name, tensor in tensors.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: no sound safetensors file ({escaped(str(error))}); fetch it again") from error


def num_stored(folder: str) -> int:
    """Numbers that the safetensors files of a folder hold."""
    return sum(math.prod(shape) for path in Path(folder).glob("*.safetensors") for shape in shapes_of(path).values())
