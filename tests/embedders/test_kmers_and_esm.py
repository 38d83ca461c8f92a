"""Sequences as vectors: k-mers against a count by hand, ESM-2 on a tiny model with random weights.

No package brings weights of ESM-2: what is tested is the adapter, not the quality of any model.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecsearch as vs
from vecsearch.embedders import resolve_embedder
from vecsearch.embedders.kmers import _AMINO_ACIDS, KmerEmbedder
from vecsearch.errors import EmbedderError, InvalidInputError

BASES = "ACGT"
AMINO_ACIDS = "".join(_AMINO_ACIDS)


def other_strand(text: str) -> str:
    return text[::-1].translate(str.maketrans("ACGT", "TGCA"))


def sequence(letters: str, size: int, seed: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list(letters), size))


def changed(text: str, share: float, letters: str, seed: int) -> str:
    random = np.random.default_rng(seed)
    return "".join(random.choice(list(letters)) if random.random() < share else c for c in text)


def by_hand(text: str, length: int, protein: bool) -> dict[str, float]:
    """The weight of each piece, before hashing."""
    pieces = [text[at : at + length] for at in range(len(text) - length + 1)]
    total = sum(_AMINO_ACIDS.values())
    if protein:
        rarity = {p: -sum(np.log(_AMINO_ACIDS[c] / total) for c in p) for p in pieces}
    else:
        pieces = [min(p, other_strand(p)) for p in pieces]
        rarity = dict.fromkeys(pieces, length * np.log(4))
    return {p: (1 + np.log(n)) * rarity[p] for p, n in Counter(pieces).items()}


@pytest.mark.parametrize(("protein", "length"), [(True, 3), (False, 6), (False, 2)])
def test_products_are_those_of_the_pieces(protein: bool, length: int) -> None:
    """Hashing keeps products but for pieces that meet by chance, which is rare in 1,024 places."""
    letters = AMINO_ACIDS if protein else BASES
    one = sequence(letters, 60, 1)
    other = changed(one, 0.15, letters, 2)
    embedder = KmerEmbedder("protein" if protein else "dna", length)
    vectors = embedder.embed_documents([one, other])
    weights = [by_hand(text, length, protein) for text in (one, other)]
    norms = [np.sqrt(sum(w * w for w in each.values())) for each in weights]
    exact = sum(w * weights[1].get(p, 0) for p, w in weights[0].items()) / (norms[0] * norms[1])
    assert vectors[0] @ vectors[1] == pytest.approx(exact, abs=0.12)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_one_piece_is_one_number() -> None:
    (vector,) = KmerEmbedder("protein").embed_documents(["MKV"])
    assert sorted(np.abs(vector))[-2:] == [0, 1]


def test_strands_cases_blanks_and_rna_are_the_same() -> None:
    text = sequence(BASES, 80, 3)
    same = [
        text,
        text.lower(),
        other_strand(text),
        text.replace("T", "U"),
        f"{text[:9]}\n{text[9:]}",
    ]
    vectors = resolve_embedder("kmer").embed_documents(same)
    np.testing.assert_allclose(vectors, np.tile(vectors[0], (5, 1)), atol=1e-6)
    protein = resolve_embedder("kmer:protein").embed_documents([text, other_strand(text)])
    assert protein[0] @ protein[1] < 0.9


def test_relatives_are_found() -> None:
    families = [sequence(AMINO_ACIDS, 150, seed) for seed in range(20)]
    relatives = [changed(text, 0.4, AMINO_ACIDS, 100 + n) for n, text in enumerate(families)]
    embedder = resolve_embedder("kmer")
    scores = embedder.embed_documents(relatives) @ embedder.embed_documents(families).T
    assert (scores.argmax(axis=1) == np.arange(20)).mean() >= 0.95


def test_the_hash_is_fixed() -> None:
    code = (
        "from vecsearch.embedders.kmers import KmerEmbedder as K\n"
        "e = K(); v = e.embed_documents(['MKVLLAGGS', 'ACGTACGGTA'])\n"
        "print(v.argmax(1).tolist(), v.argmin(1).tolist(), e.fingerprint()[:8])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(vs.__file__).parents[1])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


@pytest.mark.parametrize("text", ["", "AC", "NNNNNNNN", "ACGTNACGTN", "蛋白质"])
def test_sequences_without_a_piece_are_named(text: str, tmp_path: Path) -> None:
    embedder = resolve_embedder("kmer:dna")
    with pytest.raises(InvalidInputError, match=r"row 1: the sequence has no 6 known letters"):
        embedder.embed_documents(["ACGTACGT", text])
    with pytest.raises(InvalidInputError, match="embeds strings"):
        embedder.embed_documents([5])


def test_specs() -> None:
    assert resolve_embedder("kmer").name == "kmer"
    assert resolve_embedder("kmer:dna:8").name == "kmer:dna:8"
    prints = {resolve_embedder(n).fingerprint() for n in ("kmer", "kmer:dna", "kmer:dna:8")}
    assert len(prints) == 3
    for wrong, words in (
        ("kmer:rna", "must be 'dna' or 'protein'"),
        ("kmer:dna:x", "no number of letters"),
        ("kmer:dna:13", "must be 1 to 12"),
        ("kmer::4", "needs an alphabet"),
    ):
        with pytest.raises(EmbedderError, match=words):
            resolve_embedder(wrong)


def test_a_collection_is_opened_again_with_its_model(tmp_path: Path) -> None:
    c = vs.create(tmp_path / "c.vs", embedder="kmer:protein")
    texts = [sequence(AMINO_ACIDS, 60, seed) for seed in range(5)]
    c.add([{"id": n, "text": text} for n, text in enumerate(texts)])
    hits = vs.open(tmp_path / "c.vs").search(texts[3], k=1)
    assert hits.ids == [3] and hits[0].score == pytest.approx(1)


@pytest.fixture(scope="module")
def esm(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An ESM-2 of one layer with random weights, in a folder."""
    import torch
    from transformers import EsmConfig, EsmModel, EsmTokenizer

    folder = tmp_path_factory.mktemp("esm") / "tiny"
    folder.mkdir()
    letters = "L A G V S E R T I D P K Q N F Y M H W C X B U Z O . -".split()
    tokens = ["<cls>", "<pad>", "<eos>", "<unk>", *letters, "<mask>"]
    (folder / "vocab.txt").write_text("\n".join(tokens))
    torch.manual_seed(0)
    config = EsmConfig(
        vocab_size=len(tokens),
        mask_token_id=len(tokens) - 1,
        pad_token_id=1,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=24,
        position_embedding_type="rotary",
        token_dropout=False,
    )
    EsmModel(config, add_pooling_layer=False).save_pretrained(folder)
    EsmTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return str(folder)


def test_esm_is_the_mean_over_residues(esm: str) -> None:
    import torch
    from transformers import EsmModel, EsmTokenizer

    embedder = resolve_embedder(f"esm:{esm}", device="cpu")
    assert (embedder.name, embedder.dim) == (f"esm:{esm}", 16)
    texts = ["MKVLL", "mkvll*", "GGSAAGG AAYY", "W"]
    got = embedder.embed_documents(texts)
    model: Any = EsmModel.from_pretrained(esm, add_pooling_layer=False).eval()
    tokenizer = EsmTokenizer.from_pretrained(esm)
    for row, text in enumerate(("MKVLL", "MKVLL", "GGSAAGGAAYY", "W")):
        with torch.inference_mode():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        np.testing.assert_allclose(got[row], states[1:-1].mean(0).numpy(), atol=1e-5)
    assert embedder.fingerprint() == resolve_embedder(f"esm:{esm}").fingerprint()


def test_esm_reads_long_proteins_in_windows(esm: str) -> None:
    embedder = resolve_embedder(f"esm:{esm}", device="cpu")
    text = sequence(AMINO_ACIDS, 45, 0)  # windows of 20
    parts = embedder.embed_documents([text[:20], text[20:40], text[40:]])
    np.testing.assert_allclose(
        embedder.embed_documents([text])[0],
        (20 * parts[0] + 20 * parts[1] + 5 * parts[2]) / 45,
        atol=1e-5,
    )
    with pytest.raises(InvalidInputError, match="row 1: the sequence is empty"):
        embedder.embed_documents(["MKV", "*"])


def test_a_model_of_another_kind_is_refused(tmp_path: Path, esm: str) -> None:
    from transformers import BertConfig, EsmTokenizer

    BertConfig().save_pretrained(tmp_path)
    EsmTokenizer.from_pretrained(esm).save_pretrained(tmp_path)
    with pytest.raises(EmbedderError, match="a model of kind bert"):
        resolve_embedder(f"esm:{tmp_path}")
    with pytest.raises(EmbedderError, match="cannot load the model of proteins"):
        resolve_embedder(f"esm:{tmp_path / 'nothing'}")
    with pytest.raises(EmbedderError, match="name a model"):
        resolve_embedder("esm:")
