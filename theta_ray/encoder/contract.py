"""What an adapter promises: the settings its vectors were made with, and the vectors of some texts to prove it.

`contract.json` lies beside the weights. A recipe that leaves a setting out takes the contract's; one that says
something else is refused, as is a machine on which the texts get other vectors (probes.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from theta_ray.config import SHA256, Encoder, Pooling
from theta_ray.encoder.model_files import MAX_SIZE, read_json
from theta_ray.errors import InputError
from theta_ray.strict import Strict
from theta_ray.terminal import escaped

NAME = "contract.json"
# Of the encoder section: what an adapter's vectors were made with.
SETTINGS = ("pooling", "template", "document_prompt", "query_prompt", "max_length", "normalize")
# Nobody's own words. Each is there for something that goes wrong without it: case, tags, other scripts, and the last
# one is cut by most models.
PROBE_TEXTS = (
    "The road is closed for the marathon on Sunday.",
    "Nurses and teachers WON'T be paid more, says @USER!",
    "#climate #jobs: who pays? see https://example.org \U0001f30d",
    "Die Bäckerei öffnet um sieben; 今日は雨です。",
    " ".join(f"Sentence {number} of a long report on rivers, bridges and the price of bread." for number in range(60)),
)


class Base(Strict):
    """The model below an adapter."""

    model: str
    """As the recipe named it; of a folder its name alone, since the path to it is nobody's business."""
    identity: str
    """`hub id@commit`, or `sha256:` over the folder's files."""
    weights_sha256: Annotated[str, Field(pattern=SHA256)]
    """As `encoder.weights_sha256`: the same model from elsewhere has the same weights."""


class Probe(Strict):
    """A text and its float32 vector."""

    text: str
    vector: Annotated[tuple[Annotated[float, Field(allow_inf_nan=False)], ...], Field(min_length=1)]


class Contract(Strict):
    """How the vectors of an adapter, or of a whole model, are made."""

    version: Literal[1] = 1
    base: Base
    adapter_sha256: Annotated[str, Field(pattern=SHA256)] | None
    """Over names and contents of the adapter's files, this one left out. None: a whole model, no adapter."""
    pooling: Pooling
    template: str | None
    document_prompt: str
    query_prompt: str
    max_length: Annotated[int, Field(ge=1, le=MAX_SIZE)]
    normalize: bool
    dim: Annotated[int, Field(ge=1, le=MAX_SIZE)]
    precision: Literal["float32"] = "float32"
    """Of the probes."""
    probes: Annotated[tuple[Probe, ...], Field(min_length=1)]
    """Encoded as documents, each cut at `max_length`."""
    versions: dict[str, str]


def model_name(model: str) -> str:
    """What `encoder.model` is called in public: hub ids and packages as they are, a folder by its own name."""
    is_folder = model.startswith(("/", "~"))
    return model.rstrip("/").rpartition("/")[2] if is_folder else model


def read_contract(folder: Path) -> Contract | None:
    """The contract of an adapter's or a model's folder; None where there is none, as in those of others.

    Raises:
        InputError: it makes no sense.
    """
    path = folder / NAME
    found = read_json(path)
    if not found:
        return None
    try:
        contract = Contract.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = escaped(".".join(map(str, first["loc"])))
        raise InputError(f"{path}: {where}: {escaped(first['msg'])}; fetch the adapter again") from error
    if odd := next((len(probe.vector) for probe in contract.probes if len(probe.vector) != contract.dim), None):
        raise InputError(f"{path}: a probe has {odd} values, dim is {contract.dim}; fetch the adapter again")
    return contract


def check_agreement(encoder: Encoder, contract: Contract, where: str) -> None:
    """Refuse a recipe that says something else than the contract.

    Raises:
        InputError: which setting, and what both say.
    """
    for name, said, promised in _settings(encoder, contract):
        if said is not None and said != promised:
            raise InputError(
                f"{where}: was made with {name} {_shown(promised)}, the recipe says {_shown(said)}; leave "
                f"encoder.{name} out, or train an adapter with yours"
            )
    if contract.template is not None and encoder.long_documents == "windows":
        raise InputError(f"{where}: was made with a template, which has no windows; set long_documents: truncate")


def _settings(encoder: Encoder, contract: Contract) -> Iterator[tuple[str, Any, Any]]:
    for name in SETTINGS:
        yield name, getattr(encoder, name), getattr(contract, name)


def _shown(value: Any) -> str:
    return "none" if value is None else escaped(repr(value) if isinstance(value, str) else str(value).lower())


def check_base(contract: Contract, identity: str, weights: Callable[[], str], where: str) -> None:
    """Refuse another base model than the adapter's: neither the same files, nor the same weights.

    Raises:
        InputError: which one it was made on.
    """
    base = contract.base
    if base.identity != identity and base.weights_sha256 != weights():
        raise InputError(
            f"{where}: was made on {escaped(base.model)} ({escaped(base.identity)}), the recipe's model is {identity}; "
            f"set encoder.model: {escaped(base.model)} and its revision"
        )
