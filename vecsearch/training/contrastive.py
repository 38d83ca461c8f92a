"""Contrastive training of a sentence-transformers model: loss, batches, epochs, held-out scores.

Loss: each query is to score its own document above all other documents of the batch, and above the
negatives given for it. This is multiple negatives ranking (Henderson et al., "Efficient Natural
Language Response Suggestion for Smart Reply", 2017), except that a document known to be relevant to
a query is never used as a negative for it.

Measure: mean nDCG@10 of held-out queries against all documents of the pairs, before training and
after each epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vecsearch.embedders.sentence_transformers import SentenceTransformerEmbedder
from vecsearch.errors import EmbedderError
from vecsearch.evaluation.metrics import ndcg_at_k
from vecsearch.training.pairs import Pairs

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

K = 10
SCALE = 20.0  # cosines are multiplied by this before the softmax, as in sentence-transformers
WEIGHT_DECAY, WARMUP, LARGEST_GRADIENT = 0.01, 0.1, 1.0
_BLOCK = 512  # queries scored at a time


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train.

    Attributes:
        epochs: The most passes over the pairs.
        batch_size: Pairs per batch; the other documents of a batch are negatives.
        learning_rate: The highest learning rate; it rises over the first tenth of the steps, then
            falls to zero.
        held_out: The share of the queries that are only used to measure.
        patience: Training stops after so many epochs in a row below the best score.
        seed: Seed of the split, the order and the dropout.
    """

    epochs: int = 5
    batch_size: int = 32
    learning_rate: float = 2e-5
    held_out: float = 0.2
    patience: int = 1
    seed: int = 0


@dataclass(slots=True)
class TrainingRun:
    """What training led to.

    Attributes:
        before: nDCG@10 of each held-out query before training.
        best: Those of the best epoch.
        best_epoch: Its number from 1; 0 if no epoch was better than before.
        weights: The model's weights after that epoch.
        epoch_scores: The mean after each epoch.
        interrupted: Whether Ctrl-C ended training.
    """

    before: npt.NDArray[np.float64]
    best: npt.NDArray[np.float64]
    best_epoch: int = 0
    weights: dict[str, torch.Tensor] = field(default_factory=dict)
    epoch_scores: list[float] = field(default_factory=list)
    interrupted: bool = False


def train(
    embedder: SentenceTransformerEmbedder,
    data: Pairs,
    training: Sequence[str],
    held_out: Sequence[str],
    settings: Settings,
    progress: Callable[[int, int], None] | None,
    scored: Callable[[int, float], None] | None,
) -> TrainingRun:
    """Train the embedder's model in place; the run holds the weights of the best epoch.

    Args:
        embedder: The model.
        data: The pairs of all queries.
        training: The queries to train on.
        held_out: The queries to measure with.
        settings: How to train.
        progress: Called with the number of finished batches and of all batches.
        scored: Called with an epoch (0 is before training) and its held-out score.

    Returns:
        The run.
    """
    import numpy as np
    import torch

    before = held_out_scores(embedder, data, held_out)
    run = TrainingRun(before, before)
    if scored is not None:
        scored(0, float(before.mean()))
    rng = np.random.default_rng(settings.seed)
    batches = -(-sum(len(data.relevant[query]) for query in training) // settings.batch_size)
    total = settings.epochs * batches
    optimizer, schedule = _optimizer(embedder.model, settings.learning_rate, total)
    with torch.random.fork_rng(), torch.enable_grad():
        torch.manual_seed(settings.seed)
        try:
            for epoch in range(1, settings.epochs + 1):
                for number, batch in enumerate(
                    _batches(data, training, settings.batch_size, rng), start=1
                ):
                    train_step(embedder, data, batch, optimizer)
                    schedule.step()
                    if progress is not None:
                        progress((epoch - 1) * batches + number, total)
                _record_epoch(run, epoch, embedder, held_out_scores(embedder, data, held_out))
                if scored is not None:
                    scored(epoch, run.epoch_scores[-1])
                if epoch - run.best_epoch >= settings.patience:
                    break
        except KeyboardInterrupt:
            run.interrupted = True
        finally:
            embedder.model.eval()
    return run


def _record_epoch(
    run: TrainingRun,
    epoch: int,
    embedder: SentenceTransformerEmbedder,
    scores: npt.NDArray[np.float64],
) -> None:
    """Note an epoch's score, and its weights if it is the best so far."""
    run.epoch_scores.append(float(scores.mean()))
    if scores.mean() > run.best.mean():
        run.best, run.best_epoch = scores, epoch
        run.weights = {
            name: value.detach().cpu().clone()
            for name, value in embedder.model.state_dict().items()
        }


def ranking_loss(
    queries: torch.Tensor, candidates: torch.Tensor, known: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy of each query's own candidate among all candidates, by scaled cosine.

    Args:
        queries: Shape (b, dim).
        candidates: Shape (c, dim), c >= b; candidate i answers query i.
        known: bool, shape (b, c): whether a candidate is relevant to a query. Relevant candidates
            other than the query's own are left out of the sum.

    Returns:
        The mean over the queries, a scalar.
    """
    import torch

    scores = (
        SCALE
        * torch.nn.functional.normalize(queries, dim=1)
        @ torch.nn.functional.normalize(candidates, dim=1).T
    )
    is_answer = torch.eye(len(queries), len(candidates), dtype=torch.bool, device=scores.device)
    scores = scores.masked_fill(known & ~is_answer, -torch.inf)
    return torch.nn.functional.cross_entropy(
        scores, torch.arange(len(queries), device=scores.device)
    )


def held_out_scores(
    embedder: SentenceTransformerEmbedder, data: Pairs, held_out: Sequence[str]
) -> npt.NDArray[np.float64]:
    """nDCG@10 of each held-out query among all documents, by cosine; shape (len(held_out),)."""
    import numpy as np

    embedder.model.eval()
    documents, queries = embedder.embed_documents(data.documents), embedder.embed_queries(held_out)
    for vectors in (documents, queries):
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    ranked = []
    for start in range(0, len(queries), _BLOCK):
        scores = queries[start : start + _BLOCK] @ documents.T
        order = np.argsort(-scores, axis=1, kind="stable")[:, :K]
        ranked += [[data.documents[row] for row in line] for line in order.tolist()]
    return ndcg_at_k(ranked, [data.relevant[query] for query in held_out], K)


@dataclass(frozen=True, slots=True)
class Batch:
    """Queries, and candidates: the document of each query, then negatives."""

    queries: list[str]
    candidates: list[str]


def _batches(
    data: Pairs, training: Sequence[str], size: int, rng: np.random.Generator
) -> Iterator[Batch]:
    """Every training pair once in random order, each with one random negative of its query."""
    pairs = [(query, document) for query in training for document in data.relevant[query]]
    order = rng.permutation(len(pairs))
    for start in range(0, len(pairs), size):
        chosen = [pairs[index] for index in order[start : start + size]]
        negatives = [
            texts[rng.integers(len(texts))]
            for query, _ in chosen
            if (texts := data.negatives.get(query))
        ]
        yield Batch(
            [query for query, _ in chosen],
            [document for _, document in chosen] + list(dict.fromkeys(negatives)),
        )


def train_step(
    embedder: SentenceTransformerEmbedder,
    data: Pairs,
    batch: Batch,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Update the weights by the gradient of one batch; a batch of one candidate teaches nothing.

    Raises:
        EmbedderError: The loss is not finite.
    """
    import torch

    if len(batch.candidates) < 2:
        return
    embedder.model.train()
    queries = _embed(embedder, batch.queries, embedder.query_prompt, "query")
    candidates = _embed(embedder, batch.candidates, embedder.document_prompt, "document")
    known = torch.tensor(
        [[text in data.relevant[query] for text in batch.candidates] for query in batch.queries],
        device=queries.device,
    )
    loss = ranking_loss(queries, candidates, known)
    if not torch.isfinite(loss):
        raise EmbedderError(
            "training diverged: the loss is not finite; give a smaller learning rate"
        )
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(embedder.model.parameters(), LARGEST_GRADIENT)
    optimizer.step()


def _embed(
    embedder: SentenceTransformerEmbedder, texts: list[str], prompt: str, task: str
) -> torch.Tensor:
    """Embed like `embed_queries` and `embed_documents`, but with gradients; (len(texts), dim)."""
    model = embedder.model
    features = model.preprocess(texts, prompt=prompt or None, task=task)
    moved = {
        name: value.to(model.device) if hasattr(value, "to") else value
        for name, value in features.items()
    }
    vectors: torch.Tensor = model(moved, task=task)["sentence_embedding"]
    return vectors


def _optimizer(
    model: torch.nn.Module, rate: float, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW with a linear warm-up and decay; biases and normalization weights do not decay."""
    import torch

    trained = [value for value in model.parameters() if value.requires_grad]
    groups = [
        {"params": [value for value in trained if value.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [value for value in trained if value.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]], lr=rate)
    warm = max(1, round(WARMUP * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / warm, max(0.0, (steps - step) / max(1, steps - warm))),
    )
    return optimizer, schedule
