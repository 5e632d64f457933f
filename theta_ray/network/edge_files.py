"""Edges of a graph that is too large for one task: files of numbered edges, and the same edges by block.

    files (source, target, weight) -> edges at each node -> where blocks begin
                                   -> each file again, in row groups: group b has the edges of block b
    a block reads its group of every file

So a block is read in as many requests as there are files, whoever reads it and however often.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from theta_ray.network.blocks import Block, Counts, bin_width
from theta_ray.network.graph import Graph, Nodes, Weights
from theta_ray.objects import access, create_from_file, join, open_filesystem

SCHEMA = pa.schema([("source", pa.int32()), ("target", pa.int32()), ("weight", pa.float64())])
Edges = tuple[Nodes, Nodes, Weights]


@dataclass(frozen=True)
class EdgeFiles:
    """Where the edges of a graph lie: `<folder>/<name>.parquet` with at least the columns of `SCHEMA`.

    Equal edges, of one file or several, are one with the sum of their weights; loops are left out.
    """

    folder: str
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    """Edges of each file."""
    num_nodes: int
    directed: bool

    @property
    def num_edges(self) -> int:
        """Edges of all files, equal ones counted again."""
        return sum(self.sizes)

    def path(self, name: str, folder: str = "") -> str:
        """Of one file, here or in another folder."""
        return join(folder or self.folder, f"{name}.parquet")

    def graph(self) -> Graph:
        """The whole graph."""
        return self._graph([_read(self.path(name)) for name in self.names])

    def tasks(self, limits: Sequence[int] = (), spread: str = "") -> list[FileTask]:
        """One a file; `spread` is the folder of the files by block."""
        blocks = tuple(limits)
        return [self._task(name, blocks, spread) for name in self.names]

    def _task(self, name: str, limits: tuple[int, ...], spread: str) -> FileTask:
        return FileTask(self.path(name), self.num_nodes, self.directed, limits, self.path(name, spread))

    def block(self, limits: Sequence[int], number: int, spread: str) -> Block:
        """One block, from files that `spread_file` has written to a folder."""
        parts = [_read(self.path(name, spread), [number]) for name in self.names]
        return Block.of(self._graph(parts), limits[number], limits[number + 1])

    def _graph(self, parts: Sequence[Edges]) -> Graph:
        none = SCHEMA.empty_table()  # of a graph without files
        source, target, weight = (
            np.concatenate([none[name].to_numpy(), *(part[side] for part in parts)])
            for side, name in enumerate(SCHEMA.names)
        )
        return Graph.of(self.num_nodes, source, target, weight, directed=self.directed)


def write_edges(path: str, parts: Sequence[Edges]) -> None:
    """Creates a file with a row group for each part; one that is there already stays."""
    with tempfile.TemporaryDirectory(prefix="theta-ray-") as folder:
        local = os.path.join(folder, "edges.parquet")
        # dictionaries of numbers that hardly repeat cost ten times the time
        with access(local), pq.ParquetWriter(local, SCHEMA, compression="zstd", use_dictionary=False) as writer:
            for part in parts:
                # also an empty one, and one of any size, is one group
                writer.write_table(pa.table(dict(zip(SCHEMA.names, part, strict=True)), SCHEMA), max(len(part[0]), 1))
        create_from_file(path, local)


@dataclass(frozen=True)
class FileTask:
    """One file of edges, and what is to be done with it."""

    path: str
    num_nodes: int
    directed: bool
    limits: tuple[int, ...] = ()
    """Nodes at which blocks begin, and the number of nodes."""
    spread: str = ""
    """The file to write."""


def count_ends(task: FileTask) -> Counts:
    """[bins] edges of one file at the nodes of each bin, both directions."""
    width = bin_width(task.num_nodes)
    found = np.zeros(-(-task.num_nodes // width), np.int64)
    for side in _read(task.path)[:2]:
        found += np.bincount(side // width, minlength=len(found))
    return found


def spread_file(task: FileTask) -> str:
    """Writes the edges of one file by block, those with ends in two to both; 100 bytes an edge. Returns where."""
    source, target, weight = _read(task.path)
    if not task.directed:  # equal edges stay in the order of the file, which is that of their sum
        source, target = np.minimum(source, target), np.maximum(source, target)
    blocks = [np.searchsorted(task.limits, side, side="right") - 1 for side in (source, target)]
    other = np.flatnonzero(blocks[0] != blocks[1])
    place = np.concatenate([np.arange(len(source)), other])
    block = np.concatenate([blocks[0], blocks[1][other]])
    order = np.argsort(block.astype(np.min_scalar_type(len(task.limits))), kind="stable")  # linear below 2^16 blocks
    place, ends = place[order], np.searchsorted(block[order], np.arange(len(task.limits)))
    parts = [place[start:end] for start, end in pairwise(ends)]
    write_edges(task.spread, [(source[part], target[part], weight[part]) for part in parts])
    return task.spread


def _read(path: str, groups: list[int] | None = None) -> Edges:
    """The edges of some row groups, or all."""
    fs, inside = open_filesystem(path)
    with access(path), fs.open(inside, "rb") as file, pq.ParquetFile(file) as parquet:
        wanted = list(range(parquet.num_row_groups)) if groups is None else groups
        table = parquet.read_row_groups(wanted, columns=SCHEMA.names)
    source, target, weight = (table[name].to_numpy() for name in SCHEMA.names)
    return source, target, weight
