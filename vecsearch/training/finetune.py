"""Fine-tune a sentence-transformers model on one's own pairs or clicks, and keep it only if held-out queries say it is better.

Loss: each query is to score its own document above all other documents of the batch and above the pair's own negatives. It is
multiple negatives ranking (Henderson et al., "Efficient Natural Language Response Suggestion for Smart Reply", 2017), except
that a document known to be relevant to a query is never held against it.

Measure: mean nDCG@10 over held-out queries against all documents of the pairs, before training and after each epoch. Training
stops when it falls, and the best epoch is kept. As the held-out queries choose the epoch, the gain is slightly optimistic.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vecsearch.embedders.fingerprint import model_fingerprint
from vecsearch.embedders.sentence_transformers import SentenceTransformerEmbedder, no_progress_bars
from vecsearch.errors import EmbedderError, InvalidInputError
from vecsearch.evaluation.metrics import bootstrap_interval, ndcg_at_k
from vecsearch.storage.folders import whole_folder
from vecsearch.training.pairs import Pairs, read_pairs, split_queries

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

K = 10
SCALE = 20.0  # cosines are multiplied by this before the softmax, as sentence-transformers does
WEIGHT_DECAY, WARMUP, LARGEST_GRADIENT = 0.01, 0.1, 1.0
REPORT_FILE = "tuning.json"
_BLOCK = 512  # queries scored at a time


@dataclass(frozen=True, slots=True)
class Settings:
    """epochs: at most so many passes over the pairs. held_out: share of queries that are only measured with. patience: how many
    epochs in a row may score below the best before training stops. seed: decides the split, the order and the dropout."""

    epochs: int = 5
    batch_size: int = 32
    learning_rate: float = 2e-5
    held_out: float = 0.2
    patience: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class TuneReport:
    """What tuning did. Scores are mean nDCG@10 over the held-out queries; `low` and `high` bound the gain of the kept model
    over the one it started from (95% bootstrap interval over queries; if `low` is below zero the gain may be chance)."""

    model: str
    output: str
    before: float
    after: float
    low: float
    high: float
    epoch_scores: tuple[float, ...]
    best_epoch: int
    queries: int
    held_out_queries: int
    pairs: int
    documents: int
    interrupted: bool
    fingerprint: str
    settings: Settings


@dataclass(slots=True)
class _Course:
    """How training goes: scores of each held-out query before, and those and the weights of the best epoch."""

    before: npt.NDArray[np.float64]
    best: npt.NDArray[np.float64]
    best_epoch: int = 0
    weights: dict[str, torch.Tensor] = field(default_factory=dict)
    epoch_scores: list[float] = field(default_factory=list)
    interrupted: bool = False


def tune(
    model: str,
    pairs: Iterable[Mapping[str, Any]] | Pairs,
    output: str | Path,
    *,
    settings: Settings | None = None,
    replace: bool = False,
    device: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    scored: Callable[[int, float], None] | None = None,
) -> TuneReport:
    """Tune `model` (a hub name or folder) on `pairs` and write it to the folder `output`, which then is an embedder's name.

    pairs: rows with query, document and perhaps negative, score; see `read_pairs`. replace: `output` may hold a model already,
    which then must be beaten too. progress: called with batches done and in all. scored: called with the epoch (0 is before
    training) and its held-out score. Ctrl-C ends training and keeps the best epoch so far; without one, nothing is written.

    Raises InvalidInputError for wrong pairs or settings or a folder in use; EmbedderError when the model cannot be loaded, or
    when no epoch was better, in which case nothing is written.
    """
    chosen = _checked(settings or Settings())
    target = Path(output)
    _check_target(target, replace)
    data = pairs if isinstance(pairs, Pairs) else read_pairs(pairs)
    training, held_out = split_queries(data.relevant, chosen.held_out, chosen.seed)
    embedder = SentenceTransformerEmbedder(model, device)
    bar, bar_name = None, model
    if target.exists() and any(target.iterdir()):
        bar, bar_name = (
            _held_out_scores(SentenceTransformerEmbedder(str(target), device), data, held_out),
            str(target),
        )
    course = _train(embedder, data, training, held_out, chosen, progress, scored)
    if bar is None or bar.mean() <= course.before.mean():
        bar, bar_name = course.before, model
    if not course.weights and course.interrupted:
        raise KeyboardInterrupt
    if not course.weights or course.best.mean() <= bar.mean():
        shown = ", ".join(f"{score:.4f}" for score in course.epoch_scores)
        raise EmbedderError(
            f"the tuned model is not better, so nothing was written: nDCG@{K} on {len(held_out):,} held-out queries is "
            f"{bar.mean():.4f} with {bar_name}, and {shown or 'unknown'} after each epoch; more pairs, hard negatives or "
            "another learning rate may help"
        )
    embedder.model.load_state_dict(course.weights)
    low, high = bootstrap_interval(course.best - course.before, 0.95)
    report = TuneReport(
        model=model,
        output=str(target),
        before=float(course.before.mean()),
        after=float(course.best.mean()),
        low=low,
        high=high,
        epoch_scores=tuple(course.epoch_scores),
        best_epoch=course.best_epoch,
        queries=len(training),
        held_out_queries=len(held_out),
        pairs=sum(len(data.relevant[query]) for query in training),
        documents=len(data.documents),
        interrupted=course.interrupted,
        fingerprint=model_fingerprint(
            embedder.model, embedder.query_prompt, embedder.document_prompt
        ),
        settings=chosen,
    )
    _write(embedder, target, report)
    return report


def ranking_loss(
    queries: torch.Tensor, candidates: torch.Tensor, known: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy of each query's own candidate among all, by scaled cosine.

    queries: (b, dim). candidates: (c, dim), c >= b; candidate i answers query i. known: bool (b, c), true where a candidate is
    relevant to a query; those but its own are left out of the sum.
    """
    import torch

    scores = (
        SCALE
        * torch.nn.functional.normalize(queries, dim=1)
        @ torch.nn.functional.normalize(candidates, dim=1).T
    )
    own = torch.eye(len(queries), len(candidates), dtype=torch.bool, device=scores.device)
    scores = scores.masked_fill(known & ~own, -torch.inf)
    return torch.nn.functional.cross_entropy(
        scores, torch.arange(len(queries), device=scores.device)
    )


def _train(
    embedder: SentenceTransformerEmbedder,
    data: Pairs,
    training: Sequence[str],
    held_out: Sequence[str],
    settings: Settings,
    progress: Callable[[int, int], None] | None,
    scored: Callable[[int, float], None] | None,
) -> _Course:
    """Trains the embedder's model in place; the best epoch's weights are in what is returned."""
    import numpy as np
    import torch

    before = _held_out_scores(embedder, data, held_out)
    course = _Course(before, before)
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
                    _step(embedder, data, batch, optimizer)
                    schedule.step()
                    if progress is not None:
                        progress((epoch - 1) * batches + number, total)
                scores = _held_out_scores(embedder, data, held_out)
                course.epoch_scores.append(float(scores.mean()))
                if scored is not None:
                    scored(epoch, course.epoch_scores[-1])
                if scores.mean() > course.best.mean():
                    course.best, course.best_epoch = scores, epoch
                    course.weights = {
                        name: value.detach().cpu().clone()
                        for name, value in embedder.model.state_dict().items()
                    }
                elif epoch - course.best_epoch >= settings.patience:
                    break
        except KeyboardInterrupt:
            course.interrupted = True
        finally:
            embedder.model.eval()
    return course


@dataclass(frozen=True, slots=True)
class _Batch:
    """queries: texts. candidates: the document of each query, then negatives."""

    queries: list[str]
    candidates: list[str]


def _batches(
    data: Pairs, training: Sequence[str], size: int, rng: np.random.Generator
) -> Iterator[_Batch]:
    """Every training pair once, in random order; each query brings one of its negatives, drawn anew at every turn."""
    pairs = [(query, document) for query in training for document in data.relevant[query]]
    order = rng.permutation(len(pairs))
    for start in range(0, len(pairs), size):
        chosen = [pairs[at] for at in order[start : start + size]]
        away = [
            texts[rng.integers(len(texts))]
            for query, _ in chosen
            if (texts := data.negatives.get(query))
        ]
        yield _Batch(
            [query for query, _ in chosen],
            [document for _, document in chosen] + list(dict.fromkeys(away)),
        )


def _step(
    embedder: SentenceTransformerEmbedder,
    data: Pairs,
    batch: _Batch,
    optimizer: torch.optim.Optimizer,
) -> None:
    import torch

    if len(batch.candidates) < 2:
        return  # nothing to tell apart
    embedder.model.train()
    queries = _embedded(embedder, batch.queries, embedder.query_prompt, "query")
    candidates = _embedded(embedder, batch.candidates, embedder.document_prompt, "document")
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


def _embedded(
    embedder: SentenceTransformerEmbedder, texts: list[str], prompt: str, task: str
) -> torch.Tensor:
    """As `embed_queries` and `embed_documents` do, but with gradients; shape (len(texts), dim)."""
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
    """AdamW; the rate rises over the first tenth of the steps, then falls to zero. Biases and norms do not decay."""
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


def _held_out_scores(
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
        order = np.argsort(-(queries[start : start + _BLOCK] @ documents.T), axis=1, kind="stable")[
            :, :K
        ]
        ranked += [[data.documents[row] for row in line] for line in order.tolist()]
    return ndcg_at_k(ranked, [data.relevant[query] for query in held_out], K)


def _checked(settings: Settings) -> Settings:
    for name, least in (("epochs", 1), ("batch_size", 2), ("patience", 1)):
        if getattr(settings, name) < least:
            raise InvalidInputError(
                f"{name} is {getattr(settings, name)}; it must be at least {least}"
            )
    if not 0.0 < settings.learning_rate < 1.0:
        raise InvalidInputError(
            f"learning_rate is {settings.learning_rate}; it must be above 0, such as 2e-5"
        )
    return settings


def _check_target(target: Path, replace: bool) -> None:
    if (
        target.exists()
        and (not target.is_dir() or any(target.iterdir()))
        and not (replace and target.is_dir())
    ):
        raise InvalidInputError(
            f"'{target}' is in use: give a new folder, or ask to replace the model there if it is beaten"
        )


def _write(embedder: SentenceTransformerEmbedder, target: Path, report: TuneReport) -> None:
    if (
        embedder.query_prompt or embedder.document_prompt
    ):  # a family's prompts go by the name, which the new folder has not
        embedder.model.prompts = {
            "query": embedder.query_prompt,
            "document": embedder.document_prompt,
        }
    with whole_folder(target) as folder, no_progress_bars():
        embedder.model.save(str(folder), create_model_card=False, safe_serialization=True)
        text = json.dumps(asdict(report), indent=2, ensure_ascii=False) + "\n"
        (folder / REPORT_FILE).write_text(text, encoding="utf-8")
