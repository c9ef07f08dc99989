"""The page of a hand-over in a real browser: at a phone's width and a desk's, and on paper."""

import re
import shutil
import subprocess
from html import escape
from pathlib import Path

import pytest
from changed import replace
from handed import OUTAGE, facts_of_recording, recorded

from probes.events import AttemptFinished, Event
from probes.handover.document import document
from probes.handover.page import html_page

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is on this machine")
WIDTHS = (360, 390, 1280)
_WRAPPER = """<!doctype html><html><body>
<iframe id="page" width="{width}" height="2400" style="border:0" srcdoc="{page}"></iframe>
<script>
onload = () => {{
  const view = document.getElementById("page").contentWindow, page = view.document;
  const out = [...page.querySelectorAll("main *, header *")].filter(
    one => !one.closest(".scroll") && one.getBoundingClientRect().right > view.innerWidth + 0.5);
  document.body.dataset.told =
    [view.innerWidth, page.documentElement.scrollWidth, out.length].join(" ");
}};
</script></body></html>"""
"""A page that shows another, as narrow as no window of this browser can be, and measures it."""


def long_words(event: Event) -> Event:
    if isinstance(event, AttemptFinished) and event.outcome != "ok":
        return replace(event, message="x" * 400, request_id="r" * 120)
    return event


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("browser")
    facts = facts_of_recording(recorded(place / "run.jsonl", OUTAGE, long_words))
    path = place / "report.html"
    path.write_text(html_page(document(facts)))
    return path


def browsed(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Open a page; everything that the browser writes stays in its folder."""
    assert CHROMIUM is not None
    return subprocess.run(
        [
            CHROMIUM,
            *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--disable-dev-shm-usage", "--no-first-run", "--enable-logging=stderr"),
            f"--user-data-dir={page.parent / 'profile'}",
            *options,
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_it_opens_without_a_word_on_the_console(page: Path, width: int) -> None:
    picture = page.parent / f"{width}.png"
    told = browsed(page, f"--screenshot={picture}", f"--window-size={width},2400")
    assert "CONSOLE" not in told.stderr, told.stderr
    assert picture.stat().st_size > 20_000


def test_a_word_on_the_console_would_be_seen(page: Path) -> None:
    loud = page.with_name("loud.html")
    loud.write_text(page.read_text().replace("</body>", "<script>alert(1)</script></body>"))
    told = browsed(loud, "--dump-dom")
    assert "CONSOLE" in told.stderr
    assert "Content Security Policy" in told.stderr


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(page: Path, width: int) -> None:
    measured = page.with_name(f"measured-{width}.html")
    text = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text())
    measured.write_text(_WRAPPER.format(width=width, page=escape(text)))
    told = browsed(measured, "--dump-dom", "--window-size=1400,2400").stdout
    found = re.search(r'data-told="(\d+) (\d+) (\d+)"', told)
    assert found is not None
    inner, scrolled, beyond = map(int, found.groups())
    assert inner == width
    assert scrolled <= inner
    assert beyond == 0


def test_it_can_be_printed(page: Path) -> None:
    paper = page.parent / "report.pdf"
    browsed(page, f"--print-to-pdf={paper}", "--no-pdf-header-footer")
    raw = paper.read_bytes()
    assert raw.startswith(b"%PDF-")
    assert len(raw) > 20_000
