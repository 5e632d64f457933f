from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModel, T5Config, T5EncoderModel

from tests.models import SENTENCES, save_bert, save_qwen3, save_roberta, wordpiece_tokenizer
from theta_ray.config import Embed, Encoder
from theta_ray.encoder.attention import attention_of
from theta_ray.encoder.encoder import TextEncoder
from theta_ray.encoder.source import resolve_model
from theta_ray.errors import ConfigError, InputError


def load(folder: Path, embed: Embed | None = None, **encoder: Any) -> TextEncoder:
    config = Encoder(model=str(folder), **encoder)
    return TextEncoder(config, embed or Embed(), resolve_model(config))


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_roberta(tmp_path_factory.mktemp("roberta"))


@pytest.fixture(scope="module")
def qwen3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_qwen3(tmp_path_factory.mktemp("qwen3"))


def save_adapter(base: Path, folder: Path, targets: list[str]) -> Path:
    torch.manual_seed(1)
    config = LoraConfig(
        r=4, lora_alpha=8, target_modules=targets, task_type="FEATURE_EXTRACTION", init_lora_weights=False
    )
    get_peft_model(AutoModel.from_pretrained(base), config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("save", [save_bert, save_roberta, save_qwen3])
def test_a_model_of_these_tests_is_the_same_each_time(save: Callable[[Path], Path], tmp_path: Path) -> None:
    one, two = (save(tmp_path / name) for name in ("one", "two"))
    assert {file.name: file.read_bytes() for file in one.iterdir()} == {
        file.name: file.read_bytes() for file in two.iterdir()
    }


def test_the_last_token_of_a_batch_equals_an_unpadded_forward(qwen3: Path) -> None:
    encoder = load(qwen3, pooling="last", normalize=False)
    vectors = encoder.embed_texts(SENTENCES)
    for text, vector in zip(SENTENCES, vectors, strict=True):
        ids = encoder.tokenizer.tokenizer(text, return_tensors="pt").input_ids
        with torch.inference_mode(), attention_of(encoder.model, "eager"):
            expected = encoder.model(input_ids=ids).last_hidden_state[0, -1]
        assert np.abs(vector - expected.numpy()).max() < 1e-4


def test_first_on_a_decoder_sees_one_token_and_warns(qwen3: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        first = load(qwen3, pooling="first")
    vectors = first.embed_texts(["the road is closed", "the marathon starts"])
    assert "choose last" in caplog.text
    assert np.abs(vectors[0] - vectors[1]).max() < 1e-6
    last = load(qwen3, pooling="last").embed_texts(["the road is closed", "the marathon starts"])
    assert np.abs(last[0] - last[1]).max() > 1e-2


def test_cls_on_a_decoder_is_refused(qwen3: Path) -> None:
    with pytest.raises(ConfigError, match="choose last"):
        load(qwen3, pooling="cls")


def test_first_on_an_encoder_does_not_warn(bert: Path, caplog: pytest.LogCaptureFixture) -> None:
    load(bert, pooling="first")
    assert "choose last" not in caplog.text


def test_pooler_is_the_models_own_pooler_output(roberta: Path) -> None:
    encoder = load(roberta, pooling="pooler", normalize=False)
    ids = encoder.tokenizer.tokenizer(SENTENCES[0], return_tensors="pt").input_ids
    with torch.inference_mode(), attention_of(encoder.model, "eager"):
        expected = encoder.model(input_ids=ids).pooler_output[0].numpy()
    assert np.abs(encoder.embed_texts([SENTENCES[0]])[0] - expected).max() < 1e-5
    assert np.abs(expected).max() < 1


def test_a_pooler_without_weights_is_refused(bert: Path) -> None:
    with pytest.raises(ConfigError, match="hold no pooler"):
        load(bert, pooling="pooler")


def test_mask_is_the_hidden_state_of_the_mask_token(bert: Path) -> None:
    encoder = load(bert, pooling="mask", template="{text} is a [MASK] .", normalize=False)
    ids = encoder.tokenizer.tokenizer("farmers is a [MASK] .", return_tensors="pt").input_ids
    with torch.inference_mode(), attention_of(encoder.model, "eager"):
        states = encoder.model(input_ids=ids).last_hidden_state[0]
    expected = states[ids[0].tolist().index(encoder.tokenizer.mask_id)].numpy()
    assert np.abs(encoder.embed_texts(["farmers"])[0] - expected).max() < 1e-5


def test_no_pooling_anywhere_is_an_error(bert: Path) -> None:
    with pytest.raises(ConfigError, match="encoder.pooling is missing"):
        load(bert)


def test_a_width_beyond_the_model_is_refused(bert: Path) -> None:
    with pytest.raises(ConfigError, match="set 32 or less"):
        load(bert, Embed(dim=896), pooling="mean")


def test_matryoshka_width_is_the_normalised_head_of_the_vector(bert: Path) -> None:
    whole = load(bert, pooling="mean", normalize=False).embed_texts(SENTENCES)[:, :8]
    narrow = load(bert, Embed(dim=8), pooling="mean").embed_texts(SENTENCES)
    assert np.abs(narrow - whole / np.linalg.norm(whole, axis=1, keepdims=True)).max() < 1e-6


def test_an_adapter_changes_the_vectors_as_peft_does(qwen3: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    adapter = save_adapter(qwen3, tmp_path / "adapter", ["q_proj", "k_proj", "v_proj", "o_proj"])
    ours = load(qwen3, pooling="last", adapter=str(adapter)).embed_texts(SENTENCES)
    model = PeftModel.from_pretrained(AutoModel.from_pretrained(qwen3), adapter).eval()
    encoder = load(qwen3, pooling="last")
    for text, vector in zip(SENTENCES, ours, strict=True):
        ids = encoder.tokenizer.tokenizer(text, return_tensors="pt").input_ids
        with torch.inference_mode():
            expected = torch.nn.functional.normalize(model(input_ids=ids).last_hidden_state[0, -1], dim=0)
        assert np.abs(vector - expected.numpy()).max() < 1e-5
    assert np.abs(ours - encoder.embed_texts(SENTENCES)).max() > 1e-3


def test_an_adapter_of_another_width_is_refused(bert: Path, tmp_path: Path) -> None:
    wide = save_bert(tmp_path / "wide", hidden_size=64)
    adapter = save_adapter(wide, tmp_path / "adapter", ["query", "value"])
    with pytest.raises(InputError, match="name the base model it was trained on"):
        load(bert, pooling="mean", adapter=str(adapter))


def test_an_adapter_for_other_modules_is_refused(bert: Path, qwen3: Path, tmp_path: Path) -> None:
    adapter = save_adapter(qwen3, tmp_path / "adapter", ["q_proj"])
    with pytest.raises(InputError, match="name the base model it was trained on"):
        load(bert, pooling="mean", adapter=str(adapter))


def test_an_adapter_with_half_its_tensors_is_refused(bert: Path, tmp_path: Path) -> None:
    adapter = save_adapter(bert, tmp_path / "adapter", ["query", "value"])
    tensors = load_file(adapter / "adapter_model.safetensors")
    half = dict(list(tensors.items())[: len(tensors) // 2])
    save_file(half, adapter / "adapter_model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="has no partner"):
        load(bert, pooling="mean", adapter=str(adapter))


def test_missing_weights_are_an_error_and_not_random_numbers(tmp_path: Path) -> None:
    folder = save_bert(tmp_path / "bert")
    tensors = load_file(folder / "model.safetensors")
    name = next(key for key in tensors if "attention.self.query.weight" in key)
    del tensors[name]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="weights do not fit"):
        load(folder, pooling="mean")


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    folder = save_bert(tmp_path / "bert")
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="no sound safetensors file"):
        load(folder, pooling="mean")


def test_an_unknown_model_type_is_refused(tmp_path: Path) -> None:
    folder = save_bert(tmp_path / "bert")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "nobody_has_this"}))
    with pytest.raises(InputError, match="cannot load it"):
        load(folder, pooling="mean")


def test_an_encoder_decoder_is_refused(tmp_path: Path) -> None:
    config = T5Config(vocab_size=400, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    T5EncoderModel(config).save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**saved, "is_encoder_decoder": True}))
    wordpiece_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="encoder-decoder"):
        load(tmp_path, pooling="mean")


def test_a_gpu_that_is_not_there_is_an_error_and_not_a_cpu(bert: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    config = Encoder(model=str(bert), pooling="mean")
    with pytest.raises(InputError, match="gpus_per_actor: 0"):
        TextEncoder(config, Embed(), resolve_model(config), device="cuda")


def test_a_text_without_any_token_has_the_zero_vector(tmp_path: Path) -> None:
    folder = save_bert(tmp_path)
    rules = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps({**rules, "post_processor": None}))
    encoder = load(folder, pooling="mean")
    vectors = encoder.embed_texts([SENTENCES[0], " ", SENTENCES[1]])
    assert np.abs(vectors[1]).max() == 0
    assert np.linalg.norm(vectors[[0, 2]], axis=1) == pytest.approx(1)
    assert encoder.embed_texts([" "]).shape == (1, 32)
