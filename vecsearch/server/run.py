"""Addresses, and the server itself."""

from __future__ import annotations

import signal
from collections.abc import Sequence
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
    api_key_file: Path | None = None,
    allowed_hosts: Sequence[str] = (),
) -> None:
    """Serve collections until Ctrl-C or SIGTERM; requests that run are answered first.

    Args:
        folders: The collections.
        host: The address to listen at. Any but this machine's own needs keys.
        port: The port.
        api_key_file: The keys, see `Keys.read`.
        allowed_hosts: More names by which clients may call the server.

    Raises:
        InvalidInputError: The address is open to others and there are no keys.
        MissingExtraError: The extra `serve` is not installed.
    """
    uvicorn = require("uvicorn", "uvicorn", "serve", "The server")
    require("fastapi", "fastapi", "serve", "The server")
    from vecsearch.server.app import create_app

    if not is_this_machine(host) and api_key_file is None:
        raise InvalidInputError(
            f"host is {host!r}, which others can reach, and there are no keys",
            hint="give api_key_file=",
            command_hint="give --api-key-file",
        )
    keys = Keys.read(api_key_file) if api_key_file is not None else None
    hosts = {*LOCAL_HOSTS, host, *allowed_hosts}
    app = create_app(folders, keys=keys, hosts=hosts)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
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
        server.run()
    finally:
        for each, handler in before:
            signal.signal(each, handler)
