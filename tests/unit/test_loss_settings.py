"""Settings of a loss: what means nothing to it is refused, and what a manifest holds is read back."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from theta_ray.config_finetune import MEANT_FOR, Finetune, Loss, LossName

TEACHER = "embeddings/0123456789ab/dt=2026-01-31"
OTHER_VALUES: dict[str, Any] = {
    "temperature": 0.1,
    "symmetric": True,
    "margin": 0.4,
    "mining": "batch_hard",
    "focal": 0.5,
    "dims": (8,),
    "layers": True,
    "masks_false_negatives": False,
    "head": {"dropout": 0},
    "teacher": TEACHER,
    "imitated": "margin_mse",
    "similarity_weight": 1,
}


def settings(name: str, **values: Any) -> dict[str, Any]:
    return {"name": name, **({"teacher": TEACHER} if name == "distill" else {}), **values}


def test_each_setting_is_said_to_be_for_some_losses() -> None:
    assert set(MEANT_FOR) == set(OTHER_VALUES) == set(Loss.model_fields) - {"name"}


@pytest.mark.parametrize("field", OTHER_VALUES)
@pytest.mark.parametrize("name", get_args(LossName))
def test_a_setting_is_taken_by_the_losses_that_have_it_alone(name: str, field: str) -> None:
    values = settings(name, **{field: OTHER_VALUES[field]})
    if name in MEANT_FOR[field]:
        loss = Loss.model_validate(values)
        assert Loss.model_validate(loss.model_dump(mode="json")) == loss
        return
    with pytest.raises(ValidationError, match=rf"{field} is for name .*, not {name}; leave it out"):
        Loss.model_validate(values)


def test_a_teacher_comes_with_distill() -> None:
    with pytest.raises(ValidationError, match="name distill needs teacher; name a committed embeddings partition"):
        Loss(name="distill")


@pytest.mark.parametrize("dims", [(8, 16), (16, 16)])
def test_widths_are_named_once_from_wide_to_narrow(dims: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="name each width once, from wide to narrow"):
        Loss(dims=dims)


def test_a_loss_of_tokens_has_no_projection() -> None:
    with pytest.raises(ValidationError, match="projection: loss.name clm makes no vectors; leave it out"):
        Finetune.model_validate({"loss": {"name": "clm"}, "projection": 8})
