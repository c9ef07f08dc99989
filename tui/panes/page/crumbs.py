"""The header of a route's page: where one is, what the route is, and what is asked of it."""

from functools import partial
from urllib.parse import urlsplit

from probes.board.views import RouteView, Snapshot
from probes.kit.sanitise import neutralise
from tui.draw.text import Line
from tui.panes.header import Strips
from tui.panes.pace import BEHIND, is_behind, lamp_words, pace_of
from tui.panes.page.subject import subject_of
from tui.panes.pane import DrawLines
from tui.panes.view import ViewState

_NAME_LIMIT = 32
_MODEL_LIMIT = 60
_HOST_LIMIT = 60


def crumbs_pane(strips: Strips) -> DrawLines:
    """Return what draws the strip; how the engine is comes from `strips`."""
    return partial(_crumbs_lines, strips)


def _crumbs_lines(
    strips: Strips,
    snapshot: Snapshot,
    view: ViewState,
    width: int,
    height: int,  # noqa: ARG001 - as every pane is drawn
) -> list[Line]:
    subject = subject_of(snapshot, view)
    parts = _parts(subject.route, view) if subject is not None else []
    return [strips.of_screen(snapshot, view, width, parts)]


def _parts(route: RouteView, view: ViewState) -> list[tuple[Line, float]]:
    """Return what is said of a route; where there is no room the highest number goes first."""
    name = neutralise(route.name, _NAME_LIMIT)
    model, host = neutralise(route.model, _MODEL_LIMIT), neutralise(_host(route), _HOST_LIMIT)
    told: list[tuple[Line, float]] = [
        ((("   routes ▸", "dim"),), 0.5),
        (((f" {name}  ", "title"),), 0),
        (((f"tagged {view.tag(route.name)} ", "accent"),) if route.name in view.tagged else (), 1),
        (((f" {model} ·", "dim"),) if model else (), 6),
        (((f" {host} ·", "dim"),) if host else (), 5),
        (((f" {route.dialect} ·", "dim"),) if route.dialect else (), 6.2),
        (((f" CONC {route.in_flight}/{route.target}{' auto' * route.adaptive}", "text"),), 2),
        (((f" · {pace_of(route)}", "dim"),), 3),
        (((f" · {BEHIND} {lamp_words(route)}", "slow"),) if is_behind(route) else (), 1.5),
        (((f" · cap {route.max_tokens}", "dim"),), 3.2),
        (((" · not streamed", "dim"),) if not route.streamed else (), 4),
    ]
    return [(line, priority) for line, priority in told if line]


def _host(route: RouteView) -> str:
    try:
        return urlsplit(route.base_url).netloc
    except ValueError:  # no URL that anybody could parse
        return route.base_url
