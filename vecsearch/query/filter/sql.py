"""sqlglot's syntax tree of a `where` -> a compiled condition, through an allow-list.

`_HANDLERS` names every kind of syntax that a filter may have; any other is refused, never ignored,
and the message quotes it.

A quoted name is exact. An unquoted one is exact too if there is such a column; else it may differ
in case, if only one column matches. Keys of JSON are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
from sqlglot import exp

from vecsearch.common.deadline import check_time
from vecsearch.common.json_column import is_json
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import FilterError
from vecsearch.query.filter.compare import (
    conjunction,
    disjunction,
    is_truth,
    negation,
    truth,
)
from vecsearch.query.filter.functions import (
    absolute,
    arithmetic,
    change_case,
    is_nan,
    like,
    normalize,
)
from vecsearch.query.filter.json_paths import (
    as_boolean,
    as_integer,
    as_number,
    as_text,
    compare,
    equals_any,
    is_null,
    length,
    list_contains,
    list_has_all,
    list_has_any,
    membership,
    membership_in_list,
)
from vecsearch.query.filter.path_syntax import json_path, path_steps
from vecsearch.query.filter.syntax import (
    ALLOWED,
    DATE_WORDS,
    FLATTER,
    FUNCTIONS,
    Syntax,
    full_width_hint,
)
from vecsearch.query.filter.values import (
    Literal,
    Moment,
    Operand,
    Value,
    column,
    in_zone,
    is_vector,
    moment,
    number,
    shorten,
    struct_field,
)

MAX_DEPTH = 100  # nested operators; a chain of AND or of OR counts as one


def compile_text(text: str, schema: pa.Schema) -> tuple[Value, set[str]]:
    """Compile a condition.

    Args:
        text: SQL.
        schema: The columns.

    Returns:
        The condition, and the names of the columns that it reads.

    Raises:
        FilterError: The text is not a condition, uses what is not allowed, or does not fit the
            columns.
    """
    try:
        compiler = _Compiler(Syntax(text, schema), schema)
        return compiler.condition(compiler.syntax.tree, 0), compiler.columns
    except RecursionError:
        raise FilterError(f"the filter is nested too deeply: {FLATTER}") from None
    except FilterError as error:
        hint = full_width_hint(text)
        if not hint:
            raise
        raise FilterError(f"{error}{hint}") from None


class _Compiler:
    """Compiles one text for one schema; `columns` are the names of the columns read so far."""

    def __init__(self, syntax: Syntax, schema: pa.Schema) -> None:
        self.syntax = syntax
        self.schema = schema
        self.columns: set[str] = set()

    def refused(self, node: exp.Expression) -> FilterError:
        return self.syntax.refused(node)

    def condition(self, node: exp.Expression, depth: int) -> Value:
        """A node that must be a condition: TRUE, FALSE or NULL for each row."""
        operand = as_boolean(self.operand(node, depth))
        if isinstance(operand, Literal) and (
            operand.value is None or isinstance(operand.value, bool)
        ):
            return truth(operand.value, operand.label)
        if isinstance(operand, Literal) or operand.kind != "boolean":
            type_of = operand.kind if isinstance(operand, Literal) else operand.type
            raise FilterError(
                f"{operand.label} ({type_of}) is not a condition: compare it with something"
            )
        return operand

    def operand(self, node: exp.Expression, depth: int) -> Operand:
        """A node compiled, whatever its type."""
        check_time()
        handler, arguments = _HANDLERS.get(type(node), (None, ()))
        if handler is None or any(
            given and name not in arguments for name, given in node.args.items()
        ):
            raise self.refused(node)
        if depth > MAX_DEPTH:
            raise FilterError(f"the filter has more than {MAX_DEPTH} nested operators: {FLATTER}")
        return handler(self, node, depth + 1)

    def chain(self, node: exp.Expression, depth: int) -> Value:
        """A chain of AND or of OR, which sqlglot parses to a tree as deep as the chain is long."""
        conditions, waiting = [], [node]
        while waiting:
            current = waiting.pop()
            if type(current) is type(node):
                waiting += [current.args["expression"], current.this]
            else:
                conditions.append(self.condition(current, depth))
        return conjunction(conditions) if isinstance(node, exp.And) else disjunction(conditions)

    def comparison(self, node: exp.Expression, depth: int) -> Value:
        left, right = node.this, node.args["expression"]
        if isinstance(left, exp.Any):
            left, right = right, left
        if isinstance(right, exp.Any):
            if not isinstance(node, exp.EQ):
                raise self.refused(node)
            value, needle = self.operand(right.this, depth), self.operand(left, depth)
            return equals_any(self._constant(needle, value), value)
        return compare(
            _COMPARISONS[type(node)], self.operand(left, depth), self.operand(right, depth)
        )

    def membership(self, node: exp.Expression, depth: int) -> Value:
        left, items, within = (
            self.operand(node.this, depth),
            node.expressions,
            node.args.get("field"),
        )
        if isinstance(within, exp.Array):  # x IN ['a', 'b']
            items = within.expressions
        elif within is not None:  # 'x' IN tags
            value = self.operand(within, depth)
            return list_contains(value, self._constant(left, value))
        if not items:
            raise FilterError(f"{left.label} IN () has an empty list: give it at least one item")
        if within is not None:
            return membership_in_list(left, [self.operand(item, depth) for item in items])
        if isinstance(items[0], exp.Placeholder):
            return membership(left, self.syntax.constants(int(items[0].this)))
        return membership(left, [self.operand(item, depth) for item in items])

    def between(self, node: exp.Expression, depth: int) -> Value:
        value = self.operand(node.this, depth)
        low, high = (self.operand(node.args[bound], depth) for bound in ("low", "high"))
        return conjunction([compare(">=", value, low), compare("<=", value, high)])

    def like(self, node: exp.Expression, depth: int, escape: str = "") -> Value:
        value, pattern = (
            as_text(self.operand(node.this, depth)),
            self.operand(node.args["expression"], depth),
        )
        if isinstance(pattern, Literal) and pattern.value is None:
            return truth(None, pattern.label)
        if not isinstance(pattern, Literal) or not isinstance(pattern.value, str):
            raise FilterError(
                f"LIKE needs a pattern in single quotes on its right, not {pattern.label}"
            )
        matched = like(value, pattern.value, escape, ignore_case=isinstance(node, exp.ILike))
        return negation(matched) if node.args.get("negate") else matched

    def escaped_like(self, node: exp.Expression, depth: int) -> Value:
        escape = self.operand(node.args["expression"], depth)
        if type(node.this) not in (exp.Like, exp.ILike):
            raise self.refused(node)
        if (
            not isinstance(escape, Literal)
            or not isinstance(escape.value, str)
            or len(escape.value) > 1
        ):
            raise FilterError(f"ESCAPE needs one character in single quotes, not {escape.label}")
        return self.like(node.this, depth, escape.value)

    def test(self, node: exp.Expression, depth: int) -> Value:
        """IS NULL, IS TRUE and IS FALSE."""
        expected = self.operand(node.args["expression"], depth)
        if isinstance(expected, Literal) and isinstance(expected.value, bool):
            return is_truth(self.condition(node.this, depth), expected.value)
        if not isinstance(expected, Literal) or expected.value is not None:
            raise self.refused(node)
        value = self.operand(node.this, depth)
        return (
            truth(value.value is None, value.label)
            if isinstance(value, Literal)
            else is_null(value)
        )

    def literal(self, node: exp.Expression, depth: int) -> Literal:
        if node.args["is_string"]:
            return Literal(node.this, f"'{shorten(node.this)}'")
        return Literal(number(node.this), shorten(node.this))

    def negative(self, node: exp.Expression, depth: int) -> Operand:
        operand = self.operand(node.this, depth)
        if isinstance(operand, Literal) and operand.kind == "number":
            return Literal(number(f"-{operand.value}".replace("--", "")), f"-{operand.label}")
        return arithmetic("-", Literal(0, "0"), as_number(operand))

    def dated(self, node: exp.Expression, depth: int) -> Literal:
        """DATE '...', TIMESTAMP '...' and TIMESTAMPTZ '...': casts of a text for sqlglot."""
        form = DATE_WORDS.get(node.args["to"].this.name)
        if form is None or not isinstance(node.this, exp.Literal) or not node.this.is_string:
            raise self.refused(node)
        return Literal(moment(node.this.this, form=form), f"{form.upper()} '{node.this.this}'")

    def zoned(self, node: exp.Expression, depth: int) -> Literal:
        """A time written with AT TIME ZONE."""
        local, zone = self.operand(node.this, depth), self.operand(node.args["zone"], depth)
        if (
            not isinstance(local, Literal)
            or not isinstance(zone, Literal)
            or not isinstance(zone.value, str)
        ):
            raise self.refused(node)
        time = moment(local.value) if isinstance(local.value, str) else local.value
        if not isinstance(time, Moment) or time.aware:
            raise FilterError(
                f"AT TIME ZONE needs a time without an offset before it, not {local.label}"
            )
        return Literal(in_zone(time, zone.value), f"{local.label} AT TIME ZONE {zone.label}")

    def contains(self, node: exp.Expression, depth: int) -> Value:
        value, needle = self.operand(node.this, depth), self.operand(node.args["expression"], depth)
        return list_contains(value, self._constant(needle, value))

    def unknown_to_sqlglot(self, node: exp.Expression, depth: int) -> Operand:
        """A function that sqlglot does not know: nfkc(text), or one of lists."""
        if node.name.lower() != "nfkc":
            return self.contains_several(node, depth)
        if len(node.expressions) != 1:
            raise self.refused(node)
        operand = self.operand(node.expressions[0], depth)
        is_null_literal = isinstance(operand, Literal) and operand.value is None
        return operand if is_null_literal else normalize(as_text(operand))

    def contains_several(self, node: exp.Expression, depth: int) -> Value:
        """array_has_any and array_has_all, of a list column and an ['array', 'of', 'constants']."""
        name = node.name.lower() if isinstance(node, exp.Anonymous) else ""
        sides = node.expressions if name else [node.this, node.args["expression"]]
        every = isinstance(node, exp.ArrayContainsAll) or name.endswith("_has_all")
        if not every and isinstance(sides[0], exp.Array):
            sides = sides[::-1]
        if (
            len(sides) != 2
            or not isinstance(sides[1], exp.Array)
            or (name and name not in FUNCTIONS)
        ):
            raise self.refused(node)
        items = [self.operand(item, depth) for item in sides[1].expressions]
        if any(isinstance(item, Literal) and item.value is None for item in items):
            raise FilterError(
                f"{self.syntax.written(sides[1])} has a NULL, which equals no element of a list: "
                "leave it out"
            )
        value = self.operand(sides[0], depth)
        constants = [self._constant(item, value) for item in items]
        return list_has_all(value, constants) if every else list_has_any(value, constants)

    def _constant(self, needle: Operand, lists: Operand) -> Literal:
        if not isinstance(needle, Literal):
            raise FilterError(
                f"only constants can be looked for in {lists.label}, not {needle.label}"
            )
        return needle

    def column(self, node: exp.Expression, depth: int) -> Operand:
        """A column, a field of a struct column, `a.b`, or a path into JSON, `a.b['c'][0]`."""
        first, *steps = path_steps(node, self.syntax)
        assert isinstance(first, exp.Identifier)
        path = [first, *(step for step in steps if isinstance(step, exp.Identifier))]
        index = self._find(first, self.schema.names, path)
        field = self.schema.field(index)
        self.columns.add(field.name)
        if is_json(field.type):
            return json_path(field.name, steps)
        value = column(field.name, field.type)
        for step in steps:
            if not isinstance(step, exp.Identifier):
                raise FilterError(
                    f"{self.syntax.written(node)} is not allowed in a filter: {value.label} "
                    f"({value.type}) is not a JSON column. {ALLOWED}"
                )
            if not pa.types.is_struct(value.type):
                raise FilterError(
                    f"{value.label} ({value.type}) has no field {step.name!r}"
                    f"{self._quoted_whole(path)}"
                )
            position = self._find(step, [inner.name for inner in value.type.fields], path)
            value = struct_field(
                value, position, f"{value.label}.{value.type.field(position).name}"
            )
        if is_vector(value.type):
            raise FilterError(
                f"the column {value.label!r} holds vectors, which a filter cannot read: search "
                "with a vector instead"
            )
        return Literal(None, value.label) if pa.types.is_null(value.type) else value

    def _find(
        self, identifier: exp.Identifier, names: list[str], path: list[exp.Identifier]
    ) -> int:
        name = identifier.name
        fitting = [index for index, each in enumerate(names) if each == name]
        if not fitting and not identifier.args.get("quoted"):
            fitting = [
                index for index, each in enumerate(names) if each.casefold() == name.casefold()
            ]
        if len(fitting) == 1:
            return fitting[0]
        if fitting and len({names[index] for index in fitting}) == 1:
            raise FilterError(
                f"there are {len(fitting)} columns called {names[fitting[0]]!r}, so a filter "
                "cannot tell them apart"
            )
        if fitting:
            choices = ", ".join(f'"{names[index]}"' for index in fitting)
            raise FilterError(
                f"the name {name} fits several columns: write one of {choices}, in double quotes"
            )
        advice = did_you_mean(name, names)
        column = identifier.parent
        is_value = isinstance(column, exp.Column) and (
            column.arg_key == "expression" or isinstance(column.parent, exp.In)
        )
        if identifier.args.get("quoted") or is_value:
            advice += f" (a text goes in single quotes: '{name}')"
        raise FilterError(f"there is no column {name!r}{advice}{self._quoted_whole(path)}")

    def _quoted_whole(self, path: list[exp.Identifier]) -> str:
        whole = ".".join(part.name for part in path)
        return (
            f'; the column {whole!r} is written "{whole}"'
            if len(path) > 1 and whole in self.schema.names
            else ""
        )


_Handler = Callable[[_Compiler, Any, int], Operand]
_COMPARISONS: dict[type[exp.Expression], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_ARITHMETIC: dict[type[exp.Expression], str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.Mod: "%",
}
_BINARY = ("this", "expression")


def _operator(compiler: _Compiler, node: exp.Expression, depth: int) -> Operand:
    as_numbers = as_integer if isinstance(node, exp.Mod) else as_number
    left, right = (
        as_numbers(compiler.operand(node.this, depth)),
        as_numbers(compiler.operand(node.args["expression"], depth)),
    )
    return arithmetic(_ARITHMETIC[type(node)], left, right)


def _unary(function: Callable[[Operand], Operand]) -> tuple[_Handler, tuple[str, ...]]:
    def handler(compiler: _Compiler, node: Any, depth: int) -> Operand:
        operand = compiler.operand(node.this, depth)
        is_null_literal = isinstance(operand, Literal) and operand.value is None
        return operand if is_null_literal else function(operand)  # every function of NULL is NULL

    return handler, ("this",)


# Every kind of syntax node that a filter may have: its handler, and its allowed arguments.
_HANDLERS: dict[type[exp.Expression], tuple[_Handler, tuple[str, ...]]] = {
    exp.Paren: _unary(lambda operand: operand),
    exp.And: (_Compiler.chain, _BINARY),
    exp.Or: (_Compiler.chain, _BINARY),
    exp.Not: (
        lambda compiler, node, depth: negation(compiler.condition(node.this, depth)),
        ("this",),
    ),
    **dict.fromkeys(_COMPARISONS, (_Compiler.comparison, _BINARY)),
    exp.In: (_Compiler.membership, ("this", "expressions", "field")),
    exp.Between: (_Compiler.between, ("this", "low", "high")),
    exp.Like: (_Compiler.like, (*_BINARY, "negate")),
    exp.ILike: (_Compiler.like, (*_BINARY, "negate")),
    exp.Escape: (_Compiler.escaped_like, _BINARY),
    exp.Is: (_Compiler.test, _BINARY),
    exp.Literal: (_Compiler.literal, ("this", "is_string")),
    exp.Boolean: (
        lambda compiler, node, depth: Literal(bool(node.this), str(node.this).upper()),
        ("this",),
    ),
    exp.Null: (lambda compiler, node, depth: Literal(None, "NULL"), ()),
    exp.Neg: (_Compiler.negative, ("this",)),
    exp.Cast: (_Compiler.dated, ("this", "to")),
    exp.AtTimeZone: (_Compiler.zoned, ("this", "zone")),
    exp.Column: (_Compiler.column, ("this", "table", "db", "catalog")),
    exp.Dot: (_Compiler.column, _BINARY),
    exp.Bracket: (_Compiler.column, ("this", "expressions")),
    **dict.fromkeys(_ARITHMETIC, (_operator, _BINARY)),
    exp.Lower: _unary(lambda operand: change_case(as_text(operand), "lower")),
    exp.Upper: _unary(lambda operand: change_case(as_text(operand), "upper")),
    exp.Length: _unary(length),
    exp.ArraySize: _unary(length),
    exp.Abs: _unary(lambda operand: absolute(as_number(operand))),
    exp.IsNan: _unary(is_nan),
    exp.ArrayContains: (_Compiler.contains, _BINARY),
    exp.ArrayOverlaps: (_Compiler.contains_several, _BINARY),
    exp.ArrayContainsAll: (_Compiler.contains_several, _BINARY),
    exp.Anonymous: (_Compiler.unknown_to_sqlglot, ("this", "expressions")),
}
