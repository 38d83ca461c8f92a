"""FNN: Zhang, Du and Wang, "Deep Learning over Multi-field Categorical Data" (ECIR 2016).

First a factorization machine is trained. Its weight w_i and vector V_i of each field's feature, and
its bias w_0, are the first layer z of the network, which two tanh layers follow. Then everything is
trained further.
"""

from __future__ import annotations

import torch
from _clicks import Clicks, Rows, layers
from _deepfm import FactorizationMachine


class FNN(torch.nn.Module):
    """z = (w_0, z_1, ..., z_n) with z_i = (w_i, V_i) of field i; y = W_3 tanh(W_2 tanh(W_1 z))."""

    def __init__(self, data: Clicks, machine: FactorizationMachine) -> None:
        super().__init__()
        self.fields = data.fields
        self.bias = torch.nn.Parameter(machine.bias.detach().clone())
        weight = torch.cat([machine.linear.weight, machine.vectors.weight], dim=1)
        self.first = torch.nn.Embedding.from_pretrained(
            weight.detach().clone(), freeze=False, padding_idx=0
        )
        self.above = layers([1 + len(data.fields) * weight.shape[1], 64, 32, 1], torch.nn.Tanh, 0.2)

    def forward(self, rows: Rows) -> torch.Tensor:
        vectors = self.first(rows["index"]) * rows["value"][..., None]
        z = [vectors[:, slots].sum(dim=1) for slots in self.fields.values()]
        z.append(self.bias.expand(len(vectors), 1))
        return self.above(torch.cat(z, dim=1)).squeeze(1)

    def optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(self.parameters(), lr=0.002, weight_decay=1e-6)]
