"""How good the tuned model is on the pairs that were kept from it, beside its base: each worker encodes a part.

test pairs -> views of their own -> distinct texts -> vectors, a share of the packs a worker
-> values of the queries, a share a worker -> all of them on every worker -> metrics
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from pyarrow.csv import read_csv

from theta_ray.config_evaluation import Evaluation, ScoredTexts
from theta_ray.encoder.packing import plan_packs
from theta_ray.errors import InputError
from theta_ray.objects import access, open_filesystem
from theta_ray.training.batch import Batch, Keys
from theta_ray.training.data import EVALUATION, MASK, PairData
from theta_ray.training.encode import LearningEncoder
from theta_ray.training.evaluation import Columns, HeldOut, Scores, join, per_query
from theta_ray.training.step import Workers, own_packs

LABELLED = ("dictionary", "hashtag", "label")
MAX_PAIRS = 20_000
"""Test pairs that are compared: a split may hold millions, and intervals are narrow long before."""
Vectors = npt.NDArray[np.float32]


def held_out(data: PairData, settings: Evaluation) -> HeldOut:
    """The texts of a test split, and scored ones where the recipe names some.

    Raises:
        InputError: the split is empty, or the scored texts cannot be read.
    """
    if not len(data):
        raise InputError(f"{data.copy.path}: has no test pairs to evaluate on; raise pairs.split.test_share")
    places = np.arange(len(data))[:: max(1, len(data) // MAX_PAIRS)]
    anchors, positives, groups = data.texts(places, EVALUATION)
    pairs = list(zip(anchors, positives, groups, strict=True))
    triplets = [(anchors[number], positives[number], text) for number, text in data.negatives(places, EVALUATION)]
    labelled = {}
    if data.settings.kind in LABELLED:
        labelled = {text: group for *texts, group in pairs for text in texts if group is not None}
    scored = read_scored(settings.scored) if settings.scored else []
    of_labels = list(labelled.items()) if len(set(labelled.values())) > 1 else []
    return HeldOut.of(pairs, scored, of_labels, triplets)


def read_scored(settings: ScoredTexts) -> list[tuple[str, str, float]]:
    """Scored pairs of texts.

    Raises:
        InputError: no such file, no such columns, or scores that are no numbers.
    """
    where, columns = f"finetune.evaluation.scored {settings.path}", [settings.first, settings.second, settings.score]
    fs, path = open_filesystem(settings.path)
    try:
        with access(settings.path), fs.open(path, "rb") as file:
            table = pq.read_table(file) if path.endswith(".parquet") else read_csv(file)
        if missing := [name for name in columns if name not in table.column_names]:
            raise InputError(f"{where}: has no column {missing[0]}; it has {', '.join(table.column_names)}")
        scores = table.column(settings.score).cast(pa.float64())
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise InputError(f"{where}: {str(error).splitlines()[0]}; give a parquet or CSV file") from error
    rows = table.set_column(table.column_names.index(settings.score), "score", scores)
    rows = rows.select([settings.first, settings.second, "score"]).drop_null()
    every = max(1, -(-rows.num_rows // settings.max_pairs))
    chosen = [column.to_pylist()[::every] for column in rows.columns]
    return list(zip(*chosen, strict=True))


@torch.no_grad()  # no inference mode: layers that are sharded are gathered into tensors that training uses as well
def encode(
    encoder: LearningEncoder, texts: Sequence[str], workers: Workers, pack_tokens: int, *, equal_passes: bool = False
) -> Vectors:
    """[len(texts), width] vectors on every worker; `equal_passes` as in a step."""
    sequences = encoder.tokenizer.encode(list(texts), mask_at=MASK)
    count = len(texts)
    nothing = Keys(np.zeros(count, np.int64), np.arange(count))
    batch = Batch(sequences, nothing, num_pairs=count)
    device = next(encoder.parameters()).device
    pooled_TD = torch.zeros((count, encoder.width), device=device)
    packs = plan_packs(sequences.lengths, pack_tokens)
    for place, pack in own_packs(packs, workers, equal=equal_passes):
        vectors = encoder(batch, pack).float()
        if place < len(packs):
            pooled_TD[torch.from_numpy(pack.sequences_B).to(device)] = vectors
    vectors_TD: Vectors = workers.add(pooled_TD).cpu().numpy()
    return vectors_TD


def score(vectors_TD: Vectors, texts: HeldOut, settings: Evaluation, workers: Workers, device: str) -> Scores:
    """Values of all queries on every worker, each having computed a share; what they exchange lies on `device`."""
    mine = per_query(vectors_TD, texts, settings, (workers.rank, workers.size))
    return join([Scores(columns, mine.spread) for columns in _gathered(mine.columns, workers, device)])


def _gathered(columns: Columns, workers: Workers, device: str) -> list[Columns]:
    """The columns of each worker: sums of its values and the zeros of all others."""
    sizes = torch.zeros((workers.size, len(columns)), dtype=torch.float64)
    sizes[workers.rank] = torch.tensor([len(column) for column in columns.values()])
    counts = workers.add(sizes.to(device)).cpu().long().tolist()
    start = sum(sum(of_worker) for of_worker in counts[: workers.rank])
    own = np.concatenate([*columns.values(), np.empty(0)]).astype(np.float64)
    values = torch.zeros(sum(map(sum, counts)), dtype=torch.float64)
    values[start : start + len(own)] = torch.from_numpy(own)
    found = iter(workers.add(values.to(device)).cpu().split([size for of_worker in counts for size in of_worker]))
    return [{name: next(found).numpy().astype(column.dtype) for name, column in columns.items()} for _ in counts]
