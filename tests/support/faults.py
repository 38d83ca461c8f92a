"""A disk that fails on purpose: what vecsearch does to it is recorded, and played back up to a
crash.

`recorded(world)` notes every operation that touches a name or a file's bytes below a folder. `Disk`
replays a prefix of that record and says what may be there after a crash:

  kill   the process dies: everything done so far is there, the write under way up to some byte;
  power  the machine dies: a file's bytes since its last fsync may be missing, cut short or torn,
         and a name given or taken since its folder's last fsync may be as before, each by itself.
         Crueller than real file systems, which keep order.

`failing(world, n, error)` makes the n-th operation fail instead, in the running process.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from vecsearch.storage import disk

SECTOR = 512  # bytes a disk writes whole or not at all


@dataclass(frozen=True)
class Op:
    """One operation: mkdir, create, write, fsync, rename, link, unlink or rmdir. Paths are relative
    to the world.
    """

    kind: str
    path: str
    target: str = ""
    content: bytes = b""

    def __str__(self) -> str:
        return f"{self.kind} {self.path}" + (f" -> {self.target}" if self.target else "")


Hook = Callable[[Op], None]


@contextmanager
def watched(world: Path, before: Hook, after: Hook) -> Iterator[None]:
    """Call `before` and `after` around each operation below `world`. A write counts when its bytes
    are there but not synced.
    """
    world = world.resolve()
    opened: dict[int, str] = {}
    real = {
        name: getattr(os, name)
        for name in ("open", "fsync", "rename", "link", "unlink", "mkdir", "rmdir")
    }
    real_write = disk.write_file

    def absolute(path: Any, dir_fd: int | None = None) -> str:
        text = os.fspath(path)
        folder = Path.cwd() if dir_fd is None else Path(opened.get(dir_fd, ""))
        return os.path.normpath(folder / text)

    def relative(path: str) -> str | None:
        return (
            os.path.relpath(path, world)
            if path.startswith(f"{world}{os.sep}") or path == str(world)
            else None
        )

    def around(op: Op, call: Callable[[], Any]) -> Any:
        before(op)
        result = call()
        after(op)
        return result

    def opening(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        name = absolute(path, dir_fd)
        inside = relative(name)
        if inside is not None and flags & os.O_CREAT and not os.path.lexists(name):
            descriptor = around(
                Op("create", inside), lambda: real["open"](path, flags, mode, dir_fd=dir_fd)
            )
        else:
            descriptor = real["open"](path, flags, mode, dir_fd=dir_fd)
        opened[descriptor] = name
        return int(descriptor)

    def fsync(descriptor: int) -> None:
        inside = relative(opened.get(descriptor, ""))
        if inside is None:
            real["fsync"](descriptor)
        else:
            around(
                Op("fsync", inside), lambda: None
            )  # the play-back models it; syncing the real disk takes time

    def two(kind: str) -> Callable[[Any, Any], None]:
        def call(source: Any, target: Any) -> None:
            one, other = relative(absolute(source)), relative(absolute(target))
            if one is None or other is None:
                real[kind](source, target)
            else:
                around(Op(kind, one, other), lambda: real[kind](source, target))

        return call

    def one(kind: str) -> Callable[..., None]:
        def call(path: Any, *args: Any, dir_fd: int | None = None) -> None:
            inside = relative(absolute(path, dir_fd))
            if inside is None:
                real[kind](path, *args, dir_fd=dir_fd)
            else:
                around(Op(kind, inside), lambda: real[kind](path, *args, dir_fd=dir_fd))

        return call

    def write_file(path: Path, write: Callable[[Path], None]) -> None:
        def writing(target: Path) -> None:
            inside = relative(absolute(target))
            assert inside is not None, f"{target} lies outside the world"
            write(target)
            op = Op("write", inside, content=target.read_bytes())
            try:
                before(op)
            except BaseException:
                os.truncate(target, len(op.content) // 2)
                raise
            after(op)

        real_write(path, writing)

    patches: dict[str, Callable[..., Any]] = {
        "open": opening,
        "fsync": fsync,
        "rename": two("rename"),
        "link": two("link"),
    }
    patches |= {kind: one(kind) for kind in ("unlink", "mkdir", "rmdir")}
    with ExitStack() as stack:
        for name, patched in patches.items():
            stack.enter_context(mock.patch.object(os, name, patched))
        stack.enter_context(mock.patch.object(disk, "write_file", write_file))
        yield


@contextmanager
def recorded(world: Path) -> Iterator[list[Op]]:
    """The operations below `world`, in order, those that succeeded."""
    journal: list[Op] = []
    with watched(world, lambda op: None, journal.append):
        yield journal


@dataclass
class Failing:
    """How many operations there were, and which failed."""

    count: int = 0
    failed: list[Op] = field(default_factory=list)


@contextmanager
def failing(
    world: Path,
    first: int,
    error: Callable[[], BaseException],
    last: int | None = None,
    kinds: tuple[str, ...] = (),
) -> Iterator[Failing]:
    """Raise `error()` instead of doing operations number `first` to `last` (counted from 0; `last`
    None: only the first).
    `kinds` leaves other kinds of operations alone and uncounted.
    """
    state = Failing()

    def before(op: Op) -> None:
        if kinds and op.kind not in kinds:
            return
        number = state.count
        state.count += 1
        if first <= number <= (first if last is None else last):
            state.failed.append(op)
            raise error()

    with watched(world, before, lambda op: None):
        yield state


@dataclass(eq=False)
class Inode:
    """A file: its bytes now, and those that are safe (None: never synced)."""

    now: bytes
    safe: bytes | None = None


@dataclass(eq=False)
class Folder:
    """Names now, names that are safe, and changes of names since the folder was synced: each a set
    that happens together.
    """

    now: dict[str, Inode | Folder] = field(default_factory=dict)
    safe: dict[str, Inode | Folder] = field(default_factory=dict)
    waiting: list[dict[str, Inode | Folder | None]] = field(default_factory=list)

    def change(self, names: dict[str, Inode | Folder | None]) -> None:
        for name, node in names.items():
            if node is None:
                del self.now[name]
            else:
                self.now[name] = node
        self.waiting.append(names)


class Disk:
    """The model: what is on a disk, and what of it survives."""

    def __init__(self, world: Path) -> None:
        """Begin with what is below `world`, all of it safe."""
        self.top = self._read(world)

    def _read(self, path: Path) -> Folder:
        folder = Folder()
        for item in path.iterdir():
            if item.is_dir():
                folder.now[item.name] = self._read(item)
            else:
                content = item.read_bytes()
                folder.now[item.name] = Inode(content, content)
        folder.safe = dict(folder.now)
        return folder

    def _folder(self, path: str) -> Folder:
        node: Folder = self.top
        for name in path.split("/"):
            if name not in ("", "."):
                below = node.now[name]
                assert isinstance(below, Folder), path
                node = below
        return node

    def _split(self, path: str) -> tuple[Folder, str]:
        parent, _, name = path.rpartition("/")
        return self._folder(parent), name

    def apply(self, op: Op) -> None:
        parent, name = self._split(op.path)
        if op.kind == "fsync":
            node = self.top if op.path == "." else parent.now[name]
            if isinstance(node, Folder):
                node.safe, node.waiting = dict(node.now), []
            else:
                node.safe = node.now
        elif op.kind == "mkdir":
            parent.change({name: Folder()})
        elif op.kind == "create":
            parent.change({name: Inode(b"")})
        elif op.kind == "write":
            existing = parent.now.get(name)
            if isinstance(existing, Inode):
                existing.now = op.content
            else:
                parent.change({name: Inode(op.content)})
        elif op.kind in ("unlink", "rmdir"):
            parent.change({name: None})
        elif op.kind in ("link", "rename"):
            node = parent.now[name]
            other, new = self._split(op.target)
            if op.kind == "link":
                other.change({new: node})
            elif other is parent:
                parent.change({name: None, new: node})
            else:
                other.change({new: node})
                parent.change({name: None})
        else:
            raise AssertionError(op)

    def after_kill(self, target: Path, following: Op | None, rng: random.Random) -> None:
        """Lay out the files as a process leaves them that dies in the `following` operation."""
        self._lay_out(self.top, target, lambda folder: folder.now, lambda inode: inode.now)
        if following is not None and following.kind == "write" and rng.random() < 0.8:
            (target / following.path).write_bytes(
                following.content[: rng.randrange(len(following.content) + 1)]
            )

    def after_power_loss(self, target: Path, rng: random.Random) -> None:
        """Lay out one of the states that may be there when the power fails now."""
        keep = rng.choice((0.0, 0.1, 0.5, 0.9, 1.0))

        def names(folder: Folder) -> dict[str, Inode | Folder]:
            found = dict(folder.safe)
            for change in folder.waiting:
                if rng.random() < keep:
                    for name, node in change.items():
                        if node is None:
                            found.pop(name, None)
                        else:
                            found[name] = node
            return found

        self._lay_out(self.top, target, names, lambda inode: surviving(inode, rng))

    def _lay_out(
        self,
        folder: Folder,
        target: Path,
        names: Callable[[Folder], dict[str, Inode | Folder]],
        content: Callable[[Inode], bytes],
    ) -> None:
        target.mkdir(exist_ok=True)
        for name, node in names(folder).items():
            if isinstance(node, Folder):
                self._lay_out(node, target / name, names, content)
            else:
                (target / name).write_bytes(content(node))


def surviving(inode: Inode, rng: random.Random) -> bytes:
    """The bytes of a file after a power loss: all that is safe, and anything of the rest."""
    now, safe = inode.now, inode.safe
    if safe == now:
        return now
    how = rng.randrange(5)
    if how == 0:
        return safe or b""
    if how == 1:
        return now
    if how == 2:
        return now[: rng.randrange(len(now) + 1)]
    if how == 3:
        return bytes(len(now))  # the length was noted, the bytes were not written
    torn = bytearray(now)
    for at in range(0, len(now), SECTOR):
        if rng.random() < 0.5:
            end = min(at + SECTOR, len(now))
            torn[at:end] = bytes(end - at)
    return bytes(torn)
