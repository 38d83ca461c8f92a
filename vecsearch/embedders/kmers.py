"""Sequences by their k-mers, without weights: a floor for DNA, RNA and proteins.

Spec: `kmer` (finds out for each sequence what it is), `kmer:dna`, `kmer:protein`, and with another
length of the pieces `kmer:dna:8`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Vectors
from vecsearch.embedders.base import BaseEmbedder
from vecsearch.embedders.inputs import strings
from vecsearch.errors import EmbedderError, InvalidInputError

DIM = 1024
LENGTHS = {"dna": 6, "protein": 3}
LONGEST = 12
_BASES = "ACGT"
# How frequent the amino acids are in UniProtKB/Swiss-Prot (release 2024_01, in percent).
_SHARES = (
    *(8.25, 9.65, 7.07, 6.86, 6.71, 6.64, 5.91, 5.80, 5.53, 5.46),
    *(5.36, 4.74, 4.06, 3.93, 3.86, 2.92, 2.41, 2.27, 1.38, 1.10),
)
_AMINO_ACIDS = dict(zip("ALGVESIKRDTPNQFYMHCW", _SHARES, strict=True))
Numbers = npt.NDArray[np.uint64]


class KmerEmbedder(BaseEmbedder):
    """Counts of the pieces of k letters of a sequence, weighted and hashed.

    A piece that occurs n times weighs (1 + log n) times the logarithm of how rare it is by chance:
    this is tf-idf with the frequencies of amino acids in UniProtKB in the place of a corpus, so
    that nothing has to be fitted. DNA is read from both strands: a piece and its reverse complement
    are the same. Pieces are hashed with a fixed hash into 1,024 numbers, half of them with a minus
    sign (Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009). RNA
    is read as DNA; pieces with other letters, such as N or X, count nothing. Letter case does not
    matter.

    Args:
        alphabet: "dna" or "protein"; None finds out for each sequence: it is DNA if nine of ten
            letters are A, C, G, T, U or N.
        length: Letters of a piece; None takes 6 for DNA and 3 for proteins.

    Raises:
        EmbedderError: There is no such alphabet, or the length is not from 1 to 12.

    Example:
        >>> embedder = KmerEmbedder("dna", 2)
        >>> one, other = embedder.embed_documents(["ACGT", "acgu"])
        >>> bool((one == other).all())
        True
    """

    def __init__(self, alphabet: str | None = None, length: int | None = None) -> None:
        if alphabet is not None and alphabet not in LENGTHS:
            raise EmbedderError(f"the alphabet is {alphabet!r}; it must be 'dna' or 'protein'")
        if length is not None and not 1 <= length <= LONGEST:
            raise EmbedderError(f"k-mers have {length} letters; it must be 1 to {LONGEST}")
        if length is not None and alphabet is None:
            raise EmbedderError("a length of k-mers needs an alphabet, as in kmer:dna:8")
        self.alphabet, self.length = alphabet, length
        parts = (alphabet, None if length is None else str(length))
        super().__init__(":".join(["kmer", *(part for part in parts if part)]), DIM)

    def embed_documents(self, documents: Sequence[Any]) -> Vectors:
        """Embed sequences, queries and documents alike.

        Args:
            documents: Sequences of letters; blanks and line ends are left out.

        Returns:
            float32, shape (len(documents), 1024), each of length 1.

        Raises:
            InvalidInputError: A sequence is no str, or has no whole piece; the message names its
                row.
        """
        out = np.zeros((len(documents), DIM), np.float32)
        for row, text in enumerate(strings(documents, self.name)):
            letters = "".join(text.split()).upper()
            alphabet = self.alphabet or ("dna" if _is_dna(letters) else "protein")
            length = self.length or LENGTHS[alphabet]
            found, weights = _pieces(letters, alphabet, length)
            if not len(found):
                raise InvalidInputError(
                    f"row {row}: the sequence has no {length} known letters of {alphabet} together",
                    hint='on_error="skip" leaves such sequences out',
                    command_hint="--on-error skip leaves such sequences out",
                )
            mixed = _mixed(found, alphabet)
            signs = np.where(mixed >> np.uint64(63), 1.0, -1.0)
            vector = np.bincount(
                (mixed % np.uint64(DIM)).astype(np.int64), signs * weights, minlength=DIM
            )
            norm = float(np.linalg.norm(vector))
            if not norm:  # two pieces that cancel each other out
                vector[int(mixed[0] % np.uint64(DIM))] = norm = 1.0
            out[row] = vector / norm
        return out

    def _compute_fingerprint(self) -> str:
        what = f"vecsearch kmer 1: {self.alphabet}, {self.length}, {LENGTHS}, dim {DIM}"
        return hashlib.sha256(what.encode()).hexdigest()


def _is_dna(letters: str) -> bool:
    return sum(map(letters.count, "ACGTUN")) >= 0.9 * len(letters)


def _pieces(letters: str, alphabet: str, length: int) -> tuple[Numbers, npt.NDArray[np.float64]]:
    """The different pieces as numbers, and their weights."""
    known = _BASES if alphabet == "dna" else "".join(_AMINO_ACIDS)
    table = np.full(256, 255, np.uint8)
    table[np.frombuffer(known.encode(), np.uint8)] = np.arange(len(known), dtype=np.uint8)
    if alphabet == "dna":
        table[ord("U")] = table[ord("T")]
    codes = table[np.frombuffer(letters.encode("latin-1", "replace"), np.uint8)]
    if len(codes) < length:
        return np.empty(0, np.uint64), np.empty(0)
    windows = np.lib.stride_tricks.sliding_window_view(codes, length)
    windows = windows[(windows != 255).all(axis=1)].astype(np.uint64)
    base = np.uint64(len(known))
    powers = base ** np.arange(length - 1, -1, -1, dtype=np.uint64)
    numbers = windows @ powers
    if alphabet == "dna":  # A, C, G, T are 0 to 3, so that 3 - code is the other strand's base
        numbers = np.minimum(numbers, (np.uint64(3) - windows[:, ::-1]) @ powers)
    found, first, counts = np.unique(numbers, return_index=True, return_counts=True)
    rarity = np.full(len(found), length * np.log(4.0))
    if alphabet == "protein":
        shares = np.array(list(_AMINO_ACIDS.values()))
        rarity = -np.log(shares / shares.sum())[windows[first].astype(np.int64)].sum(axis=1)
    return found, (1 + np.log(counts)) * rarity


def _mixed(numbers: Numbers, alphabet: str) -> Numbers:
    """A hash of 64 bits: the finalizer of splitmix64 (Steele et al., OOPSLA 2014)."""
    salt = 0x9E3779B97F4A7C15 if alphabet == "dna" else 0xD1B54A32D192ED03
    with np.errstate(over="ignore"):
        mixed = (numbers + np.uint64(1)) * np.uint64(salt)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))


def load(name: str, device: str | None = None) -> KmerEmbedder:
    """The embedder for the specs `kmer`, `kmer:ALPHABET` and `kmer:ALPHABET:LENGTH`."""
    alphabet, _, length = name.partition(":")
    if length and not (length.isascii() and length.isdigit() and len(length) < 4):
        raise EmbedderError(f"'kmer:{name}': {length!r} is no number of letters, as in kmer:dna:8")
    return KmerEmbedder(alphabet or None, int(length) if length else None)
