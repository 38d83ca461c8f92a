"""The command that serves collections over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vecsearch.cli.options import START, Debug, examples
from vecsearch.cli.terminal import err, reporting

app = typer.Typer()


@app.command(
    rich_help_panel=START,
    epilog=examples("vecsearch serve notes.vs", "vecsearch serve notes.vs papers.vs --port 8080"),
)
def serve(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="COLLECTION...", help="Collections.", show_default=False),
    ],
    port: Annotated[int, typer.Option(help="The port.", min=1, max=65535)] = 8000,
    host: Annotated[
        str, typer.Option(help="The address. Others than this machine's own need keys.")
    ] = "127.0.0.1",
    uds: Annotated[
        Path | None,
        typer.Option(help="Listen at this socket instead, for a proxy.", metavar="PATH"),
    ] = None,
    api_key_file: Annotated[
        Path | None,
        typer.Option(help="File of keys: `read KEY` or `write KEY` a line.", metavar="FILE"),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A name by which clients call this server. Repeatable.", metavar="NAME"),
    ] = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds that a request may take.", min=0.001)
    ] = 30.0,
    max_waiting: Annotated[
        int, typer.Option(help="Requests that may wait for a collection; others get 429.", min=1)
    ] = 1000,
    max_body: Annotated[
        int, typer.Option(help="Megabytes of documents that one request may bring.", min=1)
    ] = 1024,
    measure_every: Annotated[
        float,
        typer.Option(help="Seconds between measurements of the recall; 0: none.", min=0),
    ] = 3600.0,
    debug: Debug = False,
) -> None:
    """Serve collections over HTTP, with a page to search them."""
    with reporting(debug):
        from vecsearch.server.run import serve as run

        def started(place: str) -> None:
            err.print(f"{place}  (Ctrl-C stops)", highlight=False)

        run(
            folders,
            host=host,
            port=port,
            uds=uds,
            api_key_file=api_key_file,
            allowed_hosts=allow_host or (),
            timeout=timeout,
            most_waiting=max_waiting,
            document_bytes=max_body << 20,
            measure_seconds=measure_every,
            started=started,
        )
