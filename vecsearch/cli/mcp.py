"""The command that serves language models over MCP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vecsearch.cli.options import START, Debug, examples
from vecsearch.cli.terminal import err, reporting

app = typer.Typer()


@app.command(
    rich_help_panel=START,
    epilog=examples("vecsearch mcp notes.vs", "vecsearch mcp notes.vs --write --http --port 8800"),
)
def mcp(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="COLLECTION...", help="Collections.", show_default=False),
    ],
    write: Annotated[
        bool, typer.Option("--write", help="Let models add and delete documents.")
    ] = False,
    http: Annotated[
        bool, typer.Option("--http", help="Streamable HTTP instead of stdin and stdout.")
    ] = False,
    port: Annotated[int, typer.Option(help="With --http: the port.", min=1, max=65535)] = 8800,
    debug: Debug = False,
) -> None:
    """Let language models search collections, over MCP."""
    with reporting(debug):
        from vecsearch.integrations.mcp import server

        served = server(folders, write=write)
        if http:
            from vecsearch.server.run import require_free

            require_free("127.0.0.1", port)
            err.print(f"http://127.0.0.1:{port}/mcp  (Ctrl-C stops)", highlight=False)
            served.run("streamable-http", host="127.0.0.1", port=port)
        else:
            served.run("stdio")
