"""Seconds from `python sample/demo.py` to the first drawings in a browser.

python benchmarks/first_picture.py [--model DIR] [--rounds 3] [--json FILE]

Starts the page in its own process, opens it in Debian's chromium (extra `browser`), types a prompt, presses
Enter, and waits until the page reports that its drawings are done. There is no peer; the bar is 15 s.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from compare import Row, command_line, finish
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parents[1]
CHROMIUM = "/usr/bin/chromium"
BAR = 15.0


def time_once(browser: Browser, model: str, prompt: str) -> tuple[float, float, float]:
    """Seconds until the page's address is printed, until one can type, and until the drawings are done."""
    start = time.perf_counter()
    command = [sys.executable, str(ROOT / "sample/demo.py"), "--model", model, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().split()[0]
            served = time.perf_counter() - start
            page = browser.new_page()
            page.goto(address)
            page.get_by_label("What to draw").first.fill(prompt)
            ready = time.perf_counter() - start
            page.get_by_label("What to draw").first.press("Enter")
            page.get_by_role("status").filter(has_text="Done.", visible=True).wait_for(timeout=120_000)
            drawn = time.perf_counter() - start
            page.close()
            return served, ready, drawn
        finally:
            process.terminate()


def main() -> None:
    """Print the medians of several rounds."""
    parser = command_line(__doc__)
    parser.add_argument("--model", default="runs/demo/model", metavar="DIR", help="default: the demo's")
    parser.add_argument("--prompt", default="a large red star", help="prompt to draw (default %(default)r)")
    parser.add_argument("--rounds", type=int, default=3, help="processes started (default 3)")
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        times = [time_once(browser, options.model, options.prompt) for _ in range(options.rounds)]
    served, ready, drawn = (statistics.median(values) for values in zip(*times, strict=True))
    rows = [
        Row("until the page is served", served, "s", None, None, True),
        Row("until one can type", ready, "s", None, None, True),
        Row("until pictures are drawn", drawn, "s", None, BAR, drawn <= BAR),
    ]
    finish(rows, options.json)


if __name__ == "__main__":
    main()
