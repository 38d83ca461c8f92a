"""Features for other models: a DeepFM on MovieLens, initialized with item2vec's or random vectors.

Each user's last fifth of ratings is held out; the fifth before it decides when to stop. Both
networks have the same layers, data, order and learning rate; only the initial embeddings of films
and users differ. Measured: how well the network separates films rated 4 or more from the others
(AUC, log loss), over several seeds.

pip install "vecsearch[train]";  python examples/features.py
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from _data import QUICK, movielens
from sklearn.metrics import log_loss, roc_auc_score

import vecsearch as vs
from vecsearch.training.item2vec import train_item2vec

DIM = 32
SEEDS = 2 if QUICK else 5
EPOCHS = 2 if QUICK else 12


class DeepFM(torch.nn.Module):
    """DeepFM (Guo et al., IJCAI 2017) with two fields: biases, a product and a small network."""

    def __init__(self, users: np.ndarray, films: np.ndarray) -> None:
        super().__init__()
        self.users = torch.nn.Embedding.from_pretrained(
            torch.from_numpy(users.copy()), freeze=False
        )
        self.films = torch.nn.Embedding.from_pretrained(
            torch.from_numpy(films.copy()), freeze=False
        )
        self.bias = torch.nn.ModuleList(
            [torch.nn.Embedding(len(users), 1), torch.nn.Embedding(len(films), 1)]
        )
        for layer in self.bias:
            torch.nn.init.zeros_(layer.weight)
        self.deep = torch.nn.Sequential(
            torch.nn.Linear(2 * DIM, 32),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.3),
            torch.nn.Linear(32, 1),
        )

    def forward(self, user: torch.Tensor, film: torch.Tensor) -> torch.Tensor:
        one, other = self.users(user), self.films(film)
        wide = self.bias[0](user) + self.bias[1](film) + (one * other).sum(dim=1, keepdim=True)
        return (wide + self.deep(torch.cat([one, other], dim=1))).squeeze(1)


def train(
    model: DeepFM, parts: dict[str, tuple[torch.Tensor, ...]], seed: int
) -> tuple[float, float]:
    """(AUC, log loss) on the test part, after the epoch with the best validation log loss."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002, weight_decay=1e-6)
    loss, generator = torch.nn.BCEWithLogitsLoss(), torch.Generator().manual_seed(seed)
    users, films, liked = parts["train"]
    best, answer = np.inf, (0.0, 0.0)
    for _ in range(EPOCHS):
        model.train()
        for rows in torch.randperm(len(users), generator=generator).split(512):
            optimizer.zero_grad()
            loss(model(users[rows], films[rows]), liked[rows]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            guess = {
                part: torch.sigmoid(model(*parts[part][:2])).numpy()
                for part in ("validation", "test")
            }
        now = log_loss(parts["validation"][2].numpy(), guess["validation"])
        if now < best:
            truth = parts["test"][2].numpy()
            best, answer = (
                now,
                (roc_auc_score(truth, guess["test"]), log_loss(truth, guess["test"])),
            )
    return answer


def main() -> None:
    ratings = movielens()
    users, user = np.unique(ratings["userId"].to_numpy(), return_inverse=True)
    films, film = np.unique(ratings["movieId"].to_numpy(), return_inverse=True)
    rank = np.empty(len(user))  # position of a rating in its user's history, from 0 to 1
    for number in range(len(users)):
        rows = np.flatnonzero(user == number)
        rank[rows] = np.arange(len(rows)) / len(rows)
    where = {"train": rank < 0.6, "validation": (rank >= 0.6) & (rank < 0.8), "test": rank >= 0.8}
    liked = (ratings["rating"].to_numpy() >= 4).astype(np.float32)
    columns = (torch.from_numpy(user), torch.from_numpy(film), torch.from_numpy(liked))
    parts = {
        name: tuple(column[torch.from_numpy(rows)] for column in columns)
        for name, rows in where.items()
    }

    past = ratings.filter(where["train"])
    settings = {"epochs": 1, "window": 5} if QUICK else {"epochs": 10, "window": 20}
    items = train_item2vec(
        past, session="userId", item="movieId", order="timestamp", dim=DIM, **settings
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        vs.create(Path(folder) / "films.vs", dim=DIM) as collection,
    ):
        collection.add(
            [
                {"id": key, "vector": vector}
                for key, vector in zip(items.keys, items.unit, strict=True)
            ]
        )
        trained = collection.features(films.tolist(), missing="zeros")
    sums, counts = np.zeros((len(users), DIM), np.float32), np.zeros((len(users), 1), np.float32)
    rows = np.flatnonzero(where["train"] & (liked == 1))
    np.add.at(sums, user[rows], trained[film[rows]])  # a user starts at the mean of the films liked
    np.add.at(counts, user[rows], 1)
    tastes = sums / np.maximum(counts, 1)

    scores: dict[str, list[tuple[float, float]]] = {"random": [], "item2vec": []}
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        for name, (start_users, start_films) in {
            "random": (rng.normal(0, 0.05, tastes.shape), rng.normal(0, 0.05, trained.shape)),
            "item2vec": (tastes, trained),
        }.items():
            torch.manual_seed(seed)
            model = DeepFM(start_users.astype(np.float32), start_films.astype(np.float32))
            scores[name].append(train(model, parts, seed))
    print(
        f"{len(user)} ratings, {len(users)} users, {len(films)} films; {SEEDS} seeds; "
        "held-out last fifth of each user:"
    )
    for name, values in scores.items():
        auc, loss = np.mean(values, axis=0)
        print(f"from {name}: AUC {auc:.4f} ± {np.std(values, axis=0)[0]:.4f}, log loss {loss:.4f}")
    gain = np.array(
        [ours[0] - base[0] for ours, base in zip(scores["item2vec"], scores["random"], strict=True)]
    )
    print(
        f"gain in AUC of item2vec's vectors: {gain.mean():+.4f}, from {gain.min():+.4f} to "
        f"{gain.max():+.4f} by seed"
    )


if __name__ == "__main__":
    main()
