"""A transformers model in, the same model with low-rank adapters out: by PEFT, nothing else of it learns.

Paper: Hu et al. 2022, "LoRA". A linear layer W of m inputs and n outputs becomes W + B A alpha/r with A [r, m] and
B [n, r]: r (m + n) numbers to learn.
"""

from __future__ import annotations

from typing import Any

import torch

from theta_ray.config_finetune import Lora
from theta_ray.errors import ConfigError

# Query, key, value and output projection of attention, as architectures name them: endings of module names.
ATTENTION = (
    ("q_proj", "k_proj", "v_proj", "o_proj"),  # Llama, Mistral, Qwen, Gemma
    ("q_proj", "k_proj", "v_proj", "out_proj"),  # OPT, BART
    ("query", "key", "value", "attention.output.dense"),  # BERT, RoBERTa, XLM-R, ELECTRA, DeBERTa's older form
    ("query_proj", "key_proj", "value_proj", "attention.output.dense"),  # DeBERTa
    ("q_lin", "k_lin", "v_lin", "out_lin"),  # DistilBERT
    ("attn.q", "attn.k", "attn.v", "attn.o"),  # MPNet
    ("Wqkv", "attn.Wo"),  # ModernBERT: the first three in one
    ("qkv_proj", "o_proj"),  # NomicBERT, GTE, Phi
)
MAX_SHOWN = 8


def add_lora(model: torch.nn.Module, lora: Lora, *, seed: int) -> Any:
    """`model` with fresh adapters, as a `peft.PeftModel`; the model's own layers are replaced in place.

    Adapter weights are in float32 and the only ones with a gradient. B is zero, so that nothing has changed yet;
    A is drawn from `seed`, the same on every worker.

    Raises:
        ConfigError: no such layers.
    """
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # PEFT divides it; that it is an integer is not needed
        lora_dropout=lora.dropout,
        target_modules=list(targets_of(model, lora.targets)),
        task_type="FEATURE_EXTRACTION",
        bias="none",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(model, config)  # type: ignore[arg-type]


def targets_of(model: torch.nn.Module, asked: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Endings of the names of the linear layers that get an adapter.

    Args:
        model: a transformers model.
        asked: endings; empty for the projections of the model's attention.

    Raises:
        ConfigError: an ending that no linear layer has, or an attention of a kind that is not known.
    """
    linear = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]

    def is_there(ending: str) -> bool:
        return any(name == ending or name.endswith(f".{ending}") for name in linear)

    if missing := [ending for ending in asked if not is_there(ending)]:
        raise ConfigError(
            f"finetune.lora.targets: {type(model).__name__} has no linear layer {missing[0]}; {_advice(linear)}"
        )
    found = asked or next((names for names in ATTENTION if all(map(is_there, names))), ())
    if not found:
        raise ConfigError(
            f"finetune.lora.targets: is missing, and how {type(model).__name__} names the projections of its attention "
            f"is not known; {_advice(linear)}"
        )
    return found


def _advice(linear: list[str]) -> str:
    """Which endings there are."""
    endings = list(dict.fromkeys(name.rpartition(".")[2] for name in linear))
    more = ", ..." if len(endings) > MAX_SHOWN else ""
    return f"name some of {', '.join(endings[:MAX_SHOWN])}{more}" if endings else "it has no linear layers at all"


def num_trainable(model: torch.nn.Module) -> int:
    """Numbers that have a gradient."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
