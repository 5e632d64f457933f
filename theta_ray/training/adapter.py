"""A trained model in, the committed `adapter` table out: a folder that plain PEFT loads, and what it promises.

<root>/adapter/<fingerprint>/dt=<day>/
    adapter_model.safetensors  adapter_config.json  projection/   the adapter; after full fine-tuning none of it
    classifier/                                                   head and classes of loss ce_head; no vector needs it
    contract.json  metrics.json  README.md                        what it promises, what it reached, in words
    merged/                                                       base and adapter in one, where asked for
    manifests/00000001.json                                       names all of it, and comes last
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from theta_ray.config import Encoder
from theta_ray.encoder.adapter_files import PROJECTION, WEIGHTS, files_digest
from theta_ray.encoder.contract import NAME as CONTRACT
from theta_ray.encoder.contract import Contract, model_name, read_contract
from theta_ray.encoder.model import load_config, load_model
from theta_ray.encoder.precision import merge_adapter
from theta_ray.encoder.probes import filled_in, make_contract
from theta_ray.encoder.projection import load_projections, save_projection
from theta_ray.encoder.source import ModelSource
from theta_ray.errors import ConflictError, StageError
from theta_ray.manifest import manifest_path, read_manifest
from theta_ray.objects import create_from_file, get_file
from theta_ray.steps import reached
from theta_ray.store import Partition, canonical_json, create_same, file_sha256
from theta_ray.training.classifier import Classifier, save_classifier
from theta_ray.training.merged import MODE_OF_POOLING, check_mergeable, write_model, write_modules
from theta_ray.training.model_card import model_card, public

MERGED, METRICS = "merged", "metrics.json"
# What two machines' arithmetic may differ by, beside the largest number of a tensor or a list.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Trained:
    """What a training run has made, and what its artefact says about it."""

    model: Any
    """A `peft.PeftModel` (from `lora.add_lora`), or after full fine-tuning the transformers model; on any device."""
    projection: torch.nn.Linear | None
    """The linear head on the pooled vector that was trained with it."""
    encoder: Encoder
    """How a text becomes a vector; with `adapter: None`."""
    source: ModelSource
    """The base model."""
    metrics: dict[str, Any]
    """JSON values without times or hosts. `base` and `tuned` hold the same metrics of both models by name, each a
    number or `{"value": ..., "low": ..., "high": ...}`, and make the table of the model card; other keys are kept."""
    sections: dict[str, Any]
    """Recipe sections that decided it, as JSON values (`config.sections("pairs", "encoder", "finetune")`)."""
    inputs: dict[str, Any]
    """What it was made of: `manifest.identity_of` of each table, by name."""
    classifier: Classifier | None = None
    """The classifier that was trained on the pooled vector, which no vector depends on any more."""

    @property
    def is_adapter(self) -> bool:
        """Whether the model is a base with an adapter, and no model of its own."""
        return hasattr(self.model, "peft_config")


def commit_adapter(
    partition: Partition, trained: Trained, *, merged: bool = False, device: str = "cpu"
) -> dict[str, Any]:
    """Write and commit the adapter of a training run; its manifest. Only one process of a run may call it.

    Files are created one by one, each exactly once, and the manifest comes last: a run that died in between is
    finished by another call with the same weights. The partition's fingerprint must tell everything that decides
    the weights, the versions of the input tables included, since a partition holds one adapter for ever.

    Args:
        partition: of table `adapter`.
        trained: model, settings and metrics.
        merged: also write `merged/`, a sentence-transformers folder of base and adapter in one. Full fine-tuning
            always writes it, and nothing else in the way of weights.
        device: where the probe vectors of the contract are computed, in float32.

    Raises:
        ConflictError: the partition is committed with other weights.
        StageError: files of an earlier attempt lie there that are others.
        ConfigError: `merged` of an adapter whose pooling sentence-transformers has not.
    """
    encoder = filled_in(trained.encoder, trained.source)
    if merged and trained.is_adapter:
        check_mergeable(str(encoder.pooling))
    with tempfile.TemporaryDirectory(prefix="theta-ray-") as temporary:
        place = _Place(partition, Path(temporary, "adapter"))
        metrics, sections, inputs = (public(each) for each in (trained.metrics, trained.sections, trained.inputs))
        _write_weights(trained, encoder, place)
        there = read_manifest(partition)
        if there is not None:
            if there.get("weights_sha256") != place.digest():
                raise ConflictError(f"{partition.path}: is committed with other weights; take another --root")
            return there
        place.settle(place.names)
        weights = place.digest()
        place.write(METRICS, canonical_json(metrics))
        contract = _write_contract(trained, encoder, place, merged=merged, device=device)
        place.write("README.md", model_card(contract, place.read(METRICS), sections, inputs).encode())
        body = {"weights_sha256": weights, "metrics": place.read(METRICS), "sections": sections}
        return _commit(place, {**body, "inputs": inputs})


class _Place:
    """A partition and the local folder that its files are made in: both hold the same in the end."""

    def __init__(self, partition: Partition, folder: Path) -> None:
        self.partition, self.folder = partition, folder
        folder.mkdir()

    @property
    def names(self) -> list[str]:
        """All files, below the folder."""
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())

    def digest(self) -> str:
        """SHA-256 over names and contents of all files."""
        return files_digest(self.folder, tuple(self.names))

    def read(self, name: str) -> Any:
        """The JSON value of a file."""
        return json.loads((self.folder / name).read_bytes())

    def write(self, name: str, data: bytes) -> None:
        """Make a file in both."""
        (self.folder / name).write_bytes(data)
        self.settle([name])

    def settle(self, names: list[str]) -> None:
        """Put files in place; one that is there already and says the same stays, and is taken over."""
        for name in names:
            uri, mine = self.partition.at(name), self.folder / name
            if not create_from_file(uri, str(mine)):
                theirs = self.folder.parent / "there"
                get_file(uri, str(theirs))
                if file_sha256(str(theirs)) != file_sha256(str(mine)) and not _same(name, mine, theirs):
                    raise StageError(
                        f"{uri}: holds something else than this run has made; look at what has changed, remove the "
                        "partition, then rerun"
                    )
                os.replace(theirs, mine)
            reached("shard_created", self.partition.table, name)


def _write_weights(trained: Trained, encoder: Encoder, place: _Place) -> None:
    """The trained numbers as local files."""
    if trained.classifier is not None:
        save_classifier(trained.classifier, place.folder)
    if trained.is_adapter:
        _save_adapter(trained, place.folder)
        if trained.projection is not None:
            save_projection(trained.projection, place.folder / PROJECTION)
        return
    folder = place.folder / MERGED
    write_model(trained.model, trained.source, folder)
    layers = load_projections(trained.source, int(load_config(trained.source).get_text_config().hidden_size))
    layers += (trained.projection,) if trained.projection is not None else ()
    if encoder.pooling in MODE_OF_POOLING:
        write_modules(encoder, trained.source, layers, folder)


def _save_adapter(trained: Trained, folder: Path) -> None:
    """As PEFT's `save_pretrained`, but sets in order and no path: equal adapters give equal bytes."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    state = get_peft_model_state_dict(trained.model, save_embedding_layers=False)
    tensors = {name: tensor.detach().float().cpu().contiguous() for name, tensor in state.items()}
    save_file(tensors, folder / WEIGHTS[1], metadata={"format": "pt"})
    config = trained.model.peft_config["default"].to_dict()
    config = {name: sorted(value) if isinstance(value, set) else value for name, value in config.items()}
    config |= {"base_model_name_or_path": model_name(trained.encoder.model), "inference_mode": True}
    name, _, commit = trained.source.identity.rpartition("@")
    config["revision"] = commit if name else None
    (folder / WEIGHTS[0]).write_bytes(canonical_json(config))


def _write_contract(trained: Trained, encoder: Encoder, place: _Place, *, merged: bool, device: str) -> Contract:
    """The contract, and the merged folder with its own."""
    folder, base = place.folder, trained.source
    if trained.is_adapter:
        source = replace(base, adapter_folder=str(folder))
    else:
        source = ModelSource(str(folder / MERGED), base.identity)
    contract = make_contract(encoder, source, base, device=device)
    place.write(CONTRACT, _bytes(contract))
    settled = read_contract(folder)
    assert settled is not None, "it was written"
    if merged and trained.is_adapter:
        model = load_model(source, precision="float32", device="cpu", pooling="pooler")
        layers = load_projections(source, int(load_config(base).get_text_config().hidden_size))
        write_model(merge_adapter(model), base, folder / MERGED)
        write_modules(encoder, base, layers, folder / MERGED)
        place.settle([name for name in place.names if name.startswith(f"{MERGED}/")])
    if (folder / MERGED).is_dir():
        place.write(f"{MERGED}/{CONTRACT}", _bytes(settled.model_copy(update={"adapter_sha256": None})))
    return settled


def _bytes(contract: Contract) -> bytes:
    return canonical_json(contract.model_dump(mode="json"))


def _commit(place: _Place, body: dict[str, Any]) -> dict[str, Any]:
    """The manifest over all files."""
    partition = place.partition
    facts = {
        name: {
            "num_bytes": (place.folder / name).stat().st_size,
            "sha256": file_sha256(str(place.folder / name)),
        }
        for name in place.names
    }
    identity = {"table": partition.table, "fingerprint": partition.fingerprint, "date": partition.date}
    # it has no rows: a reader of tables finds none
    rows = {"schema": [], "num_rows": 0, "shards": []}
    manifest = {"version": 1, "parent": None, **identity, **rows, "files": facts, **body}
    reached("all_done", partition.table, "1")
    uri = manifest_path(partition, 1)
    if create_same(uri, canonical_json(manifest)) is not None:
        raise ConflictError(f"{uri}: another run has committed something else; take another --root")
    reached("manifest_created", partition.table, "1")
    return manifest


def _same(name: str, mine: Path, theirs: Path) -> bool:
    """Whether two files differ by no more than machines do. An adapter's own weights must be the same to the byte."""
    if name == METRICS:  # of the same weights: on a GPU a text may change its rank
        return bool(_names(json.loads(mine.read_bytes())) == _names(json.loads(theirs.read_bytes())))
    if name.endswith(".json") and not name.startswith(WEIGHTS):
        return _same_values(json.loads(mine.read_bytes()), json.loads(theirs.read_bytes()))
    if name.startswith(MERGED) and name.endswith(".safetensors"):
        return _same_tensors(mine, theirs)
    return False


def _names(value: Any) -> Any:
    """A JSON value without its numbers."""
    return {name: _names(inner) for name, inner in value.items()} if isinstance(value, dict) else None


def _same_values(mine: Any, theirs: Any) -> bool:
    if isinstance(mine, dict) and isinstance(theirs, dict):
        names = mine.keys() - {"versions"}
        return names == theirs.keys() - {"versions"} and all(_same_values(mine[n], theirs[n]) for n in names)
    if isinstance(mine, list) and isinstance(theirs, list):
        return len(mine) == len(theirs) and all(map(_same_values, mine, theirs))
    if isinstance(mine, float) and isinstance(theirs, float):
        return abs(mine - theirs) <= TOLERANCE
    return bool(mine == theirs)


def _same_tensors(mine: Path, theirs: Path) -> bool:
    from safetensors.numpy import load_file

    ours, others = load_file(mine), load_file(theirs)
    return ours.keys() == others.keys() and all(
        ours[name].shape == others[name].shape and np.allclose(ours[name], others[name], rtol=0, atol=TOLERANCE)
        for name in ours
    )
