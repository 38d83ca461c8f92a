"""Addresses, and the server itself."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from vecsearch.common.hosts import LOCAL_HOSTS, is_this_machine
from vecsearch.common.optional import require
from vecsearch.errors import InvalidInputError
from vecsearch.server.keys import Keys


def serve(
    folders: Sequence[Path],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    uds: Path | None = None,
    api_key_file: Path | None = None,
    allowed_hosts: Sequence[str] = (),
    timeout: float = 30.0,
    most_waiting: int = 1000,
    document_bytes: int = 1 << 30,
    measure_seconds: float = 3600.0,
    started: Callable[[str], object] = lambda place: None,
) -> None:
    """Serve collections until Ctrl-C or SIGTERM; requests that run are answered first.

    Args:
        folders: The collections.
        host: The address to listen at. Any but this machine's own needs keys.
        port: The port.
        uds: A socket in the file system instead. Its owner and group can use it.
        api_key_file: The keys, see `Keys.read`.
        allowed_hosts: More names by which clients may call the server.
        timeout: Seconds that a search or a change may take.
        most_waiting: Requests that may wait for a collection.
        document_bytes: Of a body of documents.
        measure_seconds: Between two measurements of the recall; 0 for none.
        started: Called with the address when clients can reach it.

    Raises:
        InvalidInputError: The address is open to others and there are no keys; or it is taken, or
            is none of this machine; or there is something else at the socket's path.
        MissingExtraError: The extra `serve` is not installed.
    """
    uvicorn = require("uvicorn", "uvicorn", "serve", "The server")
    require("fastapi", "fastapi", "serve", "The server")
    from vecsearch.server.app import ServerLimits, create_app

    if not is_this_machine(host) and api_key_file is None:
        raise InvalidInputError(
            f"host is {host!r}, which others can reach, and there are no keys",
            hint="give api_key_file=",
            command_hint="give --api-key-file",
        )
    keys = Keys.read(api_key_file) if api_key_file is not None else None
    limits = ServerLimits(
        document_bytes=document_bytes,
        seconds=timeout,
        waiting=most_waiting,
        measure_seconds=measure_seconds,
    )
    hosts = {*LOCAL_HOSTS, host, *allowed_hosts}
    app = create_app(folders, keys=keys, hosts=hosts, limits=limits)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=30,
    )
    server = uvicorn.Server(config)

    def stop(*_: object) -> None:  # uvicorn raises the signal again once all is answered
        server.should_exit = True

    before = [(each, signal.signal(each, stop)) for each in (signal.SIGINT, signal.SIGTERM)]
    try:
        with _listening(host, port) if uds is None else _listening_at(uds) as listening:
            started(str(uds) if uds is not None else _address(host, listening))
            try:
                server.run([listening])
            finally:
                if uds is not None:
                    uds.unlink(missing_ok=True)
    finally:
        for each, handler in before:
            signal.signal(each, handler)


def require_free(host: str, port: int) -> None:
    """Raises InvalidInputError if no server can listen at an address."""
    _listening(host, port).close()


def _listening(host: str, port: int) -> socket.socket:
    """A socket at an address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None) or 0  # below 0 where a name is not known
        reason = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or error
        raise InvalidInputError(
            f"no server can listen at {host}, port {port}: {reason}",
            hint="give another port=, or stop what listens there",
            command_hint="give another --port, or stop what listens there",
        ) from error


def _address(host: str, listening: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listening.getsockname()[1]}"


def _listening_at(path: Path) -> socket.socket:
    """A socket at a path, for its owner and group."""
    if path.is_socket():  # left by a server that was killed, or in use
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                raise InvalidInputError(f"a server answers at {path}: stop it, or give another")
        path.unlink()
    elif path.exists():
        raise InvalidInputError(f"{path} is there, and is no socket: take another path")
    listening = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o117)
    try:
        listening.bind(str(path))
    except OSError as error:
        listening.close()
        raise InvalidInputError(f"no socket can be made at {path}: {error}") from error
    finally:
        os.umask(mask)
    return listening
