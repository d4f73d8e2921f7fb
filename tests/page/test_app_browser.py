"""The page in a real browser, wide and narrow, without console errors or requests to other hosts.

`pytest tests/page -m slow --screenshots MODEL` uses that model and writes docs/page-*.png.
"""

import re
import socket
import time
from pathlib import Path

import pytest

from tests.tiny_model import tiny_model
from unitok.api.unitok import UniTok
from unitok.modalities.location_bins import BoxModality, PointModality
from unitok.page import examples

gradio = pytest.importorskip("gradio", reason="gradio is not installed: make page installs it")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra browser)")

CHROMIUM = Path("/usr/bin/chromium")
DOCS = Path(__file__).parents[2] / "docs"
SLOWLY = 0.25  # seconds a row
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed"),
]


class OtherHosts(list):
    """Other hosts that the server's process has contacted."""

    def look(self, event, arguments):
        if event == "socket.getaddrinfo" and arguments[0] not in (None, "127.0.0.1", "localhost", "0.0.0.0"):
            self.append(arguments[0])
        if event == "socket.connect" and arguments[0].family in (socket.AF_INET, socket.AF_INET6):
            self.extend({arguments[1][0]} - {"127.0.0.1", "::1"})


@pytest.fixture(scope="module")
def other_hosts():
    import sys

    hosts = OtherHosts()
    sys.addaudithook(lambda event, arguments: hosts.look(event, arguments) if "socket" in event else None)
    return hosts


@pytest.fixture(scope="module")
def model(request):
    folder = request.config.getoption("--screenshots")
    if folder:
        return UniTok.from_pretrained(folder, device="cpu")
    prompts = ["a large red star", "a small blue circle left of a large green square"]
    places = (BoxModality(), PointModality())
    return tiny_model(shape=(6, 6), max_length=6000, more=places, example_prompts=prompts)


@pytest.fixture(scope="module")
def address(model, other_hosts):
    from unitok.page.app import serve

    yield serve(model, port=0, block=False)
    gradio.close_all()
    assert other_hosts == []


@pytest.fixture(scope="module")
def browser():
    drawing = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", *drawing])
        yield browser
        browser.close()


@pytest.fixture(params=[1280, 390])
def page(request, browser, address):
    """The page at one width; finally checks for errors and for requests to other hosts."""
    page = browser.new_page(viewport={"width": request.param, "height": 844})
    wrong = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    ours = (address, "data:", "blob:")
    page.on("request", lambda r: None if r.url.startswith(ours) else wrong.append(f"request to {r.url}"))
    page.set_default_timeout(60_000)  # for busy machines
    page.goto(address)
    yield page
    assert wrong == []
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= request.param
    page.close()


def tab(page, name):
    page.get_by_role("tab", name=name, exact=True).click()
    return page.get_by_role("tabpanel").filter(visible=True).first


def says(panel, text, role="status"):
    panel.get_by_role(role).filter(has_text=text, visible=True).wait_for()


def screenshot(page, request, name):
    """Write a screenshot for docs/, with --screenshots."""
    if request.config.getoption("--screenshots"):
        width = page.viewport_size["width"]
        page.mouse.move(0, 0)
        page.wait_for_timeout(600)
        page.evaluate("window.scrollTo(0, 0)")
        page.screenshot(path=DOCS / f"page-{name}{'-phone' if width < 500 else ''}.png", full_page=True)


def images(panel):
    return panel.locator("img").filter(visible=True)


def test_draw(page, request):
    panel = tab(page, "Draw")
    panel.get_by_role("button", name="a small blue circle left").click()
    sync_api.expect(panel.get_by_label("What to draw")).to_have_value(
        "a small blue circle left of a large green square"
    )
    panel.get_by_label("What to draw").press("Enter")
    says(panel, "Done. Seeds 0 to 3 draw these again.")
    assert images(panel).count() >= 4
    screenshot(page, request, "draw")


def test_an_empty_prompt_is_reported(page):
    panel = tab(page, "Draw")
    panel.get_by_label("What to draw").fill("")
    panel.get_by_role("button", name="Draw", exact=True).click()
    says(panel, "Say what to draw", role="alert")


@pytest.fixture
def slow(monkeypatch):
    """Slow down the model's stream; yields the times of its updates."""
    grown, quick = [], UniTok.stream

    def slowly(self, *arguments, **options):
        for update in quick(self, *arguments, **options):
            grown.append(time.monotonic())
            time.sleep(SLOWLY)
            yield update

    monkeypatch.setattr(UniTok, "stream", slowly)
    return grown


def test_an_image_grows_and_can_be_stopped(page, slow):
    panel = tab(page, "Draw")
    panel.get_by_role("button", name="Draw", exact=True).click()
    says(panel, "Drawing 1 of 4")
    panel.get_by_role("button", name="Stop", exact=True).click()
    says(panel, "Stopped.")
    before = len(slow)
    page.wait_for_timeout(6 * 1000 * SLOWLY)
    assert 1 <= before <= len(slow) <= before + 1


def test_closing_the_page_stops_the_drawing(browser, address, slow):
    page = browser.new_page()
    page.goto(address)
    panel = tab(page, "Draw")
    panel.get_by_role("button", name="Draw", exact=True).click()
    says(panel, "Drawing 1 of 4")
    page.close()
    time.sleep(2 * SLOWLY)
    before = len(slow)
    time.sleep(8 * SLOWLY)
    assert len(slow) <= before + 1


def asks(model):
    """Whether a model was trained for questions; the demo's only captions."""
    return "box" in model.codec.modalities


def ask(panel, question):
    """Ask an example question by its button and Enter."""
    panel.get_by_role("button", name=question).click()
    sync_api.expect(panel.get_by_label("Question")).to_have_value(re.compile(re.escape(question)))
    panel.get_by_label("Question").press("Enter")
    says(panel, re.compile(f"Done: {re.escape(question)}|nothing to add"))


def test_describe(page, request, model):
    panel = tab(page, "Describe")
    panel.get_by_role("button", name="Caption").click()
    says(panel, "Done: a caption")
    for question in examples.questions(model)[::-1]:
        ask(panel, question)
    if asks(model):
        ask(panel, examples.QUESTIONS[0])
    else:
        panel.get_by_role("button", name="Caption").click()
        says(panel, "Done: a caption")
    assert panel.get_by_label("Answer").input_value()
    assert images(panel).count() >= 2
    screenshot(page, request, "describe")


def test_a_question_without_an_image_is_reported(page):
    panel = tab(page, "Describe")
    panel.get_by_role("button", name="Ask", exact=True).click()
    says(panel, "Ask something about the picture", role="alert")
    panel.get_by_label("Remove Image").or_(panel.get_by_label("Clear")).first.click()
    panel.get_by_role("button", name="Caption").click()
    says(panel, "Choose a picture first.", role="alert")


def test_chat(page, request, model, tmp_path):
    panel = tab(page, "Chat")
    entry = panel.get_by_placeholder("Write a message")
    panel.get_by_role("button", name="a large red star").first.click()
    sync_api.expect(entry).to_have_value("a large red star")
    entry.press("Enter")
    says(panel, "Done.")
    panel.get_by_role("button", name="Draw now").click()
    panel.get_by_role("log").locator("img").first.wait_for()
    examples.scenes(model)[0].save(tmp_path / "scene.png")
    panel.locator("input[type=file]").first.set_input_files(tmp_path / "scene.png")
    panel.locator(".thumbnail-item").filter(visible=True).first.wait_for()
    if asks(model):
        entry.fill("what color is the star?")
    before = panel.locator(".message.user img").count()
    entry.press("Enter")
    sync_api.expect(panel.locator(".message.user img")).to_have_count(before + 1)
    says(panel, "Done.")
    assert not panel.get_by_label("Share").filter(visible=True).count()
    screenshot(page, request, "chat")
    panel.get_by_role("button", name="New conversation").click()
    panel.get_by_text("Write, or upload a picture").wait_for()


def paint(page, panel):
    """Paint a stroke over the circle of the first example, below the centre and to its right."""
    canvas = panel.locator("canvas").filter(visible=True).first
    canvas.wait_for()
    page.wait_for_timeout(1500)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    side = 0.86 * min(box["width"], box["height"])
    page.mouse.move(x + 0.19 * side, y + 0.15 * side)
    page.mouse.down()
    page.mouse.move(x + 0.29 * side, y + 0.25 * side, steps=8)
    page.mouse.up()
    page.wait_for_timeout(800)


def test_edit_a_painted_part(page, request):
    panel = tab(page, "Edit")
    status = panel.get_by_role("status").or_(panel.get_by_role("alert"))
    for _ in range(3):  # the canvas may take a while
        paint(page, panel)
        panel.get_by_role("button", name="Redraw", exact=True).click()
        status.filter(has_text=re.compile("Done|Paint over"), visible=True).wait_for()
        if status.filter(has_text="Done", visible=True).count():
            break
    says(panel, "Done.")
    screenshot(page, request, "edit")


def test_edit_without_paint(page):
    panel = tab(page, "Edit")
    panel.locator("canvas").filter(visible=True).first.wait_for()
    page.wait_for_timeout(1500)
    panel.get_by_role("button", name="Redraw", exact=True).click()
    says(panel, "Paint over the part to redraw", role="alert")
    panel.get_by_label("Which part").click()
    page.get_by_role("option", name="the left half").click()
    panel.get_by_role("button", name="Redraw", exact=True).click()
    says(panel, "Done.")
    panel.get_by_role("tab", name="Instruct").click()
    panel.get_by_role("button", name="Change it").click()
    says(panel, "Done.")
    panel.get_by_role("tab", name="Vary").click()
    panel.get_by_role("button", name="Vary", exact=True).click()
    panel.get_by_text("variation").first.wait_for()


def test_tokens(page, request):
    panel = tab(page, "Tokens")
    panel.get_by_role("button", name="Change the code").click()
    says(panel, "Press Encode the picture first.", role="alert")
    panel.get_by_role("button", name="Encode the picture").click()
    says(panel, "0 changed")
    grid = panel.locator("img").filter(visible=True).nth(1)
    box = grid.bounding_box()
    grid.click(position={"x": box["width"] * 0.42, "y": box["height"] * 0.42})
    sync_api.expect(panel.get_by_label("Row")).to_have_value("3")
    sync_api.expect(panel.get_by_label("Column")).to_have_value("3")
    old = int(panel.get_by_label("Code", exact=True).input_value())
    panel.get_by_label("Code", exact=True).fill(str((old + 5) % 16))
    panel.get_by_role("button", name="Change the code").click()
    says(panel, "1 changed")
    screenshot(page, request, "tokens")
    panel.get_by_label("Code", exact=True).fill("99999")
    panel.get_by_role("button", name="Change the code").click()
    says(panel, "got 99999", role="alert")
    panel.get_by_role("button", name="Undo all changes").click()
    says(panel, "0 changed")


def test_drawing_by_keyboard(page):
    """Reach the button from the tab by the Tab key alone."""
    page.get_by_role("tab", name="Draw", exact=True).focus()
    here = "e => e === document.activeElement"
    panel = page.get_by_role("tabpanel").filter(visible=True).first
    button = panel.get_by_role("button", name="Draw", exact=True)
    for _ in range(40):
        page.keyboard.press("Tab")
        if button.evaluate(here):
            break
    assert button.evaluate(here)
    page.keyboard.press("Enter")
    says(panel, "Done.")
