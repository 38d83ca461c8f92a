"""PIL images as values of a column: they are stored as the bytes of a PNG file."""

from __future__ import annotations

import io
import sys
from typing import Any

from vecsearch.common.optional import require
from vecsearch.errors import InvalidInputError

LOSSLESS_MODES = ("1", "L", "LA", "I;16", "P", "RGB", "RGBA")  # those that PNG has


def is_picture(value: Any) -> bool:
    """Whether it is a PIL image. Pillow is not imported for it."""
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(value, pil.Image)


def to_png(picture: Any) -> bytes:
    """The bytes of a PNG file with the same pixels and EXIF data, such as the orientation.

    Raises:
        InvalidInputError: PNG does not have the picture's mode, or its file is damaged.
    """
    if picture.mode not in LOSSLESS_MODES:
        raise InvalidInputError(
            f"a picture of mode {picture.mode} cannot be stored as PNG without a loss",
            hint='convert it: picture.convert("RGB")',
        )
    sink = io.BytesIO()
    try:
        picture.save(sink, "PNG", exif=picture.getexif().tobytes() if picture.getexif() else None)
    except (OSError, SyntaxError, ValueError) as error:
        raise InvalidInputError(f"the picture cannot be read: {error}") from error
    return sink.getvalue()


def require_picture(content: bytes) -> None:
    """Check the bytes of a picture's file.

    Raises:
        OSError, SyntaxError, ValueError: They are damaged, of no kind that is known, or unpack to
            too much.
        MissingExtraError: Pillow is not installed.
    """
    pil = require("PIL.Image", "pillow", "image", "Reading pictures")
    try:
        with pil.open(io.BytesIO(content)) as picture:
            picture.verify()
    except pil.DecompressionBombError as error:
        raise ValueError(str(error)) from error
