"""What the browser tests share: a served model, a page at two widths, and what to do on it."""

import socket
import sys
import time
from pathlib import Path

import pytest

from tests.tiny_model import tiny_model
from unitok.api.unitok import UniTok
from unitok.modalities.location_bins import BoxModality, PointModality

CHROMIUM = Path("/usr/bin/chromium")
DOCS = Path(__file__).parents[2] / "docs"
SLOWLY = 0.25  # seconds a row


class OtherHosts(list):
    """Other hosts that the server's process has contacted."""

    def look(self, event, arguments):
        if event == "socket.getaddrinfo" and arguments[0] not in (None, "127.0.0.1", "localhost", "0.0.0.0"):
            self.append(arguments[0])
        if event == "socket.connect" and arguments[0].family in (socket.AF_INET, socket.AF_INET6):
            self.extend({arguments[1][0]} - {"127.0.0.1", "::1"})


@pytest.fixture(scope="module")
def other_hosts():
    hosts = OtherHosts()
    sys.addaudithook(lambda event, arguments: hosts.look(event, arguments) if "socket" in event else None)
    return hosts


@pytest.fixture(scope="module")
def model(request):
    """That of --screenshots, or a tiny one; a test's parameter is how it sees, None for as codes."""
    folder = request.config.getoption("--screenshots")
    if folder:
        return UniTok.from_pretrained(folder, device="cpu")
    prompts = ["a large red star", "a small blue circle left of a large green square"]
    places = (BoxModality(), PointModality())
    return tiny_model(
        shape=(6, 6),
        max_length=6000,
        more=places,
        example_prompts=prompts,
        vision=getattr(request, "param", None),
    )


@pytest.fixture(scope="module")
def address(model, other_hosts):
    import gradio

    from unitok.page.app import serve

    yield serve(model, name="shapes", port=0, block=False)
    gradio.close_all()
    assert other_hosts == []


@pytest.fixture(scope="module")
def browser():
    drawing = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)  # for busy machines
    with sync_playwright() as playwright:
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
    page.set_default_timeout(60_000)
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
    """Write a screenshot for docs/, with --screenshots; of the tasks only the wide one."""
    width = page.viewport_size["width"]
    if request.config.getoption("--screenshots") and (width > 500 or not name.startswith("task")):
        page.mouse.move(0, 0)
        page.wait_for_timeout(600)
        page.evaluate("window.scrollTo(0, 0)")
        page.screenshot(path=DOCS / f"page-{name}{'-phone' if width < 500 else ''}.png", full_page=True)


def images(panel):
    return panel.locator("img").filter(visible=True)


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


def painted(page, panel):
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
