"""Small adapters: as a training run hands them over, and as PEFT saves them for others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from tests.models import SENTENCES
from theta_ray.config import Embed, Encoder
from theta_ray.config_finetune import Lora
from theta_ray.encoder.encoder import TextEncoder
from theta_ray.encoder.model import load_model
from theta_ray.encoder.source import resolve_model
from theta_ray.store import Partition
from theta_ray.training.adapter import Trained
from theta_ray.training.lora import add_lora

METRICS = {
    "base": {"recall_at_10": {"value": 0.41, "low": 0.38, "high": 0.44}, "mrr": 0.3},
    "tuned": {"recall_at_10": {"value": 0.52, "low": 0.49, "high": 0.55}, "mrr": 0.4},
}
NOWHERE = "/data/somebody/models/their-base"


def partition(root: Path | str, fingerprint: str = "0123456789ab") -> Partition:
    return Partition(str(root), "adapter", fingerprint, "2026-11-21")


def learned(model: Any, *, seed: int = 1) -> Any:
    """The PEFT model with numbers where untrained adapters have zeros."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data.normal_(0, 0.2, generator=generator)
    return model


def train(base: Path, *, seed: int = 1, projection: int | None = None, method: str = "lora", **encoder: Any) -> Trained:
    """What a training run would hand over: a model whose adapters, or all of whose weights, were changed."""
    config = Encoder(**{"model": str(base), "pooling": "mean", "max_length": 24, **encoder})
    source = resolve_model(config)
    model = load_model(source, precision="float32", device="cpu", pooling=str(config.pooling))
    if method == "lora":
        model = learned(add_lora(model, Lora(rank=4, alpha=12), seed=seed), seed=seed)
    else:
        generator = torch.Generator().manual_seed(seed)
        for parameter in model.parameters():
            parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    torch.manual_seed(seed)
    head = torch.nn.Linear(32, projection, bias=False) if projection else None
    inputs = {"pairs": {"table": "pairs", "fingerprint": "ba9876543210", "version": 1, "sha256": "f" * 64}}
    sections = {"encoder": config.model_dump(mode="json"), "finetune": {"method": method}}
    return Trained(model, head, config, source, METRICS, sections, inputs)


def save_by_peft(model: Any, folder: Path, targets: list[str], **config: Any) -> Path:
    """An adapter as PEFT itself saves it, with the path of somebody else's base."""
    lora = LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": targets, **config})
    learned(get_peft_model(model, lora)).save_pretrained(folder)
    change_json(folder / "adapter_config.json", base_model_name_or_path=NOWHERE)
    return folder


def embed(model: str | Path, adapter: str | Path | None = None, embed: Embed | None = None, **encoder: Any) -> Any:
    """Vectors of the sentences by a recipe."""
    config = Encoder(
        model=str(model), adapter=None if adapter is None else str(adapter), precision="float32", **encoder
    )
    return TextEncoder(config, embed or Embed(), resolve_model(config)).embed_texts(SENTENCES)


def change_json(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
