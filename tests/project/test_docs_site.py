"""The site is built without a warning, needs no other host, and holds every name and command."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import vecsearch

pytest.importorskip("mkdocs", reason="mkdocs comes with the extra 'dev'")
pytest.importorskip("mkdocstrings", reason="mkdocstrings comes with the extra 'dev'")

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import hooks  # noqa: E402


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, which one of the processes that run the tests builds for all."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (shared / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed
        if not (shared / "site").exists():
            build_site(shared / "building")
            (shared / "building").rename(shared / "site")
    return shared / "site"


def build_site(folder: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # an advertisement, not a warning
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


class Loaded(HTMLParser):
    """What a page loads by itself: scripts, styles, images, frames."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("script", "img", "iframe", "source"):
            self.urls.append(values.get("src") or "")
        elif tag == "link" and values.get("rel") not in ("canonical", "prev", "next"):
            self.urls.append(values.get("href") or "")


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        loaded = Loaded()
        loaded.feed(page.read_text(encoding="utf-8"))
        remote = [url for url in loaded.urls if re.match(r"(?:https?:)?//", url)]
        assert not remote, f"{page.relative_to(site)} loads {remote}"
        # The theme's script fetches a library for a page with such a diagram.
        assert 'class="mermaid"' not in page.read_text(encoding="utf-8"), page
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(\s*[\"']?(?:https?:)?//", style.read_text(encoding="utf-8"))


def test_every_exported_name_has_an_anchor(site: Path) -> None:
    pages = [site / "reference" / name for name in ("api.html", "errors.html", "training.html")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    for name in vecsearch.__all__:
        assert f'id="vecsearch.{name}"' in text, name
    for name in dir(vecsearch.Collection):
        if not name.startswith("_"):
            assert f'id="vecsearch.Collection.{name}"' in text, name


def test_every_command_is_described_with_its_options(site: Path) -> None:
    text = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    for command in ("ingest", "build", "search", "evaluate", "restore", "rollback", "tune"):
        assert f'id="{command}"' in text
    assert "<code>--plan</code>" in text
    assert "<code>error</code>, <code>skip</code>, <code>replace</code>" in text


def test_links_of_a_copied_page_are_moved_with_it() -> None:
    pages = {"index.md", "reference/api.md", "explanation/architecture.md"}
    text = "[a](docs/reference/api.md#open) [b](ARCHITECTURE.md) [c](LICENSE) [d](https://e.org)"
    assert hooks.link_pages(text, "index.md", "README.md", pages) == (
        "[a](reference/api.md#open) [b](explanation/architecture.md) c [d](https://e.org)"
    )
    assert hooks.link_pages("[a](README.md)", "explanation/x.md", "ARCHITECTURE.md", pages) == (
        "[a](../index.md)"
    )


def test_code_of_a_copied_page_is_left_alone() -> None:
    text = "```text\n[a](LICENSE)\n```"
    assert hooks.link_pages(text, "index.md", "README.md", set()) == text
