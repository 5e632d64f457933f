"""Which engine a recipe gets, and vLLM's behind the same interface, with a fake of vLLM that runs transformers.

vLLM itself needs a GPU and gigabytes, and is not run here.
"""

from __future__ import annotations

import importlib.machinery
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.models import save_qwen3
from tests.small_jobs import DAY, find_partition, make_config, make_texts, write_jsonl
from theta_ray.config import Config, Embed, Encoder
from theta_ray.encoder import embed
from theta_ray.encoder.encoder import TextEncoder
from theta_ray.encoder.engine import Engine, choose_engine, load_engine
from theta_ray.encoder.job import make_job
from theta_ray.encoder.model import load_model
from theta_ray.encoder.source import ModelSource, resolve_model
from theta_ray.encoder.tokenize import TokenSequences
from theta_ray.encoder.vllm_engine import ENVIRONMENT, REFERENCE_BYTES, ROOM, USABLE, VllmEngine, split_memory
from theta_ray.errors import ConfigError, InputError, StageError


@dataclass
class FakeVllm:
    """What the fake is to get wrong, and what it was asked for."""

    is_wrong: bool = False
    always_normalises: bool = False
    problem: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    prompts: list[list[int]] = field(default_factory=list)


@dataclass(frozen=True)
class PoolerConfig:
    task: str
    seq_pooling_type: str


@dataclass(frozen=True)
class PoolingParams:
    use_activation: bool | None = None


class FakeLLM:
    """Transformers, one prompt at a time."""

    def __init__(self, fake: FakeVllm, model: str, **options: Any) -> None:
        if fake.problem is not None:
            raise ValueError(fake.problem)
        fake.options |= options
        self.fake, self.pooler = fake, options["pooler_config"]
        self.model = load_model(ModelSource(model, ""), precision=options["dtype"], device="cpu", pooling="mean")

    @torch.inference_mode()
    def encode(
        self, prompts: list[dict[str, Any]], *, pooling_params: PoolingParams, pooling_task: str, use_tqdm: bool
    ) -> list[SimpleNamespace]:
        assert (pooling_task, self.pooler.task, use_tqdm) == ("embed", "embed", False)
        vectors = [self._vector(prompt["prompt_token_ids"]) for prompt in prompts]
        if pooling_params.use_activation is not False or self.fake.always_normalises:
            vectors = [vector / vector.norm() for vector in vectors]
        return [SimpleNamespace(outputs=SimpleNamespace(data=vector)) for vector in vectors]

    def _vector(self, ids: list[int]) -> torch.Tensor:
        assert ids, "vLLM refuses a prompt without tokens"
        assert len(ids) <= self.fake.options["max_model_len"]
        self.fake.prompts.append(ids)
        states = self.model(torch.tensor([ids])).last_hidden_state[0]
        pooled = {"CLS": states[0], "LAST": states[-1], "MEAN": states.mean(dim=0)}[self.pooler.seq_pooling_type]
        return pooled.roll(1) if self.fake.is_wrong else pooled


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeVllm:
    """A module `vllm` that can be imported, for one test."""
    behaviour, module = FakeVllm(), ModuleType("vllm")
    module.__spec__ = importlib.machinery.ModuleSpec("vllm", None, is_package=True)
    config = ModuleType("vllm.config")
    config.PoolerConfig = PoolerConfig  # type: ignore[attr-defined]
    names = {"PoolingParams": PoolingParams, "TokensPrompt": dict, "__version__": "0.33.0"}
    names["LLM"] = lambda model, **options: FakeLLM(behaviour, model, **options)
    for name, value in names.items():
        setattr(module, name, value)
    monkeypatch.setitem(sys.modules, "vllm", module)
    monkeypatch.setitem(sys.modules, "vllm.config", config)
    for name in ENVIRONMENT:
        monkeypatch.setenv(name, "")  # so that it is put back as it was
        monkeypatch.delenv(name)
    return behaviour


@pytest.fixture
def no_vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


@pytest.fixture(scope="module")
def qwen3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_qwen3(tmp_path_factory.mktemp("qwen3"))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    """A model of 1.2 billion weights: the header of one and a hole."""
    folder = tmp_path_factory.mktemp("large")
    tensors = {"layer": {"dtype": "F32", "shape": [40_000, 30_000], "data_offsets": [0, 4_800_000_000]}}
    header = json.dumps(tensors).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 4_800_000_000)
    return ModelSource(str(folder), "sha256:0")


def make_encoder(model: Path, fake: FakeVllm, **changes: Any) -> VllmEngine:
    config = Encoder(model=str(model), precision="float32", **{"pooling": "last", **changes})
    return VllmEngine(config, Embed(), resolve_model(config), device="cpu", batch_tokens=256)


def test_a_large_model_on_a_gpu_goes_to_vllm(large: ModelSource, fake: FakeVllm) -> None:
    choice = choose_engine(Encoder(model="m", pooling="last"), large, "cuda", 1.0)
    assert (choice.engine, choice.engine_reason) == ("vllm", "1.20 billion weights on a GPU")


def test_a_small_model_goes_to_torch_even_where_vllm_is(qwen3: Path, fake: FakeVllm) -> None:
    config = Encoder(model=str(qwen3), pooling="last")
    choice = choose_engine(config, resolve_model(config), "cuda", 1.0)
    assert (choice.engine, choice.engine_reason) == ("torch", "0.00 billion weights, vLLM is for more than 1")


@pytest.mark.parametrize(
    ("changes", "gpus", "reason"),
    [
        ({}, 0.0, "and no GPU"),
        ({"pooling": "pooler"}, 1.0, "but vLLM has no pooling pooler, only cls, last, mean"),
        ({"pooling": None}, 1.0, "but vLLM has no pooling None"),
        ({"num_layers": 3}, 1.0, "but vLLM runs all layers"),
        ({}, 0.5, "but vLLM plans with a whole GPU, gpus_per_actor is 0.5"),
    ],
)
def test_what_vllm_cannot_do_goes_to_torch_with_the_reason(
    large: ModelSource, fake: FakeVllm, changes: dict[str, Any], gpus: float, reason: str
) -> None:
    config = Encoder(model="m", **{"pooling": "last", **changes})
    choice = choose_engine(config, large, "cuda" if gpus else "cpu", gpus)
    assert choice.engine == "torch"
    assert choice.engine_reason.startswith("1.20 billion weights, ")
    assert reason in choice.engine_reason


def test_an_adapter_goes_to_torch(large: ModelSource, fake: FakeVllm) -> None:
    source = ModelSource(large.folder, large.identity, "/adapter", "sha256:1")
    assert "encoder.adapter" in choose_engine(Encoder(model="m", pooling="last"), source, "cuda", 1.0).engine_reason


def test_a_large_model_without_vllm_goes_to_torch(large: ModelSource, no_vllm: None) -> None:
    choice = choose_engine(Encoder(model="m", pooling="last"), large, "cuda", 1.0)
    assert (choice.engine, choice.engine_reason) == ("torch", "1.20 billion weights, but vLLM is not installed")


def test_a_recipe_that_asks_for_vllm_is_told_how_to_install_it(large: ModelSource, no_vllm: None) -> None:
    with pytest.raises(InputError, match=r'pip install "theta-ray\[vllm\]" on every node'):
        choose_engine(Encoder(model="m", pooling="last", engine="vllm"), large, "cuda", 1.0)


def test_a_recipe_that_asks_for_vllm_and_more_is_refused(large: ModelSource, fake: FakeVllm) -> None:
    with pytest.raises(ConfigError, match="encoder.num_layers asks for the first; set encoder.engine: torch"):
        choose_engine(Encoder(model="m", pooling="last", engine="vllm", num_layers=2), large, "cuda", 1.0)


def test_a_recipe_that_asks_for_torch_gets_it(large: ModelSource, fake: FakeVllm) -> None:
    assert choose_engine(Encoder(model="m", engine="torch"), large, "cuda", 1.0).engine_reason == "the recipe says so"


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("windows", [False, True])
def test_vllm_gives_the_vectors_of_torch(
    qwen3: Path, fake: FakeVllm, pooling: str, normalize: bool, windows: bool
) -> None:
    changes: dict[str, Any] = {"pooling": pooling, "normalize": normalize, "document_prompt": "query: "}
    if windows:
        changes |= {"long_documents": "windows", "window_length": 9, "window_stride": 4}
    ours = make_encoder(qwen3, fake, **changes)
    config = Encoder(model=str(qwen3), precision="float32", **changes)
    torch_encoder = TextEncoder(config, Embed(), resolve_model(config))
    sequences = torch_encoder.tokenizer.encode(make_texts(12))
    vectors, work = ours.embed_sequences(sequences, batch_tokens=256)
    assert np.allclose(vectors, torch_encoder.embed_sequences(sequences, batch_tokens=256)[0], atol=1e-5)
    assert work.num_tokens == work.num_padded_tokens == len(sequences.tokens)
    assert sum(fake.prompts, []) == sequences.tokens.tolist()


def test_a_text_without_tokens_is_not_sent_and_gets_a_zero_vector(qwen3: Path, fake: FakeVllm) -> None:
    sequences = TokenSequences(np.array([7, 8], np.int32), np.array([0, 0, 2]), np.array([0, 1], np.int32), 2)
    vectors, _ = make_encoder(qwen3, fake).embed_sequences(sequences, batch_tokens=256)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([0, 1])


def test_vllm_is_started_without_code_of_the_model_pickles_or_telemetry(qwen3: Path, fake: FakeVllm) -> None:
    make_encoder(qwen3, fake, max_length=40)
    asked = {name: fake.options[name] for name in ("trust_remote_code", "load_format", "enable_prefix_caching")}
    assert asked == {"trust_remote_code": False, "load_format": "safetensors", "enable_prefix_caching": False}
    lengths = [fake.options[name] for name in ("max_model_len", "max_num_batched_tokens")]
    assert lengths == [40, 256]
    assert os.environ["VLLM_NO_USAGE_STATS"] == "1"


def test_cls_on_a_causal_decoder_is_refused_as_by_torch(qwen3: Path, bert: Path, fake: FakeVllm) -> None:
    with pytest.raises(ConfigError, match="choose last"):
        make_encoder(qwen3, fake, pooling="cls")
    assert make_encoder(bert, fake, pooling="cls").rules.pooling == "cls"


def test_vectors_that_vllm_normalises_unasked_are_an_error(qwen3: Path, fake: FakeVllm) -> None:
    fake.always_normalises = True
    encoder = make_encoder(qwen3, fake, normalize=False)
    with pytest.raises(StageError, match="encoder.normalize is false"):
        encoder.embed_sequences(encoder.tokenizer.encode(["one", "two"]), batch_tokens=256)


def test_a_model_that_vllm_cannot_load_is_one_line(qwen3: Path, fake: FakeVllm) -> None:
    fake.problem = "Model architectures ['X'] are not supported\nfor now"
    with pytest.raises(InputError, match=r"\['X'\] are not supported\); .* or set encoder.engine: torch$"):
        make_encoder(qwen3, fake)


def make_vllm_config(tmp_path: Path, model: Path, **encoder: Any) -> Config:
    raw = write_jsonl(tmp_path / "raw.jsonl", make_texts(24))
    return make_config(
        raw, str(tmp_path / "tables"), model, encoder={"pooling": "last", "precision": "float32", **encoder}
    )


def test_a_job_on_vllm_is_compared_and_says_so(tmp_path: Path, qwen3: Path, fake: FakeVllm) -> None:
    config = make_vllm_config(tmp_path, qwen3, engine="vllm")
    card = embed.run(config, DAY)
    assert card.figures["rows_compared"] == 24
    assert card.figures["smallest_cosine"] > 0.999999
    (kernels,) = card.resources["kernels"]
    assert (kernels["engine"], kernels["engine_reason"], kernels["attention"]) == ("vllm", "the recipe says so", "vllm")
    shard = next(Path(find_partition(config.root, "embeddings").path).glob("*.parquet"))
    identity = json.loads(pq.read_schema(shard).metadata[b"theta_ray"])
    assert identity["made_on"]["engine"] == "vllm 0.33.0"


def test_a_job_whose_vllm_is_wrong_stops_at_the_comparison(tmp_path: Path, qwen3: Path, fake: FakeVllm) -> None:
    fake.is_wrong = True
    with pytest.raises(StageError, match="with plain transformers"):
        embed.run(make_vllm_config(tmp_path, qwen3, engine="vllm"), DAY)


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ("auto", (TextEncoder, "torch", "0.00 billion weights, vLLM is for more than 1")),
        ("vllm", (VllmEngine, "vllm", "the recipe says so")),
    ],
)
def test_a_job_gets_its_engine_and_the_reason(
    tmp_path: Path, qwen3: Path, fake: FakeVllm, engine: str, expected: tuple[type[Engine], str, str]
) -> None:
    job = make_job(make_vllm_config(tmp_path, qwen3, engine=engine), DAY)
    encoder, choice = load_engine(job, job.source)
    assert (type(encoder), choice.engine, choice.engine_reason) == expected


@given(st.integers(8, 640), st.integers(1, 40_000), st.sampled_from([2, 4]))
def test_the_reference_goes_where_there_is_room(gib: int, millions: int, size: int) -> None:
    total, num_weights = gib * 2**30, millions * 10**6
    share, device = split_memory(total, num_weights, size)
    beside = 4 * num_weights + REFERENCE_BYTES
    if device == "cuda":
        assert share * total + beside <= USABLE * total + 1
        assert share * total >= ROOM * size * num_weights
    else:
        assert share == USABLE
        assert (USABLE - 0.01) * total - beside < ROOM * size * num_weights


def test_an_8_billion_model_and_its_reference_share_80_gib() -> None:
    assert split_memory(80 * 2**30, 8_000_000_000, 2) == (0.5, "cuda")
    assert split_memory(24 * 2**30, 4_000_000_000, 2) == (0.9, "cpu")
