"""Does the screen prove what is wrong? `python tests/bench/proofs.py DIR [--pictures DIR]`

Takes recordings of incidents with what is true of them, as `incidents.py --keep DIR` leaves them,
and looks at the cockpit as somebody on call would: five seconds after an incident was rightly named
it draws the home screen and the page of a route that is hit. It prints a row for each: the verdict
as it stands on the home screen, and which figure of the page proves the cause by itself, whatever
the verdict says. `--pictures` keeps both screens as SVG. The exit status is 1 where one is missing.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "tui")]

import msgspec  # noqa: E402
from fakes import FakeBoard, FakeClock, FakeSession, config  # noqa: E402
from wires.live import FACTS, Facts  # noqa: E402
from wires.verdicts import Truth  # noqa: E402

from probes.board import Board  # noqa: E402
from probes.board.views import FeltColumn, RequestView, RouteDetail, Snapshot  # noqa: E402
from probes.diagnosis import Diagnostician  # noqa: E402
from probes.events import Diagnosis, Event, Usual, decode_event  # noqa: E402
from probes.events.diagnosis_words import what_words  # noqa: E402
from probes.kit.clock import NS_PER_S  # noqa: E402
from tui.app import LlmtopApp  # noqa: E402
from tui.panes.pane import Pane  # noqa: E402

SIZE: Final = (160, 50)
LOOKED_AFTER_NS: Final = 5 * NS_PER_S
"""After the naming: somebody has seen the verdict and pressed Enter."""
GREW: Final = 1.2
"""The least growth that is told of a figure."""


class Moment(NamedTuple):
    """What there is to be seen of an incident."""

    snapshot: Snapshot
    diagnosis: Diagnosis
    route: str
    requests: tuple[RequestView, ...]
    """The newest probes of the route, whole, newest first."""

    @property
    def detail(self) -> RouteDetail:
        """What is shown of the route."""
        return self.snapshot.details[self.route]

    def column(self, name: str) -> FeltColumn:
        """Return the figures of a span of time."""
        assert self.detail.page is not None
        return next(one for one in self.detail.page.columns if one.name == name)

    def since_onset(self) -> list[RequestView]:
        """Return the probes that ended since the onset."""
        onset_ns = self.diagnosis.since_ns
        return [one for one in self.requests if one.probe.at_ns >= onset_ns]


Proof: TypeAlias = Callable[[Moment], str]
"""Says in words what proves a cause; nothing where nothing does."""


def _grown(name: str, now: float | None, usual: float | None) -> str:
    if now is None or not usual or now < GREW * usual:
        return ""
    return f"{name} {now:.3g}, usual {usual:.3g}"


def _phase(*names: str) -> Proof:
    def proof(moment: Moment) -> str:
        assert moment.detail.page is not None
        rows = [row for row in moment.detail.page.phase_rows if row.phase in names]
        told = (_grown(f"phase {row.phase}", row.now_s, row.usual_s) for row in rows)
        return next(filter(None, told), "")

    return proof


def _against_run(figure: str) -> Proof:
    """A figure of now against that of the run, which holds what was before."""

    def proof(moment: Moment) -> str:
        now, run = moment.column("now"), moment.column("run")
        return _grown(figure, getattr(now, figure), getattr(run, figure))

    return proof


def _less_than_run(figure: str) -> Proof:
    def proof(moment: Moment) -> str:
        now, run = moment.column("now"), moment.column("run")
        return _grown(f"{figure} before", getattr(run, figure), getattr(now, figure) or 1e-9)

    return proof


def _listed(outcomes: str, *reasons: str) -> Proof:
    """Probes since the onset that ended so, which the list shows one by one."""

    def proof(moment: Moment) -> str:
        ended = [
            attempt
            for one in moment.since_onset()
            for attempt in one.attempts
            if attempt.outcome in outcomes.split()
            and (not reasons or attempt.reason.startswith(reasons))
        ]
        if not ended:
            return ""
        words = " ".join(str(part) for part in (ended[0].status, ended[0].reason) if part)
        return f"{len(ended)} attempts {ended[0].outcome} {words}"

    return proof


def _hangs(moment: Moment) -> str:
    row = next(row for row in moment.snapshot.routes if row.name == moment.route)
    if row.overdue and row.oldest_open_s is not None:
        return f"oldest open {row.oldest_open_s:.0f} s"
    late = moment.column("now").ttft[1]
    return f"TTFT p95 at least {late.value:.3g} s" if late.is_least and late.value else ""


def _slow_writing(moment: Moment) -> str:
    return _phase("writing")(moment) or _less_than_run("tokens_per_s")(moment)


def _masked(moment: Moment) -> str:
    rescued = [
        one for one in moment.since_onset() if one.probe.outcome == "ok" and len(one.attempts) > 1
    ]
    return f"{len(rescued)} probes rescued by retries" if rescued else ""


def _knob(moment: Moment) -> str:
    turned = [
        one
        for one in moment.snapshot.happenings
        if one.kind == "knob" and moment.route in one.routes
    ]
    return f"knob: {turned[0].text}" if turned else ""


def _other_build(moment: Moment) -> str:
    builds = {
        f"{one.attempts[-1].served_model} {one.attempts[-1].fingerprint}".strip()
        for one in moment.requests
        if one.attempts and one.probe.outcome == "ok"
    }
    return f"answers by {' and '.join(sorted(builds))}" if len(builds) > 1 else ""


def _observer(moment: Moment) -> str:
    lag_s = moment.snapshot.header.loop_lag_p99_s
    return f"loop lag {lag_s * 1000:.0f} ms in the header" if lag_s > 0.01 else ""


def _either(*proofs: Proof) -> Proof:
    return lambda moment: next(filter(None, (proof(moment) for proof in proofs)), "")


_FAILED: Final = "server_error client_error timeout protocol_error truncated content_error"
PROOFS: Final[Mapping[str, Proof]] = {
    "no_answer": _either(_hangs, _listed("timeout")),
    "outage": _listed(_FAILED),
    "provider_errors": _listed(_FAILED),
    "provider_overloaded": _listed(f"{_FAILED} throttled"),
    "provider_queueing": _phase("headers", "first_token"),
    "provider_slow_decode": _slow_writing,
    "stream_stalls": _either(
        _against_run("gap_p99_s"), _listed("timeout"), _phase("writing"), _hangs
    ),
    "stream_truncation": _listed("truncated protocol_error"),
    "rate_limited_requests": _listed("throttled"),
    "rate_limited_tokens": _listed("throttled"),
    "rate_limited_concurrency": _listed("throttled"),
    "quota_exhausted": _listed(f"{_FAILED} throttled"),
    "auth_failure": _listed("client_error"),
    "model_missing": _listed(_FAILED),
    "bad_request": _listed(_FAILED),
    "model_changed": _other_build,
    "wrong_answers": _listed("content_error"),
    "network_path": _either(
        _against_run("lost_segments"),
        _against_run("rtt_s"),
        _phase("connect", "headers"),
        _listed("timeout protocol_error"),
    ),
    "dns": _either(_phase("connect"), _listed(_FAILED, "connect")),
    "tls": _either(_phase("connect"), _listed(_FAILED, "connect")),
    "connection_churn": _either(_against_run("cold_share"), _phase("connect")),
    "cold_start": _phase("headers", "first_token"),
    "cache_loss": _either(_less_than_run("cached_share"), _phase("headers", "first_token")),
    "prompt_growth": _against_run("input_tokens"),
    "output_growth": _against_run("output_tokens"),
    "retry_masking": _masked,
    "own_load": _knob,
    "local_observer": _observer,
}
"""By what is true, not by what was said."""


def _named(event: Diagnosis, truth: Truth) -> bool:
    right = event.cause == truth.cause or event.cause in truth.also
    return right and event.state == "named" and truth.routes >= set(event.routes)


def moments(recording: Path, truths: list[Truth]) -> Iterator[tuple[Truth, Moment | None]]:
    """Yield what is to be seen of each truth of a recording; None where it is never named."""
    board, judge = Board(), Diagnostician()
    waiting = dict(enumerate(truths))
    due: dict[int, tuple[int, Diagnosis]] = {}
    for event in _events(recording, judge):
        board.fold(event)
        if isinstance(event, Diagnosis):
            for number, truth in waiting.items():
                in_time = event.at_ns >= truth.from_ns
                if number not in due and in_time and _named(event, truth):
                    due[number] = (event.at_ns + LOOKED_AFTER_NS, event)
        for number in [one for one, (at_ns, _) in due.items() if event.at_ns >= at_ns]:
            if number in waiting:
                yield waiting.pop(number), _seen(board, due[number][1])
    for truth in waiting.values():
        yield truth, None


def _events(recording: Path, judge: Diagnostician) -> Iterator[Event]:
    with recording.open("rb") as lines:
        for line in lines:
            event = decode_event(line)
            if isinstance(event, Diagnosis | Usual):
                continue
            yield event
            yield from judge.fold(event)


def _seen(board: Board, diagnosis: Diagnosis) -> Moment:
    route = diagnosis.routes[0] if diagnosis.routes else board.routes[0]
    snapshot = board.snapshot("1m", board.routes, (route,), anew=True)
    page = snapshot.details[route].page
    assert page is not None
    known = (board.request(route, one.probe) for one in page.probes)
    return Moment(snapshot, diagnosis, route, tuple(one for one in known if one is not None))


async def drawn(moment: Moment, pictures: Path | None, name: str) -> tuple[str, str]:
    """Return the text of the home screen and of the page; keep them as pictures where asked."""
    board = FakeBoard(whole=moment.snapshot)
    board.requests = {(moment.route, one.probe.probe): one for one in moment.requests}
    app = LlmtopApp(FakeSession(board=board), config(), FakeClock())
    texts = []
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        home = app.screen
        texts.append(_text_of(app))
        _keep(app, pictures, f"{name}-home")
        home.go_to(moment.route)  # type: ignore[attr-defined]
        await pilot.pause()
        await pilot.pause()
        texts.append(_text_of(app))
        _keep(app, pictures, f"{name}-page")
    return texts[0], texts[1]


def _text_of(app: LlmtopApp) -> str:
    panes = [pane for pane in app.screen.query(Pane) if pane.is_on_screen]
    lines = (pane.render_line(y).text for pane in panes for y in range(pane.size.height))
    return "\n".join(line.rstrip() for line in lines)


def _keep(app: LlmtopApp, pictures: Path | None, name: str) -> None:
    if pictures is not None:
        (pictures / f"{name}.svg").write_text(app.export_screenshot(), encoding="utf-8")


def _row(incident: str, truth: Truth, moment: Moment | None, pictures: Path | None) -> list[str]:
    if moment is None:
        return [incident, truth.cause, "never named", "–", "–"]
    home, page = asyncio.run(drawn(moment, pictures, incident))
    what = what_words(moment.diagnosis)
    on_home = next((line.strip() for line in home.splitlines() if what in line), "")
    told = "yes" if what in page else "no"
    return [
        incident,
        truth.cause,
        on_home or "not on the screen",
        told,
        PROOFS[truth.cause](moment),
    ]


def main() -> None:
    """Look at all of them, print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kept", type=Path, metavar="DIR", help="as incidents.py --keep left it")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="instead of all")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="where both screens are kept")
    options = parser.parse_args()
    if options.pictures is not None:
        options.pictures.mkdir(parents=True, exist_ok=True)
    rows = []
    for file in sorted(options.kept.glob(f"*.{FACTS}")):
        known = msgspec.json.decode(file.read_bytes(), type=Facts)
        if options.only and known.incident not in options.only:
            continue
        recording = options.kept / f"{known.incident}.jsonl"
        rows += [
            _row(known.incident, truth, moment, options.pictures)
            for truth, moment in moments(recording, known.truths)
        ]
    head = ["incident", "what is true", "on the home screen", "on its page", "proved by"]
    for row in [head, ["---"] * len(head), *rows]:
        sys.stdout.write(f"| {' | '.join(row)} |\n")
    whole = [row for row in rows if row[3] == "yes" and row[2][:3] != "not" and row[4]]
    sys.stdout.write(f"\n{len(whole)} of {len(rows)} told and proved\n")
    sys.exit(len(whole) < len(rows))


if __name__ == "__main__":
    main()
