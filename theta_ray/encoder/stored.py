"""Float32 vectors in, what a shard stores of them out, and back. N vectors of D values.

float16, float32   the values
int8               round(value / scale); `scale`, a column of its own, is the vector's largest magnitude / 127
binary             a bit per value, 1 where it is above 0. The first value is the highest bit of the first
                   byte: numpy's packbits(..., bitorder="big")
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from theta_ray.schemas import STORE_TYPES

# These lose more than rounding; the parity check looks at the vectors before.
QUANTISED = ("binary", "int8")
INT8_STEPS = 127
BLOCK_ROWS = 256
# Below this many texts a shard says nothing about whether all vectors are alike.
MIN_TEXTS_FOR_SPREAD = 8
# Two attempts on GPUs, other processors or with other batches choose other kernels; else the same bytes are demanded.
GPU_MAX_DIFFERENCE, GPU_MIN_COSINE = 1e-3, 0.9999
# Where such a difference meets a rounding limit, an int8 value moves by one step and a value near 0 changes its sign.
GPU_MIN_COSINE_INT8, GPU_MIN_COSINE_BINARY = 0.999, 0.9

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Stored:
    """The vectors of some texts in the form of the table."""

    store_dtype: str
    values: npt.NDArray[np.generic]
    """[N, D] float16, float32 or int8; [N, D / 8] bytes of binary vectors."""
    scale_N: npt.NDArray[np.float32] | None = None
    """Of int8 vectors."""

    def restored(self) -> Vectors:
        """[N, D] float32 values; those of binary vectors are 1 and -1.

        The cosine of such signs is 1 - 2 x Hamming distance / D, so it ranks as the distance does.
        """
        if self.store_dtype == "binary":
            return np.unpackbits(self.values.view(np.uint8), axis=1).astype(np.float32) * 2 - 1
        if self.store_dtype == "float16":
            return torch.tensor(self.values).float().numpy()  # numpy takes ten times as long
        wide = self.values.astype(np.float32, copy=False)
        return wide if self.scale_N is None else wide * self.scale_N[:, None]

    def take(self, rows: npt.NDArray[np.integer]) -> Stored:
        """The vectors of these rows, one after another."""
        return Stored(self.store_dtype, self.values[rows], None if self.scale_N is None else self.scale_N[rows])

    def followed_by(self, other: Stored) -> Stored:
        """These vectors and then others of the same form."""
        scales = None if self.scale_N is None or other.scale_N is None else [self.scale_N, other.scale_N]
        scale_N = None if scales is None else np.concatenate(scales)
        return Stored(self.store_dtype, np.concatenate([self.values, other.values]), scale_N)

    def columns(self) -> dict[str, pa.Array]:
        """The columns of the table that hold them."""
        columns = {"embedding": to_column(self.values)}
        return columns if self.scale_N is None else {**columns, "scale": pa.array(self.scale_N)}


def to_column(values_ND: npt.NDArray[np.generic]) -> pa.FixedSizeListArray:
    """[N, D] values as a column of N vectors."""
    flat = pa.array(np.ascontiguousarray(values_ND).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values_ND.shape[1])


def from_column(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """[N, D] values of a column of N vectors."""
    whole = column.combine_chunks()
    values: npt.NDArray[Any] = whole.flatten().to_numpy().reshape(-1, whole.type.list_size)
    return values


def to_stored(vectors_ND: Vectors, store_dtype: str) -> Stored:
    """Vectors in the form of a recipe's `embed.store_dtype`.

    Args:
        vectors_ND: finite values; a NaN has no sign and no scale, so look for `vector_problems` first.
        store_dtype: a key of `schemas.STORE_TYPES`; for binary D is a multiple of 8.
    """
    if store_dtype == "binary":
        return Stored(store_dtype, np.packbits(vectors_ND > 0, axis=1))
    if store_dtype == "int8":
        scale_N = (_largest(vectors_ND) / INT8_STEPS).astype(np.float32)
        steps_ND = np.empty(vectors_ND.shape, np.int8)
        for rows in _blocks(len(vectors_ND)):
            divisor = np.where(scale_N[rows] == 0, np.float32(1), scale_N[rows])
            steps_ND[rows] = np.rint(vectors_ND[rows] / divisor[:, None])
        return Stored(store_dtype, steps_ND, scale_N)
    if store_dtype == "float16":  # beyond its range becomes infinite, which `vector_problems` finds
        return Stored(store_dtype, torch.from_numpy(vectors_ND).half().numpy())
    return Stored(store_dtype, vectors_ND)


def read_vectors(table: pa.Table) -> Vectors:
    """[rows, D] float32 vectors of rows of an embeddings table, however it stores them (see `Stored.restored`)."""
    return read_stored(table).restored()


def read_stored(table: pa.Table) -> Stored:
    """The vectors of rows of an embeddings table as they are stored."""
    values = from_column(table.column("embedding"))
    scale_N = table.column("scale").to_numpy() if "scale" in table.column_names else None
    return Stored("binary" if values.dtype == np.uint8 else str(values.dtype), values, scale_N)


def vector_problems(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.str_]:
    """For each vector the reason why it cannot be stored, or an empty string."""
    largest_N = _largest(vectors.astype(np.float32, copy=False))
    reasons = np.where(largest_N < np.finfo(np.float32).tiny, "zero_embedding", "").astype("<U32")
    reasons[~np.isfinite(largest_N)] = "non_finite_embedding"
    return reasons


def mean_cosine(vectors: npt.NDArray[np.floating]) -> float | None:
    """Mean cosine over all pairs of distinct texts; near 1 the embeddings have collapsed. None for few."""
    count = len(vectors)
    if count < MIN_TEXTS_FOR_SPREAD:
        return None
    total = np.zeros(vectors.shape[1])
    for rows in _blocks(count):
        wide = vectors[rows].astype(np.float64)
        total += (1 / np.linalg.norm(wide, axis=1)) @ wide
    return round(float((total @ total - count) / (count * (count - 1))), 6)


def _largest(vectors_ND: Vectors) -> Vectors:
    """[N] largest magnitude of each vector; NaN where one value is."""
    largest: Vectors = np.maximum(vectors_ND.max(axis=1, initial=0.0), -vectors_ND.min(axis=1, initial=0.0))
    return largest


def _blocks(num_rows: int) -> list[slice]:
    """All rows in blocks whose intermediate values stay in a core's cache."""
    return [slice(start, start + BLOCK_ROWS) for start in range(0, num_rows, BLOCK_ROWS)]


def vector_difference(mine: pa.Table, there: pa.Table) -> str | None:
    """Why two attempts on GPUs, or on other machines, are not the same shard; None: they are within the tolerance."""
    for name in ("doc_id", "num_tokens"):
        if not mine[name].equals(there[name]):
            return f"other values of {name}"
    if mine.schema.field("embedding").type != there.schema.field("embedding").type:
        return "vectors of another width"
    a, b = (read_vectors(table).astype(np.float64) for table in (mine, there))
    furthest = float(np.abs(a - b).max(initial=0.0))
    cosines = (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    lowest = float(cosines.min(initial=1.0))
    max_difference, min_cosine = _tolerance(mine)
    if furthest <= max_difference and lowest >= min_cosine:
        return None
    return f"vectors differ by up to {furthest:.2g}, smallest cosine {lowest:.6f}"


def _tolerance(table: pa.Table) -> tuple[float, float]:
    """Largest difference of a value and smallest cosine that other kernels may make of these rows."""
    if table.schema.field("embedding").type.value_type == STORE_TYPES["binary"]:
        return np.inf, GPU_MIN_COSINE_BINARY
    if "scale" in table.column_names:
        step = float(table.column("scale").to_numpy().max(initial=0.0))
        return GPU_MAX_DIFFERENCE + step, GPU_MIN_COSINE_INT8
    return GPU_MAX_DIFFERENCE, GPU_MIN_COSINE
