"""Tiny random-weight models with trained tokenizers, saved as users' folders are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3Model,
    RobertaConfig,
    RobertaModel,
)

SENTENCES = [
    "the marathon starts at nine and the road is closed",
    "my sourdough starter doubled overnight",
    "Election polls move again before the debate tonight",
    "a telescope saw the first light of a young galaxy",
    "cyclists want a safe lane on the bridge",
    "people like teachers nurses and farmers work hard",
    "#vote #run now! it's 5 p.m. and www.example.org is up",
]
VOCAB_SIZE = 400
SMALL: dict[str, Any] = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 66,
    "pad_token_id": 0,
}
"""Settings that configurations of BERT's family share."""


def wordpiece_tokenizer() -> PreTrainedTokenizerFast:
    """BERT's kind: lower-cased word pieces, [CLS] text [SEP]."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    # WordPieceTrainer finds and numbers other pieces each time; BpeTrainer the same ones
    words = Tokenizer(models.BPE())
    words.normalizer, words.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    num_pieces = (VOCAB_SIZE - len(specials)) // 2
    words.train_from_iterator(SENTENCES * 3, trainers.BpeTrainer(vocab_size=num_pieces, show_progress=False))
    pieces = sorted(words.get_vocab())
    numbered = enumerate([*specials, *pieces, *(f"##{piece}" for piece in pieces)])
    tokenizer = Tokenizer(models.WordPiece({piece: number for number, piece in numbered}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = words.normalizer, words.pre_tokenizer
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(t, tokenizer.token_to_id(t)) for t in ("[CLS]", "[SEP]")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=64,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def _byte_level(specials: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB_SIZE, special_tokens=specials, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    return tokenizer


def roberta_tokenizer() -> PreTrainedTokenizerFast:
    """RoBERTa's kind: byte-level BPE, <s> text </s>, padding id 1."""
    tokenizer = _byte_level(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(t, tokenizer.token_to_id(t)) for t in ("<s>", "</s>")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=64,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
    )


def qwen3_tokenizer() -> PreTrainedTokenizerFast:
    """Qwen3-Embedding's kind: byte-level BPE, <|endoftext|> after the text and as padding."""
    tokenizer = _byte_level(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    end = "<|endoftext|>"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {end}", special_tokens=[(end, tokenizer.token_to_id(end))]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=256, pad_token=end, eos_token=end)


def save_bert(folder: Path, *, seed: int = 0, hidden_size: int = 32) -> Path:
    """A two-layer BERT without pooler weights."""
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=hidden_size,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * hidden_size,
        max_position_embeddings=64,
        initializer_range=0.3,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    wordpiece_tokenizer().save_pretrained(folder)
    return folder


def save_roberta(folder: Path, *, seed: int = 0) -> Path:
    """A two-layer RoBERTa with its pooler: 64 positions, of which 62 can be used."""
    torch.manual_seed(seed)
    config = RobertaConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.3,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    RobertaModel(config).save_pretrained(folder)
    roberta_tokenizer().save_pretrained(folder)
    return folder


def save_qwen3(folder: Path, *, seed: int = 0, num_layers: int = 2) -> Path:
    """A Qwen3 with grouped queries (4 heads on 2), whose output layer would be its input embeddings."""
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=VOCAB_SIZE,
        hidden_size=64,
        num_hidden_layers=num_layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        intermediate_size=128,
        max_position_embeddings=256,
        initializer_range=0.3,
        tie_word_embeddings=True,
    )
    Qwen3Model(config).save_pretrained(folder)
    qwen3_tokenizer().save_pretrained(folder)
    return folder


def save_with_wordpieces(folder: Path, model: PreTrainedModel) -> Path:
    """A model with BERT's kind of tokenizer."""
    model.save_pretrained(folder)
    wordpiece_tokenizer().save_pretrained(folder)
    return folder


def save_modernbert(folder: Path) -> Path:
    """A three-layer ModernBERT whose layers look at all words and at neighbours in turn."""
    torch.manual_seed(0)
    config = ModernBertConfig(**SMALL, initializer_range=0.3, global_attn_every_n_layers=2)
    return save_with_wordpieces(folder, ModernBertModel(config))
