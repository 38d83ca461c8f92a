"""SQL's three-valued logic, comparison and IN, over Arrow arrays.

Every function here takes compiled operands and returns a compiled `Value`. Types are checked then,
once, so that running it is a few kernel calls. NULL follows SQL: a comparison with NULL is NULL,
and NULL is not TRUE. Floats follow DuckDB and PostgreSQL: NaN equals NaN and is greater than every
other number, infinity included.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import (
    bools_in_arrow,
    constants_in_arrow,
    numbers_in_arrow,
    unpacked,
)
from vecsearch.common.deadline import check_time
from vecsearch.errors import FilterError
from vecsearch.query.filter.values import (
    Literal,
    Moment,
    Operand,
    Value,
    cost_of,
    float_constant,
    grid_constant,
    grid_limits,
    grid_position,
    looks_like_a_date,
    mismatch,
    shorten,
    unit_ns,
)

SLOW = 8  # comparisons of numbers: what costs so much is computed last in an AND
FEW_SHARE = 0.5  # of the rows: copying more of them costs about what it saves
SAMPLED_TEXTS = 20  # texts of a batch that are looked at for dates

NULL = pa.nulls(1, pa.bool_())[0]
TRUE, FALSE = bools_in_arrow(np.array([True, False]))
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": pc.equal,
    "<>": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
PYTHON_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
FLIPPED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
# Hashing a set costs about as much as this many single comparisons.
FEW_ITEMS = {"text": 2, "integer": 8, "float": 8, "date": 8, "timestamp": 8}


def bits(result: Any, rows: int) -> npt.NDArray[np.bool_]:
    """A boolean Array or Scalar as a numpy mask of `rows` entries; NULL is False."""
    if isinstance(result, pa.Scalar):
        return np.full(rows, result.as_py() is True)
    validity, values = result.buffers()
    if values is None or rows == 0:
        return np.zeros(rows, np.bool_)
    mask = unpacked(values, result.offset, rows)
    if validity is None or result.null_count == 0:
        return mask
    return mask & unpacked(validity, result.offset, rows)


def boolean(label: str, run: Callable[[Any], Any], cost: int | None = None) -> Value:
    return Value(pa.bool_(), label, run, cost)


def truth(value: bool | None, label: str) -> Value:
    """A condition that is the same for every row."""
    scalar = NULL if value is None else (TRUE if value else FALSE)
    return boolean(label, lambda batch: scalar, 0)


def constant_unless_null(value: Value, constant: bool) -> Value:
    """`constant` where the value is not NULL, else NULL: a comparison that is the same for all."""

    def run(batch: Any) -> Any:
        array = value.run(batch)
        if constant:
            return pc.or_kleene(pc.is_valid(array), NULL)
        return pc.and_kleene(pc.is_null(array), NULL)

    return boolean(value.label, run, cost_of([value], 1))


class SomeRows:
    """Some rows of a batch; each column is copied when it is read."""

    def __init__(self, batch: Any, rows: npt.NDArray[np.int64]) -> None:
        self.num_rows = len(rows)
        self._batch = batch
        self._rows = numbers_in_arrow(rows)
        self._columns: dict[str, pa.Array] = {}

    def column(self, name: str) -> pa.Array:
        array = self._columns.get(name)
        if array is None:
            array = self._columns[name] = self._batch.column(name).take(self._rows)
        return array


def conjunction(conditions: Sequence[Value]) -> Value:
    """AND. Conditions that cost much are computed last, for the rows that may still be TRUE."""
    slow = sorted(
        (each for each in conditions if each.cost is not None and each.cost >= SLOW),
        key=lambda each: each.cost or 0,
    )
    quick = [each for each in conditions if each.cost is None or each.cost < SLOW]

    def run(batch: Any) -> Any:
        if not slow or not isinstance(batch, pa.RecordBatch | SomeRows):
            return reduce(pc.and_kleene, _results(conditions, batch))
        result = reduce(pc.and_kleene, _results(quick, batch)) if quick else TRUE
        for condition in slow:
            check_time()
            result = _and_of_rest(result, condition, batch)
        return result

    return boolean("AND", run, cost_of(conditions))


def _and_of_rest(result: Any, condition: Value, batch: Any) -> Any:
    """`result AND condition`; where few rows are not FALSE so far, it is computed for just them."""
    rest = np.flatnonzero(~bits(pc.invert(result), batch.num_rows))
    if len(rest) > FEW_SHARE * batch.num_rows:
        return pc.and_kleene(result, condition.run(batch))
    if not len(rest):
        return result
    found = condition.run(SomeRows(batch, rest))
    true, known = np.zeros((2, batch.num_rows), bool)
    true[rest] = bits(found, len(rest))
    known[rest] = bits(pc.is_valid(found), len(rest))
    known |= ~_as_mask(rest, batch.num_rows)  # they are FALSE already
    return pc.and_kleene(result, bools_in_arrow(true, known))


def _as_mask(rows: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros(count, bool)
    mask[rows] = True
    return mask


def disjunction(conditions: Sequence[Value]) -> Value:
    return boolean(
        "OR",
        lambda batch: reduce(pc.or_kleene, _results(conditions, batch)),
        cost_of(conditions),
    )


def _results(conditions: Sequence[Value], batch: Any) -> Iterator[Any]:
    for condition in conditions:
        check_time()
        yield condition.run(batch)


def negation(condition: Value) -> Value:
    return boolean("NOT", lambda batch: pc.invert(condition.run(batch)), condition.cost)


def is_null(value: Value) -> Value:
    return boolean(value.label, lambda batch: pc.is_null(value.run(batch)), cost_of([value], 1))


def is_truth(condition: Value, wanted: bool) -> Value:
    """IS TRUE and IS FALSE: never NULL."""
    inner = condition if wanted else negation(condition)
    return boolean(
        condition.label,
        lambda batch: pc.coalesce(inner.run(batch), FALSE),
        condition.cost,
    )


def compare(op: str, left: Operand, right: Operand) -> Value:
    """`left op right` for op in COMPARISONS. Raises FilterError if the types cannot be compared."""
    label = f"{left.label} {op} {right.label}"
    if isinstance(left, Literal):
        if isinstance(right, Literal):
            return _compare_literals(op, left, right, label)
        return compare(FLIPPED[op], right, left)
    if isinstance(right, Value):
        return _compare_values(op, left, right, label)
    if right.value is None:
        return truth(None, label)
    if pa.types.is_null(left.type):  # a column without any value so far
        return constant_unless_null(left, True)
    if left.kind == "float":
        return _compare_with_float(op, left, right, label)
    if left.kind in ("text", "boolean"):
        kind = pa.string() if left.kind == "text" else pa.bool_()
        kernel = COMPARISONS[op]
        constant = constants_in_arrow(plain_constants(left, [right]), kind)[0]
        if left.kind == "text" and op not in ("=", "<>"):
            left = warning_of_dates(left, str(right.value))
        cost = cost_of([left], 2)
        return boolean(label, lambda batch: kernel(left.run(batch), constant), cost)
    if left.kind in ("list", "other"):
        raise mismatch(left, right)
    return _compare_on_grid(op, left, right, label)


def warning_of_dates(value: Value, literal: str) -> Value:
    """The value; batches that have texts such as 2024/3/5 give a warning.

    So do texts such as 2024-03-05 when they are compared with a literal of the other kind. It is
    given each time, because compiled filters are shared by collections.
    """
    mixed = looks_like_a_date(literal)

    def run(batch: Any) -> Any:
        texts = value.run(batch)
        if isinstance(texts, pa.Array):
            for text in texts[:SAMPLED_TEXTS].to_pylist():
                if text and (looks_like_a_date(text) or (mixed and text[:10].count("-") == 2)):
                    warnings.warn(
                        f"{value.label} holds texts that look like dates ({shorten(text)!r}); as "
                        "texts they are compared letter by letter, not by day: store them as dates",
                        RuntimeWarning,
                        stacklevel=2,
                    )
                    break
        return texts

    return Value(value.type, value.label, run)


def _compare_on_grid(op: str, value: Value, literal: Literal, label: str) -> Value:
    position = grid_position(value, literal)
    units = position.__floor__()
    lowest, highest = grid_limits(value.type)
    if units > highest:
        return constant_unless_null(value, op in ("<", "<=", "<>"))
    if units < lowest:
        return constant_unless_null(value, op in (">", ">=", "<>"))
    if position != units:
        if op in ("=", "<>"):
            return constant_unless_null(value, op == "<>")
        op = "<=" if op in ("<", "<=") else ">"
    kernel = COMPARISONS[op]
    constant = constants_in_arrow([grid_constant(value.type, units)], value.type)[0]
    return boolean(label, lambda batch: kernel(value.run(batch), constant), cost_of([value], 1))


def _compare_with_float(op: str, value: Value, literal: Literal, label: str) -> Value:
    number = float_constant(value, literal)
    if number is None:  # beyond float32: compared as float64
        value = cast(value, pa.float64())
        number = float_constant(value, literal)
    run, constant = value.run, constants_in_arrow([number], value.type)[0]
    if op in (">", ">="):  # by the opposite, so that NaN counts as greater
        opposite = pc.less_equal if op == ">" else pc.less
        return boolean(
            label, lambda batch: pc.invert(opposite(run(batch), constant)), cost_of([value], 1)
        )
    kernel = COMPARISONS[op]
    return boolean(label, lambda batch: kernel(run(batch), constant), cost_of([value], 1))


def _compare_literals(op: str, left: Literal, right: Literal, label: str) -> Value:
    a, b = left.value, right.value
    if a is None or b is None:
        return truth(None, label)
    if isinstance(a, Moment) and isinstance(b, Moment):
        if a.aware != b.aware:
            raise FilterError(f"{label} compares a time that has an offset with one that has none")
        a, b = a.ns, b.ns
    elif left.kind != right.kind:
        raise FilterError(
            f"{label} compares a {left.kind} with a {right.kind} and reads no column: put a column "
            "on one side"
        )
    return truth(PYTHON_COMPARISONS[op](a, b), label)


def _compare_values(op: str, left: Value, right: Value, label: str) -> Value:
    kinds = {left.kind, right.kind}
    if kinds <= {"integer", "decimal", "float"}:
        left, right = _common_numbers(left, right)
    elif kinds <= {"date", "timestamp"}:
        left, right = _common_times(left, right)
    elif left.kind != right.kind or left.kind not in ("text", "boolean"):
        raise FilterError(
            f"{left.label} ({left.type}) cannot be compared with {right.label} ({right.type})"
        )
    kernel = _compare_floats(op) if left.kind == "float" else COMPARISONS[op]
    return boolean(label, lambda batch: kernel(left.run(batch), right.run(batch)))


def _common_times(left: Value, right: Value) -> tuple[Value, Value]:
    """Both unchanged if of the same type; else as nanoseconds.

    These are decimals, since int64 does not hold the nanoseconds of the years 1 to 9999.
    """
    has_zone = [each.kind == "timestamp" and each.type.tz is not None for each in (left, right)]
    if has_zone[0] != has_zone[1]:
        raise FilterError(
            f"{left.label} ({left.type}) and {right.label} ({right.type}) cannot be compared, as "
            "only one has a time zone"
        )
    return (
        (left, right)
        if left.type == right.type
        else (_as_nanoseconds(left), _as_nanoseconds(right))
    )


def _as_nanoseconds(value: Value) -> Value:
    integer = pa.int32() if value.kind == "date" else pa.int64()
    unit = pa.scalar(Decimal(unit_ns(value.type)), pa.decimal128(14, 0))

    def run(batch: Any) -> Any:
        return pc.multiply(value.run(batch).view(integer).cast(pa.decimal128(19, 0)), unit)

    return Value(pa.decimal128(34, 0), value.label, run)


def _common_numbers(left: Value, right: Value) -> tuple[Value, Value]:
    """Both as one type in which they compare exactly; as float64 if one of them is a float."""
    kinds = {left.kind, right.kind}
    if "float" in kinds:
        common = pa.float64()
    elif "decimal" in kinds:
        scales = [each.type.scale if each.kind == "decimal" else 0 for each in (left, right)]
        wholes = [
            each.type.precision - each.type.scale if each.kind == "decimal" else 20
            for each in (left, right)
        ]
        precision = max(scales) + max(wholes)
        common = (
            pa.decimal128(38, max(scales)) if precision <= 38 else pa.decimal256(76, max(scales))
        )
    elif pa.uint64() in (left.type, right.type):
        common = pa.decimal128(20, 0)
    else:
        return left, right
    return cast(left, common), cast(right, common)


def _compare_floats(op: str) -> Callable[[Any, Any], Any]:
    def same(a: Any, b: Any) -> Any:
        return pc.or_kleene(pc.equal(a, b), pc.and_kleene(pc.is_nan(a), pc.is_nan(b)))

    def below(a: Any, b: Any) -> Any:
        return pc.or_kleene(pc.less(a, b), pc.and_kleene(pc.is_nan(b), pc.invert(pc.is_nan(a))))

    comparisons: dict[str, Callable[[Any, Any], Any]] = {
        "=": same,
        "<>": lambda a, b: pc.invert(same(a, b)),
        "<": below,
        "<=": lambda a, b: pc.invert(below(b, a)),
        ">": lambda a, b: below(b, a),
        ">=": lambda a, b: pc.invert(below(a, b)),
    }
    return comparisons[op]


def cast(value: Value, dtype: pa.DataType) -> Value:
    if value.type == dtype:
        return value
    # Unsafe only if the target is a float: an integer beyond 2^53 becomes the nearest float64.
    safe = not pa.types.is_floating(dtype)
    return Value(dtype, value.label, lambda batch: value.run(batch).cast(dtype, safe=safe))


def plain_constants(value: Value, literals: Sequence[Literal]) -> list[Any]:
    """The literals as pa.array takes them, without those that no value of the type can equal."""
    if value.kind in ("text", "boolean"):
        wanted = "text" if value.kind == "text" else "boolean"
        for literal in literals:
            if literal.kind != wanted:
                raise mismatch(value, literal)
        return [literal.value for literal in literals]
    if value.kind == "float":
        return [
            number for literal in literals if (number := float_constant(value, literal)) is not None
        ]
    if value.kind in ("list", "other"):
        raise mismatch(value, literals[0])
    lowest, highest = grid_limits(value.type)
    positions = (grid_position(value, literal) for literal in literals)
    return [
        grid_constant(value.type, int(units))
        for units in positions
        if units.denominator == 1 and lowest <= units <= highest
    ]


def membership_in_list(left: Operand, items: Sequence[Operand]) -> Value:
    """`left IN [items]`: NULL where `left` is NULL, else TRUE or FALSE, as a NULL item equals
    nothing.
    """
    found = is_truth(membership(left, items), True)
    if isinstance(left, Literal):
        return truth(None, left.label) if left.value is None else found

    def run(batch: Any) -> Any:
        return pc.if_else(pc.is_valid(left.run(batch)), found.run(batch), NULL)

    return boolean(left.label, run)


def membership(left: Operand, items: Sequence[Operand]) -> Value:
    """`left IN (items)`: NULL rather than FALSE where nothing matches and an item is NULL."""
    literals = [item for item in items if isinstance(item, Literal)]
    if isinstance(left, Literal) or len(literals) <= FEW_ITEMS.get(left.kind, 4):
        return disjunction([compare("=", left, item) for item in items])
    if len(literals) < len(items):
        others = [compare("=", left, item) for item in items if isinstance(item, Value)]
        return disjunction([membership(left, literals), *others])
    known = [literal for literal in literals if literal.value is not None]
    has_null = len(known) < len(literals)
    if not known:
        return truth(None, left.label)
    constants = plain_constants(left, known)
    if left.kind == "float" and 0.0 in constants:
        constants += [0.0, -0.0]  # equal numbers with different hashes
    value_set = constants_in_arrow(constants, left.type)

    def run(batch: Any) -> Any:
        array = left.run(batch)
        hits = pc.is_in(array, value_set=value_set)
        if has_null:
            return pc.or_kleene(hits, NULL)
        return hits if array.null_count == 0 else pc.if_else(pc.is_valid(array), hits, NULL)

    return boolean(left.label, run, cost_of([left], 4))
