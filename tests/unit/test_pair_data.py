"""What the model reads of a batch of pairs: views in tokens, keys, and gaps where a pair has fewer negatives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.corpora import DAY, config_of, jsonl_input, write_jsonl
from tests.mined import with_pairs
from tests.models import save_bert, save_qwen3
from theta_ray.config import Encoder
from theta_ray.encoder.encoder import make_tokenizer
from theta_ray.encoder.source import resolve_model
from theta_ray.training import mine_pairs
from theta_ray.training.data import MASK, PairData
from theta_ray.training.local_copy import LocalCopy
from theta_ray.training.order import Order

TAGS = ("sun", "rain", "coffee", "river")


def tagged_data(folder: Path, model: Path, **noise: Any) -> PairData:
    records = [{"id": f"d{n}", "text": f"day {n} in the city #{TAGS[n % 4]} {MASK}"} for n in range(80)]
    config = config_of(folder, jsonl_input(write_jsonl(folder / "raw.jsonl", records)), hashtags="unicode")
    section = {"kind": "hashtag", "split": {"test_share": 0}, "hashtag": {"min_tag_count": 4, "noise": noise}}
    config = with_pairs(config, section)
    mine_pairs.run(config, DAY)
    job = mine_pairs.make_job(config, DAY)
    encoder = Encoder(model=str(model), pooling="mean")
    tokenizer = make_tokenizer(encoder, resolve_model(encoder))
    return PairData(LocalCopy(job.corpus, job.partition), "train", job.pairs, tokenizer, seed=0)


@pytest.mark.parametrize("save", [save_bert, save_qwen3], ids=["bert", "qwen3"])
def test_a_masked_tag_is_the_mask_token_of_models_that_have_one(save: Any, tmp_path: Path) -> None:
    data = tagged_data(tmp_path, save(tmp_path / "model"), share=1, drop=0, strip=0, mask=1)
    batch = data.batch(Order(len(data), 8, 0), 0)
    for text in range(batch.num_texts):
        tokens = batch.sequences.tokens[batch.sequences.offsets[text] : batch.sequences.offsets[text + 1]]
        words = data.tokenizer.tokenizer.decode(tokens)
        assert MASK not in words  # a stranger's is gone, too
        if data.tokenizer.mask_id is None:
            assert any(tag in words for tag in TAGS)
        else:
            assert tokens.tolist().count(data.tokenizer.mask_id) == 1
            assert not any(tag in words for tag in TAGS)


def test_a_batch_is_the_same_whenever_it_is_made(bert: Path, tmp_path: Path) -> None:
    data = tagged_data(tmp_path, bert, share=0.5)
    order = Order(len(data), 16, 0)
    first, again, later = (data.batch(order, step).sequences.tokens for step in (0, 0, order.steps_per_epoch))
    assert first.tolist() == again.tolist() != later.tolist()


def test_texts_of_one_tag_are_alike_in_a_batch(bert: Path, tmp_path: Path) -> None:
    data = tagged_data(tmp_path, bert, share=0)
    batch = data.batch(Order(len(data), 16, 0), 0)
    alike = batch.keys.alike(batch.anchors, batch.positives)
    groups = batch.keys.groups[:16]
    assert np.array_equal(alike, groups[:, None] == groups[None, :])
    assert 0 < alike.mean() < 1
