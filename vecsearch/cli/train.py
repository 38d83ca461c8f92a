"""The command that trains a model of any kind; each kind has options of its own."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typer.main import get_command

from vecsearch.cli.options import MODELS, Debug, Json, examples, names_in
from vecsearch.cli.tables import print_table
from vecsearch.cli.terminal import add_option_names, print_answer, reporting
from vecsearch.embedders.trainable import TRAINABLE, Trainable, trainable
from vecsearch.errors import InvalidInputError
from vecsearch.types import counted

app = typer.Typer()
_OPTIONS, _VALUES = "train options", "train values"  # those of the kind, in a context
_TYPES = {"int": int, "float": float, "bool": bool}


class TrainCommand(TyperCommand):
    """A command whose first argument decides which further options it has."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words after the command's name."""
        words = (word for word in args if not word.startswith("-"))
        ctx.meta[_OPTIONS] = _options(trainable(next(words, "")))
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> list[Any]:
        """The options of the kind that was named, and those that all have."""
        return [*ctx.meta.get(_OPTIONS, []), *super().get_params(ctx)]

    def invoke(self, ctx: Any) -> Any:
        """Call the function, which finds the options of the kind in the context."""
        options = ctx.meta[_OPTIONS]
        add_option_names(options)
        ctx.meta[_VALUES] = {each.name: ctx.params.pop(each.name) for each in options}
        return super().invoke(ctx)


@app.command(
    cls=TrainCommand,
    rich_help_panel=MODELS,
    epilog=examples(
        "vecsearch train word2vec notes.txt words/",
        "vecsearch train word2vec --help",
        "vecsearch ingest ~/notes notes.vs --embedder words/",
    ),
)
def train(
    context: typer.Context,
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="KIND", help="What to train; without it, all kinds.", show_default=False
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Argument(metavar="DATA", help="File, folder or address.", show_default=False),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Argument(metavar="MODEL", help="A new folder for the model.", show_default=False),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Train a model on your own data: words, documents, items, graphs, tables.

    It is measured on a held-out part of the data, beside the ordinary methods of its field. With a
    KIND, --help shows the options of that kind.
    """
    with reporting(debug):
        if kind is None:
            _print_kinds(as_json)
            return
        known = trainable(kind)
        if known is not None and (data is None or model is None):
            missing = "DATA" if data is None else "MODEL"
            raise InvalidInputError(
                f"{missing} was not given: `vecsearch train {known.name} DATA MODEL` trains on "
                f"{known.needs}",
                hint=f"`vecsearch train {known.name} --help` shows the options",
            )
        from vecsearch.embedders.saved import check_new
        from vecsearch.training.registry import train as train_model

        if model is not None:
            check_new(model)
        trained = train_model(kind, data, **_values(known, context.meta[_VALUES]))
        folder = trained.save(model or "")
        answer = {
            "embedder": str(folder),
            "dim": trained.dim,
            "report": trained.report and trained.report.to_dict(),
        }
        shown = [str(trained.report), ""] if trained.report is not None else []
        name = f"{model}/: {counted(trained.dim, 'dimension')}; use it as --embedder {model}/"
        print_answer(as_json, answer, *shown, name)


def _print_kinds(as_json: bool) -> None:
    if as_json:
        print_answer(True, list(TRAINABLE.values()))
        return
    rows = [[each.name, each.makes, each.needs] for each in TRAINABLE.values()]
    print_table(["kind", "makes", "of"], rows)


def _options(kind: Trainable | None) -> list[Any]:
    """The options of a kind, as Typer makes them of a function's parameters."""
    if kind is None:
        return []
    from vecsearch.training.registry import options_of, trainer

    described = {"text_column": "The column with the texts."}
    described |= _described_arguments(trainer(kind))

    def function(**options: Any) -> None:
        """Never called: its parameters become options."""

    parameters = [
        each.replace(
            kind=inspect.Parameter.KEYWORD_ONLY,
            annotation=Annotated[
                _option_type(str(each.annotation)),
                typer.Option(help=described.get(name), metavar=_metavar(str(each.annotation))),
            ],
        )
        for name, each in options_of(kind).items()
    ]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {each.name: each.annotation for each in parameters}
    single = typer.Typer(add_completion=False)
    single.command()(function)
    return [each for each in get_command(single).params if each.name in options_of(kind)]


def _option_type(annotation: str) -> Any:
    """The type of an option's value: a number, a switch, or a text."""
    found: Any = _TYPES.get(annotation.partition(" | ")[0], str)
    return found | None if annotation.endswith("| None") else found


def _metavar(annotation: str) -> str | None:
    return "NAME,NAME,..." if annotation.startswith("Sequence[str]") else None


def _values(kind: Trainable | None, given: dict[str, Any]) -> dict[str, Any]:
    """The values of the options as the function takes them."""
    if kind is None:
        return given
    from vecsearch.training.registry import options_of

    known = options_of(kind)
    return {
        name: names_in(value) if _metavar(str(known[name].annotation)) else value
        for name, value in given.items()
    }


def _described_arguments(function: Callable[..., object]) -> dict[str, str]:
    """What a docstring says of each argument, without its marks for code."""
    section = re.search(r"^Args:\n(.*?)(?:\n\n|\Z)", inspect.getdoc(function) or "", re.M | re.S)
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8,}.*)*)", section[1] if section else "", re.M)
    return {
        name: " ".join(text.replace("`", "").replace("None ", "the default ").split())
        for name, text in entries
    }
