"""Runs in the environment of `deploy/tools.py`: a person with Chromium at the page, and axe-core behind them.

Arguments: the page's URL, a picture, the question, a folder for screenshots. Writes what was seen as JSON.
"""

from __future__ import annotations

import base64
import json
import sys
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page, sync_playwright  # type: ignore[import-not-found]

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
DROP = """([content, kind]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], "scene.png", { type: kind }));
  const target = document.querySelector(".drop");
  for (const type of ["dragover", "drop"]) {
    target.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
  }
}"""
# Keeps, for each card, how long its text was whenever it changed, and how many cards had text by then.
WATCH = """() => {
  window.growth = {};
  new MutationObserver((changes) => {
    for (const { target } of changes) {
      if (target.className !== "text") continue;
      const name = target.closest("article").querySelector("h3").textContent;
      const length = target.textContent.length;
      (window.growth[name] ??= []).push([length, Object.keys(window.growth).length]);
    }
  }).observe(document.querySelector("bl-compare"), { childList: true, subtree: true });
}"""
SECONDS = 1000


class Visit:
    """What happened at the page."""

    def __init__(self, page: Page, url: str, pictures: Path) -> None:
        self.page, self.pictures = page, pictures
        self.seen: dict[str, Any] = {"violations": [], "console": [], "outside": [], "widths": {}}
        self._host = urlsplit(url).netloc
        self._axe = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
        page.set_default_timeout(120 * SECONDS)
        page.on("console", lambda each: self._console(each.type, each.text))
        page.on("pageerror", lambda each: self._console("error", str(each)))
        page.on("request", lambda each: self._request(each.url))

    def _console(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.seen["console"].append(text)

    def _request(self, url: str) -> None:
        if urlsplit(url).scheme in ("http", "https") and urlsplit(url).netloc != self._host:
            self.seen["outside"].append(url)

    def look(self, name: str) -> None:
        """Keep a screenshot, and what axe-core finds."""
        self.page.screenshot(path=self.pictures / f"{name}.png", full_page=True)
        # Through the debugger: the page's policy would keep the script out.
        self.page.evaluate(self._axe)
        found = self.page.evaluate("axe.run()")["violations"]
        self.seen["violations"] += [
            [name, each["id"], each["impact"], [node["html"] for node in each["nodes"]]] for each in found
        ]
        self.seen["widths"][name] = self.page.evaluate("document.scrollingElement.scrollWidth")

    def texts(self, selector: str) -> list[str]:
        return list(self.page.locator(selector).all_inner_texts())


def compare(visit: Visit, picture: Path, question: str) -> None:
    page = visit.page
    page.locator("fieldset input").nth(1).wait_for()
    page.evaluate(DROP, [base64.b64encode(picture.read_bytes()).decode(), "image/png"])
    page.locator(".drop img").wait_for()
    page.fill("#question", question)
    for is_blind in (False, True):
        page.set_checked("#blind", is_blind)
        page.click("text=Ask")
        status = page.locator("bl-compare [role=status]")
        status.filter(has_text="Which").wait_for()
        round_name = "blind" if is_blind else "open"
        visit.seen[round_name] = {"heads": visit.texts("article h3"), "answers": visit.texts("article .text")}
        visit.seen[round_name]["figures"] = visit.texts("article dl")
        visit.look("page-compare" if not is_blind else "page-blind")
        page.locator("article button").first.click()
        status.filter(has_text="Voted").wait_for()
        visit.seen[round_name]["vote"] = status.inner_text()
        visit.seen[round_name]["revealed"] = visit.texts("article h3")


def all_at_once(visit: Visit) -> None:
    """Ask every variant that there is, up to the four that the page takes, and watch the texts grow."""
    page = visit.page
    page.set_checked("#blind", False)
    for box in page.locator("fieldset input").all():
        box.check()
    page.evaluate(WATCH)
    page.click("text=Ask")
    page.locator("bl-compare [role=status]").filter(has_text="Which").wait_for()
    visit.seen["growth"] = page.evaluate("window.growth")


def other_tabs(visit: Visit) -> None:
    """By keyboard alone."""
    page = visit.page
    page.focus("#tab-compare")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("bl-live table")
    page.wait_for_selector("bl-live section")
    visit.seen["live"] = visit.texts("bl-live table")
    visit.look("page-live")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("bl-study svg")
    visit.seen["study"] = visit.texts("bl-study table")
    visit.look("page-study")


def by_keyboard(visit: Visit) -> list[str]:
    """What Tab reaches from the head of the compare tab, in order."""
    page = visit.page
    page.focus("#key")
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    return reached


def main() -> None:
    url, picture, question, pictures = sys.argv[1], Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        page = browser.new_page(viewport={"width": 1100, "height": 800})
        visit = Visit(page, url, pictures)
        page.goto(url)
        compare(visit, picture, question)
        all_at_once(visit)
        other_tabs(visit)
        page.set_viewport_size({"width": 360, "height": 740})
        visit.look("phone-study")
        page.click("#tab-compare")
        visit.look("phone-compare")
        visit.seen["keyboard"] = by_keyboard(visit)
        page.click("#tab-live")
        page.wait_for_selector("bl-live table")
        visit.look("phone-live")
        browser.close()
    json.dump(visit.seen, sys.stdout)


main()
