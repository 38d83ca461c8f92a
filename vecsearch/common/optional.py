"""Optional packages: import them, or say the pip command that installs them."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from vecsearch.errors import MissingExtraError


def require(module: str, package: str, extra: str, what_for: str) -> Any:
    """The optional module, imported. Raises MissingExtraError with the pip command when it is not installed."""
    if find_spec(module.partition(".")[0]) is None:
        raise MissingExtraError(package, extra, what_for)
    return import_module(module)


def gensim_models(what_for: str) -> Any:
    """gensim.models. Raises MissingExtraError with the pip command."""
    return require("gensim.models", "gensim", "train", what_for)


def require_pandas(what: str) -> None:
    """Raises MissingExtraError where pandas is not installed."""
    from importlib.util import find_spec

    from vecsearch.errors import MissingExtraError

    if find_spec("pandas") is None:
        raise MissingExtraError("pandas", "pandas", what)
