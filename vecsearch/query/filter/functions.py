"""What a filter can compute besides comparisons: LIKE, lists, text, numbers and arithmetic."""

from __future__ import annotations

import operator
import re
import unicodedata
from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vecsearch.common.arrays import texts_in_arrow
from vecsearch.errors import FilterError
from vecsearch.query.filter.compare import (
    FALSE,
    NULL,
    bits,
    boolean,
    cast,
    compare,
    conjunction,
    constant_unless_null,
    membership,
    negation,
    truth,
)
from vecsearch.query.filter.substrings import contains, lower, upper
from vecsearch.query.filter.values import (
    MAX_DIGITS,
    Literal,
    Operand,
    Value,
    cost_of,
    elements,
    number,
    shorten,
)


def like(value: Operand, pattern: str, escape: str, *, ignore_case: bool) -> Value:
    """`value LIKE pattern`: % matches any characters, _ matches one.

    The character after `escape` is matched literally; "" is for no escape character. ILIKE compares
    lower-cased text, as DuckDB does.
    """
    if _is_null(value):
        return truth(None, value.label)
    if isinstance(value, Literal) and isinstance(value.value, str):
        alone = texts_in_arrow([value.value])
        text_value = Value(alone.type, value.label, lambda batch: alone)
        matched = like(text_value, pattern, escape, ignore_case=ignore_case)
        return truth(matched.run(None)[0].as_py(), matched.label)
    text_value = _text_value(value, "LIKE")
    label = f"{value.label} LIKE '{shorten(pattern)}'"
    parts = _like_parts(pattern, escape)
    if ignore_case:
        text_value = _with_kernel(lower, text_value, "lower", 20)
        parts = [(kind, pc.utf8_lower(pa.scalar(text)).as_py()) for kind, text in parts]
    run = text_value.run
    kinds, text = [kind for kind, _ in parts], "".join(text for _, text in parts)
    if kinds in ([], ["text"]):
        return compare("=", text_value, Literal(text, label))
    if kinds == ["%"]:
        return constant_unless_null(text_value, True)
    simple: dict[tuple[str, ...], Callable[..., Any]] = {
        ("text", "%"): pc.starts_with,
        ("%", "text"): pc.ends_with,
        ("%", "text", "%"): contains,
    }
    kernel = simple.get(tuple(kinds), pc.match_substring_regex)
    if tuple(kinds) not in simple:
        fragments = {"%": ".*", "_": "."}
        text = (
            r"(?s)\A"
            + "".join(fragments.get(kind) or re.escape(text) for kind, text in parts)
            + r"\z"
        )
    try:
        kernel(texts_in_arrow(["-"]), text)  # the first use compiles the regular expression
    except pa.ArrowInvalid:
        raise FilterError(f"{label}: the pattern is too long") from None
    return boolean(label, lambda batch: kernel(run(batch), text), cost_of([text_value], 20))


def _like_parts(pattern: str, escape: str) -> list[tuple[str, str]]:
    """The pattern as ("text", characters), and ("%", "") and ("_", "") for its wildcards."""
    marked: list[tuple[str, str]] = []
    characters = iter(pattern)
    for character in characters:
        if character == escape:
            following = next(characters, "")
            if not following:
                raise FilterError(
                    f"the pattern '{shorten(pattern)}' must not end with its escape character"
                )
            marked.append(("text", following))
        elif character == "_" or (character == "%" and marked[-1:] != [("%", "")]):
            marked.append((character, ""))
        elif character != "%":
            marked.append(("text", character))
    parts: list[tuple[str, str]] = []
    for kind, run in groupby(marked, key=lambda mark: mark[0]):
        texts = [text for _, text in run]
        parts += [("text", "".join(texts))] if kind == "text" else [(kind, "")] * len(texts)
    return parts


def _text_value(operand: Operand, what: str) -> Value:
    if isinstance(operand, Value) and operand.kind == "text":
        return operand
    given = (
        f"the {operand.kind} {operand.label}"
        if isinstance(operand, Literal)
        else f"{operand.label} ({operand.type})"
    )
    raise FilterError(f"{what} needs a text column, not {given}")


def list_contains(lists: Operand, literal: Literal) -> Value:
    """`array_contains(lists, literal)` and `literal IN lists`: NULL for a NULL list, else TRUE or
    FALSE, as a NULL element equals nothing. Looking for NULL gives FALSE in an empty list, and NULL
    in any other.
    """
    if literal.value is not None or isinstance(lists, Literal):
        return list_has_any(lists, [literal])
    value = _list_value(lists)
    return boolean(value.label, lambda batch: pc.and_kleene(_has_elements(value.run(batch)), NULL))


def equals_any(literal: Literal, lists: Operand) -> Value:
    """`literal = ANY(lists)`, which compares with each element: TRUE where one is equal, else NULL
    where one of the comparisons is NULL, else FALSE. An empty list and a NULL list are FALSE, as
    nothing is compared.
    """
    if _is_null(lists):
        return truth(False, lists.label)
    value = _list_value(lists)
    if literal.value is None:

        def has_elements(batch: Any) -> Any:
            return pc.coalesce(_has_elements(value.run(batch)), FALSE)

        return boolean(value.label, lambda batch: pc.and_kleene(has_elements(batch), NULL))
    element = elements(value)
    equal = membership(element, [literal])

    def run(batch: Any) -> Any:
        array = value.run(batch)
        missing = _missing(array)
        flat, offsets = _flattened(array, missing)
        found = _any_within(offsets, bits(equal.run(flat), len(flat)))
        unknown = _any_within(offsets, bits(pc.is_null(element.run(flat)), len(flat))) & ~found
        if missing is not None:
            found, unknown = found & ~missing, unknown & ~missing
        return pa.array(found, mask=unknown)

    return boolean(value.label, run)


def list_has_any(lists: Operand, literals: Sequence[Literal]) -> Value:
    """Whether a list holds any of the literals, none of them NULL: NULL for a NULL list; a NULL
    element equals nothing.
    """
    if _is_null(lists):
        return truth(None, lists.label)
    value = _list_value(lists)
    if not literals:
        return constant_unless_null(value, False)
    equal = membership(elements(value), literals)

    def run(batch: Any) -> Any:
        array = value.run(batch)
        missing = _missing(array)
        flat, offsets = _flattened(array, missing)
        return pa.array(_any_within(offsets, bits(equal.run(flat), len(flat))), mask=missing)

    can_take = isinstance(value.type, pa.ListType | pa.LargeListType)  # which Arrow cannot of views
    return boolean(value.label, run, cost_of([value, equal], 20) if can_take else None)


def _has_elements(lists: Any) -> Any:
    return pc.greater(pc.list_value_length(lists), 0)


def _missing(lists: Any) -> npt.NDArray[np.bool_] | None:
    """Which lists are NULL; None if none is."""
    return bits(pc.is_null(lists), len(lists)) if lists.null_count else None


def _any_within(
    offsets: npt.NDArray[np.int64], hits: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """For each list, whether one of its elements is a hit."""
    hits_before = np.concatenate(([0], np.cumsum(hits)))[offsets]
    found: npt.NDArray[np.bool_] = hits_before[1:] > hits_before[:-1]
    return found


def _flattened(
    lists: Any, missing: npt.NDArray[np.bool_] | None
) -> tuple[Any, npt.NDArray[np.int64]]:
    """The elements of all lists one after another, and where in them each list starts and the last
    one ends.
    """
    if isinstance(lists, pa.ListArray | pa.LargeListArray):
        offsets = lists.offsets.to_numpy()
        return lists.values.slice(offsets[0], offsets[-1] - offsets[0]), offsets - offsets[0]
    # Views and lists of fixed size, by copy: Arrow's cast of a view to a list may lose the last
    # offset.
    lengths = pc.list_value_length(lists).fill_null(0).to_numpy().copy()
    if missing is not None:
        lengths[missing] = 0
    return lists.flatten(), np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))


def list_has_all(lists: Operand, literals: Sequence[Literal]) -> Value:
    """Whether a list holds every one of the literals (TRUE of none)."""
    if literals:
        return conjunction([list_has_any(lists, [literal]) for literal in literals])
    return negation(list_has_any(lists, []))


def _is_null(operand: Operand) -> bool:
    """Whether it is NULL, as it is written: functions of it are NULL, too."""
    return isinstance(operand, Literal) and operand.value is None


def _list_value(operand: Operand) -> Value:
    if isinstance(operand, Value) and operand.kind == "list":
        return operand
    given = operand.label if isinstance(operand, Literal) else f"{operand.label} ({operand.type})"
    raise FilterError(f"{given} is not a list column")


def change_case(value: Operand, to: str) -> Operand:
    """lower() or upper() of a text column or a text."""
    kernel = lower if to == "lower" else upper
    if _is_null(value):
        return value
    if isinstance(value, Literal) and isinstance(value.value, str):
        changed = kernel(pa.scalar(value.value)).as_py()
        return Literal(changed, f"'{shorten(changed)}'")
    inner = _text_value(value, f"{to}()")
    return _with_kernel(kernel, inner, to, 20)


def normalize(value: Operand) -> Operand:
    """nfkc() of a text column or a text: full-width letters and digits become usual ones."""

    def kernel(values: Any) -> Any:
        return pc.utf8_normalize(values, form="NFKC")

    if _is_null(value):
        return value
    if isinstance(value, Literal) and isinstance(value.value, str):
        changed = unicodedata.normalize("NFKC", value.value)
        return Literal(changed, f"'{shorten(changed)}'")
    return _with_kernel(kernel, _text_value(value, "nfkc()"), "nfkc", 50)


def _with_kernel(
    kernel: Callable[[Any], Any], value: Value, name: str, cost: int | None = None
) -> Value:
    """What a kernel makes of a value; `cost` is that of a kernel that never fails."""
    dtype = kernel(pa.nulls(0, value.type)).type
    whole = None if cost is None else cost_of([value], cost)
    return Value(dtype, f"{name}({value.label})", lambda batch: kernel(value.run(batch)), whole)


def length(value: Operand) -> Operand:
    """The number of characters (Unicode code points) of a text, or of elements of a list."""
    if isinstance(value, Literal) and isinstance(value.value, str):
        return Literal(len(value.value), f"length({value.label})")
    if _is_null(value):
        return value
    is_list = isinstance(value, Value) and value.kind == "list"
    inner = _list_value(value) if is_list else _text_value(value, "length()")
    return _with_kernel(pc.list_value_length if is_list else pc.utf8_length, inner, "length")


def is_nan(value: Operand) -> Value:
    if isinstance(value, Literal) or value.kind != "float":
        raise FilterError(f"isnan() needs a column of floats, not {value.label}")
    return _with_kernel(pc.is_nan, value, "isnan")


def absolute(value: Operand) -> Operand:
    """abs() of a number."""
    if _is_null(value):
        return value
    return _with_kernel(pc.abs_checked, _number_value(value, f"abs({value.label})"), "abs")


def arithmetic(op: str, left: Operand, right: Operand) -> Operand:
    """`left op right` for op in + - * / %.

    + - * of integers are exact in int64, and an overflow is an error. / and anything with a
    fraction is float64, where a division by zero is an infinity or NaN. % takes integers, has the
    sign of its left side, and is NULL for a right side of 0.
    """
    label = f"({left.label} {op} {right.label})"
    if isinstance(left, Literal) and isinstance(right, Literal):
        return _fold(op, left, right, label)
    for side in (left, right):
        if _is_null(side):
            return side
    a, b = _number_value(left, label), _number_value(right, label)
    if op == "%":
        if pa.float64() in (a.type, b.type):
            raise FilterError(f"{label}: % takes integers only")
        return Value(pa.int64(), label, lambda batch: _remainder(a.run(batch), b.run(batch)))
    if op == "/" or pa.float64() in (a.type, b.type):
        a, b = cast(a, pa.float64()), cast(b, pa.float64())
    kernels = {
        "+": pc.add_checked,
        "-": pc.subtract_checked,
        "*": pc.multiply_checked,
        "/": pc.divide,
    }
    kernel = kernels[op]
    return Value(a.type, label, lambda batch: kernel(a.run(batch), b.run(batch)))


def _remainder(a: Any, b: Any) -> Any:
    # Arrow's division of integers truncates, so the remainder has the sign of `a`, whatever that
    # of `b`.
    divisor = pc.if_else(pc.equal(b, 0), pa.scalar(None, pa.int64()), pc.abs(b))
    return pc.subtract(a, pc.multiply(pc.divide(a, divisor), divisor))


def _number_value(operand: Operand, label: str) -> Value:
    """A number as int64 or float64, as arithmetic takes it."""
    if isinstance(operand, Literal):
        if not isinstance(operand.value, int | Decimal) or isinstance(operand.value, bool):
            raise FilterError(f"{label}: the {operand.kind} {operand.label} is not a number")
        if isinstance(operand.value, int) and abs(operand.value) < 2**63:
            scalar = pa.scalar(operand.value, pa.int64())
        else:
            scalar = pa.scalar(float(operand.value), pa.float64())
        return Value(scalar.type, operand.label, lambda batch: scalar)
    if operand.kind not in ("integer", "float", "decimal"):
        raise FilterError(f"{label}: {operand.label} ({operand.type}) is not a number")
    return cast(operand, pa.int64() if operand.kind == "integer" else pa.float64())


def _fold(op: str, left: Literal, right: Literal, label: str) -> Literal:
    """Arithmetic on two numbers of the filter's text."""
    if left.value is None or right.value is None:
        return Literal(None, label)
    for side in (left, right):
        if side.kind != "number":
            raise FilterError(f"{label}: the {side.kind} {side.label} is not a number")
    operations: dict[str, Callable[[Any, Any], Any]] = {
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "/": lambda a, b: Decimal(a) / Decimal(b),
        "%": lambda a, b: a - b * int(Fraction(a) / Fraction(b)),
    }
    try:
        with localcontext(prec=2 * MAX_DIGITS):
            return Literal(number(str(operations[op](left.value, right.value))), label)
    except (ArithmeticError, FilterError):
        raise FilterError(f"{label} is not a number a filter can hold") from None
