from __future__ import annotations

from typing import Any

import pytest
from transformers import BertConfig, PreTrainedTokenizerFast, RobertaConfig

from tests.models import SENTENCES, roberta_tokenizer, wordpiece_tokenizer
from theta_ray.config import Encoder
from theta_ray.encoder.source import FolderSettings
from theta_ray.encoder.tokenize import Tokenizer, window_starts
from theta_ray.errors import ConfigError


def make(
    inner: PreTrainedTokenizerFast | None = None, folder: FolderSettings | None = None, **encoder: Any
) -> Tokenizer:
    config = Encoder(model="/model", **encoder)
    return Tokenizer(
        inner or wordpiece_tokenizer(), BertConfig(max_position_embeddings=64), config, folder or FolderSettings()
    )


def sequences_of(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    encoded = tokenizer.encode(texts)
    return [encoded.tokens[a:b].tolist() for a, b in zip(encoded.offsets[:-1], encoded.offsets[1:], strict=True)]


def test_a_document_of_1200_tokens_has_four_windows() -> None:
    assert window_starts(1200, 510, 256) == [0, 256, 512, 768]


@pytest.mark.parametrize("num_tokens", [0, 1, 10, 11, 14, 15, 100])
def test_windows_cover_every_token_and_none_is_needless(num_tokens: int) -> None:
    starts = window_starts(num_tokens, 10, 4)
    covered = {i for start in starts for i in range(start, min(start + 10, num_tokens))}
    assert covered == set(range(num_tokens))
    assert len(starts) == 1 or starts[-2] + 10 < num_tokens


def test_sequences_equal_those_of_transformers() -> None:
    inner = wordpiece_tokenizer()
    expected = inner(SENTENCES, truncation=True, max_length=12).input_ids
    assert sequences_of(make(inner, max_length=12), SENTENCES) == expected


def test_special_tokens_in_a_text_are_plain_text() -> None:
    tokenizer = make()
    inner = tokenizer.tokenizer
    (ids,) = sequences_of(tokenizer, ["say [MASK] [SEP] and [CLS]"])
    assert ids[0] == inner.cls_token_id
    assert ids[-1] == inner.sep_token_id
    assert not {inner.mask_token_id, inner.sep_token_id, inner.cls_token_id} & set(ids[1:-1])


def test_the_prompt_stands_before_the_text_byte_for_byte() -> None:
    prompt = "Instruct: find the topic\nQuery:"
    inner = roberta_tokenizer()
    tokenizer = make(inner, query_prompt=prompt, encode_as="query", max_length=60)
    assert inner.decode(sequences_of(tokenizer, ["the road"])[0], skip_special_tokens=True) == prompt + "the road"


def test_the_folder_gives_the_prompt_where_the_recipe_gives_none() -> None:
    folder = FolderSettings(prompts=(("document", "passage: "), ("query", "query: ")))
    assert make(folder=folder).prompt == "passage: "
    assert make(folder=folder, encode_as="query").prompt == "query: "
    assert make(folder=folder, document_prompt="").prompt == ""


@pytest.mark.parametrize(
    ("inner", "template"),
    [(wordpiece_tokenizer(), "i like {text} [MASK]"), (roberta_tokenizer(), "I like {text}, which is <mask>.")],
    ids=["wordpiece", "byte-level"],
)
def test_a_template_that_fits_equals_the_whole_string_tokenised(inner: PreTrainedTokenizerFast, template: str) -> None:
    tokenizer = make(inner, pooling="mask", template=template)
    expected = [inner(template.replace("{text}", text)).input_ids for text in SENTENCES[:2]]
    assert sequences_of(tokenizer, SENTENCES[:2]) == expected


def test_a_long_mention_is_cut_and_the_template_is_not() -> None:
    tokenizer = make(pooling="mask", template="i like {text} [MASK] now", max_length=12)
    (ids,) = sequences_of(tokenizer, ["the road " * 50])
    assert len(ids) == 12
    assert ids.count(tokenizer.mask_id) == 1
    assert tokenizer.tokenizer.decode(ids[-3:]) == "[MASK] now [SEP]"


@pytest.mark.parametrize("template", ["{text} is nice", "{text} [MASK] [MASK]"])
def test_a_template_without_exactly_one_mask_token_is_refused(template: str) -> None:
    with pytest.raises(ConfigError, match=r"write \[MASK\] exactly once"):
        make(pooling="mask", template=template)


def test_a_template_longer_than_the_sequence_is_refused() -> None:
    with pytest.raises(ConfigError, match="raise encoder.max_length"):
        make(pooling="mask", template="the road is closed {text} and [MASK] is here", max_length=5)


def test_windows_carry_special_tokens_and_prompt() -> None:
    tokenizer = make(long_documents="windows", window_length=8, window_stride=4, document_prompt="road:")
    inner = tokenizer.tokenizer
    sequences = sequences_of(tokenizer, [SENTENCES[0] * 3, "short"])
    encoded = tokenizer.encode([SENTENCES[0] * 3, "short"])
    prompt_ids = inner("road:", add_special_tokens=False).input_ids
    assert all(ids[0] == inner.cls_token_id and ids[-1] == inner.sep_token_id for ids in sequences)
    assert all(ids[1 : 1 + len(prompt_ids)] == prompt_ids for ids in sequences)
    assert encoded.text_index.tolist() == [0] * (len(sequences) - 1) + [1]
    assert encoded.tokens_per_text().sum() == len(encoded.tokens)


def test_a_window_beyond_the_limit_says_what_fits() -> None:
    with pytest.raises(ConfigError, match="set it to 62 or less"):
        make(long_documents="windows")


def test_positions_that_start_after_the_padding_id_are_not_used() -> None:
    config = RobertaConfig(max_position_embeddings=64, pad_token_id=1)
    tokenizer = Tokenizer(roberta_tokenizer(), config, Encoder(model="/model"), FolderSettings())
    assert tokenizer.max_length == 62
    with pytest.raises(ConfigError, match="at most 62 tokens"):
        Tokenizer(roberta_tokenizer(), config, Encoder(model="/model", max_length=64), FolderSettings())


def test_no_texts_give_no_sequences() -> None:
    encoded = make().encode([])
    assert (len(encoded.tokens), encoded.offsets.tolist(), encoded.num_texts) == (0, [0], 0)
