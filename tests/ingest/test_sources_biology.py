"""Cells, sequences and structures: what is read of their files, and what is refused."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from support.sources import refused, rows
from test_cli import fails, ok

import vecsearch as vs
from vecsearch.ingest.sources.structures import shape_of

h5py = pytest.importorskip("h5py")
COUNTS = np.random.default_rng(0).poisson(0.7, (6, 8)).astype(np.float32)
NAMES = [f"cell-{number}" for number in range(6)]


def frame_of_new(group: Any) -> None:
    """`obs` as anndata 0.8 and later write it."""
    obs = group.create_group("obs")
    obs.attrs.update({"_index": "barcode", "encoding-type": "dataframe"})
    obs.attrs["column-order"] = ["kind", "genes", "share", "good", "age", "odd"]
    obs["barcode"] = NAMES
    kind = obs.create_group("kind")
    kind.attrs["encoding-type"] = "categorical"
    kind["categories"], kind["codes"] = ["B", "T 细胞"], np.array([0, 1, 1, -1, 0, 1], np.int8)
    obs["genes"], obs["share"] = np.arange(6), np.linspace(0, 1, 6)
    obs["good"] = np.array([True, False] * 3)
    age = obs.create_group("age")
    age.attrs["encoding-type"] = "nullable-integer"
    age["values"], age["mask"] = np.arange(6), np.array([0, 0, 1, 0, 0, 0], bool)
    odd = obs.create_group("odd")
    odd.attrs["encoding-type"] = "of-the-future"


def write_sparse(group: Any, name: str, matrix: Any, kind: str, *, old: bool = False) -> None:
    part = group.create_group(name)
    if old:
        part.attrs["h5sparse_format"], part.attrs["h5sparse_shape"] = kind, matrix.shape
    else:
        part.attrs["encoding-type"], part.attrs["shape"] = f"{kind}_matrix", matrix.shape
    for key in ("data", "indices", "indptr"):
        part[key] = getattr(matrix, key)


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    path = tmp_path / "cells.h5ad"
    with h5py.File(path, "w") as file:
        file.attrs["encoding-type"] = "anndata"
        frame_of_new(file)
        write_sparse(file, "X", sparse.csr_matrix(COUNTS), "csr")
        write_sparse(file.create_group("layers"), "counts", sparse.csc_matrix(COUNTS), "csc")
        file.create_group("obsm")["X_pca"] = COUNTS[:, :4] + 1
        file["obsm/X_umap"] = COUNTS[:, :2]
    return path


def matrix(found: list[dict[str, Any]]) -> np.ndarray:
    return np.array([row["vector"] for row in found], np.float32)


def test_a_file_of_anndata(cells: Path, tmp_path: Path) -> None:
    found = rows(cells)
    np.testing.assert_array_equal(matrix(found), COUNTS[:, :4] + 1)
    assert [row["id"] for row in found] == NAMES
    assert [row["kind"] for row in found] == ["B", "T 细胞", "T 细胞", None, "B", "T 细胞"]
    assert [row["age"] for row in found] == [0, 1, None, 3, 4, 5]
    assert [row["good"] for row in found] == [True, False] * 3
    assert found[3]["X_umap"] == COUNTS[3, :2].tolist() and "odd" not in found[0]
    for part in ("X", "layers/counts", "obsm/X_pca", "X_umap"):
        wanted = {"X_umap": COUNTS[:, :2], "obsm/X_pca": COUNTS[:, :4] + 1}.get(part, COUNTS)
        np.testing.assert_array_equal(matrix(rows(Path(f"{cells}::{part}"))), wanted)
    c = vs.create(tmp_path / "c.vs", dim=4, metric="l2")
    report = c.add(cells).report
    assert "of-the-future" in str(report) and c.count("kind = 'T 细胞'") == 3
    refused(Path(f"{cells}::X_pcb"), "has no matrix 'X_pcb'", "obsm/X_pca (4)", "layers/counts (8)")


def test_a_file_without_maps_gives_its_matrix(tmp_path: Path) -> None:
    path = tmp_path / "x.h5ad"
    with h5py.File(path, "w") as file:
        frame_of_new(file)
        file["X"] = COUNTS
    np.testing.assert_array_equal(matrix(rows(path)), COUNTS)


def test_a_file_of_the_first_anndata(tmp_path: Path) -> None:
    path = tmp_path / "old.h5ad"
    with h5py.File(path, "w") as file:
        kinds = [("index", "S8"), ("kind", "i1"), ("n", "<i8")]
        table = [(name.encode(), number % 2 - 1, number) for number, name in enumerate(NAMES)]
        file["obs"] = np.array(table, kinds)
        file["uns/kind_categories"] = np.array([b"B"])
        maps = np.zeros(6, [("X_pca", "<f4", (3,)), ("X_umap", "<f8", (2,))])
        maps["X_pca"], maps["X_umap"] = COUNTS[:, :3], COUNTS[:, :2]
        file["obsm"] = maps
        write_sparse(file, "raw.X", sparse.csr_matrix(COUNTS), "csr", old=True)
    found = rows(path)
    assert [row["kind"] for row in found] == [None, "B"] * 3
    assert [row["id"] for row in found] == NAMES and found[5]["n"] == 5
    np.testing.assert_array_equal(matrix(found), COUNTS[:, :3])
    np.testing.assert_array_equal(matrix(rows(Path(f"{path}::raw"))), COUNTS)


def test_damaged_cells_are_refused(tmp_path: Path, cells: Path) -> None:
    (tmp_path / "none.h5ad").write_bytes(b"none")
    refused(tmp_path / "none.h5ad", "none.h5ad is no whole .h5ad file")
    with h5py.File(tmp_path / "bare.h5ad", "w") as file:
        file["X"] = COUNTS
    refused(tmp_path / "bare.h5ad", "has no 'obs'")
    with h5py.File(cells, "r+") as file:
        del file["obs/genes"]
        file["obs/genes"] = np.arange(5)
    refused(cells, "column 'genes' of obs has 5 values for 6 cells")
    with h5py.File(cells, "r+") as file:
        del file["obs/genes"]
        file["X/indices"][0] = 99
    refused(Path(f"{cells}::X"), "X has a column outside its 8")


def test_columns_of_obs_that_are_called_like_others_are_renamed(tmp_path: Path) -> None:
    path = tmp_path / "x.h5ad"
    with h5py.File(path, "w") as file:
        obs = file.create_group("obs")
        obs.attrs["_index"], obs.attrs["column-order"] = "index", ["id", "vector"]
        obs["index"], obs["id"], obs["vector"] = NAMES, np.arange(6), np.arange(6)
        file["X"] = COUNTS
    assert set(rows(path)[0]) == {"id", "obs_id", "obs_vector", "vector"}


def test_an_object_of_anndata() -> None:
    data = SimpleNamespace(
        obs=pd.DataFrame({"kind": pd.Categorical(list("abcabc"))}, index=NAMES),
        obs_names=pd.Index(NAMES),
        obsm={"X_pca": COUNTS[:, :3] + 1},
        X=sparse.csr_matrix(COUNTS),
    )
    found = rows(data)
    assert [row["id"] for row in found] == NAMES
    assert [row["kind"] for row in found] == list("abcabc")
    np.testing.assert_array_equal(matrix(found), COUNTS[:, :3] + 1)


@pytest.mark.parametrize("kind", ["csr_matrix", "csc_array", "coo_matrix", "csr_array"])
def test_sparse_matrices_are_vectors(kind: str, tmp_path: Path) -> None:
    given = getattr(sparse, kind)(COUNTS)
    np.testing.assert_array_equal(matrix(rows(given)), COUNTS)
    c = vs.create(tmp_path / "c.vs", dim=8, metric="l2")
    c.add(given)
    np.testing.assert_array_equal(c.vector(3), COUNTS[3])
    with pytest.raises(vs.InvalidInputError, match="holds complex"):
        c.add(getattr(sparse, kind)(COUNTS.astype(complex)))
    assert len(c) == 6


def test_tables_of_genes_and_cells(tmp_path: Path) -> None:
    genes = [f"gene{number}" for number in range(8)]
    wide = pd.DataFrame(COUNTS.astype(int), index=NAMES, columns=genes)
    wide.T.to_csv(tmp_path / "genes.csv")
    wide.assign(kind=list("xyxyxy")).to_csv(tmp_path / "cells.tsv", sep="\t")
    wide.to_csv(tmp_path / "cells.csv.gz")
    by_columns = rows(Path(f"{tmp_path}/genes.csv::columns"))
    by_rows = rows(Path(f"{tmp_path}/cells.tsv::rows"))
    packed = rows(Path(f"{tmp_path}/cells.csv.gz::rows"))
    for found in (by_columns, by_rows, packed):
        assert [row["id"] for row in found] == NAMES
        np.testing.assert_array_equal(matrix(found), COUNTS)
    assert [row["kind"] for row in by_rows] == list("xyxyxy")
    refused(Path(f"{tmp_path}/cells.tsv::columns"), "column 'kind' holds string, not numbers")
    refused(Path(f"{tmp_path}/genes.csv::sideways"), "neither '::rows'", "'::columns'")
    (tmp_path / "hole.csv").write_text("name,a,b\nx,1,\ny,2,3\n")
    refused(Path(f"{tmp_path}/hole.csv::rows"), "column 'b' has no number in row 1")
    (tmp_path / "bare.csv").write_text("name\nx\n")
    refused(Path(f"{tmp_path}/bare.csv::rows"), "no numbers beside")


FASTA = ">one first  protein\nMKV LLA\nGGS*\n\n; a comment\n>two\nACGT\n"


@pytest.mark.parametrize("ending", [".fasta", ".fa", ".faa.gz", ".FNA"])
def test_fasta(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    data = FASTA.encode()
    path.write_bytes(gzip.compress(data) if ending.endswith("gz") else data)
    assert rows(path) == [
        {"id": "one", "text": "MKVLLAGGS*", "description": "first  protein"},
        {"id": "two", "text": "ACGT", "description": None},
    ]


def test_fastq(tmp_path: Path) -> None:
    path = tmp_path / "x.fastq"
    path.write_text("@r1 lane 1\nACGT\n+r1\nIIII\n@r2\nAC\n+\n!J\n")
    found = rows(path)
    assert [(row["id"], row["text"], row["quality"]) for row in found] == [
        ("r1", "ACGT", 40.0),
        ("r2", "AC", 20.5),
    ]
    path.write_text("@r1\nACGT\n+\nIII\n")
    refused(path, "x.fastq, line 1: a damaged read: 4 letters and 3 qualities")
    path.write_text("@r1\nACGT\nIIII\n")
    refused(path, "line 1: no read of four lines")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ACGT\n", "line 1: a FASTA file begins with '>'"),
        (">one\nAC\n>two\n>three\nA\n", "line 3: the sequence 'two' is empty"),
        (">\nACGT\n", "line 1: a header without a name"),
    ],
)
def test_damaged_fasta_is_named_by_its_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "x.fa"
    path.write_text(text)
    refused(path, words)


def test_a_bad_sequence_may_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x.fa"
    path.write_text(">one\nACGTACGT\n>two\n>three\nGGGGGGGG\n")
    c = vs.create(tmp_path / "c.vs", embedder="kmer")
    with pytest.raises(vs.InvalidInputError, match="line 3"):
        c.add(path)
    assert len(c) == 0
    result = c.add(path, on_error="skip")
    assert result.added == 2 and result.report.failures[0].line == 3


def test_sequences_in_a_folder_and_at_the_command_line(tmp_path: Path) -> None:
    folder, place = tmp_path / "all", tmp_path / "c.vs"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.fa").write_text(">one kinase\nMKVLLAGGSMKVLLA\n")
    (folder / "sub" / "b.fastq").write_text("@r1\nACGTACGTAC\n+\nIIIIIIIIII\n")
    assert "2 documents added" in ok("ingest", folder, place, "--embedder", "kmer").out
    with vs.open(place) as c:
        assert set(c.to_arrow(["id"])["id"].to_pylist()) == {"a.fa#one", "sub/b.fastq#r1"}
        assert c.search("MKVLLAGG", k=1).ids == ["a.fa#one"]
        assert c.search("GTACGTACGT", k=1).ids == ["sub/b.fastq#r1"]  # the other strand
        assert c.count("description = 'kinase'") == 1
    assert "no known letters" not in fails("ingest", tmp_path / "none.fa", place, code=2)


def atom(serial: int, residue: str, chain: str, number: int, place: Any, name: str = " CA ") -> str:
    x, y, z = place
    return (
        f"ATOM  {serial:5d} {name} {residue} {chain}{number:4d}    "
        f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00 20.00           C  \n"
    )


def helix(count: int, seed: int) -> np.ndarray:
    turns = np.arange(count) * np.deg2rad(100)
    points = np.stack([2.3 * np.cos(turns), 2.3 * np.sin(turns), 1.5 * np.arange(count)], axis=1)
    return points + np.random.default_rng(seed).normal(0, 0.1, points.shape)


RESIDUES = ["ALA", "GLY", "SER", "LYS", "MSE", "TRP"] * 4


@pytest.fixture
def pdb(tmp_path: Path) -> Path:
    path = tmp_path / "1abc.pdb"
    lines = ["HEADER    X\n", "TITLE     A SMALL\n", "TITLE    2 PROTEIN\n", "MODEL        1\n"]
    for chain in "AB":
        for number, (residue, place) in enumerate(
            zip(RESIDUES, helix(24, ord(chain)), strict=True), 1
        ):
            lines.append(atom(number, residue, chain, number, place + 1, " N  "))
            lines.append(atom(number, residue, chain, number, place))
            if number == 3:  # another place of the same residue
                lines.append(atom(number, residue, chain, number, place + 9))
    lines.append("HETATM 9999  CA   CA A 999      11.000  11.000  11.000  1.00 20.00          CA\n")
    lines += ["ENDMDL\n", "MODEL        2\n", atom(1, "ALA", "C", 1, (0, 0, 0)), "ENDMDL\n"]
    path.write_text("".join(lines))
    return path


def test_a_structure_is_a_row_for_each_chain(pdb: Path) -> None:
    found = rows(pdb)
    assert [row["id"] for row in found] == ["1abc_A", "1abc_B"]
    assert found[0] == {
        "id": "1abc_A",
        "text": "AGSKMW" * 4,
        "title": "A SMALL PROTEIN",
        "chain": "A",
        "residues": 24,
    }


def cif_of(pdb: Path, path: Path) -> Path:
    """The same atoms as mmCIF."""
    names = "group_PDB id label_atom_id label_alt_id label_comp_id label_asym_id label_seq_id "
    names += "pdbx_PDB_ins_code Cartn_x Cartn_y Cartn_z auth_seq_id auth_asym_id pdbx_PDB_model_num"
    lines = ["data_1ABC\n", "_struct.title   'A small \"protein\"'\n", "loop_\n"]
    lines += [f"_atom_site.{name}\n" for name in names.split()]
    model = 1
    for line in pdb.read_text().splitlines():
        model = int(line.split()[1]) if line.startswith("MODEL") else model
        if line.startswith(("ATOM", "HETATM")):
            group, name, residue = line[:6].strip(), line[12:16].strip(), line[17:20].strip()
            name = "CA" if group == "HETATM" else name
            x, y, z = line[30:38].strip(), line[38:46].strip(), line[46:54].strip()
            chain, number = line[21], line[22:26].strip()
            lines.append(
                f"{group} 1 {name} . {residue} {chain} {number} ? {x} {y} {z} {number} {chain} "
                f"{model}\n"
            )
    path.write_text("".join(lines) + "#\n")
    return path


def test_mmcif_says_the_same_as_pdb(pdb: Path, tmp_path: Path) -> None:
    cif = cif_of(pdb, tmp_path / "1abc.cif")
    packed = tmp_path / "1abc.cif.gz"
    packed.write_bytes(gzip.compress(cif.read_bytes()))
    for path in (cif, packed):
        found, same = rows(Path(f"{path}::shape")), rows(Path(f"{pdb}::shape"))
        assert [row["text"] for row in found] == [row["text"] for row in same]
        assert [row["id"] for row in found] == ["1abc_A", "1abc_B"]
        np.testing.assert_array_equal(matrix(found), matrix(same))
        assert found[0]["title"] == 'A small "protein"'


def test_a_shape_does_not_depend_on_where_a_chain_is(tmp_path: Path) -> None:
    points = helix(40, 0)
    shape = shape_of(points)
    turned = points @ np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0] + 70
    np.testing.assert_allclose(shape_of(turned), shape, atol=0.05)
    assert shape.shape == (64,) and np.linalg.norm(shape) == pytest.approx(1)
    pairs = [
        (np.linalg.norm(points[i] - points[j]), j - i) for i in range(40) for j in range(i + 3, 40)
    ]
    by_hand = np.zeros((2, 32))
    for distance, apart in pairs:
        by_hand[int(apart >= 12), min(int(distance / 1.25), 31)] += 1
    by_hand = np.sqrt(by_hand / by_hand.sum(axis=1, keepdims=True) / 2)
    np.testing.assert_allclose(shape, by_hand.ravel(), atol=1e-6)
    ball = np.random.default_rng(2).normal(0, 8, (40, 3))
    assert shape @ shape_of(helix(60, 3)) > shape @ shape_of(ball)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace(" CA ", " CB "), "holds no protein"),
        (lambda text: text.replace("   2.3", "   x.3", 1), "cannot be read"),
        (lambda text: text.replace("   2.3", "   nan", 1)[:0] + "", "holds no protein"),
    ],
)
def test_damaged_structures(pdb: Path, change: Callable[[str], str], words: str) -> None:
    pdb.write_text(change(pdb.read_text()))
    refused(pdb, words)


def test_parts_of_a_structure(pdb: Path, tmp_path: Path) -> None:
    refused(Path(f"{pdb}::form"), "'::form' is unknown; '::shape'")
    short = tmp_path / "2abc.pdb"
    short.write_text("".join(atom(n, "ALA", "A", n, (n, 0, 0)) for n in range(1, 4)))
    refused(Path(f"{short}::shape"), "chain A has 3 residues")
    place = tmp_path / "c.vs"
    assert "2 documents added" in ok("ingest", f"{pdb}::shape", place).out
    with vs.open(place) as c:
        assert c.info().dim == 64 and c.similar("1abc_A", k=1).ids == ["1abc_B"]
