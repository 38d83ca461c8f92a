"""Whether a value is of the kind that a parameter's annotation declares, and that kind in words.

This is for messages about calls that failed. It is lenient: what it does not know, fits.
"""

from __future__ import annotations

import builtins
import inspect
import numbers
import operator
import os
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, Union

from vecsearch.common.show import cut

LOOKED_AT = 1000  # items of a list
_MODULES = {"pa": "pyarrow", "pd": "pandas"}  # by the name that modules import them under
_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "a str",
    bool: "True or False",
    type(None): "None",
    os.PathLike: "a path",
    Mapping: "a dict",
    Callable: "a function",
}


class _Names(dict[str, Any]):
    """The names of a module, and those of vecsearch; any other is Any."""

    def __init__(self, module: Mapping[str, Any]) -> None:
        self.module = module

    def __missing__(self, name: str) -> Any:
        value = self.module.get(name, getattr(builtins, name, None))
        if value is None:  # imported for type checkers only
            value = sys.modules.get(_MODULES.get(name, ""))
        if value is None:
            value = getattr(sys.modules["vecsearch"], name, Any)
        return _type_of(value, self) if isinstance(value, str) else value  # an alias as text


def _type_of(text: str, names: _Names) -> Any:
    holder = types.SimpleNamespace(__annotations__={"it": text})
    return typing.get_type_hints(holder, {}, names)["it"]


def kind_of(annotation: Any, function: Callable[..., object]) -> Any:
    """The type that a parameter's annotation names; Any where that cannot be found out."""
    if annotation is inspect.Parameter.empty:
        return Any
    if not isinstance(annotation, str):
        return annotation
    try:
        return _type_of(annotation, _Names(inspect.unwrap(function).__globals__))
    except Exception:
        return Any


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a kind.

    Example:
        >>> fits([1, "a"], list[int]), fits(None, int), fits(1, int | None)
        (False, False, True)
    """
    origin, inner = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin in (Union, types.UnionType):
        return any(fits(value, each) for each in inner)
    if origin is Literal:
        return any(value is each or (isinstance(value, str) and value == each) for each in inner)
    if kind is None or kind is type(None):
        return value is None
    if origin in (int, float, bool):
        return _is_number(value, origin)
    if origin is str:
        return isinstance(value, str) and is_encodable(value)
    if not isinstance(origin, type):
        return True
    if origin is Sequence and not isinstance(value, Mapping) and _has_length(value):
        origin = Iterable  # arrays and series will do
    try:
        return isinstance(value, origin) and _items_fit(value, origin, inner)
    except Exception:
        return True


def described(kind: Any) -> str:
    """A kind in words.

    Example:
        >>> described(int | str | None), described(list[str])
        ('a whole number, a str or None', 'several, each a str')
    """
    origin, inner = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin in (Union, types.UnionType):
        words = list(dict.fromkeys(described(each) for each in inner))
        return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
    if origin is Literal:
        return " or ".join(f'"{each}"' if isinstance(each, str) else repr(each) for each in inner)
    if origin in _WORDS:
        return _WORDS[origin]
    if isinstance(origin, type) and issubclass(origin, Iterable) and inner:
        return f"several, each {described(inner[0])}"
    name = getattr(origin, "__name__", cut(str(origin)))
    return f"a{'n' if name[0] in 'AEIOU' else ''} {name}"


def _is_number(value: Any, kind: type) -> bool:
    if kind is bool:
        return _is_truth(value)
    if _is_truth(value):
        return False
    if kind is float:
        return isinstance(value, numbers.Real)
    try:
        return abs(operator.index(value)) < 2**63
    except TypeError:
        return False


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool) or type(value).__name__ in ("bool", "bool_")  # numpy's


def _has_length(value: Any) -> bool:
    try:
        len(value)
    except TypeError:
        return False
    return True


def is_model_name(text: str) -> bool:
    """Whether a text can be the name of a model, or of its folder."""
    return bool(text.strip()) and len(text) <= 1000 and "\0" not in text and is_encodable(text)


def is_encodable(text: str) -> bool:
    """Whether a text can be written as UTF-8: it holds no half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _items_fit(value: Any, origin: type, inner: tuple[Any, ...]) -> bool:
    """Whether the first items of a list, or of a dict, are of their kinds."""
    if issubclass(origin, Mapping) and len(inner) == 2:
        return all(
            fits(key, inner[0]) and fits(item, inner[1])
            for key, item in islice(value.items(), LOOKED_AT)
        )
    if inner and isinstance(value, list | tuple | set | frozenset):
        return all(fits(item, inner[0]) for item in islice(value, LOOKED_AT))
    return not (inner and isinstance(value, str | bytes))  # a str is no list of str
