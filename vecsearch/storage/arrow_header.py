"""Look into the headers of an Arrow IPC file, before Arrow reads it.

Arrow unpacks the buffers of a batch as soon as the batch is asked for. A forged file of a few bytes
may say that it unpacks to gigabytes. vecsearch writes its files without compression, so one that
says otherwise is refused here. Headers are flatbuffers: tables whose fields are found through a
table of offsets (https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format).
"""

from __future__ import annotations

import struct

import pyarrow as pa

MAGIC = b"ARROW1"
_BLOCK = 24  # bytes: where a message lies, how long its header is (padded), how long its body
_RECORD_BATCH = 3  # the type of a message
# Files of Arrow before 1.0 say in the metadata of a message that it is compressed.
_OLD_COMPRESSION = b"ARROW:experimental_compression"


def require_uncompressed(buffer: pa.Buffer) -> None:
    """Refuse a file of which a part is compressed, or which holds dictionaries.

    Raises:
        ValueError: It does, or its headers are damaged.
    """
    file = memoryview(buffer)
    try:
        if bytes(file[-6:]) != MAGIC:
            raise ValueError("it does not end as an Arrow file does")
        (size,) = struct.unpack_from("<i", file, len(file) - 10)
        if not 0 < size <= len(file) - 10:
            raise ValueError("its footer has no length")
        footer = _Table.root(file[len(file) - 10 - size : len(file) - 10])
        if footer.vector(2)[1]:
            raise ValueError("it holds dictionaries")
        start, count = footer.vector(3)
        for number in range(count):
            offset, length = struct.unpack_from("<qi", footer.content, start + number * _BLOCK)
            if not 0 <= offset <= offset + length <= len(file):
                raise ValueError("a batch lies outside the file")
            _require_plain_message(file[offset : offset + length])
    except struct.error as error:
        raise ValueError(f"its headers are damaged: {error}") from error


def _require_plain_message(message: memoryview) -> None:
    (mark,) = struct.unpack_from("<i", message, 0)
    header = message[8:] if mark == -1 else message[4:]  # before Arrow 0.15 there was no mark
    if _OLD_COMPRESSION in bytes(header):
        raise ValueError("it is compressed")
    table = _Table.root(header)
    kind = table.field(1)
    if not kind or table.number("<B", kind) != _RECORD_BATCH:
        raise ValueError("a part that should be a batch is none")
    if table.table(2).field(3):
        raise ValueError("it is compressed")


class _Table:
    """A table of a flatbuffer.

    Args:
        content: The flatbuffer.
        position: Where the table begins in it.
    """

    def __init__(self, content: memoryview, position: int) -> None:
        self.content = content
        self.position = position
        self.fields = position - self.number("<i", position)
        self.size = self.number("<H", self.fields)

    @classmethod
    def root(cls, content: memoryview) -> _Table:
        """The outermost table of a flatbuffer."""
        return cls(content, struct.unpack_from("<I", content, 0)[0])

    def number(self, form: str, position: int) -> int:
        """A number of the flatbuffer. Raises struct.error for a place outside it."""
        if position < 0:
            raise struct.error("an offset is negative")
        return int(struct.unpack_from(form, self.content, position)[0])

    def field(self, number: int) -> int:
        """Where a field's value is; 0 if the table has no such field."""
        entry = 4 + 2 * number
        if entry + 2 > self.size:
            return 0
        offset = self.number("<H", self.fields + entry)
        return self.position + offset if offset else 0

    def table(self, number: int) -> _Table:
        """A field that is a table itself. Raises struct.error if there is none."""
        place = self.field(number)
        if not place:
            raise struct.error("a header is missing")
        return _Table(self.content, place + self.number("<I", place))

    def vector(self, number: int) -> tuple[int, int]:
        """Where the items of a field begin, and how many there are."""
        place = self.field(number)
        if not place:
            return 0, 0
        start = place + self.number("<I", place)
        return start + 4, self.number("<I", start)
