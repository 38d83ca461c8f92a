"""DeepFM: Guo et al., "DeepFM: A Factorization-Machine based Neural Network" (IJCAI 2017).

y = sigmoid(y_FM + y_DNN). The factorization machine <w, x> + Σ_{i<j} <V_i, V_j> x_i x_j and the
network have the same vectors V, and are trained together from the start.
"""

from __future__ import annotations

import numpy as np
import torch
from _clicks import Clicks, Rows, layers, weights


class FactorizationMachine(torch.nn.Module):
    """y = w_0 + <w, x> + Σ_{i<j} <V_i, V_j> x_i x_j (Rendle, ICDM 2010)."""

    def __init__(self, data: Clicks, start: np.ndarray) -> None:
        super().__init__()
        self.fields = data.fields
        self.bias = torch.nn.Parameter(torch.zeros(1))
        self.linear = weights(data.features, 1)
        self.vectors = weights(data.features, start.shape[1], start)

    def forward(self, rows: Rows) -> torch.Tensor:
        value = rows["value"][..., None]
        return self.score(rows, self.vectors(rows["index"]) * value)

    def score(self, rows: Rows, vectors: torch.Tensor) -> torch.Tensor:
        """The machine's answer; `vectors` are x_i V_i. The sum over pairs is taken as Rendle does:
        half of (the square of the sum, less the sum of squares)."""
        linear = (self.linear(rows["index"]).squeeze(2) * rows["value"]).sum(dim=1)
        pairs = 0.5 * (vectors.sum(dim=1) ** 2 - (vectors**2).sum(dim=1)).sum(dim=1)
        return self.bias + linear + pairs

    def optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(self.parameters(), lr=0.004, weight_decay=1e-6)]


class DeepFM(FactorizationMachine):
    """The machine, and beside it a network of the same vectors, one of each field."""

    def __init__(self, data: Clicks, start: np.ndarray) -> None:
        super().__init__(data, start)
        self.deep = layers([len(data.fields) * start.shape[1], 64, 32, 1], torch.nn.ReLU, 0.2)

    def forward(self, rows: Rows) -> torch.Tensor:
        vectors = self.vectors(rows["index"]) * rows["value"][..., None]
        dense = [vectors[:, slots].sum(dim=1) for slots in self.fields.values()]
        return self.score(rows, vectors) + self.deep(torch.cat(dense, dim=1)).squeeze(1)
