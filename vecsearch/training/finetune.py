"""Fine-tune a sentence-transformers model on your own pairs or clicks.

The tuned model is written only if held-out queries score better with it. Training stops when their
score falls, and the best epoch is used. As the held-out queries choose the epoch, the reported gain
is slightly optimistic. `vecsearch.training.contrastive` describes loss and measure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vecsearch.common.arguments import check_share, check_whole
from vecsearch.common.gate import gated
from vecsearch.common.optional import find_installed
from vecsearch.common.show import shown
from vecsearch.display import Shown
from vecsearch.embedders.fingerprint import model_fingerprint
from vecsearch.embedders.sentence_transformers import SentenceTransformerEmbedder, no_progress_bars
from vecsearch.errors import EmbedderError, InvalidInputError
from vecsearch.evaluation.metrics import bootstrap_interval
from vecsearch.storage.folders import folder_path, whole_folder
from vecsearch.training import contrastive
from vecsearch.training.contrastive import K, Settings, TrainingRun
from vecsearch.training.pairs import Pairs, read_pairs, split_queries

__all__ = ["REPORT_FILE", "K", "Settings", "TuneReport", "tune"]
REPORT_FILE = "tuning.json"


@dataclass(frozen=True, slots=True)
class TuneReport(Shown):
    """The result of tuning; scores are mean nDCG@10 over the held-out queries.

    Attributes:
        model: The model that training started from.
        output: The folder of the tuned model, which is its embedder's name.
        before: The score before training.
        after: The score of the best epoch, which was written.
        low: Lower end of the 95% bootstrap interval, over queries, of the gain. Below zero, the
            gain may be chance.
        high: Upper end of that interval.
        epoch_scores: The score after each epoch.
        best_epoch: The epoch that was written, from 1.
        queries: How many queries were trained on.
        held_out_queries: How many queries were only used to measure.
        pairs: How many pairs were trained on.
        documents: How many documents the held-out queries were ranked against.
        interrupted: Whether Ctrl-C ended training.
        fingerprint: The tuned embedder's fingerprint.
        settings: How it was trained.
    """

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


@gated
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
    """Fine-tune a model on pairs, and write it if it is better on held-out queries.

    Ctrl-C ends training and writes the best epoch so far; before the first, nothing is written.

    Args:
        model: A hub name or a folder.
        pairs: Rows with `query` and `document`, and perhaps `negative` and `score`; see
            `vecsearch.training.pairs.read_pairs`.
        output: The folder for the tuned model, which can then be used as an embedder's name.
        settings: How to train; None takes the defaults.
        replace: Whether `output` may contain a model already; it is replaced only if the tuned
            model is better than it, too.
        device: "cpu", "cuda" or "mps"; None chooses.
        progress: Called with the number of finished batches and of all batches.
        scored: Called with an epoch (0 is before training) and its held-out score.

    Returns:
        What was reached.

    Raises:
        InvalidInputError: Pairs or settings are wrong, or the folder is in use.
        EmbedderError: The model cannot be loaded, or no epoch was better; nothing is written then.

    Example:
        >>> rows = [{"query": "reset password", "document": "How to choose a new password"}]
        >>> tune("all-MiniLM-L6-v2", rows, "my-model")  # doctest: +SKIP
    """
    find_installed("torch", "sentence-transformers", "text", "Fine-tuning a model")
    chosen = _checked_settings(Settings() if settings is None else settings)
    target = folder_path(output)
    _check_target(target, replace)
    data = pairs if isinstance(pairs, Pairs) else read_pairs(pairs)
    training, held_out = split_queries(data.relevant, chosen.held_out, chosen.seed)
    embedder = SentenceTransformerEmbedder(model, device)
    rival = None
    if target.exists() and any(target.iterdir()):
        existing = SentenceTransformerEmbedder(str(target), device)
        rival = float(contrastive.held_out_scores(existing, data, held_out).mean())
    run = contrastive.train(embedder, data, training, held_out, chosen, progress, scored)
    _check_better(run, model, target, rival, len(held_out))
    embedder.model.load_state_dict(run.weights)
    low, high = bootstrap_interval(run.best - run.before, 0.95)
    report = TuneReport(
        model=model,
        output=str(Path(output)),
        before=float(run.before.mean()),
        after=float(run.best.mean()),
        low=low,
        high=high,
        epoch_scores=tuple(run.epoch_scores),
        best_epoch=run.best_epoch,
        queries=len(training),
        held_out_queries=len(held_out),
        pairs=sum(len(data.relevant[query]) for query in training),
        documents=len(data.documents),
        interrupted=run.interrupted,
        fingerprint=model_fingerprint(
            embedder.model, embedder.query_prompt, embedder.document_prompt
        ),
        settings=chosen,
    )
    _write(embedder, target, report)
    return report


def _check_better(
    run: TrainingRun, model: str, target: Path, rival: float | None, held_out: int
) -> None:
    """Raise unless the best epoch beats the base model and the model in `target` (`rival`)."""
    score, name = float(run.before.mean()), model
    if rival is not None and rival > score:
        score, name = rival, str(target)
    if not run.weights and run.interrupted:
        raise KeyboardInterrupt
    if not run.weights or run.best.mean() <= score:
        epochs = ", ".join(f"{each:.4f}" for each in run.epoch_scores)
        raise EmbedderError(
            f"the tuned model is not better, so nothing was written: nDCG@{K} on {held_out:,} "
            f"held-out queries is {score:.4f} with {name}, and {epochs or 'unknown'} after each "
            "epoch; more pairs, hard negatives or another learning rate may help"
        )


def _checked_settings(settings: Settings) -> Settings:
    if not isinstance(settings, Settings):
        raise InvalidInputError(f"settings is {shown(settings)}; it must be Settings, or None")
    for name, least in (("epochs", 1), ("batch_size", 2), ("patience", 1), ("seed", 0)):
        check_whole(name, getattr(settings, name), least)
    check_share("learning_rate", settings.learning_rate, such_as=2e-5)
    check_share("held_out", settings.held_out, such_as=0.2)
    return settings


def _check_target(target: Path, replace: bool) -> None:
    in_use = target.exists() and (not target.is_dir() or any(target.iterdir()))
    if in_use and not (replace and target.is_dir()):
        raise InvalidInputError(
            f"'{target}' is in use: give a new folder, or allow replacing the model there "
            "(replace) if the tuned one is better"
        )


def _write(embedder: SentenceTransformerEmbedder, target: Path, report: TuneReport) -> None:
    """Write the model with its prompts: those of a family are found by the old name only."""
    if embedder.query_prompt or embedder.document_prompt:
        embedder.model.prompts = {
            "query": embedder.query_prompt,
            "document": embedder.document_prompt,
        }
    with whole_folder(target) as folder, no_progress_bars():
        embedder.model.save(str(folder), create_model_card=False, safe_serialization=True)
        text = json.dumps(asdict(report), indent=2, ensure_ascii=False) + "\n"
        (folder / REPORT_FILE).write_text(text, encoding="utf-8")
