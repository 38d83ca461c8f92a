"""Optional packages: import them, or give the pip command that installs them."""

from __future__ import annotations

from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from typing import Any

from vecsearch.errors import MissingExtraError


def find_installed(module: str, package: str, extra: str, what_for: str) -> ModuleSpec:
    """Find an optional module without running its code.

    Args:
        module: The module's import name, such as "h5py".
        package: Its name on the package index.
        extra: The extra of vecsearch that installs it.
        what_for: What needs it, as the subject of a sentence: "Reading HDF5 files".

    Returns:
        The module's spec (for a submodule, that of its top-level package).

    Raises:
        MissingExtraError: The package is not installed; the message gives the pip command.
    """
    top = module.partition(".")[0]
    spec = find_spec(top)
    if _is_folder(spec) and (module == top or find_spec(module) is None):
        spec = None  # any folder of this name, not a package
    if spec is None:
        raise MissingExtraError(package, extra, what_for)
    return spec


def _is_folder(spec: ModuleSpec | None) -> bool:
    """Whether there are only folders of a name, in which packages may lie."""
    found = getattr(spec, "submodule_search_locations", None)
    return found is not None and getattr(spec, "origin", None) is None


def require(module: str, package: str, extra: str, what_for: str) -> Any:
    """Import an optional module.

    Args:
        module: The module's import name, such as "PIL.Image".
        package: Its name on the package index.
        extra: The extra of vecsearch that installs it.
        what_for: What needs it, as the subject of a sentence: "Reading pictures".

    Returns:
        The module.

    Raises:
        MissingExtraError: The package is not installed; the message gives the pip command.

    Example:
        >>> require("json", "json", "none", "This example").dumps([1])
        '[1]'
    """
    find_installed(module, package, extra, what_for)
    return import_module(module)


def gensim_models(what_for: str) -> Any:
    """`gensim.models`, or MissingExtraError with the pip command."""
    return require("gensim.models", "gensim", "train", what_for)
