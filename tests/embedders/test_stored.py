"""Trained embedders in a collection: found after a move, checked, copied, garbage-collected."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support.faults import failing

import vecsearch as vs
from vecsearch.embedders.fasttext import FastTextEmbedder
from vecsearch.embedders.keyed import KeyedEmbedder
from vecsearch.embedders.words import WordEmbedder
from vecsearch.maintenance.backup import write_backup
from vecsearch.maintenance.check import find_damage
from vecsearch.maintenance.parquet import export_parquet, import_parquet
from vecsearch.maintenance.repair import repair
from vecsearch.storage import log, manifest_json
from vecsearch.storage.garbage import collect
from vecsearch.storage.manifest import replace
from vecsearch.storage.open_files import OpenFiles
from vecsearch.training.table import fit_table

WORDS = ["king", "queen", "man", "woman", "植物", "食物", "阳光"]
VECTORS = np.random.default_rng(0).standard_normal((7, 5)).astype(np.float32)
TEXTS = ["The king and the queen", "man, woman", "植物需要阳光", "食物"]


def words() -> WordEmbedder:
    return WordEmbedder(WORDS, VECTORS, about={"corpus": "按手"})


def fasttext() -> FastTextEmbedder:
    ngrams = np.random.default_rng(1).standard_normal((20, 5)).astype(np.float32)
    return FastTextEmbedder(WORDS, VECTORS, ngrams, min_n=1, max_n=2)


def keyed() -> KeyedEmbedder:
    return KeyedEmbedder(TEXTS, VECTORS[:4])


def doc2vec() -> Any:
    from vecsearch.training.doc2vec import train_doc2vec

    return train_doc2vec(TEXTS * 5, dim=4, epochs=2, cutting="words")


needs_gensim = pytest.mark.skipif(
    find_spec("gensim") is None, reason="gensim (the extra 'train') is not installed"
)


@pytest.mark.parametrize(
    "make", [words, fasttext, keyed, pytest.param(doc2vec, marks=needs_gensim)]
)
def test_another_process_finds_the_model_in_a_moved_collection(
    make: Callable[[], Any], tmp_path: Path
) -> None:
    embedder = make()
    name = embedder.name
    with vs.create(tmp_path / "here.vs", embedder=embedder) as c:
        c.add([{"id": f"文{n}", "text": text} for n, text in enumerate(TEXTS)])
    assert embedder.name == name  # it is not known by a folder of the collection from now on
    shutil.move(tmp_path / "here.vs", tmp_path / "there.vs")
    code = (
        "import sys, json, vecsearch as vs\nc = vs.open(sys.argv[1])\n"
        "hits = [c.search(text, k=4) for text in json.loads(sys.argv[2])]\n"
        "print(json.dumps([[h.ids, h.scores.tolist()] for h in hits]))"
    )
    root = tmp_path / "there.vs"
    ran = subprocess.run(
        [sys.executable, "-c", code, root, json.dumps(TEXTS)],
        capture_output=True,
        text=True,
        check=True,
    )
    unit = embedder.embed_documents(TEXTS)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    for (ids, scores), exact in zip(json.loads(ran.stdout), unit @ unit.T, strict=True):
        assert [exact[int(name[1:])] for name in ids] == pytest.approx(scores, abs=1e-5)
        assert scores == pytest.approx(sorted(exact, reverse=True), abs=1e-5)
    assert find_damage(root) == []
    files = [path.name for path in (root / "models").rglob("*") if path.is_file()]
    assert "embedder.json" in files and all(
        name.endswith((".json", ".arrow", ".safetensors")) for name in files
    )


def test_a_table_embedder_takes_rows_as_queries(tmp_path: Path) -> None:
    table = pa.table({"price": [1.0, 2.0, 9.0], "kind": ["a", "a", "b"]})
    embedder = fit_table(table)
    with vs.create(tmp_path / "c.vs", embedder=embedder) as c:
        c.add(
            table.append_column(
                "vector", pa.array(list(embedder.embed_documents(table.to_pylist())))
            )
        )
    assert vs.open(tmp_path / "c.vs").search({"price": 8.5, "kind": "b"}, k=1)[0]["price"] == 9.0


def test_a_model_that_has_a_name_is_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text(
        "".join(f"{word} {row[0]} {row[1]}\n" for word, row in zip(WORDS, VECTORS, strict=True)),
        encoding="utf-8",
    )
    for spec in ("toy:8", f"words:{path}"):
        with vs.create(tmp_path / f"{spec[:3]}.vs", embedder=spec) as c:
            assert c.info().embedder == spec and not (c.path / "models").exists()


def test_a_saved_model_is_copied_into_the_collection(tmp_path: Path) -> None:
    embedder = words()
    folder = embedder.save(tmp_path / "saved")
    for name, given in (("a", embedder), ("b", f"saved:{folder}")):
        vs.create(tmp_path / name, embedder=given).add([{"id": 1, "text": "king"}])
    shutil.rmtree(folder)
    for name in ("a", "b"):
        assert vs.open(tmp_path / name).search("king").scores[0] == pytest.approx(1)


def test_a_damaged_model_is_named_and_vectors_can_still_be_searched(tmp_path: Path) -> None:
    root = tmp_path / "c.vs"
    with vs.create(root, embedder=words()) as c:
        c.add([{"id": n, "text": text} for n, text in enumerate(TEXTS)])
    for path in sorted((root / "models").rglob("*.*")):
        good = path.read_bytes()
        for bad in (good[:-1], good[:20] + bytes([good[20] ^ 1]) + good[21:], None):
            if bad is None:
                path.unlink()
            else:
                path.write_bytes(bad)
            (damage,) = find_damage(root)
            assert (
                damage.file == str(path.relative_to(root))
                and damage.versions == (1, 2)
                and "open the collection with the model" in damage.remedy
            )
            with vs.open(root) as c:
                with pytest.raises(vs.CorruptedError, match=path.name):
                    c.search("king")
                assert len(c.search(VECTORS[0], k=2)) == 2
            with vs.open(root, embedder=words()) as c:
                assert c.search("食物", k=1).ids == [3]
            path.write_bytes(good)
    assert repair(root).left == () and find_damage(root) == []


def test_a_backup_contains_the_model_and_a_parquet_import_asks_for_it(tmp_path: Path) -> None:
    root = tmp_path / "c.vs"
    with vs.create(root, embedder=words()) as c:
        c.add([{"id": n, "text": text} for n, text in enumerate(TEXTS)])
    write_backup(root, tmp_path / "copy.vs")
    export_parquet(root, tmp_path / "rows.parquet")
    shutil.rmtree(root)
    write_backup(tmp_path / "copy.vs", root)
    assert find_damage(root) == [] and vs.open(root).search("食物", k=1).ids == [3]
    import_parquet(tmp_path / "rows.parquet", tmp_path / "imported.vs")
    with (
        vs.open(tmp_path / "imported.vs") as c,
        pytest.raises(vs.EmbedderError, match=r"not stored in the collection.*embedder="),
    ):
        c.search("食物")
    assert vs.open(tmp_path / "imported.vs", embedder=words()).search("食物", k=1).ids == [3]


def test_models_that_no_version_names_are_garbage_collected(tmp_path: Path) -> None:
    root = tmp_path / "c.vs"
    first, second = words(), WordEmbedder(WORDS, VECTORS[:, :3])
    with vs.create(root, embedder=first, keep_versions=2) as c:
        c.add([{"id": n, "text": text} for n, text in enumerate(TEXTS)])
        (old,) = (root / "models").iterdir()
        c.reembed(second)
        (root / "models" / ("0" * 16 + "-" + "0" * 8)).mkdir()
        collect(root, OpenFiles(root), 2)
        assert {path.name for path in (root / "models").iterdir()} > {
            old.name
        }  # the version before needs it
        assert len(list((root / "models").iterdir())) == 2
        c.update(None, {})
        c.delete([0])
        collect(root, OpenFiles(root), 2)
        assert (
            old not in (root / "models").iterdir() and len(list((root / "models").iterdir())) == 1
        )
        c.reembed("toy:8")
        c.compact(purge=True)
        assert list((root / "models").iterdir()) == []
    assert find_damage(root) == []


def test_a_collection_can_be_created_after_an_interrupted_create(tmp_path: Path) -> None:
    root = tmp_path / "c.vs"
    with failing(tmp_path, 10**9, KeyboardInterrupt) as faults:
        vs.create(root, embedder=words()).close()
    shutil.rmtree(root)
    assert faults.count > 15
    for at in range(faults.count):
        error: Callable[[], BaseException] = (
            KeyboardInterrupt if at % 2 else lambda: OSError(errno.ENOSPC, "full")
        )
        made = False
        with failing(tmp_path, at, error):
            try:
                vs.create(root, embedder=words()).close()
                made = True
            except (KeyboardInterrupt, vs.StorageError):
                made = (root / "manifests" / "00000001.json").exists()
        with vs.open(root) if made else vs.create(root, embedder=words()) as c:
            c.add([{"id": 1, "text": "king"}])
            assert c.search("king").scores[0] == pytest.approx(1), at
            collect(root, OpenFiles(root), 5)
            assert len(list((root / "models").iterdir())) == 1
        assert find_damage(root) == []
        shutil.rmtree(root)


@pytest.mark.parametrize(
    "name",
    [
        "models/x",
        "models/../x.json",
        "models/x/../../../y",
        "segments/x/y",
        "models//y",
        "other/x/y",
    ],
)
def test_forged_names_are_refused(name: str, tmp_path: Path) -> None:
    root = tmp_path / "c.vs"
    vs.create(root, embedder=words()).close()
    path = log.path_of(root, 1)
    body = json.loads(path.read_text(encoding="utf-8"))["body"]
    body["embedder"]["files"][0]["name"] = name
    path.write_text(manifest_json.sign(body), encoding="utf-8")
    with pytest.raises(
        vs.CorruptedError, match=r"not the name of a file in the collection|several folders"
    ):
        vs.open(root)


def test_a_model_that_only_a_collection_names_is_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger's collection names models of the hub; any connection fails the test."""
    asked: list[Any] = []

    def connect(self: Any, address: Any) -> None:
        asked.append(address)
        raise OSError("no network in this test")

    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    for where in ("connect", "connect_ex"):
        monkeypatch.setattr(f"socket.socket.{where}", connect)
    monkeypatch.setattr("socket.getaddrinfo", lambda *a, **k: connect(None, a))
    names = ["somebody/a-model-of-a-stranger"]
    names += ["model2vec:somebody/static"] if find_spec("model2vec") else []
    names += ["image:timm/resnet18.a1_in1k"] if find_spec("timm") else []
    for number, name in enumerate(names):
        path = tmp_path / f"{number}.vs"
        with vs.create(path, embedder="toy:8") as c:
            c.add(["a text"])
            made = c._snapshot.manifest
        assert made.embedder is not None
        forged = replace(made, embedder=replace(made.embedder, spec=name))
        log.path_of(path, 2).write_text(manifest_json.to_json(forged), "utf-8")
        with vs.open(path) as c, pytest.raises(vs.EmbedderError, match="not fetched"):
            c.search("a question")
        assert asked == [], name
