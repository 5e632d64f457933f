"""A BERTweet folder's tokenizer files, trained on some texts: `bpe.codes` as fastBPE writes it, and `vocab.txt`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

PAIR_COUNT = 7


def save_bertweet(folder: Path, texts: Sequence[str], num_pieces: int = 2000) -> Path:
    """`bpe.codes`, `vocab.txt` with the pieces that occur twice, and the configuration that names the tokenizer."""
    trained = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    trained.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(vocab_size=num_pieces, end_of_word_suffix="</w>", show_progress=False)
    trained.train_from_iterator(texts, trainer)
    merges = [tuple(pair) for pair in json.loads(trained.to_str())["model"]["merges"]]
    counts = Counter(piece for encoding in trained.encode_batch(list(texts)) for piece in encoding.tokens)
    names = {_name(piece): count for piece, count in counts.most_common() if count > 1}
    write_bertweet(folder, merges, names)
    return folder


def write_bertweet(folder: Path, merges: Sequence[tuple[str, ...]], names: dict[str, int]) -> None:
    """The files of a folder: pairs with their counts, names of pieces with theirs."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bpe.codes").write_text("".join(f"{' '.join(pair)} {PAIR_COUNT}\n" for pair in merges), encoding="utf-8")
    lines = "".join(f"{name} {count}\n" for name, count in names.items())
    (folder / "vocab.txt").write_text(lines, encoding="utf-8")
    config = {"model_type": "roberta", "tokenizer_class": "BertweetTokenizer", "vocab_size": len(names) + 5}
    (folder / "config.json").write_text(json.dumps(config))


def _name(piece: str) -> str:
    return piece.removesuffix("</w>") if piece.endswith("</w>") else f"{piece}@@"
