"""The packed forward pass of each family of models gives the hidden states of its own attention."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel

from theta_ray.encoder.attention import attention_of
from theta_ray.encoder.forward import PackedForward, PaddedForward, choose_forward
from theta_ray.encoder.packing import plan_packs
from theta_ray.encoder.precision import PackedLinear, resolve_precision

SMALL = {
    "vocab_size": 90,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 80,
    "initializer_range": 0.3,
    "pad_token_id": 1,
}
DECODER = {"num_key_value_heads": 2, "head_dim": 8}
WINDOW = {"sliding_window": 4, "max_window_layers": 0, "use_sliding_window": True, "layer_types": None}
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {},
    "xlm-roberta": {},
    "camembert": {},
    "electra": {"embedding_size": 32},
    "modernbert": {"local_attention": 8, "global_attn_every_n_layers": 2, "cls_token_id": 2, "sep_token_id": 3},
    "qwen3": DECODER,
    "qwen3 with windows": {**DECODER, **WINDOW},
    "llama": DECODER,
    "mistral": {**DECODER, "sliding_window": 5},
    "gemma3_text": {**DECODER, "sliding_window": 8, "query_pre_attn_scalar": 8},
}
LENGTHS = np.array([40, 3, 17, 17, 1, 9, 3, 30])


def make(family: str, **options: Any) -> Any:
    torch.manual_seed(0)
    settings = {**SMALL, **FAMILIES.get(family, {}), **options}
    settings = {name: value for name, value in settings.items() if value is not None}
    config = AutoConfig.for_model(family.split()[0], **settings)
    return AutoModel.from_config(config).eval().requires_grad_(False)


def tokens(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(4, 90, LENGTHS.sum())


@pytest.mark.parametrize("family", FAMILIES)
@torch.inference_mode()
def test_packed_states_are_those_of_the_models_own_attention(family: str) -> None:
    model, (pack,) = make(family), plan_packs(LENGTHS, int(LENGTHS.sum()))
    expected = PaddedForward(model, 1)(pack, tokens())
    with attention_of(model, "eager"):
        eager = PaddedForward(model, 1)(pack, tokens())
    chosen, kernels = choose_forward(model, 1, "float32")
    assert isinstance(chosen, PackedForward), kernels.reason
    assert kernels.attention == "grouped"
    assert kernels.difference is not None
    assert kernels.difference < 1e-5
    found = chosen(pack, tokens())
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
    assert (found - eager).abs().max() < 1e-4 * eager.abs().max()
    assert chosen.num_computed(pack) == LENGTHS.sum()


@pytest.mark.parametrize("family", FAMILIES)
@torch.inference_mode()
def test_a_sequence_never_sees_its_neighbours(family: str) -> None:
    chosen, _ = choose_forward(make(family), 1, "float32")
    (pack,) = plan_packs(LENGTHS, int(LENGTHS.sum()))
    states = [chosen(pack, np.concatenate([tokens()[:40], tokens(seed)[40:]])) for seed in (1, 2)]
    assert torch.equal(states[0][:40], states[1][:40])
    assert not torch.equal(states[0][40:], states[1][40:])


def test_a_model_with_an_attention_of_its_own_is_padded_and_says_so() -> None:
    model = make("mpnet", relative_attention_num_buckets=8)
    chosen, kernels = choose_forward(model, 1, "float32")
    (pack,) = plan_packs(LENGTHS, int(LENGTHS.sum()))
    assert (kernels.attention, kernels.reason) == ("padded", "MPNetModel calls its own attention")
    assert chosen.num_computed(pack) == len(LENGTHS) * 40


def test_a_model_that_packed_states_would_change_is_padded(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets_the_layout(module: Any, query: Any, key: Any, value: Any, mask: Any, **_: Any) -> tuple[Any, None]:
        attended = torch.nn.functional.scaled_dot_product_attention(query, key, value)
        return attended.transpose(1, 2), None

    monkeypatch.setattr("theta_ray.encoder.attention.grouped_attention", forgets_the_layout)
    chosen, kernels = choose_forward(make("bert"), 1, "float32")
    assert isinstance(chosen, PaddedForward)
    assert "grouped: hidden states are" in kernels.reason
    assert chosen.model.config._attn_implementation == "sdpa"


def test_a_kernel_that_fails_leaves_the_model_padded_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("no kernel image is available\nfor this device")

    monkeypatch.setattr("theta_ray.encoder.attention.grouped_attention", fails)
    _, kernels = choose_forward(make("bert"), 1, "float32")
    assert (kernels.attention, kernels.reason) == ("padded", "grouped: no kernel image is available")


@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert", "qwen3"])
@torch.inference_mode()
def test_bfloat16_on_a_cpu_keeps_residuals_in_float32_and_states_near(family: str) -> None:
    exact, model = make(family), make(family)
    chosen, kernels = choose_forward(model, 1, "bfloat16")
    assert (kernels.attention, kernels.linears) == ("grouped", "onednn"), kernels.reason
    assert not [layer for layer in model.modules() if type(layer) is torch.nn.Linear]
    (pack,) = plan_packs(LENGTHS, int(LENGTHS.sum()))
    near, far = chosen(pack, tokens()), PaddedForward(make(family).bfloat16(), 1)(pack, tokens())
    expected = PaddedForward(exact, 1)(pack, tokens())
    assert near.dtype == torch.float32
    ours, whole = ((states.float() - expected).norm() / expected.norm() for states in (near, far))
    assert ours < 0.03
    assert ours < whole  # than a model that is bfloat16 throughout


@pytest.mark.parametrize("family", ["bert", "qwen3"])
@torch.inference_mode()
def test_linear_layers_through_onednn_give_what_torch_gives(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("theta_ray.encoder.precision.is_amd", lambda: True)
    model, (pack,) = make(family), plan_packs(LENGTHS, int(LENGTHS.sum()))
    chosen, kernels = choose_forward(model, 1, "float32")
    assert kernels.linears == "onednn", kernels.reason
    assert [layer for layer in model.modules() if isinstance(layer, PackedLinear)]
    expected, found = PaddedForward(make(family), 1)(pack, tokens()), chosen(pack, tokens())
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


def test_float32_stays_with_torch_where_its_product_is_as_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("theta_ray.encoder.precision.is_amd", lambda: False)
    model = make("bert")
    _, kernels = choose_forward(model, 1, "float32")
    assert kernels.linears == "torch"
    assert not [layer for layer in model.modules() if isinstance(layer, PackedLinear)]


@torch.inference_mode()
def test_linear_layers_that_differ_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("theta_ray.encoder.precision.is_amd", lambda: True)
    monkeypatch.setattr(PackedLinear, "forward", lambda layer, states: torch.zeros(*states.shape[:-1], len(layer.bias)))
    model, (pack,) = make("bert"), plan_packs(LENGTHS, int(LENGTHS.sum()))
    chosen, kernels = choose_forward(model, 1, "float32")
    assert (kernels.attention, kernels.linears) == ("grouped", "torch")
    assert "onednn: hidden states are" in kernels.reason
    expected, found = PaddedForward(make("bert"), 1)(pack, tokens()), chosen(pack, tokens())
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.parametrize(("hardware", "precision"), [(True, "bfloat16"), (False, "float32")])
def test_auto_is_bfloat16_where_the_processor_has_it(
    hardware: bool, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("theta_ray.encoder.precision.has_bfloat16", lambda: hardware)
    assert resolve_precision("auto", "cpu") == precision
    assert resolve_precision("float32", "cpu") == "float32"
