"""API keys: a file of them, and who may do what."""

from __future__ import annotations

import enum
import hmac
import os
from dataclasses import dataclass, field
from pathlib import Path

from vecsearch.errors import InvalidInputError

SHORTEST = 16  # characters of a key
FORM = "each line is `read KEY` or `write KEY`"


class Right(enum.IntEnum):
    """What a request needs; each includes those before it."""

    NONE = 0
    READ = 1
    WRITE = 2


@dataclass(frozen=True)
class Keys:
    """The keys of a server.

    Attributes:
        readers: Keys that may read.
        writers: Keys that may read and write.
    """

    readers: tuple[str, ...] = field(repr=False)
    writers: tuple[str, ...] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Keys:
        """Read a file of keys: `read KEY` or `write KEY` a line; `#` begins a comment.

        Raises:
            InvalidInputError: The file cannot be read, others than its owner can read it, or a
                line is wrong. No message holds a key.
        """
        try:
            mode = path.stat().st_mode
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInputError(f"the file of keys {path} cannot be read: {error}") from error
        if os.name == "posix" and mode & 0o077:
            raise InvalidInputError(
                f"others can read the file of keys {path}", hint=f"chmod 600 {path}"
            )
        found: dict[str, list[str]] = {"read": [], "write": []}
        for number, line in enumerate(text.splitlines(), 1):
            words = line.partition("#")[0].split()
            if not words:
                continue
            if len(words) != 2 or words[0] not in found:
                raise InvalidInputError(f"{path}, line {number}: {FORM}")
            if len(words[1]) < SHORTEST or not words[1].isascii():
                raise InvalidInputError(
                    f"{path}, line {number}: a key has at least {SHORTEST} letters of ASCII"
                )
            found[words[0]].append(words[1])
        if not found["read"] and not found["write"]:
            raise InvalidInputError(f"{path} holds no key: {FORM}")
        return cls(tuple(found["read"]), tuple(found["write"]))

    def right_of(self, key: str | None) -> Right:
        """What a key may do. Compares with all keys, in a time that tells nothing of them."""
        given = (key or "").encode("utf-8", "replace")
        right = Right.NONE
        for known, gives in ((self.readers, Right.READ), (self.writers, Right.WRITE)):
            for each in known:
                if hmac.compare_digest(given, each.encode()):
                    right = max(right, gives)
        return right


def key_of(authorization: str | None, api_key: str | None) -> str | None:
    """The key of a request, from `Authorization: Bearer KEY` or `X-API-Key: KEY`."""
    if api_key is not None:
        return api_key
    kind, _, key = (authorization or "").partition(" ")
    return key.strip() if kind.lower() == "bearer" else None
