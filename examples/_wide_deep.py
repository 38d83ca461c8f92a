"""Wide & Deep: Cheng et al., "Wide & Deep Learning for Recommender Systems" (DLRS 2016).

P(y = 1) = sigmoid(w_wide · [x, φ(x)] + w_deep · a + b): a linear model of the features x and of
products φ(x) of features remembers; a network of embeddings, whose last layer is a, generalizes.
Both are trained together: the wide part by FTRL with L1, the deep part by AdaGrad (section 3.3).
"""

from __future__ import annotations

import numpy as np
import torch
from _clicks import Clicks, Rows, layers, weights


class WideDeep(torch.nn.Module):
    """The wide part has the features and the products of user and genre."""

    def __init__(self, data: Clicks, start: np.ndarray) -> None:
        super().__init__()
        self.fields = data.fields
        self.wide = weights(data.features, 1)
        self.products = weights(data.crosses, 1)
        self.vectors = weights(data.features, start.shape[1], start)
        self.deep = layers([len(data.fields) * start.shape[1], 64, 32, 1], torch.nn.ReLU, 0.2)

    def forward(self, rows: Rows) -> torch.Tensor:
        value = rows["value"][..., None]
        shares = rows["value"][:, self.fields["genre"], None]
        wide = (self.wide(rows["index"]) * value).sum(dim=1)
        wide = wide + (self.products(rows["cross"]) * shares).sum(dim=1)
        vectors = self.vectors(rows["index"]) * value
        a = torch.cat([vectors[:, slots].sum(dim=1) for slots in self.fields.values()], dim=1)
        return (wide + self.deep(a)).squeeze(1)

    def optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            Ftrl([self.wide.weight, self.products.weight]),
            torch.optim.Adagrad([self.vectors.weight, *self.deep.parameters()], lr=0.03),
        ]


class Ftrl(torch.optim.Optimizer):
    """Follow the regularized leader: McMahan et al., "Ad Click Prediction" (KDD 2013), algorithm 1.

    Weights whose sum of gradients stays within `l1` are exactly 0.
    """

    def __init__(
        self,
        parameters: list[torch.nn.Parameter],
        alpha: float = 0.05,
        beta: float = 1.0,
        l1: float = 1e-4,
        l2: float = 1e-3,
    ) -> None:
        super().__init__(parameters, {"alpha": alpha, "beta": beta, "l1": l1, "l2": l2})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                state, gradient = self.state[weight], weight.grad
                if not state:
                    state["z"], state["n"] = torch.zeros_like(weight), torch.zeros_like(weight)
                squares = state["n"] + gradient**2
                sigma = (squares.sqrt() - state["n"].sqrt()) / group["alpha"]
                state["z"] += gradient - sigma * weight
                state["n"] = squares
                z, scale = state["z"], (group["beta"] + squares.sqrt()) / group["alpha"]
                moved = -(z - z.sign() * group["l1"]) / (scale + group["l2"])
                weight.copy_(torch.where(z.abs() <= group["l1"], 0.0, moved))
