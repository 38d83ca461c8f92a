"""Models behind a server that speaks OpenAI's protocol: OpenAI, Ollama, vLLM, LM Studio and others.

Specs: `openai:text-embedding-3-small`, `ollama:nomic-embed-text`, `vllm:NAME`, `lmstudio:NAME`. The
extra is `servers` (httpx).

Where texts are sent is the caller's to say, by the kind, by a variable or by `endpoint=`. What only
a collection names is asked on this machine at most. A key is read from the environment when it is
needed, and goes to the one host it belongs to: it is never stored, logged or shown, and a redirect
is never followed.

A server cannot be asked for its weights, and its numbers vary a little. So a model is identified by
its name, its dimension and the vectors of eight texts; see `ServerEmbedder.is_same_model`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from vecsearch.common.arrays import Vectors
from vecsearch.common.deadline import check_time
from vecsearch.common.engines import engine_for
from vecsearch.common.hosts import is_this_machine
from vecsearch.embedders.base import BaseEmbedder
from vecsearch.embedders.inputs import strings
from vecsearch.embedders.network import is_local_only
from vecsearch.embedders.requests import RefusedError, Requests
from vecsearch.embedders.sentence_transformers import effective_prompts
from vecsearch.errors import EmbedderError, InvalidInputError

BATCH_TEXTS = 128  # texts of a request, at most
BATCH_CHARS = 100_000  # and characters
CONCURRENT = 4  # requests at a time
SAME_MODEL = 0.999  # the mean cosine of the probes' vectors from which on a model is the same
# Of several languages and kinds, so that another model, quantization or prompt shows.
PROBES = (
    "how do plants make food",
    "The contract ends on 31 March unless both sides agree otherwise.",
    "植物利用光合作用制造养分",
    "def add(a, b):\n    return a + b",
    "Wie spät ist es?",
    "¿Dónde está la biblioteca más cercana?",
    "3.14159 27 1,000 %",
    "🙂 ok",
)
SKETCH = 32  # numbers that are kept of a probe's vector


@dataclass(frozen=True, slots=True)
class Kind:
    """Where a kind of server is by default, and which variables say otherwise."""

    endpoint: str
    endpoint_variable: str
    key_variable: str = ""


SERVERS = {
    "openai": Kind("https://api.openai.com/v1", "OPENAI_BASE_URL", "OPENAI_API_KEY"),
    "ollama": Kind("http://127.0.0.1:11434/v1", "OLLAMA_HOST"),
    "vllm": Kind("http://127.0.0.1:8000/v1", "VLLM_BASE_URL", "VLLM_API_KEY"),
    "lmstudio": Kind("http://127.0.0.1:1234/v1", "LMSTUDIO_BASE_URL"),
}


class ServerEmbedder(BaseEmbedder):
    """A model that a server runs; it is asked once when the embedder is made.

    Texts are sent in batches, several at a time. A request that fails for a while (429, 5xx, no
    connection, no answer in time) is sent again after a pause, or when the server says.

    Args:
        model: The model's name, as the server knows it.
        kind: "openai", "ollama", "vllm" or "lmstudio": where the server is unless `endpoint` or a
            variable says so, and which variable holds the key.
        endpoint: The address before "/embeddings", such as "http://gpu-box:8000/v1".
        key_variable: The variable of the environment that holds the key for this endpoint. Without
            it, the kind's own variable is used, if the endpoint is the kind's own or comes from its
            variable, too.
        timeout: Seconds until a request counts as failed.
        attempts: How often a request is sent at most.
        query_prompt: Text put before each query; None takes the one of the e5, bge or nomic family
            if the name shows that family.
        document_prompt: The same for documents.

    Raises:
        MissingExtraError: The extra `servers` is not installed.
        EmbedderError: The server cannot be reached, or refuses.
        InvalidInputError: An argument is wrong.

    Example:
        >>> embedder = ServerEmbedder("nomic-embed-text", "ollama")  # doctest: +SKIP
        >>> embedder.embed_queries(["quiet harbors"]).shape  # doctest: +SKIP
        (1, 768)
    """

    passage_chars = 1500  # most models read 512 tokens, and cut or refuse what is longer

    def __init__(
        self,
        model: str,
        kind: str = "openai",
        *,
        endpoint: str | None = None,
        key_variable: str | None = None,
        timeout: float = 60.0,
        attempts: int = 6,
        query_prompt: str | None = None,
        document_prompt: str | None = None,
    ) -> None:
        if kind not in SERVERS:
            raise InvalidInputError(f"kind is {kind!r}; it must be one of {', '.join(SERVERS)}")
        if not model:
            raise EmbedderError(
                f"'{kind}:' needs the name of a model after the colon, as the server knows it"
            )
        if key_variable is not None and not os.environ.get(key_variable):
            raise EmbedderError(f"key_variable is {key_variable!r}, but no such variable is set")
        name = f"{kind}:{model}"
        self.endpoint = _endpoint(name, SERVERS[kind], endpoint)
        self._model = model
        self._requests = Requests(
            name,
            self.endpoint,
            key_variable or _key_variable(SERVERS[kind], self.endpoint),
            SERVERS[kind].key_variable,
            SERVERS[kind].endpoint_variable,
            timeout,
            attempts,
        )
        query, document = _prompts(model)
        self.query_prompt = query if query_prompt is None else query_prompt
        self.document_prompt = document if document_prompt is None else document_prompt
        self._probes = self._ask(self._with(self.document_prompt, PROBES))
        super().__init__(name, int(self._probes.shape[1]))

    def embed_documents(self, documents: Sequence[str]) -> Vectors:
        """Embed texts with the document prompt: float32, shape (len(documents), dim).

        Raises:
            InvalidInputError: A document is not a string.
            EmbedderError: The server failed, or gave something else than vectors.
        """
        return self._embed(documents, self.document_prompt)

    def embed_queries(self, queries: Sequence[str]) -> Vectors:
        """Embed texts with the query prompt: float32, shape (len(queries), dim).

        Raises:
            InvalidInputError: A query is not a string.
            EmbedderError: The server failed, or gave something else than vectors.
        """
        return self._embed(queries, self.query_prompt)

    def is_same_model(self, fingerprint: str) -> bool:
        """Whether a fingerprint is that of this model, as exactly as a server's numbers allow.

        The name, the dimension and the prompts must be equal, and the mean cosine of the vectors of
        the eight probe texts .999 or more. Of each probe the fingerprint holds 32 sums of the
        vector's numbers with random signs, which keep a small angle within a tenth.

        Example:
            >>> embedder.is_same_model(embedder.fingerprint())  # doctest: +SKIP
            True
        """
        digest, _, sketches = fingerprint.partition("-")
        if digest != self._identity():
            return False
        size = len(PROBES) * SKETCH
        try:
            other = np.frombuffer(bytes.fromhex(sketches), np.int8).astype(np.float64)
        except ValueError:
            return False
        if other.size != size:
            return False
        mine = self._sketches().astype(np.float64)
        other = other.reshape(mine.shape)
        lengths = np.linalg.norm(mine, axis=1) * np.linalg.norm(other, axis=1)
        cosines = (mine * other).sum(axis=1) / np.maximum(lengths, 1e-12)
        return bool(cosines.mean() >= SAME_MODEL)

    def _compute_fingerprint(self) -> str:
        return f"{self._identity()}-{self._sketches().tobytes().hex()}"

    def _identity(self) -> str:
        parts = ["server 1", self._model, self.dim, self.query_prompt, self.document_prompt]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _sketches(self) -> npt.NDArray[np.int8]:
        """int8, shape (probes, SKETCH)."""
        bits = hashlib.shake_256(b"vecsearch sketch").digest(SKETCH * -(-self.dim // 8))
        signs = np.unpackbits(np.frombuffer(bits, np.uint8)).reshape(SKETCH, -1)[:, : self.dim]
        sums = self._probes.astype(np.float64) @ (signs * 2.0 - 1.0).T
        largest = np.maximum(np.abs(sums).max(axis=1, keepdims=True), 1e-12)
        rounded: npt.NDArray[np.int8] = np.rint(sums / largest * 127).astype(np.int8)
        return rounded

    def _embed(self, texts: Sequence[str], prompt: str) -> Vectors:
        given = strings(texts, self.name)
        rows = {text: row for row, text in enumerate(dict.fromkeys(given))}
        out = np.empty((len(rows), self.dim), dtype=np.float32)
        batches = list(_batches(self._with(prompt, list(rows))))

        def embed(batch: tuple[int, list[str]]) -> None:
            start, part = batch
            vectors = self._ask(part)
            if vectors.shape[1] != self.dim:
                raise EmbedderError(
                    f"{self.name} gave vectors of {vectors.shape[1]} numbers, where it gave "
                    f"{self.dim} before: the server at {self.endpoint} has another model now"
                )
            out[start : start + len(part)] = vectors

        engine = engine_for(CONCURRENT)
        for first in range(0, len(batches), CONCURRENT):
            check_time()
            engine.map(embed, batches[first : first + CONCURRENT])
        return out if len(rows) == len(given) else out[[rows[text] for text in given]]

    def _ask(self, texts: list[str]) -> Vectors:
        """The vectors of a batch, halved as long as the server finds it too large."""
        try:
            answer = self._requests.post(
                "/embeddings",
                {"model": self._model, "input": texts, "encoding_format": "float"},
            )
        except RefusedError as refused:
            if not refused.too_large or len(texts) == 1:
                raise
            half = len(texts) // 2
            return np.concatenate([self._ask(texts[:half]), self._ask(texts[half:])])
        return self._vectors(answer, len(texts))

    def _vectors(self, answer: Any, count: int) -> Vectors:
        """The vectors of an answer, in the order of the texts."""
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
            raise self._wrong("gave no list of embeddings")
        if len(data) != count:
            raise self._wrong(f"gave {len(data)} vectors for {count} texts")
        places = [item.get("index", row) for row, item in enumerate(data)]
        if sorted(places, key=str) != sorted(range(count), key=str):
            raise self._wrong("gave vectors whose numbers do not fit the texts")
        lists: list[Any] = [None] * count
        for place, item in zip(places, data, strict=True):
            lists[place] = item.get("embedding")
        sizes = {len(each) if isinstance(each, list) else -1 for each in lists}
        if len(sizes) != 1 or sizes & {-1, 0}:
            raise self._wrong("gave vectors of several lengths, or something else than vectors")
        try:
            vectors = np.array(lists, dtype=np.float64)
        except (TypeError, ValueError):
            raise self._wrong("gave a vector that has other parts than numbers") from None
        if vectors.ndim != 2 or not (np.abs(vectors) <= np.finfo(np.float32).max).all():
            raise self._wrong("gave a vector with NaN, infinite or missing numbers")
        return vectors.astype(np.float32)

    def _wrong(self, what: str) -> EmbedderError:
        return EmbedderError(f"{self._requests.name}: the server at {self.endpoint} {what}")

    @staticmethod
    def _with(prompt: str, texts: Sequence[str]) -> list[str]:
        return [prompt + text for text in texts]


def load_openai(name: str, device: str | None = None) -> ServerEmbedder:
    """The embedder for the spec `openai:NAME`."""
    return ServerEmbedder(name, "openai")


def load_ollama(name: str, device: str | None = None) -> ServerEmbedder:
    """The embedder for the spec `ollama:NAME`."""
    return ServerEmbedder(name, "ollama")


def load_vllm(name: str, device: str | None = None) -> ServerEmbedder:
    """The embedder for the spec `vllm:NAME`."""
    return ServerEmbedder(name, "vllm")


def load_lmstudio(name: str, device: str | None = None) -> ServerEmbedder:
    """The embedder for the spec `lmstudio:NAME`."""
    return ServerEmbedder(name, "lmstudio")


def _endpoint(name: str, kind: Kind, given: str | None) -> str:
    """The address to use, checked: that of the caller, of the variable, or of the kind."""
    variable = os.environ.get(kind.endpoint_variable)
    if given is not None:
        return _address("endpoint", given, kind)
    if variable:
        return _address(kind.endpoint_variable, variable, kind)
    if is_local_only() and not is_this_machine(urlsplit(kind.endpoint).hostname or ""):
        raise EmbedderError(
            f"'{name}' would send your texts to {kind.endpoint}, which a collection alone does not "
            f"decide (set {kind.endpoint_variable} to allow it)"
        )
    return kind.endpoint


def _address(what: str, given: str, kind: Kind) -> str:
    """An address with its scheme, port and path: Ollama's variable may have none of them, and no
    host either.
    """
    text = given
    try:
        if "://" not in given:
            text = f"http://127.0.0.1{given}" if given.startswith(":") else f"http://{given}"
            parts, port = urlsplit(text), urlsplit(kind.endpoint).port
            if parts.port is None and port is not None:
                text = text.replace(parts.netloc, f"{parts.netloc}:{port}", 1)
        parts = urlsplit(text)
        is_whole = bool(parts.hostname) and parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole or not text.isascii() or any(c.isspace() for c in text):
        raise InvalidInputError(
            f"{what} is {_without_key(given)!r}; it must be an address such as "
            "http://localhost:11434/v1"
        )
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise InvalidInputError(
            f"{what} is {_without_key(given)!r}: an address without a key, as keys go into a "
            "variable of the environment",
            hint="name it by key_variable=",
            command_hint="put the key into the model's variable, such as OPENAI_API_KEY",
        )
    if parts.hostname in ("0.0.0.0", "::"):  # where Ollama listens
        every = "[::]" if parts.hostname == "::" else "0.0.0.0"
        text = text.replace(every, "127.0.0.1", 1)
    return (text if parts.path.strip("/") else text.rstrip("/") + "/v1").rstrip("/")


def _without_key(address: str) -> str:
    """An address for a message: without what may be a key."""
    front, at, host = address.rpartition("@")
    scheme = f"{front.partition('://')[0]}://***" if "://" in front else "***"
    shown = f"{scheme}{at}{host}" if at else address
    return shown.partition("?")[0].partition("#")[0]


def _key_variable(kind: Kind, endpoint: str) -> str:
    """The kind's variable of a key, if the endpoint is of the host that the key belongs to."""
    own = os.environ.get(kind.endpoint_variable)
    home = _address(kind.endpoint_variable, own, kind) if own else kind.endpoint
    return kind.key_variable if _origin(home) == _origin(endpoint) else ""


def _origin(address: str) -> tuple[str, str, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname or "", parts.port


def _prompts(model: str) -> tuple[str, str]:
    """(query prompt, document prompt) of the family that a model's name shows."""
    short = model.rsplit("/", 1)[-1].lower()
    if short.startswith("nomic-embed-text"):
        return "search_query: ", "search_document: "
    return effective_prompts(model, {})


def _batches(texts: list[str]) -> Iterator[tuple[int, list[str]]]:
    """(number of the first text, texts) of each request."""
    start = 0
    while start < len(texts):
        stop, chars = start, 0
        while (
            stop < len(texts)
            and stop - start < BATCH_TEXTS
            and (stop == start or chars + len(texts[stop]) <= BATCH_CHARS)
        ):
            chars += len(texts[stop])
            stop += 1
        yield start, texts[start:stop]
        start = stop
