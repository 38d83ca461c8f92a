"""Conditions joined by AND, compiled without sqlglot, whose import takes longer than most filters.

Only what can be read in one way is taken: `name op constant`, `name LIKE 'text'`, and `name IN
(constants)`, where the name is exactly that of a column, and in double quotes or no word of SQL.
All else is left to `sql.py`; so is what cannot be compiled, as errors are the same then. A test
compares both on many texts.
"""

from __future__ import annotations

import re
from typing import Final

import pyarrow as pa

from vecsearch.common.json_column import is_json
from vecsearch.errors import FilterError
from vecsearch.query.filter.compare import compare, conjunction, membership
from vecsearch.query.filter.functions import like
from vecsearch.query.filter.values import Literal, Value, column, is_vector, number, shorten

MOST_CHARACTERS: Final = 1000
_SPACE = r"[ \t\r\n]"
_QUOTED = r"\\\x00-\x1f\ud800-\udfff"  # what may not be within quotes
_CONSTANT = rf"""(?: -?[0-9]+ (?: \.[0-9]+ )? (?! [\w.] ) | '[^'{_QUOTED}]*' (?! ['\w] ) )"""
_TERM = re.compile(
    rf"""{_SPACE}*
    (?: (?P<name> [A-Za-z_][A-Za-z0-9_]* ) | "(?P<quoted> [^"{_QUOTED}]+ )" ) {_SPACE}*
    (?: (?P<op> <= | >= | <> | != | = | < | > ) {_SPACE}* (?P<constant> {_CONSTANT} )
      | (?<! \w ) (?P<like> I?LIKE ) {_SPACE}* (?P<pattern> (?=') {_CONSTANT} )
      | (?<! \w ) IN {_SPACE}*
        \( {_SPACE}* (?P<list> {_CONSTANT} (?: {_SPACE}*,{_SPACE}* {_CONSTANT} )* ) {_SPACE}* \)
    ) {_SPACE}*""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_AND = re.compile(rf"AND(?={_SPACE})", re.IGNORECASE | re.ASCII)
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
    terms = _terms(text)
    if terms is None:
        return None
    conditions, names = [], set()
    for term in terms:
        name = term["name"] or term["quoted"]
        if schema.names.count(name) != 1:
            return None
        kind = schema.field(name).type
        if is_json(kind) or is_vector(kind) or pa.types.is_null(kind):
            return None
        names.add(name)
        try:
            conditions.append(_condition(term, column(name, kind)))
        except FilterError:
            return None
    return (conditions[0] if len(conditions) == 1 else conjunction(conditions)), names


def _terms(text: str) -> list[re.Match[str]] | None:
    """The conditions that AND joins; None if there is something else in the text."""
    if len(text) > MOST_CHARACTERS:
        return None
    terms, at = [], 0
    while True:
        term = _TERM.match(text, at)
        if term is None or (term["name"] or "").upper() in WORDS:
            return None
        terms.append(term)
        at = term.end()
        if at == len(text):
            return terms
        joined = _AND.match(text, at)
        if joined is None:
            return None
        at = joined.end()


def _condition(term: re.Match[str], value: Value) -> Value:
    if term["like"]:
        return like(value, term["pattern"][1:-1], "", ignore_case=term["like"].upper() == "ILIKE")
    if term["list"]:
        constants = re.findall(_CONSTANT, term["list"], re.VERBOSE | re.ASCII)
        return membership(value, [_constant(written) for written in constants])
    return compare("<>" if term["op"] == "!=" else term["op"], value, _constant(term["constant"]))


def _constant(written: str) -> Literal:
    if written[0] == "'":
        return Literal(written[1:-1], f"'{shorten(written[1:-1])}'")
    return Literal(number(written), shorten(written))
