"""Small data for a clone without the shared data sets: from packages, or made with a fixed seed.

Nothing here is downloaded. Each function has the shape of what `_data` reads from the real data.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa

GENRES = ("Comedy", "Drama", "Horror", "Sci-Fi", "War", "Romance")
NAMES = ("Harbor", "Winter", "Garden", "Signal", "Stone", "River", "Mirror", "Letter", "Island")


def films(count: int = 400) -> pa.Table:
    """Made films, each with a main genre and sometimes a second: movieId, title, genres."""
    rng = np.random.default_rng(7)
    main = rng.integers(0, len(GENRES), count)
    second = rng.integers(0, len(GENRES), count)
    both = (rng.random(count) < 0.4) & (main != second)
    genres = [
        "|".join(sorted({GENRES[one], GENRES[other]} if two else {GENRES[one]}))
        for one, other, two in zip(main, second, both, strict=True)
    ]
    titles = [
        f"{NAMES[n % len(NAMES)]} {NAMES[n // len(NAMES) % len(NAMES)]} {n} ({1950 + n % 70})"
        for n in range(count)
    ]
    return pa.table(
        {"movieId": [str(n + 1) for n in range(count)], "title": titles, "genres": genres}
    )


def ratings(users: int = 200, each: int = 60) -> pa.Table:
    """Ratings of the made films, by time: userId, movieId, rating, timestamp.

    A user prefers one genre, and drifts to another in the course of the history. Films differ in
    popularity and quality. The rating follows the genres, the quality and chance.
    """
    rng = np.random.default_rng(8)
    genres = films()["genres"].to_pylist()
    has = np.array([[genre in text.split("|") for genre in GENRES] for text in genres], float)
    popularity = 1 / np.sqrt(1 + rng.permutation(len(genres)))
    quality = rng.normal(0, 0.5, len(genres))
    columns: dict[str, list[object]] = {
        name: [] for name in ("userId", "movieId", "rating", "timestamp")
    }
    for user in range(users):
        taste, later = rng.normal(0, 1, len(GENRES)), rng.normal(0, 1, len(GENRES))
        free = np.ones(len(genres), bool)
        start = int(rng.integers(0, 1_000_000))
        for step in range(each):
            now = taste + (later - taste) * step / each
            chance = popularity * np.exp(1.2 * has @ now) * free
            film = int(rng.choice(len(genres), p=chance / chance.sum()))
            free[film] = False
            liked = 3.2 + 0.5 * float(has[film] @ now) + quality[film] + rng.normal(0, 0.6)
            columns["userId"].append(str(user + 1))
            columns["movieId"].append(str(film + 1))
            columns["rating"].append(float(np.clip(np.round(2 * liked) / 2, 0.5, 5)))
            columns["timestamp"].append(start + 3600 * step)
    return pa.table(columns).sort_by([("timestamp", "ascending"), ("userId", "ascending")])


def citations(papers: int = 600, fields: int = 6) -> tuple[pa.Table, pa.Table]:
    """Made papers that cite mostly papers of their field: edges (source, target), and nodes.

    Nodes have the columns node, label and words (numbers of words, as in Cora). A few papers have
    no citation at all.
    """
    rng = np.random.default_rng(9)
    label = rng.integers(0, fields, papers)
    edges = set()
    for paper in range(papers - papers // 50):
        for _ in range(int(rng.integers(1, 5))):
            same = np.flatnonzero(label[: papers - papers // 50] == label[paper])
            everyone = papers - papers // 50
            other = int(rng.choice(same)) if rng.random() < 0.85 else int(rng.integers(everyone))
            if other != paper:
                edges.add((min(paper, other), max(paper, other)))
    words = []
    for paper in range(papers):
        own = rng.integers(0, 40, 8) + 40 * label[paper]
        words.append(" ".join(map(str, sorted({*own.tolist(), *rng.integers(0, 240, 8).tolist()}))))
    source, target = zip(*sorted(edges), strict=True)
    nodes = {"node": list(range(papers)), "label": label.tolist(), "words": words}
    return pa.table({"source": source, "target": target}), pa.table(nodes)


def digits(folder: Path, each: int = 20) -> Path:
    """Pictures of handwritten digits in one folder for each, from scikit-learn (needs Pillow)."""
    from PIL import Image
    from sklearn.datasets import load_digits

    found = load_digits()
    for digit in range(10):
        place = folder / f"digit-{digit}"
        place.mkdir(parents=True, exist_ok=True)
        for number, row in enumerate(np.flatnonzero(found.target == digit)[:each].tolist()):
            pixels = (255 - found.images[row] * 15.9).astype(np.uint8)
            picture = Image.fromarray(pixels).resize((128, 128), Image.Resampling.BICUBIC)
            picture.convert("RGB").save(place / f"{number:03}.png")
    return folder


def summaries() -> list[tuple[str, str]]:
    """(name, first sentence) of what Python's standard library documents."""
    from vecsearch.cli.stdlib_docs import stdlib_docs

    out = []
    for row in stdlib_docs():
        text = row["text"].partition("\n")[2].strip() or row["text"].partition(": ")[2].strip()
        sentence = " ".join(text.split())
        if len(sentence.split()) >= 4:
            out.append((row["id"], sentence))
    return out


def questions() -> tuple[list[dict[str, str]], dict[str, str], dict[str, dict[str, float]]]:
    """Documents, questions and grades, made from the docstrings of the standard library.

    A question is every second word of a docstring's first sentence; the docstring is the answer.
    """
    from vecsearch.cli.stdlib_docs import stdlib_docs

    modules = ("collections", "datetime", "json", "pathlib", "random", "statistics", "zipfile")
    rows = [row for row in stdlib_docs() if row["module"].startswith(modules)]
    rows = [row for row in rows if len(row["text"].split()) >= 10]
    documents = [{"id": row["id"], "text": row["text"]} for row in rows]
    asked = {
        row["id"]: " ".join(row["text"].replace("\n", " ").split()[2:14:2]) for row in rows[::4]
    }
    return documents, asked, {name: {name: 1.0} for name in asked}


def bilingual(language: str) -> tuple[list[dict[str, str]], dict[str, str], dict[str, dict]]:
    """Passages of parallel.json in "zh" or "en", questions in that language, and grades."""
    path = Path(__file__).with_name("parallel.json")
    rows = json.loads(path.read_text(encoding="utf-8"))
    documents = [{"id": f"p{n}", "text": row[language]} for n, row in enumerate(rows)]
    asked = {f"q{n}": row[f"question_{language}"] for n, row in enumerate(rows)}
    return documents, asked, {f"q{n}": {f"p{n}": 1.0} for n in range(len(rows))}


def labeled() -> list[tuple[str, str]]:
    """Sentences of the standard library's documentation, about a "class" or a "function"."""
    from vecsearch.cli.stdlib_docs import stdlib_docs

    rows = stdlib_docs()
    return [
        (" ".join(row["text"].partition(": ")[2].split()), row["kind"])
        for row in rows
        if row["kind"] in ("class", "function") and len(row["text"].split()) >= 5
    ]
