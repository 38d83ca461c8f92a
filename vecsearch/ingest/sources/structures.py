"""Structures of proteins: PDB and mmCIF files -> a row for each chain, with its sequence.

`1abc.pdb::shape` gives the chains as vectors, too: how the distances between their C-alpha atoms
are spread (`shape_of`). The first model is read. The formats: https://www.wwpdb.org.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from vecsearch.common.arrays import Vectors
from vecsearch.errors import InvalidInputError
from vecsearch.ingest.sources.base import Batches, Part, SourceFile
from vecsearch.ingest.sources.encoding import open_binary
from vecsearch.ingest.sources.memory import vector_column
from vecsearch.types import TITLE, VECTOR

CHAIN, RESIDUES = "chain", "residues"
SHAPE = "shape"
BINS, WIDTH = 32, 1.25  # of each histogram: the last one holds all distances above 38.75 Å
NEAR, FAR = 3, 12  # places in the chain: what is nearer than 3 is alike in all proteins
_LETTERS = dict(
    zip(
        "ALA ARG ASN ASP CYS GLN GLU GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR VAL "
        "MSE SEC PYL".split(),
        "ARNDCQEGHILKMFPSTWYVMUO",
        strict=True,
    )
)
_CELL = re.compile(r"'(?:[^']|'(?=\S))*'(?=\s|$)|\"(?:[^\"]|\"(?=\S))*\"(?=\s|$)|\S+")
_MOST = 20_000  # residues of a chain: all pairs of them are compared


@dataclass
class Chain:
    """A chain: its residues in order, and where their C-alpha atoms are (Å)."""

    letters: list[str] = field(default_factory=list)
    places: list[tuple[float, float, float]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def add(self, residue: str, number: str, place: tuple[str, str, str]) -> None:
        """Add a residue; the first of alternative places counts."""
        if number not in self.seen:
            x, y, z = (float(value) for value in place)
            if not np.isfinite((x, y, z)).all():
                raise ValueError("a coordinate is not finite")
            self.seen.add(number)
            self.letters.append(_LETTERS.get(residue.upper(), "X"))
            self.places.append((x, y, z))


def read_structure(file: SourceFile) -> Part:
    """A PDB or mmCIF file: `id` (file and chain, such as 1abc_A), sequence, title, chain, residues.

    Raises:
        InvalidInputError: The file has no protein, or is damaged; the message names the line.
    """
    if file.inside not in (None, SHAPE):
        raise InvalidInputError(
            f"{file.name}: '::{file.inside}' is unknown; '::{SHAPE}' gives vectors of the shape"
        )
    name = file.path.name.removesuffix(".gz")
    stem, is_cif = Path(name).stem, name.lower().endswith((".cif", ".mmcif"))
    with open_binary(file.path, file.name) as opened:
        lines = io.TextIOWrapper(opened, encoding="utf-8", errors="replace")
        title, chains = _mmcif(lines, file) if is_cif else _pdb(lines, file)
    if not chains:
        raise InvalidInputError(f"{file.name} holds no protein: no C-alpha atom is in it")
    columns = {
        file.reading.id_column: pa.array([f"{stem}_{chain}" for chain in chains]),
        file.text_column: pa.array(["".join(each.letters) for each in chains.values()]),
        TITLE: pa.array([title] * len(chains), pa.string()),
        CHAIN: pa.array(list(chains)),
        RESIDUES: pa.array([len(each.letters) for each in chains.values()], pa.int32()),
    }
    if file.inside == SHAPE:
        for chain, each in chains.items():
            if not 2 * NEAR <= len(each.places) <= _MOST:
                raise InvalidInputError(
                    f"{file.name}: chain {chain} has {len(each.places):,} residues; a shape needs "
                    f"{2 * NEAR} to {_MOST:,}"
                )
        shapes = np.stack([shape_of(np.array(each.places)) for each in chains.values()])
        columns[VECTOR] = vector_column(shapes)
    table = pa.table(columns)

    def read(wanted: pa.Schema) -> Batches:
        yield from table.to_batches()

    return Part(file.name, table.num_rows, table.schema, read)


def shape_of(places: np.ndarray) -> Vectors:
    """How the distances between the C-alpha atoms of a chain are spread.

    Two histograms of 32 bins of 1.25 Å, of pairs that are 3 to 11 places apart in the chain, and of
    those farther apart. Each holds the square roots of shares, so that the product of two vectors
    is the mean of their Bhattacharyya coefficients. Turning or moving the chain changes nothing.

    Args:
        places: Coordinates in Å, shape (residues, 3).

    Returns:
        float32, shape (64,), of length 1 where both kinds of pairs are there.

    Example:
        >>> import numpy as np
        >>> shape_of(np.arange(60.0).reshape(20, 3)).round(3)[:8]
        array([0., 0., 0., 0., 0., 0., 0., 0.], dtype=float32)
    """
    counts = np.zeros((2, BINS))
    for apart in range(NEAR, len(places)):
        distances = np.linalg.norm(places[apart:] - places[:-apart], axis=1)
        bins = np.minimum((distances / WIDTH).astype(np.int64), BINS - 1)
        counts[int(apart >= FAR)] += np.bincount(bins, minlength=BINS)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    return np.ascontiguousarray(np.sqrt(shares / (totals > 0).sum()).ravel(), np.float32)


def _damaged(file: SourceFile, number: int, error: Exception) -> InvalidInputError:
    return InvalidInputError(f"{file.name}, line {number}: the atom cannot be read: {error}")


def _pdb(lines: Iterator[str], file: SourceFile) -> tuple[str | None, dict[str, Chain]]:
    chains: dict[str, Chain] = {}
    title: list[str] = []
    for number, line in enumerate(lines, 1):
        if line.startswith("TITLE"):
            title.append(line[10:].strip())
        elif line.startswith("ENDMDL"):
            break
        elif line.startswith(("ATOM  ", "HETATM")) and line[12:16] == " CA ":
            residue = line[17:20].strip()
            if line.startswith("HETATM") and residue not in _LETTERS:
                continue  # a ligand
            place = (line[30:38], line[38:46], line[46:54])
            try:
                chain = chains.setdefault(line[21].strip() or "_", Chain())
                chain.add(residue, line[22:27], place)
            except (ValueError, IndexError) as error:
                raise _damaged(file, number, error) from error
    return " ".join(title) or None, chains


def _mmcif(lines: Iterator[str], file: SourceFile) -> tuple[str | None, dict[str, Chain]]:
    chains: dict[str, Chain] = {}
    title, names, model = None, [], None
    for number, line in enumerate(lines, 1):
        if line.startswith("_struct.title"):
            cells = _CELL.findall(line)
            title = _unquoted(cells[1]) if len(cells) > 1 else None
        elif line.startswith("_atom_site."):
            names.append(line.split()[0].removeprefix("_atom_site."))
        elif line.startswith(("ATOM", "HETATM")) and names:
            row = dict(zip(names, map(_unquoted, _CELL.findall(line)), strict=False))
            if row.get("label_atom_id") != "CA":
                continue
            residue = row.get("label_comp_id", "")
            if row.get("group_PDB") == "HETATM" and residue not in _LETTERS:
                continue
            model = model or row.get("pdbx_PDB_model_num", "1")
            if row.get("pdbx_PDB_model_num", model) != model:
                break
            try:
                place = (row["Cartn_x"], row["Cartn_y"], row["Cartn_z"])
                label = row.get("auth_asym_id") or row["label_asym_id"]
                own = row.get("auth_seq_id") or row["label_seq_id"]
                insertion = row.get("pdbx_PDB_ins_code", "")
                chains.setdefault(label, Chain()).add(residue, f"{own}{insertion}", place)
            except (ValueError, KeyError) as error:
                raise _damaged(file, number, error) from error
    return title, chains


def _unquoted(cell: str) -> str:
    return cell[1:-1] if len(cell) > 1 and cell[0] == cell[-1] and cell[0] in "'\"" else cell
