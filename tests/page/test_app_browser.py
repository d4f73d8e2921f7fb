"""The page in a real browser, wide and narrow, without console errors or requests to other hosts.

`pytest tests/page -m slow --screenshots MODEL` uses that model and writes docs/page-*.png.
"""

import re
import time

import pytest

from tests.page.conftest import CHROMIUM, SLOWLY, images, painted, says, screenshot, tab
from unitok.modalities.vision import VisionConfig
from unitok.page import examples

pytest.importorskip("gradio", reason="gradio is not installed: make page installs it")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra browser)")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed"),
]
ways_to_see = pytest.mark.parametrize(
    "model", [None, VisionConfig()], ids=["codes", "latents"], indirect=True, scope="module"
)


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


def ask(panel, question):
    """Ask an example question by its button and Enter."""
    panel.get_by_role("button", name=question).click()
    sync_api.expect(panel.get_by_label("Question")).to_have_value(re.compile(re.escape(question)))
    panel.get_by_label("Question").press("Enter")
    says(panel, re.compile(f"Done: {re.escape(question)}|nothing to add"))


@ways_to_see
def test_describe(page, request, model):
    panel = tab(page, "Describe")
    panel.get_by_role("button", name="Caption").click()
    says(panel, "Done: a caption")
    if not model.unlearned("questions", "boxes"):
        for question in (*examples.questions(model)[::-1], examples.QUESTIONS[0]):
            ask(panel, question)
    assert panel.get_by_label("Answer").input_value()
    assert images(panel).count() >= 2
    screenshot(page, request, "describe")


def test_a_question_without_an_image_is_reported(page, model):
    if reason := model.unlearned("questions", "boxes"):
        pytest.skip(reason)
    panel = tab(page, "Describe")
    panel.get_by_role("button", name="Ask", exact=True).click()
    says(panel, "Ask something about the picture", role="alert")
    panel.get_by_label("Remove Image").or_(panel.get_by_label("Clear")).first.click()
    panel.get_by_role("button", name="Caption").click()
    says(panel, "Choose a picture first.", role="alert")


@ways_to_see
def test_chat(page, request, model, tmp_path):
    panel = tab(page, "Chat")
    if reason := model.unlearned("chat"):
        screenshot(page, request, "chat")
        pytest.skip(reason)
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
    if not model.unlearned("questions"):
        entry.fill("what color is the star?")
    before = panel.locator(".message.user img").count()
    entry.press("Enter")
    sync_api.expect(panel.locator(".message.user img")).to_have_count(before + 1)
    says(panel, "Done.")
    assert not panel.get_by_label("Share").filter(visible=True).count()
    screenshot(page, request, "chat")
    panel.get_by_role("button", name="New conversation").click()
    panel.get_by_text("Write, or upload a picture").wait_for()


@ways_to_see
def test_edit_a_painted_part(page, request):
    panel = tab(page, "Edit")
    status = panel.get_by_role("status").or_(panel.get_by_role("alert"))
    for _ in range(3):  # the canvas may take a while
        painted(page, panel)
        panel.get_by_role("button", name="Redraw", exact=True).click()
        status.filter(has_text=re.compile("Done|Paint over"), visible=True).wait_for()
        if status.filter(has_text="Done", visible=True).count():
            break
    says(panel, "Done;")
    screenshot(page, request, "edit")


def test_edit_without_paint(page, model):
    panel = tab(page, "Edit")
    panel.locator("canvas").filter(visible=True).first.wait_for()
    page.wait_for_timeout(1500)
    panel.get_by_role("button", name="Redraw", exact=True).click()
    says(panel, "Paint over the part to redraw", role="alert")
    panel.get_by_label("Which part").click()
    page.get_by_role("option", name="the left half").click()
    panel.get_by_role("button", name="Redraw", exact=True).click()
    says(panel, "Done;")
    if not model.unlearned("edits"):
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
