"""Which engine makes a recipe's vectors, and why: packed torch, or vLLM for large models.

Both take our own token ids and give float32 vectors, and every run compares either with plain transformers.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from theta_ray.config import Encoder
from theta_ray.encoder.encoder import TextEncoder, VectorRules, Vectors, Work
from theta_ray.encoder.forward import Kernels
from theta_ray.encoder.source import ModelSource, num_parameters, settings_of
from theta_ray.encoder.tokenize import Tokenizer, TokenSequences
from theta_ray.encoder.vllm_engine import POOLING_TYPES, VllmEngine
from theta_ray.errors import ConfigError, InputError

if TYPE_CHECKING:
    from theta_ray.encoder.shard import EmbedJob

# Below, vLLM's cost of a request outweighs what its kernels gain (vllm-project/vllm#41390).
LARGE = 1_000_000_000


class Engine(Protocol):
    """A loaded model that turns token sequences into vectors."""

    tokenizer: Tokenizer
    rules: VectorRules
    precision: str
    kernels: Kernels
    model: Any
    """The transformers model, where the engine computes with it."""
    is_plain: bool
    """Whether `model` is as the folder has it, in float32, so that the reference can share it."""
    device: str
    """Where plain transformers can be loaded beside the engine."""

    @property
    def device_name(self) -> str:
        """The GPU's own name, or `cpu`."""
        ...

    def embed_sequences(self, sequences: TokenSequences, *, batch_tokens: int) -> tuple[Vectors, Work]:
        """[num_texts, dim] vectors, and what it took."""
        ...


@dataclass(frozen=True)
class EngineChoice:
    """The engine of a worker and the reason, as run cards show them."""

    engine: Literal["torch", "vllm"]
    engine_reason: str


def load_engine(job: EmbedJob, source: ModelSource) -> tuple[Engine, EngineChoice]:
    """The engine of a job, loaded; its vectors have the model's full width.

    Args:
        job: its model, recipe and device.
        source: the model on this node.

    Raises:
        ConfigError: the recipe asks for vLLM and for something that vLLM does not do.
        InputError: the recipe asks for vLLM, which is not installed here or cannot load the model.
    """
    choice = choose_engine(job.encoder, source, job.device, job.gpus)
    full_width = job.embed.model_copy(update={"dim": None})
    if choice.engine == "vllm":
        engine = VllmEngine(job.encoder, full_width, source, device=job.device, batch_tokens=job.batch_tokens)
        return engine, choice
    return TextEncoder(job.encoder, full_width, source, device=job.device), choice


def choose_engine(encoder: Encoder, source: ModelSource, device: str, gpus: float) -> EngineChoice:
    """The engine of a recipe on this node. The same node, recipe and model always give the same one.

    Args:
        encoder: `engine: auto` takes vLLM for more than a billion weights on a GPU, where it is installed and does
            what the recipe asks for; else packed torch.
        source: the model.
        device: a torch device, such as `cpu` or `cuda`.
        gpus: GPUs of one actor.

    Raises:
        ConfigError, InputError: as `load_engine`.
    """
    if encoder.engine == "torch":
        return EngineChoice("torch", "the recipe says so")
    hindrance = next(_hindrances(encoder, source, gpus if device.startswith("cuda") else 1.0), None)
    is_installed = importlib.util.find_spec("vllm") is not None
    if encoder.engine == "vllm":
        if hindrance is not None:
            raise ConfigError(f"encoder.engine vllm: {hindrance}; set encoder.engine: torch")
        if not is_installed:
            raise InputError(
                "encoder.engine vllm: vLLM is not installed on this node; "
                'pip install "theta-ray[vllm]" on every node, or set encoder.engine: torch'
            )
        return EngineChoice("vllm", "the recipe says so")
    num_weights = num_parameters(source.folder)
    size = f"{num_weights / 1e9:.2f} billion weights"
    if num_weights <= LARGE:
        return EngineChoice("torch", f"{size}, vLLM is for more than 1")
    if not device.startswith("cuda"):
        return EngineChoice("torch", f"{size}, and no GPU")
    if hindrance is not None:
        return EngineChoice("torch", f"{size}, but {hindrance}")
    if not is_installed:
        return EngineChoice("torch", f"{size}, but vLLM is not installed")
    return EngineChoice("vllm", f"{size} on a GPU")


def _hindrances(encoder: Encoder, source: ModelSource, gpus: float) -> Iterator[str]:
    """What of a recipe vLLM does not do."""
    folder = settings_of(source)
    pooling = encoder.pooling or folder.pooling
    if pooling not in POOLING_TYPES:
        yield f"vLLM has no pooling {pooling}, only {', '.join(POOLING_TYPES)}"
    if encoder.num_layers is not None:
        yield "vLLM runs all layers, encoder.num_layers asks for the first"
    if source.adapter_folder is not None:
        yield "encoder.adapter is merged for torch only"
    if folder.projections:
        yield "vLLM's pooler is not told of the linear layers on top of the model"
    if folder.problem is not None:
        yield f"vLLM would follow the model's modules.json, where {folder.problem}"
    if gpus < 1:
        yield f"vLLM plans with a whole GPU, gpus_per_actor is {gpus:g}"
