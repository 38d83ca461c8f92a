"""Paths into JSON columns, such as `metadata.lang` and `metadata['a.b'][0]`, in comparisons.

A path is a `Value` of the type JSON, whose `run` gives a list of Python values: None where the
path leads to nothing, through another container, or to JSON's null. A row's JSON is decoded once
for a filter, by `DecodedRows`.

The types are JSON's, and a comparison with a value of another type is NULL: `metadata.year = 2020`
is NULL where the year is the string "2020", and so are `<>` and NOT of it. Numbers compare as
those of columns do: integers of any size exactly, with fractions as float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from vecsearch.common.json_column import JSON, python_values
from vecsearch.errors import FilterError
from vecsearch.query.filter import compare as columns
from vecsearch.query.filter import functions
from vecsearch.query.filter.compare import boolean, conjunction, disjunction, truth
from vecsearch.query.filter.values import Literal, Operand, Value

Step = str | int
Verdict = bool | None
DECODED_ROWS = 512  # decoded at a time: more objects at once cost the garbage collector time


class DecodedRows:
    """A record batch whose JSON columns are decoded when they are first read.

    Args:
        batch: The rows.
    """

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.batch = batch
        self.num_rows = batch.num_rows
        self._decoded: dict[str, list[Any]] = {}

    def column(self, name: str) -> pa.Array:
        return self.batch.column(name)

    def json(self, name: str) -> list[Any]:
        """The values of a JSON column."""
        values = self._decoded.get(name)
        if values is None:
            values = self._decoded[name] = python_values(self.batch.column(name))
        return values


def is_json_value(operand: Operand) -> bool:
    """Whether an operand is a JSON column or a path into one."""
    return isinstance(operand, Value) and operand.kind == "json"


def path(name: str, steps: Sequence[Step], label: str) -> Value:
    """The value at a path into the JSON column `name`; without steps, the column itself.

    Args:
        name: The column.
        steps: Keys of objects, and positions in lists, from 0, or from -1 at the end.
        label: What messages call it.
    """
    if not steps:
        return Value(JSON, label, lambda rows: rows.json(name))
    if len(steps) == 1 and isinstance(steps[0], str):
        key = steps[0]
        return Value(
            JSON,
            label,
            lambda rows: [v.get(key) if type(v) is dict else None for v in rows.json(name)],
        )
    return Value(JSON, label, lambda rows: [_at(value, steps) for value in rows.json(name)])


def _at(value: Any, steps: Sequence[Step]) -> Any:
    for step in steps:
        if isinstance(step, str):
            value = value.get(step) if type(value) is dict else None
        elif type(value) is list and -len(value) <= step < len(value):
            value = value[step]
        else:
            return None
    return value


# -- Views: the values of one type, NULL where there is another


def as_text(operand: Operand) -> Operand:
    """JSON as its strings; other operands as they are."""
    return _view(operand, pa.large_string(), lambda v: v if type(v) is str else None)


def as_boolean(operand: Operand) -> Operand:
    """JSON as its booleans; other operands as they are."""
    return _view(operand, pa.bool_(), lambda v: v if type(v) is bool else None)


def as_number(operand: Operand) -> Operand:
    """JSON as its numbers, in float64; other operands as they are."""
    return _view(operand, pa.float64(), _float)


def as_integer(operand: Operand) -> Operand:
    """JSON as its whole numbers of 64 bits; other operands as they are."""
    return _view(operand, pa.int64(), _integer)


def length(operand: Operand) -> Operand:
    """length() of JSON strings and lists; of other operands as of columns."""
    if not is_json_value(operand):
        return functions.length(operand)
    return _view(operand, pa.int64(), lambda v: len(v) if type(v) in (str, list) else None)


def _view(operand: Operand, kind: pa.DataType, convert: Callable[[Any], Any]) -> Operand:
    if not (isinstance(operand, Value) and is_json_value(operand)):
        return operand
    run = operand.run
    return Value(kind, operand.label, lambda rows: pa.array([convert(v) for v in run(rows)], kind))


def _float(value: Any) -> float | None:
    if not _is_number(value):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def _integer(value: Any) -> int | None:
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and -(2**63) <= value < 2**63 else None


# -- Comparison


def is_null(operand: Value) -> Value:
    """IS NULL, of JSON and of columns."""
    if not is_json_value(operand):
        return columns.is_null(operand)
    run = operand.run
    return boolean(operand.label, lambda rows: pa.array([v is None for v in run(rows)], pa.bool_()))


def compare(op: str, left: Operand, right: Operand) -> Value:
    """`left op right` for JSON and columns. Raises FilterError where no values can be compared."""
    if not is_json_value(left):
        if not is_json_value(right):
            return columns.compare(op, left, right)
        return compare(columns.FLIPPED[op], right, left)
    assert isinstance(left, Value)
    label = f"{left.label} {op} {right.label}"
    if is_json_value(right):
        assert isinstance(right, Value)
        return _pairwise(op, left, right.run, label)
    if right.kind == "NULL":
        return truth(None, label)
    if right.kind == "text":
        return columns.compare(op, as_text(left), right)
    if right.kind == "boolean":
        return columns.compare(op, as_boolean(left), right)
    if isinstance(right, Literal):
        constant = _number_literal(left, right)
        return _each(left, label, lambda v: _compared(op, v, constant))
    if right.kind in ("integer", "float", "decimal"):
        other = right.run
        return _pairwise(op, left, lambda rows: _listed(other(rows), rows), label)
    raise FilterError(
        f"{left.label} (json) cannot be compared with {right.label} ({right.type}): JSON has "
        "strings, numbers and booleans"
    )


def _listed(result: Any, rows: DecodedRows) -> list[Any]:
    if isinstance(result, pa.Scalar):
        return [result.as_py()] * rows.num_rows
    return list(result.to_pylist())


def _each(value: Value, label: str, test: Callable[[Any], Verdict]) -> Value:
    run = value.run
    return boolean(label, lambda rows: pa.array([test(v) for v in run(rows)], pa.bool_()))


def _pairwise(op: str, left: Value, right: Callable[[Any], list[Any]], label: str) -> Value:
    def run(rows: DecodedRows) -> Any:
        pairs = zip(left.run(rows), right(rows), strict=True)
        return pa.array([_compared(op, a, b) for a, b in pairs], pa.bool_())

    return boolean(label, run)


def _compared(op: str, a: Any, b: Any) -> Verdict:
    """Two values; None where their types differ, or have no order."""
    if _is_number(a) and _is_number(b):
        if type(b) is float or type(a) is float:
            return _floats_compared(op, a, b)
        return columns.PYTHON_COMPARISONS[op](a, b)
    if type(a) is not type(b) or type(a) not in (str, bool):
        return None
    return columns.PYTHON_COMPARISONS[op](a, b)


def _floats_compared(op: str, a: Any, b: Any) -> bool:
    """As float64, with NaN, which only columns hold, greater than all numbers."""
    a, b = _float(a), _float(b)
    if math.isnan(b):
        return op in ("<", "<=", "<>")
    return columns.PYTHON_COMPARISONS[op](a, b)


def _is_number(value: Any) -> bool:
    return type(value) is int or type(value) is float or type(value) is Decimal


def _number_literal(value: Value, literal: Literal) -> int | Decimal:
    if not isinstance(literal.value, int | Decimal):
        raise FilterError(
            f"{value.label} (json) cannot be compared with the {literal.kind} {literal.label}: "
            "JSON has no dates; where they are strings, compare with one such as '2020-01-31'"
        )
    return literal.value


class _Constants:
    """Constants of a filter that values of JSON are looked for among."""

    def __init__(self, value: Value, literals: Sequence[Literal]) -> None:
        self.others = any(literal.value is None for literal in literals)
        self.texts: set[str] = set()
        self.booleans: set[bool] = set()
        self.exact: set[int | Decimal] = set()
        self.floats: set[float] = set()
        for literal in literals:
            if literal.value is None:
                continue
            if isinstance(literal.value, str):
                self.texts.add(literal.value)
            elif isinstance(literal.value, bool):
                self.booleans.add(literal.value)
            else:
                number = _number_literal(value, literal)
                self.exact.add(number)
                self.floats.add(float(number))
        self.kinds = sum(map(bool, (self.texts, self.booleans, self.exact)))

    def find(self, value: Any) -> Verdict:
        """`value = c1 OR value = c2 ...`, by SQL's logic."""
        kind = type(value)
        among: set[Any] | None = None
        if kind is str:
            among = self.texts
        elif kind is bool:
            among = self.booleans
        elif kind is float:
            among = self.floats
        elif kind is int:
            among = self.exact
        if among is None:
            return None
        if value in among:
            return True
        return None if self.others or self.kinds > bool(among) else False


def membership(left: Operand, items: Sequence[Operand]) -> Value:
    """`left IN (items)`, of JSON and of columns: each comparison counts, joined with OR."""
    if not any(map(is_json_value, (left, *items))):
        return columns.membership(left, items)
    literals = [item for item in items if isinstance(item, Literal)]
    if not (isinstance(left, Value) and is_json_value(left)) or len(literals) < len(items):
        return disjunction([compare("=", left, item) for item in items])
    return _each(left, left.label, _Constants(left, literals).find)


def membership_in_list(left: Operand, items: Sequence[Operand]) -> Value:
    """`left IN [items]`; with JSON it is `left IN (items)` without the items that are NULL."""
    if not any(map(is_json_value, (left, *items))):
        return columns.membership_in_list(left, items)
    known = [item for item in items if not (isinstance(item, Literal) and item.value is None)]
    return membership(left, known) if known else truth(None, left.label)


# -- Lists


def list_contains(lists: Operand, literal: Literal) -> Value:
    """array_contains: NULL where there is no list."""
    if not is_json_value(lists):
        return functions.list_contains(lists, literal)
    if literal.value is not None:
        return list_has_any(lists, [literal])
    assert isinstance(lists, Value)
    return _each(lists, lists.label, lambda v: False if v == [] else None)


def list_has_any(lists: Operand, literals: Sequence[Literal]) -> Value:
    """array_has_any: an element of another type, or null, equals nothing."""
    if not (isinstance(lists, Value) and is_json_value(lists)):
        return functions.list_has_any(lists, literals)
    find = _Constants(lists, literals).find
    return _each(
        lists,
        lists.label,
        lambda v: any(find(item) for item in v) if type(v) is list else None,
    )


def list_has_all(lists: Operand, literals: Sequence[Literal]) -> Value:
    """array_has_all: TRUE of no literals."""
    if not (isinstance(lists, Value) and is_json_value(lists)):
        return functions.list_has_all(lists, literals)
    if literals:
        return conjunction([list_has_any(lists, [literal]) for literal in literals])
    return _each(lists, lists.label, lambda v: True if type(v) is list else None)


def equals_any(literal: Literal, lists: Operand) -> Value:
    """`literal = ANY(lists)`: FALSE where there is no list, or an empty one."""
    if not (isinstance(lists, Value) and is_json_value(lists)):
        return functions.equals_any(literal, lists)
    find = _Constants(lists, [literal]).find

    def any_equal(value: Any) -> Verdict:
        found = [find(item) for item in value] if type(value) is list else []
        return True if True in found else None if None in found else False

    return _each(lists, lists.label, any_equal)
