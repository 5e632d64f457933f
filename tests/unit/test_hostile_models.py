"""Model folders that would run code, lie about their size, or take all memory: refused before they are used."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.models import SENTENCES, save_qwen3
from theta_ray.config import Embed, Encoder
from theta_ray.encoder.encoder import TextEncoder
from theta_ray.encoder.memory import is_out_of_memory
from theta_ray.encoder.packing import Pack
from theta_ray.encoder.source import resolve_model
from theta_ray.errors import InputError, StageError, ThetaError


@pytest.fixture
def bert(bert: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(bert, tmp_path / "bert"))


class Payload:
    """Unpickling it creates a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


def load(folder: Path, **encoder: Any) -> TextEncoder:
    config = Encoder(model=str(folder), pooling="mean", **encoder)
    return TextEncoder(config, Embed(), resolve_model(config))


def change(path: Path, **values: Any) -> None:
    """Change values of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def save_adapter(folder: Path, **config: Any) -> Path:
    """The files of a LoRA adapter of rank 4 for one layer."""
    from safetensors.torch import save_file

    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4, **config}))
    save_file({"a.lora_A.weight": torch.zeros(4, 32)}, folder / "adapter_model.safetensors")
    return folder


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pkl", "model.joblib", "model.pt", "model.ckpt"])
def test_pickled_weights_are_refused_by_name_and_never_opened(bert: Path, tmp_path: Path, name: str) -> None:
    (bert / "model.safetensors").unlink()
    (bert / name).write_bytes(pickle.dumps(Payload(tmp_path / "was-run")))
    with pytest.raises(InputError, match=f"only {name}, which may run code when it is opened; convert them"):
        load(bert)
    assert not (tmp_path / "was-run").exists()


def test_a_pickle_beside_safetensors_is_left_alone(bert: Path, tmp_path: Path) -> None:
    (bert / "pytorch_model.bin").write_bytes(pickle.dumps(Payload(tmp_path / "was-run")))
    assert load(bert).embed_texts(SENTENCES).shape == (len(SENTENCES), 32)
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize("file", ["../stolen.safetensors", "pytorch_model.bin", "/etc/passwd"])
def test_an_index_that_leads_out_of_the_folder_or_to_a_pickle_is_refused(bert: Path, file: str) -> None:
    (bert / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": file}}))
    with pytest.raises(InputError, match="is no safetensors file of the folder"):
        load(bert)


def test_a_pickled_adapter_is_refused(bert: Path, tmp_path: Path) -> None:
    adapter = save_adapter(tmp_path / "adapter")
    (adapter / "adapter_model.safetensors").unlink()
    (adapter / "adapter_model.bin").write_bytes(pickle.dumps(Payload(tmp_path / "was-run")))
    with pytest.raises(InputError, match="needs adapter_config.json and adapter_model.safetensors"):
        load(bert, adapter=str(adapter))
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize(
    "config", [{"r": 10**9}, {"r": -1}, {"rank_pattern": {"q": 10**6}}, {"layer_replication": [[0, 10**9]]}]
)
def test_an_adapter_of_absurd_size_is_refused(bert: Path, tmp_path: Path, config: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="adapter_config.json says .*save the adapter again"):
        load(bert, adapter=str(save_adapter(tmp_path / "adapter", **config)))


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_a_folder_that_brings_its_own_code_is_refused(bert: Path, file: str) -> None:
    (bert / "code.py").write_text("raise SystemExit('was run')")
    change(bert / file, auto_map={"AutoModel": "code.Model", "AutoTokenizer": ["code.Tokenizer", None]})
    with pytest.raises(InputError, match=rf"its own Python code \(auto_map in {file}\), which is never run"):
        load(bert)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:4],
        lambda data: b"",
        lambda data: (2**63).to_bytes(8, "little") + data[8:],
        lambda data: (2**26).to_bytes(8, "little") + data[8:],
        lambda data: (1).to_bytes(8, "little") + data[8:],
        lambda data: data.replace(b'"shape":[400,32]', b'"shape":[-40,32]'),
        lambda data: data.replace(b'"data_offsets":[0,', b'"data_offsets":[9,'),
        lambda data: data[:8] + b"[" * (len(data) - 8),
    ],
    ids=["truncated", "4 bytes", "empty", "2^63 header", "header beyond file", "1 byte", "negative", "offsets", "deep"],
)
def test_safetensors_that_lie_about_themselves_are_refused(bert: Path, damage: Any) -> None:
    file = bert / "model.safetensors"
    data = damage(file.read_bytes())
    assert data != file.read_bytes()
    file.write_bytes(data)
    with pytest.raises(InputError, match="no sound safetensors file|cannot load it"):
        load(bert)


def test_weights_with_another_hash_than_the_recipe_pins_are_refused(bert: Path) -> None:
    with pytest.raises(InputError, match="the recipe pins 000"):
        load(bert, weights_sha256="0" * 64)


@pytest.mark.parametrize(
    "config",
    [
        {"vocab_size": 10**9},
        {"vocab_size": 10**15},
        {"vocab_size": -5},
        {"hidden_size": -2},
        {"hidden_size": "x"},
        {"hidden_size": 0},
        {"intermediate_size": 10**8},
        {"num_attention_heads": 0},
        {"num_attention_heads": 7},
        {"num_hidden_layers": 10**9},
        {"num_hidden_layers": 200},
        {"max_position_embeddings": 10**9},
        {"max_position_embeddings": -1},
        {"type_vocab_size": 10**8},
        {"type_vocab_size": -1},
    ],
    ids=str,
)
def test_a_configuration_of_absurd_size_is_refused_before_memory_is_taken(bert: Path, config: dict[str, Any]) -> None:
    change(bert / "config.json", **config)
    with pytest.raises(InputError) as told:
        load(bert)
    assert "\n" not in str(told.value)


def test_layers_without_end_are_refused_before_a_list_is_made_of_them(tmp_path: Path) -> None:
    folder = save_qwen3(tmp_path / "qwen3")
    change(folder / "config.json", num_hidden_layers=10**12)
    with pytest.raises(InputError, match="num_hidden_layers 1e\\+12, which no model has"):
        resolve_model(Encoder(model=str(folder)))


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "\xff", '{"vocab_size": ' + "9" * 5000 + "}"])
def test_a_configuration_that_is_no_json_is_refused(bert: Path, text: str) -> None:
    (bert / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match="config.json: cannot be read as JSON"):
        load(bert)


@pytest.mark.parametrize("value", [-1, 0, 10**12, "many"])
def test_an_absurd_length_of_the_folder_is_refused(bert: Path, value: Any) -> None:
    (bert / "modules.json").write_text(json.dumps([{"type": "x.Transformer", "path": ""}]))
    (bert / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": value}))
    with pytest.raises(InputError, match="max_seq_length"):
        load(bert)


def test_an_absurd_length_of_the_tokenizer_is_cut_to_the_models(bert: Path) -> None:
    change(bert / "tokenizer_config.json", model_max_length=10**30)
    encoder = load(bert)
    assert encoder.tokenizer.max_length == 64
    assert encoder.embed_texts(["road " * 5000]).shape == (1, 32)


@pytest.mark.parametrize("part", ["padding", "truncation"])
def test_padding_and_truncation_of_the_tokenizer_file_do_not_count(bert: Path, part: str) -> None:
    expected = load(bert).embed_texts(SENTENCES)
    padding = {"strategy": {"Fixed": 10**9}, "direction": "Right", "pad_to_multiple_of": None}
    padding |= {"pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}
    truncation = {"direction": "Right", "max_length": 10**12, "strategy": "LongestFirst", "stride": 0}
    change(bert / "tokenizer.json", **{part: padding if part == "padding" else truncation})
    assert np.array_equal(load(bert).embed_texts(SENTENCES), expected)


@pytest.mark.parametrize("token", [10**6, 2**32 - 1])
def test_tokens_that_the_model_does_not_know_are_told(bert: Path, token: int) -> None:
    rules = json.loads((bert / "tokenizer.json").read_text())
    rules["model"]["vocab"]["road"] = token
    (bert / "tokenizer.json").write_text(json.dumps(rules))
    with pytest.raises(InputError, match=f"makes token {token}, its config.json knows 400"):
        load(bert).embed_texts(["the road"])


class SmallDevice:
    """A forward pass whose memory ends at some number of tokens, for a while."""

    def __init__(self, inner: Any, room: int, failures: int = 10**9) -> None:
        self.inner, self.room, self.failures, self.sizes = inner, room, failures, []

    def __call__(self, pack: Pack, ids_T: np.ndarray) -> torch.Tensor:
        self.sizes.append(pack.num_tokens)
        if pack.num_tokens > self.room and self.failures > 0:
            self.failures -= 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return self.inner(pack, ids_T)

    def num_computed(self, pack: Pack) -> int:
        return self.inner.num_computed(pack)


TEXTS = [f"{sentence} {number}" for number in range(99) for sentence in SENTENCES]


def test_a_pack_that_does_not_fit_is_run_in_parts_and_the_vectors_are_the_same(bert: Path) -> None:
    encoder = load(bert)
    sequences = encoder.tokenizer.encode(TEXTS)
    expected, work = encoder.embed_sequences(sequences, batch_tokens=4096)
    encoder.forward = small = SmallDevice(encoder.forward, int(sequences.lengths.max()))
    vectors, halved = encoder.embed_sequences(sequences, batch_tokens=4096)
    assert np.abs(vectors - expected).max() < 1e-5
    assert halved == work
    assert len(small.sizes) < 4 * len(TEXTS)


def test_the_budget_shrinks_once_and_recovers(bert: Path) -> None:
    encoder = load(bert)
    encoder.forward = small = SmallDevice(encoder.forward, 300, failures=2)
    encoder.embed_texts(TEXTS, batch_tokens=512)
    large = [place for place, size in enumerate(small.sizes) if size > 300]
    assert large[0] == 0  # at full size from the start
    assert 16 < large[1] < 24  # and again after 16 packs that fitted
    assert 16 < large[2] - large[1] < 24
    assert len(large) > 4  # it fits now, and stays


def test_a_sequence_that_does_not_fit_alone_is_named_and_the_others_have_their_vectors(bert: Path) -> None:
    encoder = load(bert)
    sequences = encoder.tokenizer.encode(SENTENCES)
    expected, _ = encoder.embed_sequences(sequences, batch_tokens=4096)
    longest = int(sequences.lengths.max())
    too_large = {int(place) for place in np.flatnonzero(sequences.lengths == longest)}
    encoder.forward = SmallDevice(encoder.forward, longest - 1)
    vectors, work = encoder.embed_sequences(sequences, batch_tokens=4096)
    assert work.too_large == too_large
    fits = [place for place in range(len(SENTENCES)) if place not in too_large]
    assert np.isnan(vectors[sorted(too_large)]).all()
    assert np.abs(vectors[fits] - expected[fits]).max() < 1e-5


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
    ],
)
def test_an_error_of_another_kind_is_not_taken_for_a_lack_of_memory(error: Exception, is_memory: bool) -> None:
    assert is_out_of_memory(error) == is_memory


def test_a_model_whose_vectors_have_another_width_than_it_says_stops_the_job(bert: Path) -> None:
    encoder = load(bert)

    class Narrow(SmallDevice):
        def __call__(self, pack: Pack, ids_T: np.ndarray) -> torch.Tensor:
            return super().__call__(pack, ids_T)[:, :30]

    encoder.forward = Narrow(encoder.forward, 4096)
    with pytest.raises(StageError, match=r"vectors of shape \(7, 30\) for 7 texts, its config.json promises 32"):
        encoder.embed_texts(SENTENCES)


def test_what_a_hostile_folder_says_is_one_printable_line(bert: Path) -> None:
    change(bert / "config.json", model_type="\x1b]0;owned\x07\n\u202e")
    with pytest.raises(ThetaError) as told:
        load(bert)
    assert str(told.value).isprintable()
