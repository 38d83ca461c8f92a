"""The page in a real browser: every control, hostile documents, the keyboard, both languages."""

from __future__ import annotations

import io
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.tiny_clip import tiny_clip

import vecsearch as vs
from vecsearch.server.app import ServerLimits, create_app
from vecsearch.server.keys import Keys

pytestmark = pytest.mark.slow

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
uvicorn = pytest.importorskip("uvicorn")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("chromium is not installed", allow_module_level=True)

KEY = "reader-0123456789"
HOSTILE = '<img src=x onerror="window.ran=1"><script>window.ran=2</script>'
DOCUMENTS = [
    {"id": "wifi", "text": "We met. The wifi password is on the door. Bring cake.", "year": 2024},
    {"id": "boat", "text": "A small boat is in the harbor.", "year": 1999},
    {"id": "ship", "text": "A large ship is in the harbor.", "year": 1999},
    {"id": "猫", "text": "猫喜欢在夜里抓老鼠。白天它们睡觉。", "year": 2021},
    {"id": "rtl", "text": "مرحبا بالعالم. שלום עולם.", "year": 2021},
    {"id": HOSTILE, "text": f"{HOSTILE} zeppelin 🎉", "year": 2020, "kind": HOSTILE},
    {"id": "long", "text": "xyzzy " + "word " * 2_000, "year": 2020, "kind": 'it\'s "long"'},
]


class Served:
    """A server in a thread."""

    def __init__(self, folders: list[Path], keys: Keys | None = None) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        limits = ServerLimits(measure_seconds=3600)
        app = create_app(folders, keys=keys, hosts=["127.0.0.1"], limits=limits)
        self.address = f"http://127.0.0.1:{port}/"
        self._server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.02)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("page")
    vs.create(root / "notes.vs", embedder="toy:64", chunker=None).add(DOCUMENTS)
    vs.create(root / "empty.vs", embedder="toy:64")
    return [root / "notes.vs", root / "empty.vs"]


@pytest.fixture(scope="module")
def served(folders: list[Path]) -> Iterator[Served]:
    server = Served(folders)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, served: Served) -> Iterator[Any]:
    context = browser.new_context(locale="en-US")
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: (faults.append("a dialog"), dialog.dismiss()))
    page.goto(served.address)
    page.locator("#facets h2").first.wait_for()
    yield page
    assert page.evaluate("() => window.ran ?? null") is None
    context.close()
    assert not faults


def settle(page: Any, says: str) -> None:
    """Wait until nothing is under way: a status or a hit alone may be of the question before."""
    page.locator("main[aria-busy=false]").wait_for(state="attached", timeout=60_000)
    assert says in page.inner_text("#status")


def ask(page: Any, question: str) -> None:
    page.fill("#question", question)
    page.press("#question", "Enter")
    settle(page, "hits")


def first(page: Any) -> str:
    return str(page.locator("article h2").first.inner_text())


def test_a_question_is_answered_with_marks(page: Any) -> None:
    ask(page, "wifi password")
    assert "wifi" in first(page)
    assert page.locator("article mark").first.inner_text().startswith("The ")
    assert page.locator("article").first.locator("b").all_inner_texts() == ["wifi", "password"]
    assert "7 hits" in page.inner_text("#status")
    page.fill("#count", "2")
    ask(page, "boat harbor")
    assert page.locator("article").count() == 2
    page.fill("#question", " ")
    page.click("#go")
    settle(page, "Type what you look for")
    assert page.locator("article").count() == 2  # the first documents


def test_filters_facets_and_their_errors(page: Any) -> None:
    page.fill("#filter", "yeer = 1")
    page.fill("#question", "boat")
    page.click("#go")
    page.locator("#status.bad", has_text="did you mean 'year'").wait_for()
    page.get_by_role("button", name="Replace yeer → year").click()
    settle(page, "Nothing found")
    assert page.input_value("#filter") == "year = 1"
    page.click("#clear")
    settle(page, "7 hits")
    page.get_by_role("button", name="year (integer)").click()
    assert page.input_value("#filter") == "year >= 0"
    page.fill("#filter", "")
    page.get_by_role("button", name="1999", exact=True).click()
    settle(page, "2 hits")
    assert page.input_value("#filter") == "year = 1999"
    chosen = page.get_by_role("button", name="1999", exact=True)
    page.locator("#facets button[aria-pressed=true]").wait_for()
    chosen.click()  # once more takes it away
    settle(page, "7 hits")
    assert page.input_value("#filter") == ""
    page.fill("#filter", "year > 2023")
    page.press("#filter", "Enter")
    settle(page, "1 hits")
    page.click("#clear")
    settle(page, "7 hits")
    page.get_by_role("button", name='it\'s "long"', exact=True).click()
    settle(page, "1 hits")
    assert page.input_value("#filter") == "kind = 'it''s \"long\"'"


def test_nothing_in_a_document_runs(page: Any) -> None:
    ask(page, "zeppelin 🎉")
    assert HOSTILE in first(page)
    assert page.locator("article script").count() == page.locator("article img").count() == 0
    assert HOSTILE in page.locator("article .text").first.inner_text()
    page.get_by_role("button", name=HOSTILE).click()
    settle(page, "1 hits")
    ask(page, "xyzzy")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_long_questions_and_other_scripts(page: Any) -> None:
    ask(page, "boat " * 2_000)
    assert page.locator("article").count() == 7
    ask(page, "夜里抓老鼠")
    assert "猫" in first(page)
    assert "抓老鼠" in page.locator("article mark").first.inner_text()
    ask(page, "שלום עולם")
    assert "rtl" in first(page)
    direction = "() => getComputedStyle(document.querySelector('article .text')).direction"
    assert page.evaluate(direction) == "rtl"


def test_more_like_this_and_why(page: Any, folders: list[Path]) -> None:
    root = folders[0]
    ask(page, "small boat")
    card = page.locator("article").first
    why = card.get_by_role("button", name="Why?")
    assert why.get_attribute("aria-expanded") == "false"
    why.click()
    card.locator(".why blockquote").wait_for()
    told = card.locator(".why").inner_text()
    with vs.open(root) as c:
        expected = c.search("small boat")[0].explain()
    assert f"rank 1, score {expected.score:.4f}" in told and "exact search" in told
    best = expected.words[0]
    assert f"{best.text} {best.weight:.3f}" in told
    assert best.text in card.locator(".why mark").all_inner_texts()
    card.get_by_role("button", name="Close").click()
    assert not card.locator(".why").is_visible()
    card.get_by_role("button", name="More like this").click()
    settle(page, "Like boat")
    assert "ship" in first(page)
    card = page.locator("article").first
    card.get_by_role("button", name="Why?").click()
    card.locator(".why", has_text="Because of boat").wait_for()


def test_modes(page: Any, folders: list[Path]) -> None:
    with vs.open(folders[0]) as c:
        for mode, says in (("vector", "exact search"), ("text", "BM25"), ("hybrid", "fusion")):
            page.select_option("#mode", mode)
            ask(page, "harbor boat")
            settle(page, says)
            titles = page.locator("article h2 bdi").all_inner_texts()
            assert titles == c.search("harbor boat", mode=mode).ids
    card = page.locator("article").first
    card.get_by_role("button", name="Why?").click()
    card.locator(".why", has_text="by words: rank 1").wait_for()
    assert "by meaning: rank" in card.locator(".why").inner_text()


def test_what_is_there_before_a_question(page: Any) -> None:
    page.locator("article").first.wait_for()
    assert "The first documents" in page.inner_text("#status")
    assert page.locator("article").count() == len(DOCUMENTS)
    page.locator("article", has_text="large ship").get_by_role(
        "button", name="More like this"
    ).click()
    settle(page, "Like ship")
    assert "boat" in first(page)


def test_thumbnails(browser: Any, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    image.new("RGB", (32, 20), "red").save(file, "JPEG")
    rows = [
        {"id": "red", "text": "a red picture", "thumbnail": file.getvalue()},
        {"id": "none", "text": "no picture", "thumbnail": b"<svg onload=alert(1)>"},
    ]
    vs.create(tmp_path / "pictures.vs", embedder="toy:64").add(rows)
    server = Served([tmp_path / "pictures.vs"])
    try:
        page = browser.new_context(locale="en-US").new_page()
        page.goto(server.address)
        page.locator("article").first.wait_for()
        ask(page, "picture")
        assert page.locator("article img").count() == 1
        size = page.locator("article img").evaluate("e => [e.naturalWidth, e.naturalHeight, e.alt]")
        assert size == [32, 20, "red"]
    finally:
        server.stop()


def test_small_screens_and_facts(browser: Any, served: Served) -> None:
    page = browser.new_context(locale="en-US", viewport={"width": 390, "height": 800}).new_page()
    page.goto(served.address)
    page.locator("#facets h2").first.wait_for()
    ask(page, "xyzzy " + "long " * 2000)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    for _ in range(100):  # the recall is measured beside
        page.reload()
        page.locator("#facets h2").first.wait_for()
        page.click("#facts summary")
        if "100 queries" in page.inner_text("#facts-list") or "7 queries" in page.inner_text(
            "#facts-list"
        ):
            break
        time.sleep(0.1)
    facts = page.inner_text("#facts-list")
    assert "Recall measured here" in facts and "queries, rows of the collection" in facts


def test_facts_map_and_other_collections(page: Any) -> None:
    page.click("#facts summary")
    facts = page.inner_text("#facts-list")
    assert "toy:64" in facts and "95.0 %" in facts and "Recall that the index promises" in facts
    assert page.locator("#versions tr").count() == 2
    ask(page, "boat")
    page.click("#map-box summary")
    page.locator("#map-point", has_text="7 points").wait_for()
    page.click("#map", position={"x": 20, "y": 20})
    settle(page, "Like ")
    page.select_option("#collection", "empty")
    page.fill("#question", "boat")
    page.click("#go")
    settle(page, "Nothing found")


def test_the_map_by_keyboard_in_the_colors_of_the_theme(page: Any) -> None:
    ask(page, "boat")
    page.click("#map-box summary")
    page.locator("#map-point", has_text="7 points").wait_for()
    drawn = "() => document.getElementById('map').toDataURL()"
    light = page.evaluate(drawn)
    page.select_option("#theme", "dark")
    page.wait_for_function(f"(before) => ({drawn})() !== before", arg=light)
    page.select_option("#language", "zh")
    page.locator("#map-point", has_text="7 个点").wait_for()
    settle(page, "条结果")
    page.select_option("#language", "en")
    page.locator("#map-point", has_text="7 points").wait_for()
    settle(page, "hits")
    page.locator("#facets h2").first.wait_for()
    page.focus("#map")
    told = []
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
        page.wait_for_timeout(50)
        told.append(page.inner_text("#map-point"))
    assert set(told) <= {each["id"] for each in DOCUMENTS} and told[0] == told[2] != told[1]
    page.keyboard.press("Enter")
    settle(page, f"Like {told[-1]}")


def test_conditions_with_quotes_and_alternatives(browser: Any, tmp_path: Path) -> None:
    kinds = ["salt AND 'pepper'", "x OR y", "猫 AND 狗"]
    rows = [
        {"id": n, "text": "a boat", "kind": kind, "year": n, "vector": [1.0, n]}
        for n, kind in enumerate(kinds)
    ]
    with vs.create(tmp_path / "own.vs", dim=2) as c:
        c.add(rows)
        c.build_text_index("text")
    server = Served([tmp_path / "own.vs"])
    try:
        page = browser.new_context(locale="en-US").new_page()
        page.goto(server.address)
        page.locator("#facets h2").first.wait_for()
        for kind in kinds:
            page.get_by_role("button", name=kind, exact=True).click()
            page.locator("#facets button[aria-pressed=true]", has_text=kind).wait_for()
            assert page.input_value("#filter") == "kind = '" + kind.replace("'", "''") + "'"
            page.get_by_role("button", name=kind, exact=True).click()
            page.locator("#facets button[aria-pressed=false]", has_text=kind).wait_for()
            assert page.input_value("#filter") == ""
        page.fill("#filter", "year = 0 OR year = 2")
        page.get_by_role("button", name=kinds[2], exact=True).click()
        assert page.input_value("#filter") == f"(year = 0 OR year = 2) AND kind = '{kinds[2]}'"
        settle(page, "Type what you look for")
        assert page.locator("article").count() == 1
        page.click("#clear")
        # without a model words are looked for, and nothing else is offered
        assert page.input_value("#mode") == "text"
        assert page.locator("#mode option:disabled").count() == 2
        ask(page, "boats")
        assert page.locator("article").count() == 3
        page.focus(".skip")
        page.keyboard.press("Enter")
        assert page.evaluate("() => document.activeElement.id") == "results"
    finally:
        server.stop()


def test_a_hit_says_its_page(browser: Any, tmp_path: Path) -> None:
    text = "\f".join(["Of boats. " * 9, "Of cars. " * 9, "The torque is 110. " * 9])
    vs.create(tmp_path / "pages.vs", embedder="toy:64", chunker=80).add([{"id": "a", "text": text}])
    server = Served([tmp_path / "pages.vs"])
    try:
        page = browser.new_context(locale="en-US").new_page()
        page.goto(server.address)
        settle(page, "first documents")
        ask(page, "torque")
        assert "page 3" in page.locator("article h2").first.inner_text()
    finally:
        server.stop()


def test_both_languages_have_all_words() -> None:
    folder = Path(vs.__file__).parent / "server" / "page"
    script = (folder / "words.js").read_text(encoding="utf-8")
    english, chinese = (set(re.findall(r'(\w+): "', part)) for part in script.split("  zh: {"))
    assert english == chinese and len(english) > 60
    used = (folder / "index.html").read_text() + (folder / "page.js").read_text()
    named = set(re.findall(r'data-(?:word|label)="(\w+)"', used))
    assert named | set(re.findall(r'word\("(\w+)"\)', used)) <= english


def test_languages_and_themes_stay(page: Any) -> None:
    light = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    page.select_option("#theme", "dark")
    page.select_option("#language", "zh")
    assert page.inner_text("#go") == "搜索"
    page.reload()
    page.locator("#facets h2").first.wait_for()
    assert page.inner_text("#go") == "搜索"
    assert page.evaluate("() => document.documentElement.lang") == "zh"
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") != light


def test_all_is_reached_by_keyboard_and_has_a_name(page: Any) -> None:
    ask(page, "boat")
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("input, select, button, canvas, a")].filter((e) =>
            !(e.labels?.[0]?.textContent.trim() || e.textContent.trim() ||
              e.getAttribute("aria-label"))).map((e) => e.outerHTML)"""
    )
    assert unnamed == []
    page.focus("#question")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.textContent || ''"))
    assert any("More like this" in text for text in reached)
    assert any("Map" in text for text in reached)
    faint = page.evaluate(
        """() => {
          const light = (color) => {
            const parts = color.match(/[0-9.]+/g).slice(0, 3).map((v) => {
              v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
            return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]; };
          const paper = light(getComputedStyle(document.body).backgroundColor);
          return [...document.querySelectorAll(".small, .fields, article button, article p")]
            .filter((e) => { const ink = light(getComputedStyle(e).color);
              const [a, b] = ink > paper ? [ink, paper] : [paper, ink];
              return (a + 0.05) / (b + 0.05) < 4.5; }).length; }"""
    )
    assert faint == 0


def test_the_page_asks_for_the_key(browser: Any, folders: list[Path]) -> None:
    server = Served(folders, Keys((KEY,), ()))
    try:
        page = browser.new_context(locale="en-US").new_page()
        page.goto(server.address)
        page.locator("#key").wait_for()
        page.fill("#key-value", "wrong-0123456789")
        page.press("#key-value", "Enter")
        page.locator("#status.bad", has_text="send a key").wait_for()
        page.fill("#key-value", KEY)
        page.press("#key-value", "Enter")
        page.locator("#facets h2").first.wait_for()
        assert not page.locator("#key").is_visible() and KEY not in page.url
    finally:
        server.stop()


def test_pictures_are_shown_as_thumbnails(browser: Any, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    for number, name in enumerate(("a.jpg", "b.png", "sub/c.jpg")):
        image.new("RGB", (300, 200), (90 * number, 20, 60)).save(tmp_path / "photos" / name)
    photos = vs.create(tmp_path / "photos.vs", embedder=f"clip:{tiny_clip(tmp_path / 'clip')}")
    photos.add(tmp_path / "photos")
    photos.close()
    server = Served([tmp_path / "photos.vs"])
    try:
        page = browser.new_page()
        asked: list[Any] = []
        page.on("request", lambda each: asked.append(each) if "/search" in each.url else None)
        page.goto(server.address)
        page.get_by_role("button", name="folder (text)").wait_for()
        page.fill("#question", "a boat")
        page.press("#question", "Enter")
        settle(page, "hits")
        shown = page.locator("article img.thumbnail")
        assert shown.count() == 3
        sizes = shown.evaluate_all("all => all.map((one) => [one.naturalWidth, one.naturalHeight])")
        assert sizes == [[192, 128]] * 3
        assert "text" not in asked[0].post_data_json["columns"], "pictures themselves are large"
        page.get_by_role("button", name="More like this").first.click()
        settle(page, "2 hits")
        assert shown.count() == 2
    finally:
        server.stop()


def test_large_whole_numbers_stay_as_they_are(browser: Any, tmp_path: Path) -> None:
    """JavaScript's own numbers end at 2**53."""
    ids = [2**60 + 1, 2**60 + 2, -(2**60) - 3, 7]
    texts = [
        "a boat",
        "a small boat",
        'she said "1152921504606846999" and 12345678901234567890',
        "b",
    ]
    with vs.create(tmp_path / "large.vs", embedder="toy:64") as c:
        rows = zip(ids, texts, strict=True)
        c.add(
            [{"id": id, "text": text, "n": 2**62 + 1, "x": 0.1234567890123456} for id, text in rows]
        )
    server = Served([tmp_path / "large.vs"])
    try:
        page, faults = browser.new_page(), list[str]()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(server.address)
        ask(page, "a boat")
        shown = page.inner_text("#results")
        assert all(str(id) in shown for id in ids) and texts[2] in shown
        assert str(2**62 + 1) in shown and "0.1234567890123456" in shown
        page.get_by_role("button", name="More like this").first.click()
        settle(page, "3 hits")
        assert str(2**60 + 1) not in first(page) and str(2**60 + 2) in first(page)
        page.locator("#map-box summary").click()
        page.locator("#map-point", has_text="4").wait_for()
        page.close()
        assert not faults
    finally:
        server.stop()
