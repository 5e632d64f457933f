"""A model folder (and adapter) in, a frozen module on one device out.

safetensors only, never the folder's own code, and no weight may be missing: transformers fills a
gap with random numbers and a warning, which here is an error.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import torch

from theta_ray.encoder.adapter_files import WEIGHTS
from theta_ray.encoder.layers import keep_first_layers
from theta_ray.encoder.model_files import may_fill, num_stored
from theta_ray.encoder.precision import DTYPES
from theta_ray.encoder.source import ModelSource
from theta_ray.errors import ConfigError, InputError
from theta_ray.terminal import escaped

# What transformers raises on configurations and tokenizer files that make no sense.
UNSOUND = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)


def load_config(source: ModelSource) -> Any:
    """The transformers configuration of a model folder.

    Raises:
        InputError: a model type that this version of transformers does not have.
    """
    from transformers import AutoConfig

    return _from_folder(AutoConfig.from_pretrained, source)


def load_tokenizer(source: ModelSource) -> Any:
    """The transformers tokenizer of a model folder."""
    from transformers import AutoTokenizer

    return _from_folder(AutoTokenizer.from_pretrained, source)


def _from_folder(load: Callable[..., Any], source: ModelSource, **options: Any) -> Any:
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        return load(source.folder, trust_remote_code=False, local_files_only=True, **options)
    except (*UNSOUND, SafetensorError, StrictDataclassError) as error:
        reason = escaped((str(error).strip().splitlines() or [type(error).__name__])[0])
        raise InputError(
            f"encoder.model {source.folder}: transformers cannot load it ({reason}); check the folder or its version"
        ) from error


def load_model(
    source: ModelSource, *, precision: str, device: str, pooling: str, num_layers: int | None = None
) -> torch.nn.Module:
    """The model in evaluation mode.

    Args:
        source: from `resolve_model`.
        precision: `float32`, `bfloat16` or `float16`.
        device: a torch device, such as `cpu` or `cuda`.
        pooling: `pooler` keeps the pooler, and needs its weights; others do without it.
        num_layers: the first layers to keep; None for all.

    Raises:
        InputError: files that do not make this model, or an adapter made for another one.
        ConfigError: an encoder-decoder, or a model without so many layers.
    """
    from transformers import AutoModel

    config = load_config(source)
    if getattr(config, "is_encoder_decoder", False):
        raise ConfigError(f"encoder.model {source.folder}: is an encoder-decoder; use an encoder or a decoder")
    _check_room(config, source)
    model, loading = _from_folder(
        AutoModel.from_pretrained, source, dtype=DTYPES[precision], use_safetensors=True, output_loading_info=True
    )
    missing = {key for key in loading["missing_keys"] if not key.startswith("pooler.")}
    if missing or loading["mismatched_keys"]:
        first = sorted([*missing, *(str(key) for key in loading["mismatched_keys"])])[0]
        raise InputError(
            f"encoder.model {source.folder}: weights do not fit the configuration (such as {first}); fetch it again"
        )
    has_pooler = hasattr(model, "pooler") and not any(k.startswith("pooler.") for k in loading["missing_keys"])
    if hasattr(model, "pooler") and (not has_pooler or pooling != "pooler"):
        model.pooler = None
    if source.adapter_folder is not None:
        model = _add_adapter(model, source.adapter_folder)
    if num_layers is not None:
        keep_first_layers(model, count_layers(config), num_layers)
    frozen: torch.nn.Module = model.to(device).eval().requires_grad_(False)
    return frozen


def _check_room(config: Any, source: ModelSource) -> None:
    """Refuse a configuration that asks for far more memory than the weights fill, before it is taken."""
    empty = _without_weights(config, source)
    needed = sum(tensor.numel() for tensor in (*empty.parameters(), *empty.buffers()))
    stored = num_stored(source.folder)
    if not may_fill(needed, stored):
        raise InputError(
            f"encoder.model {source.folder}: config.json asks for {needed} numbers, its weights hold {stored}; "
            "fetch it again"
        )


def _without_weights(config: Any, source: ModelSource) -> Any:
    """The model's modules on the meta device: shapes without memory."""
    from transformers import AutoModel

    with torch.device("meta"):
        return _from_folder(lambda *_, **__: AutoModel.from_config(config), source)


def count_layers(config: Any) -> int:
    """Layers that a model has by its configuration; 0 where that does not say."""
    return int(getattr(config.get_text_config(), "num_hidden_layers", 0))


def check_num_layers(source: ModelSource, num_layers: int) -> None:
    """Raise ConfigError where the first layers of a model cannot be kept; reads no weights."""
    config = load_config(source)
    keep_first_layers(_without_weights(config, source), count_layers(config), num_layers)


def has_pooler(model: Any) -> bool:
    """Whether the model has a pooler with trained weights."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return getattr(inner, "pooler", None) is not None


def _add_adapter(model: Any, folder: str) -> Any:
    """The model with a PEFT adapter whose every tensor found its place.

    What `adapter_config.json` says of its base is not asked: often a path on somebody's machine. An adapter that was
    trained below a head (`...ForMaskedLM`) has the model's own prefix in its names, which is taken off.
    """
    from peft import PeftConfig, PeftModel
    from safetensors import SafetensorError

    prefix = f"{model.base_model_prefix}."
    try:
        config = PeftConfig.from_pretrained(folder)
        _fit_config(config, prefix)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Found missing adapter keys")  # an error below
            adapted = PeftModel.from_pretrained(
                model,
                folder,
                config=config,
                is_trainable=False,
                use_safetensors=True,
                key_mapping={f"^{re.escape(prefix)}": ""},
            )
    except (*UNSOUND, SafetensorError, re.error) as error:
        lines = [escaped(line.strip()) for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise InputError(
            f"encoder.adapter {folder}: does not fit {type(model).__name__} ({lines[min(1, len(lines) - 1)]}); "
            "name the base model it was trained on"
        ) from error
    _check_partners(model, adapted, folder)
    return adapted


def _fit_config(config: Any, prefix: str) -> None:
    """Make a PEFT configuration one of the bare model: no base of its own, no task's head, no prefix in patterns."""
    config.base_model_name_or_path, config.task_type = None, "FEATURE_EXTRACTION"
    if isinstance(getattr(config, "target_modules", None), set | list):
        config.target_modules = {name.removeprefix(prefix) for name in config.target_modules}
    for name in ("rank_pattern", "alpha_pattern"):
        pattern = getattr(config, name, None) or {}
        setattr(config, name, {key.removeprefix(prefix): value for key, value in pattern.items()})


def _check_partners(model: Any, adapted: Any, folder: str) -> None:
    """Raise InputError unless the stored LoRA tensors are exactly those of the adapted model."""
    from safetensors import safe_open

    with safe_open(f"{folder}/{WEIGHTS[1]}", framework="pt") as file:
        stored = {_bare_name(name, model) for name in file.keys() if "lora_" in name}  # noqa: SIM118 - no dict
    made = {
        _bare_name(name.replace(".default", ""), model) for name, _ in adapted.named_parameters() if "lora_" in name
    }
    if stored != made:
        odd = sorted(stored ^ made)[0]
        raise InputError(
            f"encoder.adapter {folder}: {escaped(odd)} has no partner in {type(model).__name__}; name its base model"
        )


def _bare_name(name: str, model: Any) -> str:
    """The name of an adapter's tensor without what PEFT and a head put before it."""
    return name.removeprefix("base_model.model.").removeprefix(f"{model.base_model_prefix}.")
