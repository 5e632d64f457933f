"""The texts of a contract, embedded: when an adapter is written, and on every machine that is to use it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from theta_ray.config import Embed, Encoder
from theta_ray.encoder.adapter_files import files_digest
from theta_ray.encoder.contract import PROBE_TEXTS, SETTINGS, Base, Contract, Probe, model_name, read_contract
from theta_ray.encoder.encoder import TextEncoder, make_tokenizer, vector_rules
from theta_ray.encoder.engine import Engine
from theta_ray.encoder.source import ModelSource, weights_sha256
from theta_ray.errors import StageError
from theta_ray.runcard import versions

Vectors = npt.NDArray[np.float32]
# Other kernels in float32 keep seven digits of a cosine, 8 to 11 bits of a number keep three.
MIN_COSINE = {"float32": 0.99999, "float16": 0.999, "bfloat16": 0.999}
BATCH_TOKENS = 2048
SHOWN_CHARS = 40


def filled_in(encoder: Encoder, source: ModelSource) -> Encoder:
    """The encoder section with every setting that it leaves to the model's folder or the contract, in float32."""
    plain = encoder.model_copy(update={"precision": "float32", "engine": "torch", "num_layers": None})
    rules = vector_rules(plain, Embed(), source)
    tokenizers = {
        kind: make_tokenizer(plain.model_copy(update={"encode_as": kind, "long_documents": "truncate"}), source)
        for kind in ("document", "query")
    }
    found = {
        "pooling": rules.pooling,
        "normalize": rules.normalize,
        "template": tokenizers["document"].template,
        "max_length": tokenizers["document"].max_length,
        "document_prompt": tokenizers["document"].prompt,
        "query_prompt": tokenizers["query"].prompt,
    }
    return plain.model_copy(update=found)


def make_contract(encoder: Encoder, source: ModelSource, base: ModelSource, *, device: str = "cpu") -> Contract:
    """The contract of an adapter, or of a whole model, whose folder has none yet.

    Args:
        encoder: from `filled_in`.
        source: the model, with the adapter on top where there is one.
        base: the model that training began with.
        device: where the probes are computed.
    """
    engine = TextEncoder(encoder, Embed(), source, device=device)
    vectors = embed_probes(engine, encoder, source, list(PROBE_TEXTS))
    settings = {name: getattr(encoder, name) for name in SETTINGS}
    return Contract(
        base=Base(
            model=model_name(encoder.model),
            identity=base.identity,
            weights_sha256=weights_sha256(Path(base.folder)),
        ),
        adapter_sha256=files_digest(Path(source.adapter_folder)) if source.adapter_folder is not None else None,
        dim=engine.rules.width,
        probes=tuple(Probe(text=t, vector=_numbers(v)) for t, v in zip(PROBE_TEXTS, vectors, strict=True)),
        versions=versions(),
        **settings,
    )


def _numbers(vector: Vectors) -> tuple[float, ...]:
    """The shortest decimal of each float32, which reads back as the same."""
    return tuple(float(str(value)) for value in vector)


def embed_probes(engine: Engine, encoder: Encoder, source: ModelSource, texts: list[str]) -> Vectors:
    """[len(texts), dim] vectors as of documents, each cut at the model's length."""
    rules = encoder.model_copy(update={"encode_as": "document", "long_documents": "truncate"})
    sequences = make_tokenizer(rules, source).encode(texts)
    return engine.embed_sequences(sequences, batch_tokens=BATCH_TOKENS)[0]


def check_contract(encoder: Encoder, source: ModelSource, *, device: str) -> float | None:
    """As `check_probes`, with the model loaded for it: for a plan, and where a run takes the first layers only."""
    if read_contract(Path(source.adapter_folder or source.folder)) is None:
        return None
    whole = encoder.model_copy(update={"num_layers": None})
    return check_probes(TextEncoder(whole, Embed(), source, device=device), encoder, source)


def check_probes(engine: Engine, encoder: Encoder, source: ModelSource) -> float | None:
    """The smallest cosine of a probe's vector here with the one in the contract; None where there is no contract.

    Args:
        engine: of all layers, its vectors at full width.
        encoder: the recipe.
        source: the model, with the adapter on top where there is one.

    Raises:
        StageError: a vector that is not the contract's, within what the precision keeps.
    """
    contract = read_contract(Path(source.adapter_folder or source.folder))
    if contract is None:
        return None
    where = f"encoder.model {encoder.model}" if encoder.adapter is None else f"encoder.adapter {encoder.adapter}"
    made = embed_probes(engine, encoder, source, [probe.text for probe in contract.probes]).astype(np.float64)
    promised = np.array([probe.vector for probe in contract.probes])
    if made.shape != promised.shape:
        raise StageError(
            f"{where}: makes vectors of {made.shape[1]} values, its contract says {contract.dim}; fetch it again"
        )
    with np.errstate(invalid="ignore", divide="ignore"):
        norms = np.linalg.norm(made, axis=1) * np.linalg.norm(promised, axis=1)
        cosines = (made * promised).sum(axis=1) / norms
    needed = MIN_COSINE[engine.precision]
    for number, cosine in enumerate(cosines, start=1):
        if not cosine >= needed:  # NaN, too, is below every bound
            text = contract.probes[number - 1].text
            shown = text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 3] + "..."
            raise StageError(
                f"{where}: probe {number} ({shown!r}) has cosine {cosine:.6f} with the vector in its contract, "
                f"{engine.precision} must reach {needed}; use the model, the settings and the versions of its contract"
            )
    return float(cosines.min())
