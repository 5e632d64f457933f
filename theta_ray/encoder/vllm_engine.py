"""Token sequences in, vectors out, through vLLM's pooling runner: for large models.

    our token ids -> vLLM (packs, attends and pools; float32 on the way out, not normalised) -> finish_vectors

Written against the offline interface of vLLM 0.21 to 0.33: `LLM(runner="pooling", pooler_config=...)`,
`LLM.encode(prompts, pooling_params=..., pooling_task="embed")`, `PoolerConfig(task, seq_pooling_type)`
(one task an engine since 0.21) and `PoolingParams(use_activation)` (called `normalize` before 0.17).
"""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np
import torch

from theta_ray.config import Embed, Encoder
from theta_ray.encoder.encoder import Vectors, Work, finish_vectors, make_tokenizer, vector_rules
from theta_ray.encoder.forward import Kernels
from theta_ray.encoder.model import load_config
from theta_ray.encoder.model_files import num_stored
from theta_ray.encoder.precision import DTYPES, resolve_precision
from theta_ray.encoder.source import ModelSource
from theta_ray.encoder.tokenize import TokenSequences
from theta_ray.errors import ConfigError, InputError, StageError
from theta_ray.terminal import escaped

POOLING_TYPES = {"cls": "CLS", "last": "LAST", "mean": "MEAN"}
ENVIRONMENT = {
    # Nothing about the user's models leaves the machine.
    "VLLM_NO_USAGE_STATS": "1",
    # In this process, so that requests are scheduled in the same order each time and nothing outlives the actor.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "WARNING",
}
# Sequences of one step: 65,536 tokens of tweets are some 2,000 of them.
MAX_SEQUENCES = 1024
# Of a GPU's memory: what vLLM and the reference may take together, beside the CUDA context and other libraries.
USABLE = 0.9
# What plain transformers needs beside its weights, for one text.
REFERENCE_BYTES = 2 * 2**30
# vLLM's weights, and room for the states of a step.
ROOM = 1.5


class VllmEngine:
    """A model in vLLM, behind the interface of `TextEncoder`."""

    is_plain = False
    model = None

    def __init__(
        self, config: Encoder, embed: Embed, source: ModelSource, *, device: str = "cuda", batch_tokens: int = 65536
    ) -> None:
        self.rules = vector_rules(config, embed, source)
        self.width = int(load_config(source).get_text_config().hidden_size)
        self.tokenizer = make_tokenizer(config, source)
        self.precision = resolve_precision(config.precision, device)
        options = {
            "model": source.folder,
            "dtype": self.precision,
            # no sequence of ours is longer, so vLLM has nothing to cut or to refuse
            "max_model_len": self.tokenizer.max_length,
            "max_num_batched_tokens": max(batch_tokens, self.tokenizer.max_length),
        }
        self.device = device
        if device.startswith("cuda"):
            _, total = torch.cuda.mem_get_info()
            size = DTYPES[self.precision].itemsize
            options["gpu_memory_utilization"], self.device = split_memory(total, num_stored(source.folder), size)
        self._is_on_gpu = device.startswith("cuda")
        self._llm = load_llm(POOLING_TYPES[self.rules.pooling], options)
        self.kernels = Kernels("vllm", "vllm", f"vLLM {vllm_version()} chooses its own", None)
        if self.rules.pooling == "cls":
            self._refuse_causal()

    @property
    def device_name(self) -> str:
        """The GPU's own name, or `cpu`."""
        return torch.cuda.get_device_name() if self._is_on_gpu else "cpu"

    def embed_sequences(self, sequences: TokenSequences, *, batch_tokens: int) -> tuple[Vectors, Work]:
        """[num_texts, dim] vectors, and what it took. vLLM has had its `batch_tokens` at the start."""
        started = time.perf_counter()
        pooled_SD = np.zeros((len(sequences.lengths), self.width), np.float32)
        present = np.flatnonzero(sequences.lengths)  # vLLM refuses a sequence without tokens; its vector stays zero
        starts, ends = sequences.offsets[present].tolist(), sequences.offsets[present + 1].tolist()
        pooled_SD[present] = self._pooled([sequences.tokens[s:e].tolist() for s, e in zip(starts, ends, strict=True)])
        vectors = finish_vectors(pooled_SD, sequences.text_index, sequences.num_texts, self.rules)
        num_tokens = int(sequences.lengths.sum())
        return vectors, Work(num_tokens, num_tokens, seconds=time.perf_counter() - started)

    def _pooled(self, ids: list[list[int]]) -> Vectors:
        """[len(ids), width] pooled states, not normalised."""
        if not ids:
            return np.zeros((0, self.width), np.float32)
        from vllm import PoolingParams, TokensPrompt

        outputs = self._llm.encode(
            [TokensPrompt(prompt_token_ids=sequence) for sequence in ids],
            pooling_params=PoolingParams(use_activation=False),
            pooling_task="embed",
            use_tqdm=False,
        )
        vectors: Vectors = torch.stack([output.outputs.data.float().cpu() for output in outputs]).numpy()
        if vectors.shape != (len(ids), self.width):
            raise StageError(
                f"encoder.engine vllm: gave vectors of shape {vectors.shape} for {len(ids)} sequences, the model's "
                f"config.json promises {self.width} values; set encoder.engine: torch"
            )
        # The comparison with plain transformers is by cosine and cannot tell.
        if not self.rules.normalize and np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-3):
            raise StageError(
                "encoder.engine vllm: normalises its vectors, encoder.normalize is false; set encoder.engine: torch"
            )
        return vectors

    def _refuse_causal(self) -> None:
        """As `pooling.check_pooling`: a first state that does not depend on the last token."""
        first, second = self._pooled([[5, 6, 7], [5, 6, 8]])
        if np.allclose(first, second, rtol=0, atol=1e-3 * float(np.abs(first).max())):
            raise ConfigError("encoder.pooling cls: in a causal decoder it sees the first token only; choose last")


def load_llm(pooling_type: str, options: dict[str, Any]) -> Any:
    """A `vllm.LLM` that embeds.

    Raises:
        InputError: vLLM does not know the model, has no room for it, or is of another version.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        from vllm import LLM
        from vllm.config import PoolerConfig

        return LLM(
            runner="pooling",
            pooler_config=PoolerConfig(task="embed", seq_pooling_type=pooling_type),
            load_format="safetensors",  # "auto" would read a pickle too
            trust_remote_code=False,
            enable_prefix_caching=False,  # a vector must not depend on the texts before
            max_num_seqs=MAX_SEQUENCES,
            **options,
        )
    except (AttributeError, ImportError, NotImplementedError, OSError, RuntimeError, TypeError, ValueError) as error:
        reason = escaped((str(error).strip().splitlines() or [type(error).__name__])[0])
        raise InputError(
            f"encoder.engine vllm: cannot load {options['model']} ({reason}); "
            'pip install "theta-ray[vllm]" for a version that is known to fit, or set encoder.engine: torch'
        ) from error


def vllm_version() -> str:
    """The version of vLLM on this node."""
    import vllm

    return str(vllm.__version__)


def split_memory(total: int, num_weights: int, bytes_per_weight: int) -> tuple[float, str]:
    """Share of a GPU's memory for vLLM, and where plain transformers in float32 goes: beside it or to the CPU.

    Args:
        total: bytes of the GPU.
        num_weights: of the model.
        bytes_per_weight: in vLLM; the reference has four.
    """
    share = int(100 * (USABLE - (4 * num_weights + REFERENCE_BYTES) / total)) / 100
    if share * total >= ROOM * bytes_per_weight * num_weights:
        return share, "cuda"
    return USABLE, "cpu"
