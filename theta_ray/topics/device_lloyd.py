"""Nearest centroids and sums of a block on a GPU: products in 16 bits, sums in float32 and in a fixed order.

What a step needs beside the rows is a block's sums by cluster; they become whole numbers as those of a CPU do, so a fit
has the same bits for any number of workers with GPUs of one kind. Against a CPU, rows between two centroids may differ.
"""

from __future__ import annotations

import numpy as np
import torch

from theta_ray.topics.lloyd import Block, Centroids, Vectors
from theta_ray.topics.rows import Piece

# Values of scores at once: 256 MiB in float32.
SCORES = 2**26


class DeviceCentroids:
    """K centroids on a device.

    Args:
        centroids: to which rows are assigned.
        device: such as `cuda`; a CPU computes in float32.
        dtype: of the products, such as `torch.bfloat16`; their sums are float32 where the device can.
    """

    def __init__(self, centroids: Centroids, device: str, dtype: torch.dtype = torch.float32) -> None:
        self.centroids, self.device, self.dtype = centroids, device, dtype
        self.exact = torch.from_numpy(centroids.values).to(device)
        self.values = self.exact.to(dtype)
        half = self.exact.square().sum(1) / 2
        self.half_norms = torch.zeros_like(half) if centroids.spherical else half

    def block(self, piece: Piece) -> Block:
        """Labels, distances and sums of N rows."""
        rows_ND = torch.from_numpy(np.ascontiguousarray(piece.vectors)).to(self.device)
        weight_N = torch.from_numpy(piece.weight).to(self.device)
        parts = [self._best(part_ND) for part_ND in rows_ND.split(max(1, SCORES // len(self.values)))]
        label_N, score_N = (torch.cat(column) for column in zip(*parts, strict=True))
        # rows of a cluster one after another: a segment is added up in its order, unlike by atomic additions
        order_N = torch.sort(label_N, stable=True).indices
        lengths_K = torch.bincount(label_N, minlength=len(self.values))
        sums_KD = torch.segment_reduce((rows_ND * weight_N[:, None])[order_N], "sum", lengths=lengths_K, axis=0)
        score: Vectors = score_N.cpu().numpy()
        distance = self.centroids.squared_distances(piece.norms, score)
        return Block(label_N.int().cpu().numpy(), piece.weight, distance, sums_KD.cpu().numpy())

    def _best(self, rows_ND: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Labels, and scores of these by float32 products: a distance has more digits than the choice needs."""
        low_ND = rows_ND.to(self.dtype)
        if low_ND.is_cuda and self.dtype != torch.float32:
            scores_NK = torch.mm(low_ND, self.values.T, out_dtype=torch.float32)
        else:
            scores_NK = (low_ND @ self.values.T).float()
        label_N = (scores_NK - self.half_norms).argmax(dim=1)
        return label_N, (rows_ND * self.exact[label_N]).sum(1) - self.half_norms[label_N]
