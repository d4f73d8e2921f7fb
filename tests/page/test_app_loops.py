"""The loops of the page in a real browser: images go from tab to tab, drawings stay, Stop stops."""

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.page.conftest import CHROMIUM, says, screenshot, tab

pytest.importorskip("gradio", reason="gradio is not installed: make page installs it")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra browser)")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed"),
]


def draw(page, prompt="a large red star", *, n=1, **fields):
    """Draw images in the Draw tab, whose other fields are given by their labels."""
    panel = tab(page, "Draw")
    panel.get_by_label("What to draw").fill(prompt)
    panel.get_by_role("spinbutton", name="Pictures").fill(str(n))
    for name, value in fields.items():
        panel.get_by_role("spinbutton", name=name).first.fill(str(value))
    panel.get_by_role("button", name="Draw", exact=True).click()
    says(panel, "Done.")
    return panel


def send(page, panel, name):
    """Send a panel's image on; returns the panel that opens."""
    panel.get_by_role("button", name=name, exact=True).click()
    sync_api.expect(page.get_by_role("tab", name=name, exact=True)).to_have_attribute("aria-selected", "true")
    return page.get_by_role("tabpanel").filter(visible=True).first


def test_a_drawing_goes_from_tab_to_tab(page, model):
    panel = draw(page)
    panel = send(page, panel, "Describe")
    panel.get_by_role("button", name="Caption").click()
    says(panel, "Done: a caption")
    panel = send(page, panel, "Edit")
    panel.get_by_label("Which part").click()
    page.get_by_role("option", name="the left half").click()
    panel.get_by_role("button", name="Redraw", exact=True).click()
    says(panel, "Done;")
    panel = send(page, panel, "Edit")
    panel.get_by_role("button", name="Redraw", exact=True).click()
    panel.locator(".image-gallery button.thumbnail-item").nth(1).wait_for()
    says(panel, "Done;")
    if not model.unlearned("chat"):
        panel = send(page, panel, "Chat")
        panel.locator(".thumbnail-item").filter(visible=True).first.wait_for()
        panel.get_by_placeholder("Write a message").press("Enter")
        says(panel, "Done.")
    panel = send(page, panel, "Tokens")
    panel.get_by_role("button", name="Encode the picture").click()
    says(panel, "0 changed")
    send(page, panel, "Describe")


def test_draw_choose_one_change_its_colour_caption_it(page, request, model):
    panel = draw(page, n=4)
    panel.locator(".image-gallery button.thumbnail-item").nth(1).click()
    panel = send(page, panel, "Edit")
    if model.unlearned("edits"):
        panel.get_by_label("Which part").click()
        page.get_by_role("option", name="everything").click()
        panel.get_by_label("What the whole result shows").fill("a large blue star")
        panel.get_by_role("button", name="Redraw", exact=True).click()
    else:
        panel.get_by_role("tab", name="Instruct").click()
        panel.get_by_label("Instruction").fill("make the star blue")
        panel.get_by_role("button", name="Change it").click()
    says(panel, re.compile("^Done"))
    screenshot(page, request, "task-change")
    panel = send(page, panel, "Describe")
    panel.get_by_role("button", name="Caption").click()
    says(panel, "Done: a caption")
    screenshot(page, request, "task-caption")


def test_what_would_the_model_say_here_and_why(page, request):
    panel = send(page, draw(page), "Tokens")
    surprise = []
    for text in ("a large red star", "a small blue circle"):
        panel.get_by_label("Text before the picture").fill(text)
        panel.get_by_role("button", name="Encode the picture").click()
        line = panel.get_by_role("status").filter(has_text="nats a cell", visible=True)
        line.filter(has_not_text=surprise[-1] if surprise else "no such text").wait_for()
        surprise.append(line.inner_text())
        if not surprise[1:]:
            screenshot(page, request, "task-why")
    assert surprise[0] != surprise[1]


def test_compare_two_settings(page, request):
    draw(page, n=2)
    entries = page.locator("#history button.thumbnail-item")
    sync_api.expect(entries).to_have_count(2)  # a run takes no press before its end is told to the browser
    page.get_by_text("More settings").filter(visible=True).first.click()
    draw(page, n=2, Guidance=4)
    sync_api.expect(entries).to_have_count(4)
    sync_api.expect(entries.first).to_contain_text("guidance 4")
    entries.first.click()
    page.get_by_role("status").filter(has_text="guidance: 4", visible=True).wait_for()
    screenshot(page, request, "task-compare")


def test_nothing_to_send_is_said(page):
    panel = tab(page, "Draw")
    panel.get_by_role("button", name="Describe", exact=True).click()
    says(panel, "There is no picture to send yet.", role="alert")


def test_history_and_settings_outlast_a_reload(page, address):
    panel = draw(page, "a small blue circle", n=2, Seed=7)
    entries = page.locator("#history button.thumbnail-item")
    sync_api.expect(entries).to_have_count(2)
    assert re.search(r"tab=draw&prompt=a\+small\+blue\+circle.*&seed=7", page.url)
    page.reload()
    panel = tab(page, "Draw")
    sync_api.expect(panel.get_by_label("What to draw")).to_have_value("a small blue circle")
    sync_api.expect(panel.get_by_label("Seed", exact=True)).to_have_value("7")
    sync_api.expect(entries).to_have_count(2)
    page.goto(address)
    entries.first.click()
    page.get_by_role("status").filter(has_text="prompt: a small blue circle", visible=True).wait_for()
    page.get_by_role("button", name="Use its settings").click()
    sync_api.expect(panel.get_by_label("Seed", exact=True)).to_have_value("8")
    page.get_by_role("button", name="Clear the history").click()
    sync_api.expect(entries).to_have_count(0)


def test_settings_of_a_link_open_their_tab(page, address, model):
    if reason := model.unlearned("questions", "boxes"):
        pytest.skip(reason)
    page.goto(f"{address}?tab=describe&question=how+many%3F&temperature=0.5&length=9999")
    panel = page.get_by_role("tabpanel").filter(visible=True).first
    opened = page.get_by_role("tab", name="Describe", exact=True)
    sync_api.expect(opened).to_have_attribute("aria-selected", "true")
    sync_api.expect(panel.get_by_label("Question")).to_have_value("how many?")


def test_a_random_seed_is_another(page):
    panel = tab(page, "Draw")
    panel.get_by_role("button", name="Random seed").click()
    sync_api.expect(panel.get_by_label("Seed", exact=True)).to_have_value(re.compile(r"^[1-9]\d+$"))


def test_a_download_has_prompt_and_seed(page, tmp_path):
    panel = draw(page, Seed=5)
    panel.locator(".image-gallery button.thumbnail-item").first.click()
    with page.expect_download() as download:
        panel.get_by_label("Download").filter(visible=True).first.click()
    assert download.value.suggested_filename == "a-large-red-star-seed-5.png"
    download.value.save_as(tmp_path / "image.png")
    text = Image.open(tmp_path / "image.png").text
    assert text["prompt"] == "a large red star" and json.loads(text["unitok"])["seed"] == 5


def upload(panel, path):
    """Upload a file by the tab's button; an editor before it takes files that are dropped."""
    panel.locator("input[type=file]").last.set_input_files(path)


BROKEN = {
    "cut.png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "text.png": b"hello", "empty.jpg": b"",
    "page.png": b"<html></html>", "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
}  # fmt: skip


@pytest.mark.parametrize("name", ["Describe", "Edit", "Chat", "Tokens"])
def test_a_broken_upload_is_one_line(page, name, tmp_path, capfd, model):
    if name == "Chat" and (reason := model.unlearned("chat")):
        pytest.skip(reason)
    panel = tab(page, name)
    if name == "Describe":
        panel.get_by_role("button", name="Caption").click()
        says(panel, "Done: a caption")
    for file, content in BROKEN.items():
        (tmp_path / file).write_bytes(content)
        upload(panel, tmp_path / file)
        if name == "Chat":
            panel.locator(".thumbnail-item").filter(visible=True).first.wait_for()
            panel.get_by_placeholder("Write a message").press("Enter")
        says(panel, re.compile(f"^{re.escape(file)}: "), role="alert")
        if name == "Chat":
            panel.get_by_label("Remove").or_(panel.get_by_label("Clear")).filter(visible=True).first.click()
    if name == "Describe":
        assert panel.get_by_label("Answer").input_value() == ""
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_photo_keeps_its_pixels_outside_the_redrawn_part(page, tmp_path):
    photo = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    panel = tab(page, "Edit")
    upload(panel, tmp_path / "photo.png")
    panel.get_by_label("Which part").click()
    page.get_by_role("option", name="the left half").click()
    page.wait_for_timeout(1500)
    panel.get_by_role("button", name="Redraw", exact=True).click()
    says(panel, "Done; the rest of the 400 × 300 pixels is as it was.")
    panel.locator(".image-gallery button.thumbnail-item").nth(1).click()
    with page.expect_download() as download:
        panel.get_by_label("Download").filter(visible=True).first.click()
    download.value.save_as(tmp_path / "edited.png")
    changed = (np.asarray(Image.open(tmp_path / "edited.png")) != photo).any(axis=2)
    assert changed.shape == (300, 400) and changed[:, 50:200].mean() > 0.9
    changed[:, 50:200] = False
    assert not changed.any()


def test_stop_always_ends_in_stopped(browser, address, slow):
    """100 presses at random moments while a second visitor draws, too."""
    other, page = (browser.new_page(viewport={"width": 1280, "height": 844}) for _ in range(2))
    clock = random.Random(0)
    for one in (other, page):
        one.goto(address)
        panel = tab(one, "Draw")
        panel.get_by_role("spinbutton", name="Pictures").fill("8")
    again = other.get_by_role("button", name="Draw", exact=True)
    start, stop = (page.get_by_role("button", name=name, exact=True) for name in ("Draw", "Stop"))
    line = page.get_by_role("tabpanel").filter(visible=True).first.get_by_role("status").first
    ended = []
    for k in range(100):
        if k % 10 == 0:
            again.click()
        if k % 10 == 5:
            other.get_by_role("button", name="Stop", exact=True).filter(visible=True).click()
        start.click()
        if k % 2:
            sync_api.expect(line).not_to_have_text("Stopped.")
        page.wait_for_timeout(clock.uniform(0, 700))
        stop.filter(visible=True).click()
        sync_api.expect(line).to_have_text("Stopped.")
        page.wait_for_timeout(700)
        ended.append(line.inner_text())
    page.wait_for_timeout(1500)
    ended[-1] = line.inner_text()
    other.close()
    page.close()
    assert ended == ["Stopped."] * 100


AXE = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations.map(
    v => v.id + ": " + v.nodes.map(n => n.target.join(" ") + " " + n.html.slice(0, 160)).join(" | "))"""


@pytest.mark.parametrize("name", ["Draw", "Describe", "Chat", "Edit", "Tokens"])
def test_axe_finds_no_violation(page, name):
    axe = pytest.importorskip("axe_playwright_python", reason="axe is not installed (extra browser)")
    panel = tab(page, name)
    if name == "Draw":
        draw(page)
    if name == "Tokens":
        panel.get_by_role("button", name="Encode the picture").click()
        says(panel, "0 changed")
    page.wait_for_timeout(1000)
    page.add_script_tag(path=Path(axe.__file__).with_name("axe.min.js"))
    assert page.evaluate(AXE) == []
