"""The names, keys and positions of a path such as `a.b['c'][0]`, in sqlglot's tree."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from vecsearch.errors import FilterError
from vecsearch.query.filter import json_paths
from vecsearch.query.filter.syntax import Syntax
from vecsearch.query.filter.values import Value


def path_steps(node: exp.Expression, syntax: Syntax) -> list[exp.Identifier | str | int]:
    """The steps of a path: names, keys in ['...'] and positions in [...].

    The first is the column's name. Raises FilterError.
    """
    if isinstance(node, exp.Identifier):
        return [node]
    if isinstance(node, exp.Bracket):
        return [*path_steps(node.this, syntax), _subscript(node, syntax)]
    parts = [node.args.get(part) for part in ("catalog", "db", "table", "this")]
    path = [part for part in parts if part is not None]
    if isinstance(node, exp.Dot):
        path = [*path_steps(node.this, syntax), node.args["expression"]]
    if not path or not all(isinstance(part, exp.Identifier | str | int) for part in path):
        raise syntax.refused(node)
    if not isinstance(path[0], exp.Identifier):
        raise syntax.refused(node)
    return path


def _subscript(node: exp.Bracket, syntax: Syntax) -> str | int:
    """The key in ['key'], or the position in [0]."""
    inner = node.expressions[0] if len(node.expressions) == 1 else None
    if isinstance(inner, exp.Column):
        raise FilterError(
            f"{syntax.written(inner)} in [...] is a column: a key goes in single quotes, "
            f"['{inner.name}']"
        )
    if isinstance(inner, exp.Literal) and inner.is_string:
        return str(inner.this)
    sign = -1 if isinstance(inner, exp.Neg) else 1
    digits = inner.this if isinstance(inner, exp.Neg) else inner
    if not isinstance(digits, exp.Literal) or digits.is_string or not digits.this.isdigit():
        raise FilterError(
            f"{syntax.written(node)}: [...] takes a key in single quotes, or a position from 0"
        )
    # sqlglot takes DuckDB's subscripts to count from 1, as those of lists do, and subtracts 1;
    # those of JSON count from 0.
    return sign * int(digits.this) + 1


def json_path(column: str, steps: Sequence[exp.Identifier | str | int]) -> Value:
    """The value at a path into a JSON column."""
    keys = [step.name if isinstance(step, exp.Identifier) else step for step in steps]
    written = [
        f".{step.name}" if isinstance(step, exp.Identifier) else f"[{step!r}]" for step in steps
    ]
    return json_paths.path(column, keys, column + "".join(written))
