"""Read queries and relevance judgements from files in the formats of BEIR and TREC.

Queries: .jsonl with one {"_id": ..., "text": ...} per line (BEIR), or one "id, tab, text" per line
(TREC topics as TSV). Judgements (qrels): query-id, corpus-id, score, with or without that header
(BEIR), or query, 0, document, grade (TREC).

BEIR: Thakur et al., "BEIR: A Heterogeneous Benchmark for Zero-shot Evaluation of Information
Retrieval Models" (2021).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vecsearch.common.show import shown
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.encoding import TextFile
from vecsearch.storage.folders import folder_path
from vecsearch.types import counted

Qrels = dict[str, dict[str, int]]


def file_of(name: str, given: Any) -> Path:
    """The path that an argument names, which may be a file or a folder.

    Raises InvalidInputError for what is neither path nor, as the caller has looked, a dict.
    """
    if not isinstance(given, str | os.PathLike):
        raise InvalidInputError(
            f"{name} is {shown(given)}; it must be a dict with ids as keys, or the path of a file"
        )
    return folder_path(given)


def checked_qrels(qrels: Mapping[Any, Any]) -> Qrels:
    """Judgements that were given as query id -> document id -> grade, a whole number.

    Raises InvalidInputError for a wrong one, which it names.
    """
    grades: Qrels = {}
    for query, row in qrels.items():
        if not isinstance(row, Mapping):
            raise InvalidInputError(
                f"qrels: the judgements of query {shown(query)} are not a dict of document id to "
                "grade"
            )
        for document, grade in row.items():
            try:
                number = float(grade) if isinstance(grade, int | float | np.number) else math.nan
            except OverflowError:
                number = math.inf
            if not number.is_integer():
                raise InvalidInputError(
                    f"qrels: query {shown(query)}, document {shown(document)}: the grade "
                    f"{shown(grade)} is not a whole number"
                )
            grades.setdefault(str(query), {})[str(document)] = int(number)
    return grades


def read_beir(folder: Path, split: str = "test") -> tuple[Path, Path]:
    """The files of queries and judgements of a BEIR folder.

    Args:
        folder: The folder, with queries.jsonl and qrels/SPLIT.tsv.
        split: Which judgements to use.

    Returns:
        (queries file, judgements file).

    Raises:
        InvalidInputError: A file is missing; the message names it.
    """
    queries, qrels = folder / "queries.jsonl", folder / "qrels" / f"{split}.tsv"
    for path in (queries, qrels):
        if not path.is_file():
            splits = ", ".join(sorted(file.stem for file in (folder / "qrels").glob("*.tsv")))
            hint = f"; it has the splits {splits}" if splits and path is qrels else ""
            raise InvalidInputError(
                f"{folder} is not a folder in the BEIR layout: {path.relative_to(folder)} is not "
                f"there{hint}"
            )
    return queries, qrels


def read_queries(path: Path, *, number_lines: bool = False) -> dict[str, str]:
    """Read queries.

    Args:
        path: A .jsonl file (BEIR), or a file of tab-separated lines (TREC).
        number_lines: Ids are optional: a query without one gets the number of its line.

    Returns:
        Query id -> text.

    Raises:
        InvalidInputError: The file is wrong; the message names file and line.
    """
    queries: dict[str, str] = {}
    for number, line in _lines(path):
        key, text = (
            _json_query(path, number, line, number_lines)
            if path.suffix == ".jsonl"
            else _tab_query(path, number, line, number_lines)
        )
        if not text.strip():
            raise InvalidInputError(f"{path}, line {number}: the query {key!r} has no text")
        if key in queries:
            raise InvalidInputError(f"{path}, line {number}: duplicate query id {key!r}")
        queries[key] = text
    if not queries:
        raise InvalidInputError(f"{path} contains no query")
    return queries


def read_qrels(path: Path) -> Qrels:
    """Read judgements.

    Args:
        path: A file of tab- or space-separated lines (BEIR or TREC).

    Returns:
        Query id -> document id -> grade, a whole number; above zero is relevant.

    Raises:
        InvalidInputError: The file is wrong; the message names file and line.
    """
    qrels: Qrels = {}
    for number, line in _lines(path):
        fields = [field.strip() for field in line.split("\t")] if "\t" in line else line.split()
        if number == 1 and fields[0].lower() in ("query-id", "query_id", "qid"):
            continue
        if len(fields) not in (3, 4):
            raise InvalidInputError(
                f"{path}, line {number}: {counted(len(fields), 'column')}; expected query-id, "
                "corpus-id, "
                "score (BEIR) or query, 0, document, grade (TREC)"
            )
        query, document = fields[0], fields[-2]
        try:
            grade = int(fields[-1])
        except ValueError:
            raise InvalidInputError(
                f"{path}, line {number}: the grade {fields[-1]!r} is not a whole number"
            ) from None
        judged = qrels.setdefault(query, {})
        if judged.setdefault(document, grade) != grade:
            raise InvalidInputError(
                f"{path}, line {number}: query {query!r} and document {document!r} are judged "
                f"{grade} here, but {judged[document]} in an earlier line"
            )
    if not qrels:
        raise InvalidInputError(f"{path} contains no judgement")
    return qrels


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, numbered from 1; in any encoding that `add` reads."""
    try:
        file = TextFile.find(path, str(path))
    except InvalidInputError as error:
        if error.hint:
            error.hint = error.command_hint = "save the file as UTF-8"
        raise
    with file.open() as text:
        for number, line in enumerate(file.lines(text), start=1):
            if line.strip():
                yield number, line.rstrip("\r\n")


def _json_query(path: Path, number: int, line: str, number_lines: bool) -> tuple[str, str]:
    try:
        row: Any = json.loads(line)
        if number_lines and "_id" not in row and "id" not in row:
            return str(number), str(row["text"])
        return str(row["_id"] if "_id" in row else row["id"]), str(row["text"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidInputError(
            f'{path}, line {number}: not a JSON object such as {{"_id": "1", "text": "..."}}'
        ) from error


def _tab_query(path: Path, number: int, line: str, number_lines: bool) -> tuple[str, str]:
    key, tab, text = line.partition("\t")
    if not tab and number_lines:
        return str(number), line.strip()
    if not tab:
        raise InvalidInputError(
            f"{path}, line {number}: no tab; expected the query's id, a tab and its text"
        )
    return key.strip(), text.strip()
