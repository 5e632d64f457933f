"""The fast path against the reference, and against sentence-transformers, on the same input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.models import SENTENCES, save_bert, save_qwen3, save_roberta
from theta_ray.config import Embed, Encoder
from theta_ray.encoder.encoder import TextEncoder
from theta_ray.encoder.reference import Reference
from theta_ray.encoder.source import resolve_model

HOSTILE = ["", " ", "x " * 300, "say [MASK] <mask> </s> <|endoftext|> [SEP]", "日本語のテキスト 😂", "a\x00b\u202ec"]
SAVE = {"bert": save_bert, "roberta": save_roberta, "qwen3": save_qwen3}
CASES = [
    ("bert", {"pooling": "mean"}),
    ("bert", {"pooling": "cls"}),
    ("bert", {"pooling": "mean", "normalize": False}),
    ("bert", {"pooling": "mask", "template": "{text} is a [MASK] ."}),
    ("bert", {"pooling": "mask", "template": "i like {text} [MASK]", "max_length": 14}),
    ("bert", {"pooling": "mean", "long_documents": "windows", "window_length": 12, "window_stride": 5}),
    ("roberta", {"pooling": "pooler"}),
    ("roberta", {"pooling": "mask", "template": "I like {text} most: <mask>.", "max_length": 24}),
    ("roberta", {"pooling": "cls", "document_prompt": "passage: "}),
    ("qwen3", {"pooling": "last"}),
    ("qwen3", {"pooling": "last", "query_prompt": "Instruct: topic\nQuery:", "encode_as": "query"}),
    ("qwen3", {"pooling": "mean", "long_documents": "windows", "window_length": 30, "window_stride": 30}),
    ("qwen3", {"pooling": "last", "long_documents": "windows", "window_length": 20, "window_stride": 7}),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: save(tmp_path_factory.mktemp(name)) for name, save in SAVE.items()}


@pytest.mark.parametrize(
    ("model", "recipe"), CASES, ids=[f"{m}-{'-'.join(map(str, r.values()))}"[:60] for m, r in CASES]
)
@pytest.mark.parametrize("batch_tokens", [16, 4096])
def test_batched_vectors_equal_plain_transformers(
    folders: dict[str, Path], model: str, recipe: dict[str, Any], batch_tokens: int
) -> None:
    config = Encoder(model=str(folders[model]), **recipe)
    encoder = TextEncoder(config, Embed(), resolve_model(config))
    reference = Reference(encoder.model, encoder.tokenizer, config, encoder.rules)
    texts = SENTENCES + HOSTILE
    ours = encoder.embed_texts(texts, batch_tokens=batch_tokens)
    plain = np.stack([reference.embed(text).numpy() for text in texts])
    assert np.abs(ours - plain).max() < 2e-5
    # random weights make all texts alike; the bound above must be small beside their differences
    assert np.abs(plain[0] - plain[1]).max() > 1e-3


def real_texts(shared_data: Path) -> list[str]:
    tweets = pq.read_table(shared_data / "tweets_tweeteval" / "tweets.parquet", columns=["text"])["text"].to_pylist()
    documents = pq.read_table(shared_data / "docs_bbc" / "docs.parquet", columns=["text"])["text"].to_pylist()
    return tweets[:500] + documents[:200]


def sentence_transformers_vectors(folder: str, texts: list[str], **options: Any) -> np.ndarray:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(folder, device="cpu", local_files_only=True)
    return np.asarray(model.encode(texts, show_progress_bar=False, **options))


def test_real_tweets_and_documents_equal_sentence_transformers(minilm: Path, shared_data: Path) -> None:
    texts = real_texts(shared_data)
    config = Encoder(model=str(minilm))
    encoder = TextEncoder(config, Embed(), resolve_model(config))
    ours = encoder.embed_texts(texts)
    theirs = sentence_transformers_vectors(str(minilm), texts)
    cosines = (ours * theirs).sum(axis=1)
    assert len(texts) == 700
    assert cosines.min() >= 0.99999


def test_a_folder_that_sentence_transformers_saved_gives_its_vectors(minilm: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    saved = tmp_path / "saved"
    model = SentenceTransformer(str(minilm), device="cpu", local_files_only=True)
    model.max_seq_length = 16
    model.prompts = {"query": "search: ", "document": "passage: "}
    model.save(str(saved))
    texts = [*SENTENCES, "long " * 100]
    config = Encoder(model=str(saved))
    ours = TextEncoder(config, Embed(), resolve_model(config)).embed_texts(texts)
    theirs = sentence_transformers_vectors(str(saved), texts, prompt_name="document")
    assert np.abs(ours - theirs).max() < 1e-5


def test_bfloat16_stays_close_and_is_not_float32(minilm: Path) -> None:
    exact = Encoder(model=str(minilm))
    coarse = exact.model_copy(update={"precision": "bfloat16"})
    vectors = [TextEncoder(c, Embed(), resolve_model(c)).embed_texts(SENTENCES) for c in (exact, coarse)]
    cosines = (vectors[0] * vectors[1]).sum(axis=1)
    assert 0.999 < cosines.min() < 0.9999999


def test_special_tokens_in_a_text_would_move_its_vector(minilm: Path) -> None:
    text = "hello [MASK] world [SEP]"
    config = Encoder(model=str(minilm))
    ours = TextEncoder(config, Embed(), resolve_model(config)).embed_texts([text])
    theirs = sentence_transformers_vectors(str(minilm), [text])
    assert (ours * theirs).sum() < 0.7
