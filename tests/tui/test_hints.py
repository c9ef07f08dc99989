"""Every hint and every advice on a screen names the keys that its user has."""

import ast
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import made
import made_page
import pytest
from changed import replace
from fakes import FakeStatus

import tui
from probes.board.views import EMPTY_SNAPSHOT, Snapshot
from probes.events import Advice
from probes.events.diagnosis_words import ADVICE_KEYS, advice_words, fresh_words
from tui.draw.text import Line, line_text
from tui.keys import KEYS, Hotkey, advice_keys, first_key, hints, remapped, with_keys
from tui.panes.footer import footer_lines
from tui.panes.happenings import happenings_subtitle
from tui.panes.header import banner_line
from tui.panes.page.figures import Figures, figures_subtitle
from tui.panes.page.heat import HeatMaps, heat_title
from tui.panes.page.probes import Probes, probes_subtitle
from tui.panes.page.verdict import RouteVerdict
from tui.panes.routes import routes_lines, routes_subtitle, routes_title
from tui.panes.verdicts import verdicts_lines
from tui.panes.view import ViewState
from tui.screens.glossary import states_section

_NEW: Final = (
    "ąćęłńśźżĄĆĘŁŃŚŹŻáéíóúýàèìòùâêîôûäëïöüÿãõñçÁÉÍÓÚÀÈÌÒ"
    "ÙÂÊÎÔÛÄËÏÖÜÃÕÑÇøåæØÅÆðþÐÞčďěňřšťůžČĎĚŇŘŠŤŮŽĺľŕĹĽŔĐđ"
    "ĂăȘșȚțĀāĒēĪīŌōŪūĢģĶķŅņŐőŰű"
)
"""Keys that nobody has by himself, and that no word of ours begins with."""
OTHERS: Final = remapped({key.id: [_NEW[place]] for place, key in enumerate(KEYS)})
NONE: Final = remapped({key.id: [] for key in KEYS if key.id != "quit"})


def changed_keys() -> dict[str, str]:
    return {key.id: key.shown for key in OTHERS}


def text_of(lines: Sequence[Line]) -> str:
    return "\n".join(line_text(line).rstrip() for line in lines)


def view_of(keys: Sequence[Hotkey], **changes: Any) -> ViewState:
    return ViewState(keys=tuple(keys), **changes)


def told_to(act: Advice) -> Snapshot:
    """Return a frame with one incident of which that is the advice."""
    first = made.incidents()[1]
    ill = replace(first, diagnosis=replace(first.diagnosis, advice=act))
    return made.snapshot(incidents=(ill,), recoveries=())


def on_page(keys: Sequence[Hotkey], **changes: Any) -> ViewState:
    return replace(made_page.VIEW, keys=tuple(keys), page=replace(made_page.VIEW.page, **changes))


ONE_GOOD: Final = made_page.snapshot(probes=(made_page.probe(is_good=True),))
NO_FAILURES: Final = replace(
    ONE_GOOD,
    details={
        made_page.NAME: replace(ONE_GOOD.details[made_page.NAME], lanes=()),
    },
)
STOPPED: Final = made.snapshot(
    routes=tuple(replace(row, state="paused") for row in made.routes()), incidents=()
)
PAUSED: Final = replace(
    made_page.snapshot(replace(made_page.row(), state="paused")), incidents=(), recoveries=()
)
T0: Final = {"t0": made_page.column("now"), "t0_route": made_page.NAME}
SHOWN: Final = made.snapshot()

HINTS: Final = {
    "undo": (
        "→ {undo} undoes it (or {fewer} to 4)",
        lambda keys: text_of(
            verdicts_lines(
                told_to(Advice(act="undo_knob", knob="concurrency", value=4)),
                view_of(keys),
                200,
                3,
            )
        ),
    ),
    "slower": (
        "→ {later} to 2.5 s",
        lambda keys: routes_subtitle(
            told_to(Advice(act="set_knob", knob="interval", value=2.5)),
            view_of(keys, selected="busy-llama"),
        ),
    ),
    "shorter": (
        "→ {shorter} to 32",
        lambda keys: routes_subtitle(
            told_to(Advice(act="set_knob", knob="max_tokens", value=32)),
            view_of(keys, selected="busy-llama"),
        ),
    ),
    "fresh": (
        "→ move users to deepseek-eu; {fresh} sends one on a fresh connection",
        lambda keys: text_of(
            verdicts_lines(
                told_to(Advice(act="move", route="deepseek-eu", detail=fresh_words())),
                view_of(keys),
                240,
                3,
            )
        ),
    ),
    "more": (
        "+4 {trouble}",
        lambda keys: text_of(verdicts_lines(SHOWN, view_of(keys), 160, 1)),
    ),
    "follow": (
        "{first} follows the worst",
        lambda keys: routes_subtitle(SHOWN, view_of(keys, selected="busy-llama")),
    ),
    "no match": (
        "no route matches zzz · {back} shows all",
        lambda keys: text_of(routes_lines(SHOWN, view_of(keys, filter="zzz"), 160, 9)),
    ),
    "none hurts": (
        "hurts · {only_hurt} shows all",
        lambda keys: text_of(
            routes_lines(
                made.snapshot(routes=(made.route("calm"),)), view_of(keys, only_hurt=True), 160, 9
            )
        ),
    ),
    "only what hurts": (
        "hidden ({only_hurt})",
        lambda keys: routes_title(SHOWN, view_of(keys, only_hurt=True)),
    ),
    "log": ("{log_filter} only its own", lambda keys: happenings_subtitle(PAGE, view_of(keys))),
    "log, read": (
        "{log_filter} only its own · {open} its route",
        lambda keys: happenings_subtitle(PAGE, view_of(keys, maximised=6)),
    ),
    "engine": (
        "{retry} starts it again",
        lambda keys: banner_text(SHOWN, FakeStatus("gave_up"), keys),
    ),
    "all paused": (
        "ALL ROUTES PAUSED · {panic} goes on",
        lambda keys: banner_text(STOPPED, FakeStatus(), keys),
    ),
    "ledger": (
        "· {lift} counts on",
        lambda keys: banner_text(
            made.snapshot(header=made.header(budget_doubt="locked")), FakeStatus(), keys
        ),
    ),
    "listed": (
        "{slowest} slowest first · {only_failed} only those not good · {open_probe} one probe",
        lambda keys: probes_subtitle(PAGE, on_page(keys)),
    ),
    "listed otherwise": (
        "{slowest} newest first · {only_failed} all · {open_probe} one probe",
        lambda keys: probes_subtitle(PAGE, on_page(keys, slowest=True, only_failed=True)),
    ),
    "all good": (
        "all of the last probes were good · {only_failed} shows them",
        lambda keys: text_of(Probes().lines(NO_FAILURES, on_page(keys, only_failed=True), 90, 9)),
    ),
    "take T0": ("{take_t0} takes now as T0", lambda keys: figures_subtitle(PAGE, on_page(keys))),
    "against T0": (
        "{against_t0} now against T0",
        lambda keys: figures_subtitle(PAGE, on_page(keys, **T0)),
    ),
    "more figures": (
        "· {scroll_down}",
        lambda keys: text_of(Figures().lines(PAGE, on_page(keys), 60, 5)),
    ),
    "map of gaps": ("· gaps: {gaps}", lambda keys: heat_title(PAGE, on_page(keys))),
    "map of TTFT": ("· TTFT: {gaps}", lambda keys: heat_title(PAGE, on_page(keys, gaps=True))),
    "no map": (
        "no room for a map: {maximise}",
        lambda keys: text_of(HeatMaps().lines(PAGE, on_page(keys), 30, 2)),
    ),
    "paused": (
        "{pause} lets it go on",
        lambda keys: text_of(RouteVerdict().lines(PAUSED, on_page(keys), 160, 9)),
    ),
    "page's advice": (
        "{undo} undoes it (or {fewer} to 4)",
        lambda keys: text_of(
            RouteVerdict().lines(
                told_to(Advice(act="undo_knob", knob="concurrency", value=4)),
                view_of(keys, selected="busy-llama"),
                200,
                9,
            )
        ),
    ),
    "footer": (
        " {help} help  {quit} quit  {pause} pause ",
        lambda keys: text_of(footer_lines(EMPTY_SNAPSHOT, view_of(keys), 160, 1)),
    ),
    "state": (
        "try `{fewer}`",
        lambda keys: " ".join(term.meaning for term in states_section(keys, "sluggish").terms),
    ),
}
"""What stands on a screen, with ids of keys in it, and what draws it with given keys."""


def banner_text(snapshot: Snapshot, status: FakeStatus, keys: Sequence[Hotkey]) -> str:
    line = banner_line(snapshot, status, keys)  # type: ignore[arg-type]
    assert line is not None
    return line_text(line)


PAGE: Final = made_page.snapshot()


@pytest.mark.parametrize("name", HINTS)
@pytest.mark.parametrize("keys", [KEYS, OTHERS], ids=["as they are", "remapped"])
def test_hints_name_the_keys_that_the_user_has(name: str, keys: Sequence[Hotkey]) -> None:
    words, draw = HINTS[name]
    assert with_keys(words, keys) in draw(keys)


@pytest.mark.parametrize("name", HINTS)
def test_a_key_that_was_taken_away_is_not_named(name: str) -> None:
    words, draw = HINTS[name]
    told = draw(NONE)
    assert with_keys(words, KEYS) not in told
    assert "{" not in told


def test_advice_names_the_keys_of_the_table_until_a_user_gives_others() -> None:
    assert dict(ADVICE_KEYS) == advice_keys(KEYS)
    advice = Advice(act="set_knob", knob="concurrency", value=3)
    assert advice_words(advice) == "- to 3"
    assert advice_words(advice, keys=advice_keys(OTHERS)) == f"{changed_keys()['fewer']} to 3"
    assert advice_words(advice, keys=advice_keys(NONE)) == "concurrency down to 3"


def test_of_several_keys_a_hint_names_the_first_and_one_without_a_key_is_left_out() -> None:
    each = (("down", "further"), ("slowest", "slowest first"))
    assert hints(KEYS, *each) == "j further · o slowest first"
    assert hints(remapped({"down": []}), *each) == "o slowest first"
    assert first_key("down") == "j"


NAMES_A_KEY: Final = re.compile(
    r"(?:^|[·:(;,] |, )(?:"
    + "|".join(
        re.escape(shown)
        for shown in sorted(
            # Those are in any sentence too, and these are words of English.
            {part for key in KEYS for part in key.shown.split(" ")}
            - {"", "a", "A", *":123456,.()[]"}
        )
    )
    + r") [a-z]{2,}"
)
DIALOGUES: Final = frozenset(
    ("first_run.py", "sort_menu.py", "help.py", "manual.py", "prompt.py", "alert_list.py")
)
"""Pages over the live screens: what they are moved by is their own, and is not remapped."""
NO_KEYS: Final = frozenset(
    ("? y n", "a text for the mark: Enter puts it, with none it is called mark; Esc leaves")
)


def test_no_text_of_a_pane_or_a_live_screen_has_a_key_written_into_it() -> None:
    root = Path(tui.__file__).parent
    found = []
    for path in sorted(
        p for room in ("panes", "screens", "draw") for p in (root / room).rglob("*.py")
    ):
        if path.name in DIALOGUES:
            continue
        for text in _strings(ast.parse(path.read_text(encoding="utf-8"))):
            if NAMES_A_KEY.search(text) and text not in NO_KEYS:
                found.append(f"{path.relative_to(root)}: {text}")
    assert found == []


def _strings(tree: ast.AST) -> list[str]:
    """Return the strings of a module that are no docstring."""
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told
    ]
