"""`vecsearch.train`: one way to train a model of any kind on your own data.

The kinds are in `vecsearch.embedders.trainable`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

from vecsearch.common.arguments import check_flag
from vecsearch.common.gate import OTHER_NAMES, gated
from vecsearch.common.progress import steps_bar
from vecsearch.common.show import cut, shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.embedders.saved import TrainedEmbedder
from vecsearch.embedders.trainable import TRAINABLE, Trainable, trainable
from vecsearch.errors import CallError, InvalidInputError
from vecsearch.ingest.whole_table import as_table
from vecsearch.training.data import as_texts

# What other libraries call our options.
_OTHER_NAMES = {
    **OTHER_NAMES,
    "embedding_dim": "dim",
    "iter": "epochs",
    "n_iter": "epochs",
    "ngrams": "min_n",
    "random_state": "seed",
    "size": "dim",
    "vector_size": "dim",
    "walk_length": "length",
    "num_walks": "walks",
    "reg": "penalty",
    "regularization": "penalty",
    "reg_weight": "penalty",
    "lambda_": "penalty",
    "l2": "penalty",
    "shrink": "shrinkage",
    "user": "session",
    "basket": "session",
    "time": "order",
    "timestamp": "order",
}
_TEXT_COLUMN = inspect.Parameter(
    "text_column", inspect.Parameter.KEYWORD_ONLY, default="text", annotation="str"
)


@gated
def train(
    kind: str, data: object, *, progress: bool | None = None, **options: Any
) -> TrainedEmbedder:
    """Train a model on your own data, and measure it beside the ordinary methods of its field.

    A part of the data is held out. Training stops when the measure on that part gets worse, and the
    best state is kept; `model.report` says how good it is, and how good the ordinary methods are.

    Args:
        kind: What to train, such as "word2vec" or "node2vec": see
            [the kinds](../reference/training.md).
        data: What `Collection.add` takes: frames, Arrow, dicts, paths of files and folders. For
            words and documents also lists of words, and a text file with one text in each line.
        progress: Whether to show a progress bar; None shows it in a terminal or a notebook.
        **options: The options of the kind, those of the function that trains it (a kind of texts
            also has `text_column`, the column with the texts). `seed` fixes all random choices.

    Returns:
        The model. Pass it as `embedder=` to `create`, or save it with `model.save(folder)` and pass
        the folder. `model.report` is what was measured.

    Raises:
        InvalidInputError: There is no such kind, or the data or an option is wrong.
        CallError: The kind has no such option, or needs one that is missing.
        MissingExtraError: A package that the kind needs is not installed.

    Example:
        >>> import vecsearch as vs
        >>> model = vs.train("word2vec", ["the sea and the sun"] * 20, dim=8, epochs=2, min_count=1)
        >>> model.embed_documents(["the sea"]).shape
        (1, 8)
    """
    known = _kind(kind)
    if progress is not None:
        check_flag("progress", progress)
    function = trainer(known)
    _check_options(known, options)
    if known.reads == "texts":
        given: Any = as_texts(data, text_column=options.pop("text_column", "text"))
    else:
        given = data if known.reads == "edges" else as_table(data)
    with steps_bar(f"training {known.name}", progress) as step:
        model: TrainedEmbedder = function(given, progress=step, **options)
    return model


def trainer(kind: Trainable) -> Callable[..., TrainedEmbedder]:
    """The function that trains a kind: imported here, so that listing the kinds imports none."""
    module, _, name = kind.trainer.partition(":")
    function: Callable[..., TrainedEmbedder] = getattr(import_module(module), name)
    return function


def options_of(kind: Trainable) -> dict[str, inspect.Parameter]:
    """The options of a kind by name, in order; those without a default are needed."""
    parameters = list(inspect.signature(trainer(kind)).parameters.values())[1:]
    chosen = {each.name: each for each in parameters if each.name != "progress"}
    return {"text_column": _TEXT_COLUMN, **chosen} if kind.reads == "texts" else chosen


def _kind(name: str) -> Trainable:
    found = trainable(name) if isinstance(name, str) else None
    if found is None:
        raise InvalidInputError(
            f"kind is {shown(name)}, which cannot be trained{did_you_mean(cut(name), TRAINABLE)}",
            hint=f"the kinds are {', '.join(TRAINABLE)}",
        )
    return found


def _check_options(kind: Trainable, options: dict[str, Any]) -> None:
    known = options_of(kind)
    for name in options:
        if name not in known:
            other = _OTHER_NAMES.get(name)
            meant = f"; did you mean '{other}'?" if other in known else ""
            meant = meant or _kinds_with(name, kind) or _near(name, known)
            raise CallError(
                f"'{kind.name}' has no option {cut(name)!r}{meant}",
                hint=f"its options are {', '.join(known)}",
            )
    missing = [
        name
        for name, each in known.items()
        if each.default is inspect.Parameter.empty and name not in options
    ]
    if missing:
        raise CallError(
            f"'{kind.name}' needs {' and '.join(missing)}: it is trained on {kind.needs}",
            hint=f'vecsearch.train("{kind.name}", data, '
            + ", ".join(f"{name}=..." for name in missing)
            + ")",
            command_hint=" ".join(f"--{name.replace('_', '-')} NAME" for name in missing),
        )


def _near(name: str, known: dict[str, inspect.Parameter]) -> str:
    """A suggestion where an option is called like this one."""
    meant = did_you_mean(name, known)
    return meant if meant.startswith("; did") else ""


def _kinds_with(name: str, kind: Trainable) -> str:
    """Which kinds that read the same data have an option."""
    same = [each for each in TRAINABLE.values() if each.needs == kind.needs]
    found = [each.name for each in same if name in options_of(each)]
    return f"; {', '.join(found)} {'has' if len(found) == 1 else 'have'} it" if found else ""
