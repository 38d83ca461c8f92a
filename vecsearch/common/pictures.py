"""Pictures as values: PIL images are stored as PNG files; what is known of a picture's file."""

from __future__ import annotations

import datetime as dt
import io
import sys
from typing import Any, NamedTuple

from vecsearch.common.optional import require
from vecsearch.errors import InvalidInputError

THUMBNAIL_SIDE = 192  # pixels of the longer side
_THUMBNAIL_QUALITY = 80  # of JPEG
_EXIF, _TAKEN, _DIGITIZED = 0x8769, 0x9003, 0x9004  # tags of EXIF
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


class PictureInfo(NamedTuple):
    """What is known of the file of a picture.

    Attributes:
        taken: When it was taken, by the camera's clock, which has no time zone; from its EXIF data.
        width: Pixels from left to right, of the picture as it is looked at.
        height: Pixels from top to bottom.
        thumbnail: A JPEG file of at most THUMBNAIL_SIDE pixels on each side.
    """

    taken: dt.datetime | None
    width: int
    height: int
    thumbnail: bytes


def picture_info(content: bytes) -> PictureInfo:
    """Read all of a picture's file. A JPEG is unpacked at about the thumbnail's size, not its own.

    Raises:
        OSError, SyntaxError, ValueError: It is damaged or cut off, of no kind that is known, or
            unpacks to too much.
        MissingExtraError: Pillow is not installed.
    """
    pil = require("PIL.Image", "pillow", "image", "Reading pictures")
    ops = require("PIL.ImageOps", "pillow", "image", "Reading pictures")
    try:
        with pil.open(io.BytesIO(content)) as picture:
            wide, high = picture.size
            taken = _taken(picture)
            picture.draft("RGB", (2 * THUMBNAIL_SIDE, 2 * THUMBNAIL_SIDE))
            small = _on_white(ops.exif_transpose(picture), pil)
    except (pil.DecompressionBombError, EOFError) as error:
        raise ValueError(str(error)) from error
    if (small.width < small.height) != (wide < high):
        wide, high = high, wide  # the camera was turned
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    sink = io.BytesIO()
    small.save(sink, "JPEG", quality=_THUMBNAIL_QUALITY)
    return PictureInfo(taken, wide, high, sink.getvalue())


def _on_white(picture: Any, pil: Any) -> Any:
    """The picture without transparency, which JPEG does not have."""
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = pil.new("RGBA", picture.size, "white")
        return pil.alpha_composite(white, picture).convert("RGB")
    if picture.mode.startswith("I;16"):  # a conversion would cut values above 255 off
        picture = picture.point(lambda value: value / 256).convert("L")
    return picture.convert("RGB")


def _taken(picture: Any) -> dt.datetime | None:
    try:
        tags = picture.getexif().get_ifd(_EXIF)
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, EOFError, OverflowError):
        return None  # damaged EXIF data is no reason to leave a picture out
    for tag in (_TAKEN, _DIGITIZED):
        try:
            return dt.datetime.strptime(str(tags.get(tag))[:19], "%Y:%m:%d %H:%M:%S")
        except ValueError:
            continue
    return None
