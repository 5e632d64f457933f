"""The embed stage with adapters of our own: below the same root, with their contract kept or not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.adapters import partition, train
from tests.small_jobs import DAY, find_partition, make_texts, read_table
from theta_ray.config import Config, Embed, Encoder
from theta_ray.encoder import embed
from theta_ray.encoder.encoder import TextEncoder
from theta_ray.encoder.source import resolve_model
from theta_ray.errors import ConfigError, InputError, StageError
from theta_ray.manifest import read_manifest
from theta_ray.training.adapter import commit_adapter

REFERENCE = "adapter/0123456789ab/dt=2026-11-21"


def with_encoder(config: Config, **encoder: Any) -> Config:
    section = Encoder(**{"model": config.recipe.encoder.model, "adapter": REFERENCE, **encoder})
    return config.model_copy(update={"recipe": config.recipe.model_copy(update={"encoder": section})})


@pytest.fixture
def adapted(config: Config, bert: Path) -> Config:
    """The small job with an adapter and a projection from below its root; its recipe says no more than that."""
    commit_adapter(partition(config.root), train(bert, projection=8))
    return with_encoder(config)


def change_probe(root: str) -> None:
    """As if this machine computed something else: the manifest goes with the contract."""
    place = partition(root)
    contract = json.loads(Path(place.at("contract.json")).read_text())
    contract["probes"][2]["vector"] = contract["probes"][3]["vector"]
    Path(place.at("contract.json")).write_text(json.dumps(contract))
    manifest = read_manifest(place)
    assert manifest is not None
    del manifest["files"]["contract.json"]
    Path(place.at("manifests", "00000001.json")).write_text(json.dumps(manifest))


def test_documents_get_the_adapters_vectors(adapted: Config, bert: Path) -> None:
    card = embed.run(adapted, DAY)
    recipe = Encoder(model=str(bert), adapter=partition(adapted.root).path)
    expected = TextEncoder(recipe, Embed(), resolve_model(recipe)).embed_texts(make_texts(120))
    column = read_table(adapted.root, "embeddings").column("embedding").combine_chunks()
    assert np.abs(column.values.to_numpy().reshape(120, 8) - expected).max() < 1e-5
    assert card.figures["smallest_cosine"] > 0.999999  # plain transformers have the projection as well
    assert card.figures["vectors"] == "8 x float32"
    assert embed.run(adapted, DAY).status == "nothing to do"


def test_the_adapter_enters_the_fingerprint_by_what_is_in_it(adapted: Config, bert: Path, tmp_path: Path) -> None:
    embed.run(adapted, DAY)
    fingerprint = find_partition(adapted.root, "embeddings").fingerprint
    commit_adapter(partition(tmp_path / "elsewhere"), train(bert, projection=8))
    commit_adapter(partition(tmp_path / "other"), train(bert, projection=8, seed=3))
    paths = [partition(tmp_path / name).path for name in ("elsewhere", "other")]
    fingerprints = [embed.make_job(with_encoder(adapted, adapter=path), DAY).embeddings.fingerprint for path in paths]
    assert fingerprints[0] == fingerprint != fingerprints[1]


def test_a_plan_and_a_run_refuse_an_adapter_that_gives_other_vectors(adapted: Config) -> None:
    change_probe(adapted.root)
    with pytest.raises(StageError, match=r"adapter/0123456789ab/dt=2026-11-21: probe 3 .* has cosine"):
        embed.plan(adapted, DAY)
    with pytest.raises(StageError, match=r"probe 3 .* has cosine .*use the model, the settings and the versions"):
        embed.run(adapted, DAY)
    assert read_manifest(embed.make_job(adapted, DAY).embeddings) is None


def test_a_run_of_the_first_layers_checks_the_whole_model(adapted: Config) -> None:
    assert embed.run(with_encoder(adapted, num_layers=1), DAY).figures["embedded"] == 120
    change_probe(adapted.root)
    with pytest.raises(StageError, match="probe 3"):
        embed.run(with_encoder(adapted, num_layers=1, precision="float32"), DAY)


def test_a_plan_refuses_what_the_contract_does_not_say(adapted: Config) -> None:
    with pytest.raises(InputError, match="pooling 'mean', the recipe says 'cls'"):
        embed.plan(with_encoder(adapted, pooling="cls"), DAY)
    wide = adapted.recipe.model_copy(update={"embed": Embed(dim=16)})
    with pytest.raises(ConfigError, match="embed.dim 16: the model's vectors have 8 values"):
        embed.plan(adapted.model_copy(update={"recipe": wide}), DAY)


def test_an_adapter_that_is_not_below_the_root_says_what_to_run(adapted: Config) -> None:
    with pytest.raises(InputError, match="is not committed; run jobs/finetune.py to its end first"):
        embed.plan(with_encoder(adapted, adapter="adapter/ffffffffffff/dt=2026-11-21"), DAY)
