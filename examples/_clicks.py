"""The data of `click_models.py` as sparse features, and how its networks are trained.

A rating is a row of features of several fields, as in the three papers: the user, the film, the
film's genres (each with the value 1/number of genres) and its decade. A model gets their numbers
and values. Feature 0 is no feature; it has the value 0.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import torch
from sklearn.metrics import log_loss, roc_auc_score

Rows = dict[str, torch.Tensor]  # index, value: (rows, slots); cross: (rows, genres); liked: (rows,)
GENRES = 5  # of a film, at most


@dataclass(frozen=True)
class Clicks:
    """Ratings as features.

    Attributes:
        parts: "train", "validation", "test" (known films) and "cold" (films nobody rated before).
        features: How many there are, with feature 0.
        crosses: How many pairs of user and genre, with pair 0.
        fields: Which slots of a row belong to each field.
        first: The number of the first feature of each field.
        users: Ids in the order of their features.
        films: Ids in the order of their features.
        past: The ratings of "train", as a table.
    """

    parts: dict[str, Rows]
    features: int
    crosses: int
    fields: dict[str, slice]
    first: dict[str, int]
    users: list[str]
    films: list[str]
    past: pa.Table


def clicks(ratings: pa.Table, films: pa.Table, cold_share: float = 0.1) -> Clicks:
    """Split each user's history by time (.6, .2, .2); some films are left for "cold" only."""
    users, user = np.unique(ratings["userId"].to_numpy(), return_inverse=True)
    ids, film = np.unique(ratings["movieId"].to_numpy(), return_inverse=True)
    about = {row["movieId"]: row for row in films.to_pylist()}
    genres = [about[key]["genres"].split("|")[:GENRES] for key in ids]
    names = sorted({name for listed in genres for name in listed})
    years = [re.search(r"\((\d{3})\d\)\s*$", about[key]["title"]) for key in ids]
    decades = sorted({found[1] if found else "" for found in years})
    first = {"user": 1, "film": 1 + len(users)}
    first["genre"] = first["film"] + len(ids)
    first["decade"] = first["genre"] + len(names)

    genre = np.zeros((len(ids), GENRES), np.int64)
    share = np.zeros((len(ids), GENRES), np.float32)
    for row, listed in enumerate(genres):
        genre[row, : len(listed)] = [first["genre"] + names.index(name) for name in listed]
        share[row, : len(listed)] = 1 / len(listed)
    decade = np.array([decades.index(found[1] if found else "") for found in years])
    one = np.ones((len(user), 1), np.float32)
    index = np.column_stack(
        [first["user"] + user, first["film"] + film, genre[film], first["decade"] + decade[film]]
    )
    value = np.hstack([one, one, share[film], one])
    cross = np.where(
        share[film] > 0, 1 + user[:, None] * len(names) + genre[film] - first["genre"], 0
    )

    rank = np.empty(len(user))  # the place of a rating in its user's history, from 0 to 1
    for number in range(len(users)):
        rows = np.flatnonzero(user == number)
        rank[rows] = np.arange(len(rows)) / len(rows)
    cold = (np.random.default_rng(0).random(len(ids)) < cold_share)[film]
    where = {
        "train": (rank < 0.6) & ~cold,
        "validation": (rank >= 0.6) & (rank < 0.8) & ~cold,
        "test": (rank >= 0.8) & ~cold,
        "cold": (rank >= 0.8) & cold,
    }
    columns = {
        "index": index,
        "value": value,
        "cross": cross,
        "liked": (ratings["rating"].to_numpy() >= 4).astype(np.float32),
    }
    return Clicks(
        parts={
            part: {name: torch.from_numpy(column[rows]) for name, column in columns.items()}
            for part, rows in where.items()
        },
        features=first["decade"] + len(decades),
        crosses=1 + len(users) * len(names),
        fields={
            "user": slice(0, 1),
            "film": slice(1, 2),
            "genre": slice(2, 2 + GENRES),
            "decade": slice(2 + GENRES, 3 + GENRES),
        },
        first=first,
        users=users.tolist(),
        films=ids.tolist(),
        past=ratings.filter(pa.array(where["train"])),
    )


def train(
    model: torch.nn.Module,
    optimizers: list[torch.optim.Optimizer],
    data: Clicks,
    seed: int,
    epochs: int,
    patience: int = 2,
) -> torch.nn.Module:
    """Train all parts together; keep the epoch with the best log loss on "validation"."""
    loss, generator = torch.nn.BCEWithLogitsLoss(), torch.Generator().manual_seed(seed)
    rows = data.parts["train"]
    best, kept, waited = np.inf, copy.deepcopy(model.state_dict()), 0
    for _ in range(epochs):
        model.train()
        for batch in torch.randperm(len(rows["liked"]), generator=generator).split(2048):
            for optimizer in optimizers:
                optimizer.zero_grad()
            part = {name: column[batch] for name, column in rows.items()}
            loss(model(part), part["liked"]).backward()
            for optimizer in optimizers:
                optimizer.step()
        now = measured(predicted(model, data.parts["validation"]), data.parts["validation"])[1]
        waited = 0 if now < best else waited + 1
        if now < best:
            best, kept = now, copy.deepcopy(model.state_dict())
        if waited == patience:
            break
    model.load_state_dict(kept)
    return model


def predicted(model: torch.nn.Module, rows: Rows) -> np.ndarray:
    """The probability of each row that its film is liked."""
    model.eval()
    with torch.no_grad():
        return torch.sigmoid(model(rows)).numpy().astype(np.float64)


def measured(guess: np.ndarray, rows: Rows) -> tuple[float, float]:
    """(AUC, log loss)."""
    truth = rows["liked"].numpy()
    return float(roc_auc_score(truth, guess)), float(log_loss(truth, guess))


def layers(
    sizes: list[int], between: Callable[[], torch.nn.Module], dropout: float
) -> torch.nn.Sequential:
    """A network of full layers; the last one gives a number without an activation."""
    parts: list[torch.nn.Module] = []
    for inputs, outputs in pairwise(sizes[:-1]):
        parts += [torch.nn.Linear(inputs, outputs), between(), torch.nn.Dropout(dropout)]
    return torch.nn.Sequential(*parts, torch.nn.Linear(sizes[-2], sizes[-1]))


def weights(count: int, dim: int, start: np.ndarray | None = None) -> torch.nn.Embedding:
    """A vector for each feature: `start`, or zeros. Feature 0 stays zero."""
    layer = torch.nn.Embedding(count, dim, padding_idx=0)
    with torch.no_grad():
        layer.weight.copy_(torch.zeros(count, dim) if start is None else torch.from_numpy(start))
        layer.weight[0] = 0
    return layer
