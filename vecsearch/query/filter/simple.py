"""Simple conditions, compiled without sqlglot, whose import takes longer than most filters.

Only what can be read in one way is taken: `name op constant`, and [NOT] LIKE, IN, BETWEEN and IS
NULL, where `lower(name)` or `upper(name)` may stand for the name, and `array_contains(name,
constant)`, joined by AND, OR, NOT and parentheses. The name is exactly that of a column, and in
double quotes or no word of SQL. All else is left to `sql.py`; so is what cannot be compiled, as
errors are the same then. A test compares both on many texts.
"""

from __future__ import annotations

import re
from typing import Final

import pyarrow as pa

from vecsearch.common.json_column import is_json
from vecsearch.errors import FilterError
from vecsearch.query.filter.compare import (
    compare,
    conjunction,
    disjunction,
    is_null,
    membership,
    negation,
)
from vecsearch.query.filter.functions import change_case, like, list_contains
from vecsearch.query.filter.values import (
    Literal,
    Operand,
    Value,
    column,
    is_vector,
    number,
    shorten,
)

MOST_CHARACTERS: Final = 1000
_SPACE = r"[ \t\r\n]"
_QUOTED = r"\\\x00-\x1f\ud800-\udfff"  # what may not be within quotes
_CONSTANT = rf"""(?: -?[0-9]+ (?: \.[0-9]+ )? (?! [\w.] ) | '[^'{_QUOTED}]*' (?! ['\w] ) )"""
_NAME = rf"""(?: (?P<name> [A-Za-z_][A-Za-z0-9_]* ) | "(?P<quoted> [^"{_QUOTED}]+ )" )"""
_CONTAINS = re.compile(
    rf"""{_SPACE}* (?: ARRAY_CONTAINS | ARRAY_HAS | LIST_CONTAINS | LIST_HAS ) {_SPACE}*
    \( {_SPACE}* {_NAME} {_SPACE}*
    , {_SPACE}* (?P<constant> {_CONSTANT} ) {_SPACE}* \) {_SPACE}*""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_TERM = re.compile(
    rf"""{_SPACE}*
    (?: (?P<case> LOWER | UPPER ) {_SPACE}* (?P<open> \( ) {_SPACE}* )?
    {_NAME} (?(open) {_SPACE}* \) ) {_SPACE}*
    (?: (?P<op> <= | >= | <> | != | = | < | > ) {_SPACE}* (?P<constant> {_CONSTANT} )
      | (?<! \w ) IS {_SPACE}+ (?P<given> NOT {_SPACE}+ )? (?P<null> NULL ) (?! \w )
      | (?<! \w ) (?P<negated> NOT {_SPACE}+ )?
        (?: (?P<like> I?LIKE ) {_SPACE}* (?P<pattern> (?=') {_CONSTANT} )
          | BETWEEN {_SPACE}+ (?P<low> {_CONSTANT} )
            {_SPACE}+ AND {_SPACE}+ (?P<high> {_CONSTANT} )
          | IN {_SPACE}* \( {_SPACE}*
            (?P<list> {_CONSTANT} (?: {_SPACE}*,{_SPACE}* {_CONSTANT} )* ) {_SPACE}* \)
        )
    ) {_SPACE}*""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_NEXT = rf"(?= {_SPACE} | [(\"] )"
_AND, _OR, _NOT, _OPEN, _CLOSE = (
    re.compile(pattern, re.VERBOSE | re.IGNORECASE | re.ASCII)
    for pattern in (
        rf"AND {_NEXT}",
        rf"OR {_NEXT}",
        rf"{_SPACE}* NOT {_NEXT}",
        rf"{_SPACE}* \(",
        rf"\) {_SPACE}*",
    )
)
DEEPEST: Final = 20  # nested parentheses and NOT
# Every word that sqlglot knows, whether or not it would take it for a column here.
WORDS: Final = frozenset(
    """
ALL ALTER ANALYZE AND ANTI ANY APPLY ARRAY AS ASC ASOF ATTACH AUTOINCREMENT AUTO_INCREMENT
BEGIN BETWEEN BIGDECIMAL BIGINT BIGNUM BIGNUMERIC BINARY BIT BITSTRING BLOB BOOL BOOLEAN
BPCHAR BY BYTE BYTEA CACHE CALL CASE CHAR CHARACTER CLOB CLUSTER COLLATE COLUMN COMMENT
COMMIT CONNECT CONNECT_BY_ROOT CONSTRAINT COPY CREATE CROSS CUBE CURRENT_CATALOG
CURRENT_DATE CURRENT_DATETIME CURRENT_ROLE CURRENT_SCHEMA CURRENT_TIME CURRENT_TIMESTAMP
CURRENT_USER DATABASE DATE DATEMULTIRANGE DATERANGE DATETIME DEC DECFLOAT DECIMAL DECIMAL128
DECIMAL256 DECIMAL32 DECIMAL64 DEFAULT DEFINED DELETE DESC DESCRIBE DETACH DISCONNECT
DISTINCT DISTRIBUTE DIV DOUBLE DROP ELSE END ENUM ESCAPE EXCEPT EXECUTE EXISTS EXPLAIN FALSE
FETCH FILE FILTER FIRST FIXED FLOAT FLOAT4 FLOAT8 FOR FORCE FOREIGN FORMAT FROM FULL
FUNCTION GEOGRAPHY GEOMETRY GLOB GRANT GROUP GROUPING HAVING HUGEINT IF ILIKE IN INDEX INET
INNER INSERT INSTALL INT INT1 INT128 INT16 INT2 INT256 INT32 INT4 INT4MULTIRANGE INT4RANGE
INT64 INT8 INT8MULTIRANGE INT8RANGE INTEGER INTERSECT INTERVAL INTO IS ISNULL JOIN JSON
JSONB KEEP KEY KILL LATERAL LEFT LIKE LIMIT LIST LOAD LOCALTIME LOCALTIMESTAMP LOCK LOGICAL
LONG LONGBLOB LONGTEXT LONGVARCHAR MACRO MAP MEDIUMBLOB MEDIUMINT MEDIUMTEXT MERGE NAMESPACE
NATURAL NCHAR NEXT NOT NOTNULL NULL NULLABLE NUMBER NUMERIC NUMMULTIRANGE NUMRANGE NVARCHAR
NVARCHAR2 OBJECT OFFSET ON ONLY OPERATOR OPTIMIZE OR ORDER ORDINALITY OUT OUTER OVER
OVERLAPS OVERWRITE PARTITION PARTITIONED PARTITIONED_BY PERCENT PIVOT PIVOT_WIDER POSITIONAL
PRAGMA PRECISION PREPARE PRIMARY PROCEDURE QUALIFY RANGE REAL RECURSIVE REF REFERENCES
REGEXP RENAME REPLACE RESET RETURNING REVOKE RIGHT RLIKE ROLLBACK ROLLUP ROW ROWS SCHEMA
SECURITY SELECT SEMI SEQUENCE SESSION SESSION_USER SET SETS SETTINGS SHORT SHOW SIGNED
SIMILAR SMALLINT SOME SQL STR STRAIGHT_JOIN STRING STRUCT SUMMARIZE TABLE TABLESAMPLE TEMP
TEMPORARY TEXT THEN TIME TIMESTAMP TIMESTAMPLTZ TIMESTAMPNTZ TIMESTAMPTZ TIMESTAMP_LTZ
TIMESTAMP_MS TIMESTAMP_NS TIMESTAMP_NTZ TIMESTAMP_S TIMESTAMP_US TIMETZ TIME_NS TINYBLOB
TINYINT TINYTEXT TO TRIGGER TRUE TRUNCATE TSMULTIRANGE TSRANGE TSTZMULTIRANGE TSTZRANGE
UBIGINT UHUGEINT UINT UINT128 UINT256 UINTEGER UNCACHE UNION UNIQUE UNKNOWN UNNEST UNPIVOT
UPDATE USE USER USING USMALLINT UTINYINT UUID VACUUM VALUES VARBINARY VARCHAR VARCHAR2
VARIANT VARYING VECTOR VIEW VOLATILE WHEN WHERE WINDOW WITH XOR
""".split()
)


def compile_simple(text: str, schema: pa.Schema) -> tuple[Value, set[str]] | None:
    """Compile a condition as `sql.compile_text` does, if it is a simple one.

    Returns:
        The condition, and the names of the columns that it reads; None if the text is another one,
        or does not fit the columns.
    """
    if len(text) > MOST_CHARACTERS:
        return None
    parser = _Parser(text, schema)
    try:
        condition = parser.disjunction(0)
    except (_OtherSyntaxError, FilterError, RecursionError):
        return None
    return (condition, parser.columns) if parser.at == len(text) else None


class _OtherSyntaxError(Exception):
    """The text is not a simple condition."""


class _Parser:
    """Reads a text from `at` on; `columns` are the names of the columns read so far."""

    def __init__(self, text: str, schema: pa.Schema) -> None:
        self.at = 0
        self.columns: set[str] = set()
        self._text = text
        self._schema = schema

    def disjunction(self, depth: int) -> Value:
        """Conditions that OR joins; AND binds them more closely, and NOT most."""
        conditions = [self._conjunction(depth)]
        while self._take(_OR):
            conditions.append(self._conjunction(depth))
        return conditions[0] if len(conditions) == 1 else disjunction(conditions)

    def _conjunction(self, depth: int) -> Value:
        conditions = [self._single(depth)]
        while self._take(_AND):
            conditions.append(self._single(depth))
        return conditions[0] if len(conditions) == 1 else conjunction(conditions)

    def _single(self, depth: int) -> Value:
        if depth > DEEPEST:
            raise _OtherSyntaxError
        if self._take(_NOT):
            return negation(self._single(depth + 1))
        if self._take(_OPEN):
            condition = self.disjunction(depth + 1)
            if not self._take(_CLOSE):
                raise _OtherSyntaxError
            return condition
        term = self._take(_CONTAINS)
        if term is not None:
            return list_contains(self._column(term), _constant(term["constant"]))
        term = self._take(_TERM)
        if term is None:
            raise _OtherSyntaxError
        value: Operand = self._column(term)
        if term["case"]:
            value = change_case(value, term["case"].lower())
        assert isinstance(value, Value)  # as only a constant becomes a constant
        return _condition(term, value)

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self._text, self.at)
        if match is not None:
            self.at = match.end()
        return match

    def _column(self, term: re.Match[str]) -> Value:
        name = term["name"] or term["quoted"]
        if (term["name"] or "").upper() in WORDS or self._schema.names.count(name) != 1:
            raise _OtherSyntaxError
        kind = self._schema.field(name).type
        if is_json(kind) or is_vector(kind) or pa.types.is_null(kind):
            raise _OtherSyntaxError
        self.columns.add(name)
        return column(name, kind)


def _condition(term: re.Match[str], value: Value) -> Value:
    if term["op"]:
        op = "<>" if term["op"] == "!=" else term["op"]
        return compare(op, value, _constant(term["constant"]))
    if term["null"]:
        return negation(is_null(value)) if term["given"] else is_null(value)
    if term["like"]:
        ignore_case = term["like"].upper() == "ILIKE"
        found = like(value, term["pattern"][1:-1], "", ignore_case=ignore_case)
    elif term["list"]:
        constants = re.findall(_CONSTANT, term["list"], re.VERBOSE | re.ASCII)
        found = membership(value, [_constant(written) for written in constants])
    else:
        low, high = _constant(term["low"]), _constant(term["high"])
        found = conjunction([compare(">=", value, low), compare("<=", value, high)])
    return negation(found) if term["negated"] else found


def _constant(written: str) -> Literal:
    if written[0] == "'":
        return Literal(written[1:-1], f"'{shorten(written[1:-1])}'")
    return Literal(number(written), shorten(written))
