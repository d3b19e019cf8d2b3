"""The page as a browser lays it out: what no reading of its markup can tell."""

import json
import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest
from evaluations_made import make

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run")
WIDTHS = (390, 1200)  # of a phone, of a desktop
# A window is at least 500 px wide; a frame may be narrower. A word on two lines has been broken.
ASKED = """<script>
const ink = (of, box) => of.defaultView.getComputedStyle(box).borderLeftColor;
const broken = (of) => [...of.querySelectorAll("#run .numbers th")].filter((cell) => {
  const text = of.createRange(), node = cell.firstChild;
  return [...node.data.matchAll(/\\S+/g)].some((word) => {
    text.setStart(node, word.index);
    text.setEnd(node, word.index + word[0].length);
    return new Set([...text.getClientRects()].map((line) => line.top)).size > 1;
  });
}).map((cell) => cell.textContent);
addEventListener("load", () => {
  document.body.innerHTML = `<pre>${JSON.stringify([...document.querySelectorAll("iframe")].map((frame) => {
    const of = frame.contentDocument, root = of.documentElement, box = of.querySelector(".verdict");
    const {width, height} = box.getBoundingClientRect(), sizes = {inner: root.clientWidth, scroll: root.scrollWidth};
    return {...sizes, broken: broken(of), box: [width, height], ink: ink(of, box)};
  }))}</pre>`;
});
</script>"""


def laid_out(pages: list[str], folder: Path) -> list[dict[str, Any]]:
    """Return what the browser makes of each page at each of `WIDTHS`."""
    frames = [
        f'<iframe style="width:{width}px;height:900px;border:0" srcdoc="{escape(html)}"></iframe>'
        for html in pages
        for width in WIDTHS
    ]
    file = folder / "pages.html"
    file.write_text(f"<!doctype html><meta charset=utf-8>{ASKED}{''.join(frames)}")
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found = re.search(r"<pre>(\[.*?)</pre>", done.stdout, re.DOTALL)
    assert found, done.stdout[:1000]
    return list(json.loads(unescape(found[1])))


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed, and only a browser lays a page out")
def test_no_page_is_wider_than_a_phone_and_its_verdict_is_seen(tmp_path: Path) -> None:
    few, many = ("cat", "dog"), tuple(f"class {number:03d}" for number in range(100))
    pages = [make(names, n_test=n, accuracy=0.9).html() for names, n in ((few, 60), (many, 600))]
    found = laid_out(pages, tmp_path)
    assert len(found) == len(pages) * len(WIDTHS)
    for of in found:
        assert of["scroll"] <= of["inner"], of
        assert of["broken"] == [], of
        assert of["box"][0] > 0.8 * min(of["inner"], 1100), of
        assert of["box"][1] > 100, of
        assert of["ink"] not in ("rgba(0, 0, 0, 0)", "rgb(255, 255, 255)"), of
