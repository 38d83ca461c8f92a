"""Models fed with vectors: Wide & Deep, DeepFM and FNN on one split, beside logistic regression.

Will a user give a film 4 stars or more? Each user's last fifth of ratings is held out, and the
fifth before decides when to stop. A tenth of the films are cold: nobody rated them before the last
fifth. The vectors of films and users begin at random, or at vectors of vecsearch: item2vec for
films; the mean of the liked films for users; for cold films the mean of the films nearest by
genres, found in a collection.

Each model is in a module that follows its paper: _wide_deep.py, _deepfm.py, _fnn.py.

pip install "vecsearch[train]" scikit-learn;  python examples/click_models.py
"""

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from _clicks import Clicks, clicks, measured, predicted, train
from _data import QUICK, films, interval, movielens, need
from _deepfm import DeepFM, FactorizationMachine
from _fnn import FNN
from _wide_deep import WideDeep
from scipy import sparse
from sklearn.linear_model import LogisticRegression

import vecsearch as vs
from vecsearch.training.item2vec import train_item2vec

DIM = 16
SEEDS = 2 if QUICK else 3
EPOCHS = 4 if QUICK else 8


class Vectors(NamedTuple):
    """Vectors of vecsearch: of films, of users, and the number of films that a user likes."""

    film: np.ndarray
    user: np.ndarray
    likes: np.ndarray


def library_vectors(data: Clicks) -> Vectors:
    """The vector of each film and user, from the ratings of "train"."""
    settings = {"epochs": 2, "window": 5} if QUICK else {"epochs": 10, "window": 20}
    items = train_item2vec(
        data.past, session="userId", item="movieId", order="timestamp", dim=DIM, **settings
    )
    about = {row["movieId"]: row["genres"].replace("|", " ") for row in films().to_pylist()}
    with (
        tempfile.TemporaryDirectory() as folder,
        vs.create(Path(folder) / "films.vs", embedder="toy:128") as genres,
    ):
        genres.add([{"id": key, "text": about[key]} for key in items.keys])
        unknown = [key for key in data.films if key not in items]
        near = genres.search_batch([about[key] for key in unknown], k=20)
    found = {key: items.unit[items.row[key]] for key in items.keys}
    found |= {
        key: np.mean([found[hit] for hit in hits.ids], axis=0)
        for key, hits in zip(unknown, near, strict=True)
    }
    film = np.array([found[key] for key in data.films], np.float32)

    rows = data.parts["train"]
    liked = rows["index"][rows["liked"] == 1].numpy() - [
        data.first["user"],
        data.first["film"],
        *[0] * (rows["index"].shape[1] - 2),
    ]
    sums = np.zeros((len(data.users), DIM), np.float32)
    np.add.at(sums, liked[:, 0], film[liked[:, 1]])
    counts = np.bincount(liked[:, 0], minlength=len(data.users))[:, None]
    return Vectors(film, sums / np.maximum(counts, 1), counts)


def starts(data: Clicks, vectors: Vectors, seed: int) -> dict[str, np.ndarray]:
    """The first vectors of all features. Films that training does not see are 0 in "random"."""
    drawn = np.random.default_rng(seed).normal(0, 0.05, (data.features, DIM)).astype(np.float32)
    seen = np.unique(data.parts["train"]["index"].numpy())
    drawn[np.setdiff1d(np.arange(data.features), seen)] = 0
    ours = drawn.copy()
    for field, rows in (("user", vectors.user), ("film", vectors.film)):
        ours[data.first[field] : data.first[field] + len(rows)] = rows
    return {"random": drawn, "vecsearch": ours}


def logistic(data: Clicks, vectors: Vectors | None) -> dict[str, tuple[float, float]]:
    """Logistic regression on the features; with vectors, also on the products user x film.

    While it learns, a film is left out of its own user's vector, as that would tell the answer.
    """

    def matrix(part: str) -> sparse.csr_matrix:
        index, value = (data.parts[part][name].numpy() for name in ("index", "value"))
        rows = np.repeat(np.arange(len(index)), index.shape[1])
        cells = (value.ravel(), (rows, index.ravel()))
        out = sparse.csr_matrix(cells, shape=(len(index), data.features))
        if vectors is None:
            return out
        user, likes = (
            array[index[:, 0] - data.first["user"]] for array in (vectors.user, vectors.likes)
        )
        film = vectors.film[index[:, 1] - data.first["film"]]
        if part == "train":
            own = data.parts[part]["liked"].numpy()[:, None]
            user = (likes * user - own * film) / np.maximum(likes - own, 1)
        return sparse.hstack([out, 3 * user * film]).tocsr()

    matrices = {part: matrix(part) for part in data.parts}
    best: tuple[float, LogisticRegression | None] = (np.inf, None)
    for strength in (0.1, 0.3, 1.0):
        model = LogisticRegression(C=strength, max_iter=200)
        model.fit(matrices["train"], data.parts["train"]["liked"].numpy())
        guess = model.predict_proba(matrices["validation"])[:, 1]
        now = measured(guess, data.parts["validation"])[1]
        best = min(best, (now, model), key=lambda pair: pair[0])
    assert best[1] is not None
    return {
        part: measured(best[1].predict_proba(matrices[part])[:, 1], data.parts[part])
        for part in ("test", "cold")
    }


def networks(data: Clicks, start: np.ndarray, seed: int) -> dict[str, torch.nn.Module]:
    """The three models, trained from the same vectors."""
    torch.manual_seed(seed)
    trained: dict[str, torch.nn.Module] = {}
    for name, model in (
        ("Wide & Deep", WideDeep(data, start)),
        ("DeepFM", DeepFM(data, start)),
        ("factorization machine", FactorizationMachine(data, start)),
    ):
        trained[name] = train(model, model.optimizers(), data, seed, EPOCHS)
    network = FNN(data, trained["factorization machine"])
    trained["FNN"] = train(network, network.optimizers(), data, seed, EPOCHS)
    return trained


def main() -> None:
    need("gensim", '"vecsearch[train]"')
    ratings = movielens()
    if QUICK:
        ratings = ratings.filter(pc.is_in(ratings["userId"], pa.array([str(n) for n in range(80)])))
    data = clicks(ratings, films())
    counts = {part: len(rows["liked"]) for part, rows in data.parts.items()}
    print(
        f"{len(data.users)} users, {len(data.films)} films; ratings: "
        + ", ".join(f"{count:,} {part}" for part, count in counts.items())
    )
    vectors = library_vectors(data)
    for name, given in (("", None), (" + vectors", vectors)):
        found = logistic(data, given)
        print(f"logistic regression{name}: {_line(found['test'], found['cold'])}", flush=True)
    scores: dict[str, dict[str, list[dict[str, tuple[float, float]]]]] = {}
    for seed in range(SEEDS):
        for start, first in starts(data, vectors, seed).items():
            for name, model in networks(data, first, seed).items():
                scores.setdefault(name, {}).setdefault(start, []).append(
                    {
                        part: measured(predicted(model, data.parts[part]), data.parts[part])
                        for part in ("test", "cold")
                    }
                )
    for name, by_start in scores.items():
        for start, runs in by_start.items():
            test, cold = (
                tuple(np.mean([run[part] for run in runs], axis=0)) for part in ("test", "cold")
            )
            print(f"{name} from {start}: {_line(test, cold)}")
        for part in ("test", "cold"):
            gain = [
                ours[part][0] - base[part][0]
                for ours, base in zip(by_start["vecsearch"], by_start["random"], strict=True)
            ]
            print(f"  gain in AUC of vecsearch's vectors, {part}: {interval(gain)}")


def _line(test: tuple[float, float], cold: tuple[float, float]) -> str:
    return (
        f"AUC {test[0]:.4f}, log loss {test[1]:.4f}; cold films: AUC {cold[0]:.4f}, "
        f"log loss {cold[1]:.4f}"
    )


if __name__ == "__main__":
    main()
