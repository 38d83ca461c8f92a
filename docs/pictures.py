"""Pictures of a terminal of 80 columns, made from what the commands really print.

`python docs/pictures.py` writes docs/pictures/*.svg, and the tables of a notebook: as HTML, and as
a picture where Chromium is installed. It needs the extra `offline`. No picture loads anything from
another host.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
NOTES = {
    "meetings/2024-03.md": "# March\n\nAnn and Tom were late. We talked about the summer party "
    "and about lunch. We decided to raise the budget to three million, for new servers. The "
    "next meeting is on Tuesday.\n",
    "meetings/2024-04.md": "# April\n\nThe servers arrived, and two of them were broken. Tom "
    "sends them back.\n",
    "house/router.md": "# Router\n\nThe password of the guest wifi is written on the fridge "
    "door. The router is in the cellar.\n",
    "cooking/红烧肉.md": "# 红烧肉\n\n五花肉切块。先用冷水焯一遍，再加冰糖炒出颜色。\n",
}
# Picture -> the commands that it shows.
SHOWN = {
    "search": [
        'vecsearch search notes.vs "what did we decide about the budget" -k 3',
        'vecsearch search notes.vs "wifi password" -k 2 --table',
    ],
    "info": ["vecsearch info notes.vs", "vecsearch versions notes.vs"],
    "help": ["vecsearch --help"],
    "error": ["vecsearch search notes budget", "vecsearch search notes.vs budget --where yaer>1"],
}
START = "import sys; sys.argv[0] = 'vecsearch'; from vecsearch.cli import main; main()"
NOTEBOOK = """
import vecsearch as vs
notes = vs.open("notes.vs")
hits = notes.search("what did we decide about the budget", k=3)
print(hits._repr_html_(), hits[0].highlight()._repr_html_(), hits.plan._repr_html_(), sep="\\n")
"""


def run(folder: Path, command: str) -> str:
    """What a command prints on a terminal of 80 columns, with its colors."""
    environment = {
        **os.environ,
        "COLUMNS": "80",
        "TERMINAL_WIDTH": "80",
        "FORCE_COLOR": "1",
        "TERM": "xterm-256color",
        "TZ": "UTC",
        "PYTHONPATH": str(ROOT),
    }
    words = [sys.executable, "-c", START, *shlex.split(command)[1:]]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    return (done.stdout + done.stderr).replace(str(folder), "/home/ann")


def svg_of(title: str, shown: list[tuple[str, str]]) -> str:
    """Commands and their output as a picture."""
    screen = Console(record=True, width=80, file=StringIO(), force_terminal=True)
    for number, (command, output) in enumerate(shown):
        screen.print(Text(f"{chr(10) * (number > 0)}$ {command}", style="bold green"))
        screen.print(Text.from_ansi(output.rstrip("\n")))
    layout = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    layout = layout.replace("Fira Code, monospace", "monospace")
    return screen.export_svg(
        title=title, theme=DEFAULT_TERMINAL_THEME, code_format=layout, unique_id=title
    )


def photograph(page: Path, picture: Path) -> None:
    """The HTML as a browser shows it; no picture without Chromium."""
    browser = shutil.which("chromium")
    if browser is not None:
        options = "--headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=900,340"
        command = [browser, *options.split(), f"--screenshot={picture}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True)


def make(pictures: Path = PICTURES) -> None:
    """Write all pictures."""
    pictures.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, text in NOTES.items():
            (folder / "notes" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "notes" / path).write_text(text, encoding="utf-8")
        run(folder, "vecsearch ingest notes notes.vs --embedder all-MiniLM-L6-v2")
        for title, commands in SHOWN.items():
            shown = [(command, run(folder, command)) for command in commands]
            (pictures / f"{title}.svg").write_text(svg_of(title, shown), encoding="utf-8")
        command = [sys.executable, "-c", NOTEBOOK]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        page = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        (pictures / "notebook.html").write_text(page.stdout, encoding="utf-8")
        photograph(pictures / "notebook.html", pictures / "notebook.png")


if __name__ == "__main__":
    make()
