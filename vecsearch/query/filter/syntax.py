"""The text of a `where` -> sqlglot's syntax tree, after two checks.

sqlglot parses DuckDB's dialect, with `backticks` for names as well. On some texts its time and its
stack grow without bound, so two checks come before it. The first reads the raw text: it refuses
comments, parameters and several statements, and takes out lists of constants after IN, since
sqlglot needs seconds for a hundred thousand of them. The second reads the tokens: it refuses words
and symbols that no filter needs, functions that a filter does not have, casts to anything but a
date or time, and deep nesting.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import ClassVar

import pyarrow as pa
from sqlglot import Token, TokenType, exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ParseError, TokenError
from sqlglot.parsers.duckdb import DuckDBParser

from vecsearch.common.deadline import check_time
from vecsearch.errors import FilterError, VecsearchError
from vecsearch.query.filter.values import Literal, number, shorten
from vecsearch.types import counted

MAX_TERMS = 100_000  # constants in a where: about half a second to read
MAX_TEXT = 16_000_000  # characters of a where, its lists of constants included
# Characters without the lists of constants; sqlglot reads 100,000 to 200,000 per second.
MAX_SYNTAX = 250_000
# Nested parentheses and brackets; sqlglot uses about 20 of Python's 1,000 stack frames for each.
MAX_NESTING = 32
FUNCTIONS = {
    *("lower", "upper", "nfkc", "length", "len", "abs", "isnan", "array_length"),
    *("array_contains", "array_has", "list_contains", "list_has"),
    *("array_has_any", "list_has_any", "array_has_all", "list_has_all"),
}
DATE_WORDS = {
    "DATE": "date",
    **dict.fromkeys(
        ("TIMESTAMP", "TIMESTAMPNTZ", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATETIME"),
        "timestamp",
    ),
    **dict.fromkeys(("TIMESTAMPTZ", "TIMESTAMPLTZ"), "timestamptz"),
}
ALLOWED = (
    "Allowed are = != < <= > >=, AND, OR, NOT, IN, BETWEEN, LIKE, ILIKE, IS NULL, IS TRUE, "
    "IS FALSE, + - * / %, array_contains, array_has_any, array_has_all, lower, upper, nfkc, "
    "length, abs, isnan, DATE '...' and TIMESTAMP '...'"
)
FLATTER = (
    "a chain such as a = 1 OR a = 2 OR a = 3 needs no parentheses, and a IN (1, 2, 3) is shorter"
)
_WORDS = {
    *(
        "AND",
        "OR",
        "NOT",
        "IN",
        "BETWEEN",
        "LIKE",
        "ILIKE",
        "ESCAPE",
        "IS",
        "NULL",
        "TRUE",
        "FALSE",
        "UNKNOWN",
    ),
    *("ISNULL", "NOTNULL", "ANY", "ARRAY", "AS", "WITH", "TIME", *DATE_WORDS),
}
_TYPE_WORDS = {"TIME", *DATE_WORDS}
_MAY_PRECEDE_PARENTHESIS = {"AND", "OR", "NOT", "IN", "BETWEEN", "ANY", "LIKE", "ILIKE", "CAST"}
_SYMBOLS = {*"()[],.=<>+-*/%$", "==", "!=", "<>", "<=", ">=", "&&", "@>", "::"}
_CONSTANTS = (TokenType.STRING, TokenType.NUMBER)
_FREE = (TokenType.VAR, TokenType.IDENTIFIER, TokenType.STRING, TokenType.NUMBER)
_QUOTED = r"""'(?:[^']|'')*+' | "(?:[^"]|"")*+" | `(?:[^`]|``)*+`"""
_CONSTANT = (
    r"(?:[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?|'(?:[^']|'')*+'|NULL\b)"
)
_PIECES = re.compile(
    rf"""{_QUOTED}
    | (?P<refused> -- | /\* | [;${{?\\\0] | (?<!:):(?!:) )
    | (?P<bracket> \bIN\s*+\[ )
    | (?P<before> \bIN\s*+\() \s*+
      (?P<constants> {_CONSTANT} (?>\s*+,\s*+{_CONSTANT})*+ ) \s*+ (?=\))""",
    re.VERBOSE | re.IGNORECASE,
)
_FULL_WIDTH = dict(zip("“”‘’（），＝＜＞！％", "\"\"''(),=<>!%", strict=True))


class FilterDialect(DuckDB):
    """DuckDB's SQL, with names in `backticks` as well."""

    class Tokenizer(DuckDB.Tokenizer):
        IDENTIFIERS = ['"', "`"]  # noqa: RUF012 (read by sqlglot's metaclass)

    class Parser(DuckDBParser):
        ARRAY_CONSTRUCTORS: ClassVar = {"ARRAY": exp.Array}  # list[0] is an item of a column

        def _advance(self, times: int = 1) -> None:
            check_time()  # at each token: sqlglot may need seconds for a long text
            super()._advance(times)


class Syntax:
    """The text of one filter, parsed.

    Args:
        text: SQL.
        schema: The columns, whose names are allowed as words.

    Attributes:
        tree: sqlglot's tree; a placeholder $n in it stands for `constants(n)`.

    Raises:
        FilterError: The text is not a condition of SQL, or one of the checks refuses it.
    """

    tree: exp.Expression

    def __init__(self, text: str, schema: pa.Schema) -> None:
        self._lists: list[str] = []
        self._terms = 0  # constants in them
        self._columns = {name.upper() for name in schema.names}
        self._words = _WORDS | {name.upper() for field in schema for name in _names_within(field)}
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise FilterError(f"the filter is not valid Unicode: {error}") from None
        if len(text) > MAX_TEXT:
            raise FilterError(
                f"the filter has {counted(len(text), 'character')}; at most {MAX_TEXT:,} are "
                "allowed"
            )
        syntax = _PIECES.sub(self._take_list, text)
        if len(syntax) > MAX_SYNTAX:
            raise FilterError(
                f"the filter has {counted(len(syntax), 'character')} without its lists of "
                "constants; at "
                f"most {MAX_SYNTAX:,} are allowed: {FLATTER}"
            )
        self.tree = self._parse(syntax)

    def constants(self, number_of_list: int) -> list[Literal]:
        """The constants of the n-th list that was taken out of the text, from 1."""
        constants: list[Literal] = []
        for item in re.findall(_CONSTANT, self._lists[number_of_list - 1], re.IGNORECASE):
            if item[0] == "'":
                text = item[1:-1].replace("''", "'")
                constants.append(Literal(text, f"'{shorten(text)}'"))
            else:
                constants.append(Literal(None if item.upper() == "NULL" else number(item), item))
        return constants

    def refused(self, node: exp.Expression) -> FilterError:
        """The error about a part of the tree that no filter may have."""
        return FilterError(f"{self.written(node)} is not allowed in a filter. {ALLOWED}")

    def written(self, node: exp.Expression) -> str:
        """A part of the tree as SQL, for a message."""
        try:
            return shorten(self._restored(node.sql(dialect=FilterDialect)))
        except Exception:  # sqlglot cannot write every tree that it can read
            return node.key.upper()

    def _restored(self, sql: str) -> str:
        """The text with the lists put back; a $ inside quotes may stand for none."""
        lists = {f"${number}": text for number, text in enumerate(self._lists, start=1)}
        return re.sub(r"\$\d+", lambda match: shorten(lists.get(match[0], match[0])), sql)

    def _take_list(self, match: re.Match[str]) -> str:
        if match["refused"]:
            what = (
                "a comment"
                if match["refused"] in ("--", "/*")
                else f"{match['refused']!r} outside quotes"
            )
            raise FilterError(
                f"{what} is not allowed in a filter: near {match.string[match.start() :][:20]!r}"
            )
        if match["bracket"]:
            return "IN ARRAY["  # else sqlglot takes `IN [1, NULL]` for `IN (1, NULL)`
        if match["constants"] is None:
            return match[0]
        self._lists.append(match["constants"])
        self._terms += _count_constants(match["constants"], MAX_TERMS - self._terms)
        _check_terms(self._terms)
        return f"{match['before']}${len(self._lists)}"

    def _parse(self, syntax: str) -> exp.Expression:
        dialect = FilterDialect()
        try:
            tokens = dialect.tokenize(syntax)
            _check_nesting(tokens)
            _check_words(tokens, self._words)
            found = sum(each.token_type in _CONSTANTS for each in tokens)
            _check_terms(self._terms + found - len(self._lists))  # a placeholder looks like one
            _mark_names(tokens, self._columns - (_WORDS - _TYPE_WORDS))
            trees = dialect.parser().parse_into(exp.Condition, tokens, syntax)
        except TokenError:
            raise FilterError(
                f"the filter {shorten(syntax)!r} cannot be read: is a quote not closed?"
            ) from None
        except ParseError as error:
            raise self._syntax_error(error) from None
        except (VecsearchError, RecursionError):
            raise
        except Exception as error:  # the parser may fail in any way on odd text
            raise FilterError(
                f"the filter {shorten(syntax)!r} cannot be parsed: {error}"
            ) from error
        if len(trees) != 1 or not isinstance(trees[0], exp.Expression):
            raise FilterError(
                "the filter is empty: write a condition such as year >= 2000, or give no filter"
            )
        return trees[0]

    def _syntax_error(self, error: ParseError) -> FilterError:
        detail = error.errors[0] if error.errors else {}
        start, place, end = (
            str(detail.get(part) or "") for part in ("start_context", "highlight", "end_context")
        )
        near = shorten(self._restored(start[-30:] + place + end))
        return FilterError(
            f"the filter cannot be parsed at {place!r}, in {near!r}: write a condition such as "
            "year >= 2000 AND lang = 'en'; a name that is also a word of SQL, or has other "
            "characters than letters, digits and _, goes in double quotes"
        )


def full_width_hint(text: str) -> str:
    """A hint on full-width punctuation outside quotes, as typed on a Chinese keyboard; else ""."""
    bare = re.sub(_QUOTED, "", text[:MAX_SYNTAX], flags=re.VERBOSE)
    odd = next((character for character in bare if character in _FULL_WIDTH), None)
    return f" (the filter has a full-width {odd}, where SQL has {_FULL_WIDTH[odd]})" if odd else ""


def _count_constants(text: str, room: int) -> int:
    """The constants of a list; just `room` + 1 where there are more than `room`."""
    if "'" not in text:
        return text.count(",") + 1
    constants = re.finditer(_CONSTANT, text, re.IGNORECASE)
    return sum(1 for _ in islice(constants, room + 1))


def _check_terms(count: int) -> None:
    if count > MAX_TERMS:
        raise FilterError(
            f"the filter has more than {counted(MAX_TERMS, 'constant')}, which is the most that "
            "SQL text "
            "may hold",
            hint="give long lists of ids as ids=, which takes millions, and other long lists as "
            "pyarrow.compute.field(name).isin(values)",
            command_hint="give long lists of ids with --ids FILE",
        )


def _check_nesting(tokens: Sequence[Token]) -> None:
    nesting = prefixes = 0
    for token in tokens:
        text = token.text.upper()
        nesting += (token.token_type in (TokenType.L_PAREN, TokenType.L_BRACKET)) - (
            token.token_type in (TokenType.R_PAREN, TokenType.R_BRACKET)
        )
        prefixes = prefixes + 1 if text in ("NOT", "-", "+") else 0
        if max(nesting, prefixes) > MAX_NESTING:
            raise FilterError(f"the filter is nested more than {MAX_NESTING} deep: {FLATTER}")


def _check_words(tokens: Sequence[Token], words: set[str]) -> None:
    """Check each token, what comes before each parenthesis, and the type of each cast."""
    followers = [each.text for each in tokens[1:]]
    before = ""
    for token, following in zip(tokens, (*followers, ""), strict=False):
        text, is_free = token.text.upper(), token.token_type in _FREE
        is_free = is_free or (before == "." and text[:1].isalpha())  # a key, such as metadata.type
        before = token.text
        if not is_free and text not in words and text not in _SYMBOLS:
            hints = {
                "WHERE": "leave out that word",
                "SELECT": "it has no sub-queries",
                **dict.fromkeys(("->", "->>"), "write metadata.key or metadata['key'][0]"),
            }
            hint = hints.get(text, f'write "{token.text}" if it is a column. {ALLOWED}')
            raise FilterError(f"{token.text} is not allowed in a filter: {hint}")
        is_name = token.token_type in (TokenType.VAR, TokenType.IDENTIFIER) or (
            text[:1].isalpha() and token.token_type not in _FREE
        )
        if (
            following == "("
            and is_name
            and text not in _MAY_PRECEDE_PARENTHESIS
            and text.lower() not in FUNCTIONS
        ):
            raise FilterError(
                f"the function {token.text}(...) is not allowed in a filter. {ALLOWED}"
            )
        if text in ("AS", "::") and not is_free and following.upper() not in DATE_WORDS:
            raise FilterError(
                f"a cast to {following or 'nothing'} is not allowed in a filter. {ALLOWED}"
            )


def _mark_names(tokens: Sequence[Token], columns: set[str]) -> None:
    """Make names of words of SQL that are keys, after a dot, or columns before a bracket or dot.

    sqlglot would take `list[0]` for a type, and `metadata.select` for a statement.
    """
    followers = [each.text for each in tokens[1:]]
    before = ""
    for token, following in zip(tokens, (*followers, ""), strict=False):
        if token.text[:1].isalpha() and token.token_type not in _FREE:
            is_column = following in ("[", ".") and token.text.upper() in columns
            if before == "." or is_column:
                token.token_type = TokenType.IDENTIFIER
        before = token.text


def _names_within(field: pa.Field) -> Iterable[str]:
    """The name of a column, and of the fields within it if it is a struct."""
    yield field.name
    if pa.types.is_struct(field.type):
        for inner in field.type.fields:
            yield from _names_within(inner)
