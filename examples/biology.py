"""Biology: labels of cells from their neighbors, relatives of proteins, shapes of structures.

Cells: 700 blood cells that come with the package scanpy, if it is installed; else cells made with a
fixed seed. Proteins: families made by changing letters of a common ancestor. Structures: helices
and strands, written as PDB files.

pip install "vecsearch[biology]";  python examples/biology.py
"""

import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
from _data import QUICK, need
from sklearn.decomposition import PCA
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

import vecsearch as vs

NEAREST = 10
AMINO_ACIDS = list("ALGVESIKRDTPNQFYMHCW")


def blood_cells() -> Path | None:
    """The file of scanpy's package; None where it is not installed."""
    package = find_spec("scanpy")
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / "datasets" / "10x_pbmc68k_reduced.h5ad"
    return path if path.exists() else None


def made_cells(count: int) -> pa.Table:
    """Counts of 300 genes in cells of five kinds that were read at different depths."""
    random = np.random.default_rng(0)
    kinds = random.integers(0, 5, count)
    means = random.gamma(0.3, 1, 300) * random.lognormal(0, 0.5, (5, 300))
    counts = random.poisson(means[kinds] * random.lognormal(-0.5, 1, (count, 1)))
    labels = [f"kind {kind}" for kind in kinds]
    return pa.table({"id": np.arange(count), "vector": counts.tolist(), "label": labels})


def cells(folder: Path) -> None:
    """Label transfer by the 10 nearest cells, beside principal components by scikit-learn."""
    path = blood_cells()
    if path is None:
        print("(scanpy is not installed: the figures are of made cells)")
        data: object = made_cells(200 if QUICK else 1000)
        label, model = "label", vs.train("cells", data, dim=20, progress=False)
        collection = vs.create(folder / "cells.vs", embedder=model, metric="l2")
        matrix = np.array(data["vector"].to_pylist(), np.float64)
    else:
        import h5py

        data, label = path, "bulk_labels"
        collection = vs.create(folder / "cells.vs", dim=50, metric="l2")
        with h5py.File(path) as file:
            matrix = file["X"][:].astype(np.float64)
    collection.add(data)
    found = collection.classify(label, model="neighbors", neighbors=NEAREST)
    labels = np.array(found["given"].to_pylist())
    plain = PCA(min(50, *matrix.shape), svd_solver="full").fit_transform(matrix)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    told = cross_val_predict(KNeighborsClassifier(NEAREST), plain, labels, cv=folds)
    print(
        f"cells: label by the {NEAREST} nearest of {found.labeled}: accuracy {found.held_out:.3f} "
        f"({found.low:.3f} to {found.high:.3f}); principal components of the given numbers "
        f"{(told == labels).mean():.3f}; always the most frequent {found.accuracy['majority']:.3f}"
    )
    collection.close()


def changed(letters: str, share: float, random: np.random.Generator) -> str:
    """The sequence with a share of its letters drawn anew."""
    drawn = random.choice(AMINO_ACIDS, len(letters))
    return "".join(np.where(random.random(len(letters)) < share, drawn, list(letters)))


def proteins(folder: Path) -> None:
    """Relatives that share about half of their letters, by k-mers and by the letters' shares."""
    random = np.random.default_rng(1)
    families = ["".join(random.choice(AMINO_ACIDS, 200)) for _ in range(20 if QUICK else 200)]
    lines = [
        f">f{family}m{member} family {family}\n{changed(letters, 0.3, random)}\n"
        for family, letters in enumerate(families)
        for member in range(3)
    ]
    (folder / "proteins.fasta").write_text("".join(lines))
    with vs.create(folder / "proteins.vs", embedder="kmer") as collection:
        collection.add(folder / "proteins.fasta")
        rows = collection.to_arrow(["id", "text", "description"]).to_pydict()
        found = collection.neighbors(1).to_pydict()
    family_of = dict(zip(rows["id"], rows["description"], strict=True))
    pairs = zip(found["id"], found["neighbor"], strict=True)
    right = np.mean([family_of[one] == family_of[other] for one, other in pairs])
    shares = np.array([[float(text.count(c)) for c in AMINO_ACIDS] for text in rows["text"]])
    shares /= np.linalg.norm(shares, axis=1, keepdims=True)
    scores = shares @ shares.T
    np.fill_diagonal(scores, -1)
    of = np.array(rows["description"])
    by_letters = (of[scores.argmax(axis=1)] == of).mean()
    print(
        f"proteins: the nearest of {len(of)} is a relative: kmer {right:.3f}, "
        f"shares of letters {by_letters:.3f}"
    )


def fold_of(kind: str, count: int, random: np.random.Generator) -> np.ndarray:
    """C-alpha atoms of a helix or of strands that run to and fro."""
    steps = np.arange(count)
    if kind == "helix":
        turns = np.deg2rad(100) * steps
        points = np.stack([2.3 * np.cos(turns), 2.3 * np.sin(turns), 1.5 * steps], axis=1)
    else:
        strand, place = steps // 8, steps % 8
        along = 3.3 * np.where(strand % 2, 7 - place, place)
        points = np.stack([along, 4.8 * strand, 0.9 * (-1.0) ** place], axis=1)
    return points + random.normal(0, 0.4, points.shape)


def structures(folder: Path) -> None:
    """Chains of two folds and many lengths: is the nearest shape of the same fold?"""
    random = np.random.default_rng(2)
    files, lengths, kinds = [], [], []
    for number in range(12 if QUICK else 60):
        kind, count = ("helix", "sheet")[number % 2], int(random.integers(24, 90))
        lines = [
            f"ATOM  {n:5d}  CA  ALA A{n:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           C\n"
            for n, (x, y, z) in enumerate(fold_of(kind, count, random), 1)
        ]
        (folder / f"{kind}{number}.pdb").write_text("".join(lines))
        files.append(Path(f"{folder}/{kind}{number}.pdb::shape"))
        lengths.append(count)
        kinds.append(kind)
    with vs.create(folder / "shapes.vs", dim=64) as collection:
        collection.add(files)
        found = collection.neighbors(1).to_pydict()
    pairs = zip(found["id"], found["neighbor"], strict=True)
    right = np.mean([one[:5] == other[:5] for one, other in pairs])
    apart = np.abs(np.subtract.outer(lengths, lengths)).astype(float)
    np.fill_diagonal(apart, np.inf)
    by_length = np.mean(np.array(kinds)[apart.argmin(axis=1)] == np.array(kinds))
    print(
        f"structures: the nearest of {len(files)} chains has the same fold: shape {right:.3f}, "
        f"length alone {by_length:.3f}"
    )


def main() -> None:
    need("h5py", "'vecsearch[biology]'")
    with tempfile.TemporaryDirectory() as folder:
        cells(Path(folder))
        proteins(Path(folder))
        structures(Path(folder))


if __name__ == "__main__":
    main()
