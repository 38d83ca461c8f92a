"""Pages of the site that are made when it is built, from the README, the commands and others.

Links between files of the project become links between pages. A link to a file that is no page
(a module, the license) becomes plain text, as the site must work without any other host.
"""

from __future__ import annotations

import posixpath
import re
import sys
import typing
from enum import Enum
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = "benchmarks/results/package-summaries-minilm-50k"
# page of the site -> file of the project
COPIED = {
    "index.md": "README.md",
    "zh.md": "README.zh.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "examples.md": "examples/README.md",
    "reference/recipes.md": "indexes/README.md",
    "explanation/architecture.md": "ARCHITECTURE.md",
    "explanation/measuring.md": "benchmarks/README.md",
    "explanation/results-libraries.md": f"{LIBRARIES}.md",
    "explanation/results-contract.md": "benchmarks/results/contract.md",
    "explanation/results-contract-8-shards.md": "benchmarks/results/contract-8-shards.md",
    "explanation/package-summaries-minilm-50k.png": f"{LIBRARIES}.png",
}
COMMANDS = "reference/commands.md"
PAGE_OF = {source: page for page, source in COPIED.items()}
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are not files of docs/."""
    from mkdocs.structure.files import File

    for page, source in COPIED.items():
        if page.endswith(".md"):
            text = (ROOT / source).read_text(encoding="utf-8")
            files.append(File.generated(config, page, content=text))
        else:
            files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    files.append(File.generated(config, COMMANDS, content=commands_page()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Point the links of a page at pages."""
    here = page.file.src_uri
    source = COPIED.get(here, f"docs/{here}")
    pages = {file.src_uri for file in files}
    return link_pages(markdown, here, source, pages)


def link_pages(markdown: str, here: str, source: str, pages: set[str]) -> str:
    """Rewrite the relative links of a file for the page it becomes; code stays as it is."""

    def rewritten(match: re.Match[str]) -> str:
        text, target = match.groups()
        path, _, anchor = target.partition("#")
        if not path or re.match(r"[a-z]+:", path):
            return match[0]
        project_path = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        page = PAGE_OF.get(project_path, project_path.removeprefix("docs/"))
        if page not in pages:
            return text
        relative = posixpath.relpath(page, posixpath.dirname(here) or ".")
        return f"[{text}]({relative}{'#' + anchor if anchor else ''})"

    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else LINK.sub(rewritten, part) for part in parts)


def commands_page() -> str:
    """Every command of the Typer app with its arguments and options, as Markdown."""
    sys.path.insert(0, str(ROOT))
    import typer

    from vecsearch.cli.app import app

    group: Any = typer.main.get_command(app)
    names = sorted(group.commands)
    lines = [
        "# Commands",
        "",
        "Made from the program itself; `vecsearch COMMAND --help` shows the same. Each command",
        "takes `--json` for scripts. Exit codes: 0 done; 1 an error (one line on stderr, `--debug`",
        "shows where), or a check that found something; 2 a usage error; 130 interrupted.",
        "",
        "| command | what it does |",
        "|---|---|",
        *(f"| [`{name}`](#{name}) | {_first_line(group.commands[name])} |" for name in names),
        "",
    ]
    for name in names:
        lines += _command(name, group.commands[name])
    return "\n".join(lines)


def _command(name: str, command: Any) -> list[str]:
    arguments = [item for item in command.params if item.param_type_name == "argument"]
    options = [
        item for item in command.params if item.param_type_name == "option" and not item.hidden
    ]
    hints = typing.get_type_hints(command.callback)
    usage = " ".join(["vecsearch", name, *(_metavar(item) for item in arguments), "[OPTIONS]"])
    lines = [f"## {name}", "", _one_line(command.help), "", "```text", usage, "```", ""]
    if arguments:
        lines += ["| argument | meaning |", "|---|---|"]
        lines += [f"| `{_metavar(item)}` | {_cell(item.help)} |" for item in arguments]
        lines.append("")
    lines += ["| option | value | default | meaning |", "|---|---|---|---|"]
    for item in options:
        spelled = ", ".join(f"`{word}`" for word in (*item.opts, *item.secondary_opts))
        value = _value(hints.get(item.name, bool))
        lines.append(f"| {spelled} | {value} | {_default(item)} | {_cell(item.help)} |")
    return [*lines, ""]


def _metavar(item: Any) -> str:
    name = (item.metavar or item.name.upper()).strip("[]")
    return name if item.required else f"[{name}]"


def _value(hint: Any) -> str:
    """What an option takes, from the annotation of the function's parameter."""
    if typing.get_origin(hint) is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in typing.get_args(hint))
    kinds = [kind for kind in (typing.get_args(hint) or (hint,)) if kind is not type(None)]
    kind = kinds[0]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{member.value}`" for member in kind)
    if kind is bool:
        return "flag"
    return {str: "text", int: "integer", float: "number", Path: "path"}.get(kind, str(kind))


def _default(item: Any) -> str:
    if item.default is None or item.default == "" or item.default is False:
        return ""
    return f"`{getattr(item.default, 'value', item.default)}`"


def _first_line(command: Any) -> str:
    return _cell(re.split(r"(?<=[.:;]) ", _one_line(command.help))[0].rstrip(":;"))


def _cell(text: str | None) -> str:
    return _one_line(text).replace("|", "\\|")


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
