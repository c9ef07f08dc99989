"""Who calls where several watch the same: one page an incident, and never none."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from board_streams import tick
from changed import replace
from clocks import NS, ManualClock
from fake_bus import FakeBus

from probes.bus.connection import BusError
from probes.bus.names import ALL_PLACES, MUTED_KEY, PAGERS_BUCKET, caller_key, told_key
from probes.bus.pager import DEAD_S, YIELD_S, read_told
from probes.control.attention import MUTED_S, Attention
from probes.events import Alert, Diagnosis, Event, Harm, PlaceReport, Tick
from probes.exports.alert_documents import AlertDocument, AlertDocuments, AlertName
from probes.kit.process_identity import RunIdentity
from probes.run.on_call import (
    HAND_OVER_S,
    RETURN_S,
    STEP_BACK_S,
    STOOD_BY_S,
    UNSEEN_S,
    OnCall,
)

pytestmark = pytest.mark.anyio

STEP_S = 0.5
FAIL_OVER_S = DEAD_S + YIELD_S + 3.0
"""As long as an agent takes at most to know that nobody has the pager."""


class Teller:
    """Tells people of alerts at once, or cannot."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self.works = True
        self.slow: list[AlertDocument] | None = None
        """Where it is, what is on its way."""
        self.documents = AlertDocuments(
            run.attention,
            str,
            run.on_call.run_id,
            duty=run.on_call,
            told_before=run.on_call.told_before,
        )

    def receive(self, events: list[Event], _lines: bytes) -> None:
        for document in self.documents.due(events):
            self._tell(document)

    def end(self, alert: Alert, name: AlertName) -> None:
        self._tell(self.documents.end(alert, name))

    def take_back(self, alert: Alert) -> None:
        self.documents.take_back(alert)

    def _tell(self, document: AlertDocument) -> None:
        if self.slow is not None:
            self.slow.append(document)
        elif not self.works:
            self._run.on_call.ended(self, document, "failed")  # type: ignore[arg-type]
        else:
            self._run.yard.pages.append(Page(self._run.name, document))
            self._run.on_call.ended(self, document, "told")  # type: ignore[arg-type]

    def deliver(self) -> None:
        """Let what is on its way arrive, but for what is left to others by now."""
        waiting, self.slow = self.slow or [], None
        for document in waiting:
            if document.state == "firing" and not self._run.on_call.is_ours(document.alert):
                self._run.on_call.ended(self, document, "left")  # type: ignore[arg-type]
            else:
                self._tell(document)


class Page:
    """What somebody was told, and by whom."""

    def __init__(self, by: str, document: AlertDocument) -> None:
        told = msgspec.json.decode(document.body)
        self.by = by
        self.state = told["state"]
        self.name = (told["run"], told["id"])
        self.routes = tuple(told["routes"])
        self.text = told["text"]

    @property
    def words(self) -> str:
        return f"{self.by} {self.state} {' '.join(self.routes)}"


class Run:
    """An agent or a cockpit, as far as its alerts go."""

    def __init__(
        self, yard: "Yard", name: str, home: str, places: Sequence[str], *, calls: bool = True
    ) -> None:
        self.yard = yard
        self.name = name
        self.attention = Attention(yard.clock)
        self.said: list[str] = []
        self.lives = True
        self.on_call = OnCall(
            yard.bus,
            clock=yard.clock,
            host=f"host-{name}",
            process=RunIdentity(7, f"boot of {name}", "1", "a space"),
            report=self.said.append,
            home=home,
            places=places,
            calls=calls,
        )
        self.teller = Teller(self)
        self.on_call.attend(self.attention, self.said.append)
        if calls:
            self.on_call.feed([self.teller])  # type: ignore[list-item]
        self._next = 0

    def hear(self, *events: Event) -> None:
        self.on_call.receive(list(events), b"")
        self.teller.receive(list(events), b"")

    def fire(self, *routes: str, **changes: Any) -> Alert:
        """Have the judge of this run find that routes are hurt."""
        self._next += 1
        now_ns = self.yard.clock.wall_ns()
        alert = Alert(
            at_ns=now_ns,
            id=f"e{self.name}-a{self._next}",
            state="firing",
            kind="incident",
            routes=routes,
            since_ns=now_ns - 20 * NS,
            incident=f"e{self.name}-{self._next}",
            cause="outage",
            harm=Harm("probes_fail", routes[0]),
            text=f"{' '.join(routes)}: down",
        )
        alert = replace(alert, **changes)
        self.hear(alert)
        return alert

    def end(self, alert: Alert) -> None:
        now_ns = self.yard.clock.wall_ns()
        self.hear(replace(alert, state="over", at_ns=now_ns, ended_ns=now_ns, text="over"))


class Yard:
    """A bus, a clock, and all who watch."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.bus = FakeBus(self.clock, 0)
        self.bucket = self.bus.bucket(PAGERS_BUCKET)
        self.runs: list[Run] = []
        self.pages: list[Page] = []

    def agent(self, place: str) -> Run:
        return self._run(f"agent-{place}", place, ())

    def cockpit(self, name: str = "A", *places: str) -> Run:
        return self._run(name, "", places)

    def looker(self, name: str = "L") -> Run:
        """Return a cockpit with nothing to call with."""
        return self._run(name, "", (), calls=False)

    def _run(self, name: str, home: str, places: Sequence[str], *, calls: bool = True) -> Run:
        run = Run(self, name, home, places, calls=calls)
        self.runs.append(run)
        run.on_call.begin()
        return run

    async def advance(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.clock.now_ns += round(STEP_S * NS)
            now_ns = self.clock.wall_ns()
            for run in self.runs:
                if not run.lives:
                    continue
                run.hear(_tick(now_ns))
                await run.on_call.turn()

    @property
    def words(self) -> list[str]:
        return [page.words for page in self.pages]

    async def told(self, place: str) -> list[str]:
        return [" ".join(one.routes) for one in await read_told(self.bucket, place)]


def turns_of(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, turning: list[OnCall | None] | None = None
) -> list[OnCall | None]:
    """Return a list whose only element is who takes its turn just now."""
    turning = [None] if turning is None else turning
    for run in yard.runs:

        async def turn(on_call: OnCall = run.on_call, whole: Any = OnCall.turn) -> None:
            turning[0] = on_call
            await whole(on_call)

        monkeypatch.setattr(run.on_call, "turn", turn)
    return turning


def _tick(at_ns: int) -> Tick:
    return replace(tick(1.0), at_ns=at_ns, wall_ns=at_ns)


@pytest.fixture
async def yard() -> Yard:
    return Yard()


# One calls.


async def test_an_agent_alone_calls_and_ends_it(yard: Yard) -> None:
    eu = yard.agent("eu")
    await yard.advance(5)
    alert = eu.fire("chat@eu")
    await yard.advance(2)
    assert yard.words == ["agent-eu firing chat@eu"]
    assert await yard.told("eu") == ["chat@eu"]
    eu.end(alert)
    await yard.advance(2)
    assert yard.words[1:] == ["agent-eu over chat@eu"]
    assert yard.pages[0].name == yard.pages[1].name
    assert await yard.told("eu") == []
    await yard.advance(2 * UNSEEN_S)
    assert len(yard.pages) == 2
    assert eu.said == []


async def test_where_a_cockpit_calls_agents_are_quiet_and_say_who_does(yard: Yard) -> None:
    eu, cockpit = yard.agent("eu"), yard.cockpit()
    await yard.advance(20)
    alerts = [(run, run.fire("chat@eu")) for run in (eu, cockpit)]
    await yard.advance(20)
    for run, alert in alerts:
        run.end(alert)
    await yard.advance(2 * UNSEEN_S)
    assert yard.words == ["A firing chat@eu", "A over chat@eu"]
    (said,) = eu.said
    assert said.startswith("alerts of eu go out from host-A, pid 7, since ")
    assert cockpit.said == []


async def test_of_two_cockpits_one_stands_by_and_takes_over_with_what_is_told(yard: Yard) -> None:
    first, second = yard.cockpit("A"), yard.cockpit("B")
    await yard.advance(20)
    known = [run.fire("chat@eu") for run in (first, second)][1]
    await yard.advance(5)
    first.lives = False
    new = second.fire("chat@us")
    await yard.advance(DEAD_S + HAND_OVER_S + 4)
    assert yard.words == ["A firing chat@eu", "B firing chat@us"]
    second.end(known)
    second.end(new)
    await yard.advance(5)
    assert sorted(yard.words[2:]) == ["B over chat@eu", "B over chat@us"]
    ended = {page.routes: page.name for page in yard.pages[2:]}
    assert ended == {page.routes: page.name for page in yard.pages[:2]}
    assert [line.partition(",")[0] for line in second.said] == [
        "alerts go out from host-A",
        "alerts go out from here: host-A",
    ]
    assert "; this one stands by" in second.said[0]


async def test_when_the_cockpit_is_killed_agents_call_what_comes_next(yard: Yard) -> None:
    eu, us, cockpit = yard.agent("eu"), yard.agent("us"), yard.cockpit()
    await yard.advance(20)
    stands = eu.fire("chat@eu")
    cockpit.fire("chat@eu")
    await yard.advance(5)
    cockpit.lives = False
    us.fire("chat@us")
    await yard.advance(FAIL_OVER_S)
    # What it had told is not told again; what it did not live to tell is.
    assert yard.words == ["A firing chat@eu", "agent-us firing chat@us"]
    eu.end(stands)
    await yard.advance(2)
    assert yard.words[2:] == ["agent-eu over chat@eu"]
    assert yard.pages[2].name == yard.pages[0].name
    assert len(eu.said) == 2
    assert eu.said[1].startswith("alerts of eu go out from here: host-A, pid 7, since ")


async def test_when_it_is_back_it_takes_up_what_agents_told(yard: Yard) -> None:
    eu = yard.agent("eu")
    await yard.advance(5)
    eu.fire("chat@eu")
    await yard.advance(5)
    cockpit = yard.cockpit()
    mine = cockpit.fire("chat@eu")
    await yard.advance(30)
    assert yard.words == ["agent-eu firing chat@eu"]
    cockpit.end(mine)
    await yard.advance(2)
    assert yard.words[1:] == ["A over chat@eu"]
    assert yard.pages[1].name == yard.pages[0].name


async def test_who_ends_in_order_hands_over_within_seconds(yard: Yard) -> None:
    eu, cockpit = yard.agent("eu"), yard.cockpit()
    await yard.advance(20)
    await cockpit.on_call._leave()
    cockpit.lives = False
    eu.fire("chat@eu")
    await yard.advance(YIELD_S + 3)
    assert yard.words == ["agent-eu firing chat@eu"]


async def test_what_is_worse_on_the_same_routes_is_told(yard: Yard) -> None:
    eu, cockpit = yard.agent("eu"), yard.cockpit()
    await yard.advance(20)
    for run in (eu, cockpit):
        run.fire("chat@eu", harm=Harm("goal_missed", "chat@eu"))
    await yard.advance(5)
    cockpit.lives = False
    eu.fire("chat@eu", harm=Harm("nothing_answered", "chat@eu"))
    await yard.advance(FAIL_OVER_S)
    assert yard.words == ["A firing chat@eu", "agent-eu firing chat@eu"]


async def test_slow_in_two_ways_is_one_thing(yard: Yard) -> None:
    eu, cockpit = yard.agent("eu"), yard.cockpit()
    await yard.advance(20)
    cockpit.fire("chat@eu", harm=Harm("stands", "chat@eu"))
    eu.fire("chat@eu", harm=Harm("burns", "chat@eu"))
    await yard.advance(5)
    cockpit.lives = False
    await yard.advance(FAIL_OVER_S)
    assert yard.words == ["A firing chat@eu"]


async def test_routes_that_nobody_was_told_of_are_told(yard: Yard) -> None:
    eu, cockpit = yard.agent("eu"), yard.cockpit()
    await yard.advance(20)
    cockpit.fire("chat@eu")
    await yard.advance(5)
    cockpit.lives = False
    eu.fire("chat@eu", "other@eu")
    await yard.advance(FAIL_OVER_S)
    assert yard.words == ["A firing chat@eu", "agent-eu firing chat@eu other@eu"]


async def test_what_another_told_goes_on_under_its_name(yard: Yard) -> None:
    eu, cockpit = yard.agent("eu"), yard.cockpit()
    await yard.advance(20)
    mine = [run.fire("chat@eu") for run in (cockpit, eu)][1]
    await yard.advance(5)
    cockpit.lives = False
    await yard.advance(FAIL_OVER_S)
    spread = Diagnosis(
        at_ns=mine.at_ns + NS,
        id=mine.incident,
        state="named",
        cause="outage",
        routes=("chat@eu", "other@eu"),
        since_ns=mine.since_ns,
        size=1.0,
    )
    eu.hear(spread)
    await yard.advance(2)
    assert yard.words[1:] == ["agent-eu changed chat@eu other@eu"]
    assert yard.pages[1].name == yard.pages[0].name
    assert await yard.told("eu") == ["chat@eu other@eu"]


async def test_what_spread_between_two_who_call_is_told_by_the_second(yard: Yard) -> None:
    first, second = yard.cockpit("A"), yard.cockpit("B")
    await yard.advance(20)
    mine = [run.fire("chat@eu") for run in (first, second)][1]
    await yard.advance(5)
    first.lives = False
    word = Diagnosis(
        at_ns=mine.at_ns + NS,
        id=mine.incident,
        state="named",
        cause="outage",
        routes=("chat@eu", "chat@us"),
        since_ns=mine.since_ns,
        size=1.0,
    )
    second.hear(word)
    await yard.advance(FAIL_OVER_S)
    assert yard.words[1:] == ["B changed chat@eu chat@us"]
    assert yard.pages[1].name == yard.pages[0].name
    assert await yard.told("us") == ["chat@us"]
    second.hear(replace(word, routes=("chat@ap", "chat@eu", "chat@us")))
    assert yard.words[2:] == ["B changed chat@ap chat@eu chat@us"]


async def test_what_grows_together_of_what_was_told_is_no_news(yard: Yard) -> None:
    eu, us, cockpit = yard.agent("eu"), yard.agent("us"), yard.cockpit()
    cockpit.lives = False
    await yard.advance(5)
    eu.fire("chat@eu")
    us.fire("chat@us")
    await yard.advance(5)
    cockpit.lives = True
    for place in ("eu", "us"):
        now_ns = yard.clock.wall_ns()
        cockpit.hear(PlaceReport(at_ns=now_ns, place=place, state="heard", since_ns=now_ns))
    await yard.advance(2)
    mine = cockpit.fire("chat@us")
    await yard.advance(30)
    word = Diagnosis(
        at_ns=mine.at_ns + NS,
        id=mine.incident,
        state="named",
        cause="outage",
        routes=("chat@eu", "chat@us"),
        since_ns=mine.since_ns,
        size=1.0,
    )
    cockpit.hear(word)
    await yard.advance(5)
    assert yard.words == ["agent-eu firing chat@eu", "agent-us firing chat@us"]
    cockpit.hear(replace(word, cause="provider_errors"))
    assert yard.words[2:] == ["A changed chat@eu chat@us"]
    cockpit.end(replace(mine, routes=word.routes))
    await yard.advance(5)
    assert [words.split()[1] for words in yard.words[3:]] == ["over", "over"]
    assert {page.name for page in yard.pages[3:]} == {page.name for page in yard.pages[:2]}
    assert await yard.told("eu") == await yard.told("us") == []


async def test_what_nobody_has_stood_by_for_long_is_told_again(yard: Yard) -> None:
    cockpit = yard.cockpit()
    await yard.advance(20)
    cockpit.fire("chat@eu")
    await yard.advance(5)
    cockpit.lives = False
    yard.clock.now_ns += round(STOOD_BY_S * NS)
    eu = yard.agent("eu")
    await yard.advance(FAIL_OVER_S)
    alert = eu.fire("chat@eu")
    await yard.advance(5)
    assert yard.words == ["A firing chat@eu", "agent-eu firing chat@eu"]
    eu.end(alert)
    await yard.advance(5)
    # Both are closed.
    assert yard.words[2:] == ["agent-eu over chat@eu"] * 2
    assert {page.name for page in yard.pages[2:]} == {page.name for page in yard.pages[:2]}


async def test_what_fires_for_hours_is_stood_by(yard: Yard) -> None:
    eu, cockpit = yard.agent("eu"), yard.cockpit()
    await yard.advance(20)
    for run in (eu, cockpit):
        run.fire("chat@eu")
    for _ in range(3):
        await yard.advance(STOOD_BY_S / 2)
    cockpit.lives = False
    await yard.advance(FAIL_OVER_S)
    assert yard.words == ["A firing chat@eu"]


async def test_a_cockpit_that_still_reads_the_past_leaves_it_to_who_calls(yard: Yard) -> None:
    eu = yard.agent("eu")
    cockpit = yard.cockpit()
    cockpit.on_call._is_ready = False
    await yard.advance(20)
    eu.fire("chat@eu")
    await yard.advance(5)
    assert yard.words == ["agent-eu firing chat@eu"]
    cockpit.on_call.begin()
    await yard.advance(10)
    assert eu.said != []


async def test_who_calls_is_said_once_the_past_has_been_read(yard: Yard) -> None:
    yard.cockpit("A")
    looker = yard.looker()
    looker.on_call._is_ready = False
    await yard.advance(20)
    assert looker.said == []
    looker.on_call.begin()
    await yard.advance(2)
    assert len(looker.said) == 1


# Ends.


async def test_an_end_that_nobody_saw_is_told_after_a_while(yard: Yard) -> None:
    cockpit = yard.cockpit("A")
    await yard.advance(20)
    cockpit.fire("chat@eu")
    await yard.advance(5)
    cockpit.lives = False
    eu = yard.agent("eu")  # it begins, and sees nothing wrong
    await yard.advance(FAIL_OVER_S + UNSEEN_S - 15)
    assert yard.words == ["A firing chat@eu"]
    await yard.advance(20)
    assert yard.words[1:] == ["agent-eu over chat@eu"]
    assert "over, as far as can be seen from here" in yard.pages[1].text
    assert await yard.told("eu") == []
    assert len(eu.said) == 2


async def test_an_end_in_the_gap_between_two_who_call_is_told_at_once(yard: Yard) -> None:
    eu, cockpit = yard.agent("eu"), yard.cockpit()
    await yard.advance(20)
    mine = [run.fire("chat@eu") for run in (cockpit, eu)][1]
    await yard.advance(5)
    cockpit.lives = False
    await yard.advance(3)
    eu.end(mine)
    await yard.advance(FAIL_OVER_S)
    assert yard.words == ["A firing chat@eu", "agent-eu over chat@eu"]


async def test_of_several_places_the_last_tells_the_end(yard: Yard) -> None:
    eu, us, cockpit = yard.agent("eu"), yard.agent("us"), yard.cockpit()
    await yard.advance(20)
    cockpit.fire("chat@eu", "chat@us")
    at_eu, at_us = eu.fire("chat@eu"), us.fire("chat@us")
    await yard.advance(5)
    cockpit.lives = False
    await yard.advance(FAIL_OVER_S)
    eu.end(at_eu)
    await yard.advance(5)
    assert yard.words == ["A firing chat@eu chat@us"]
    us.end(at_us)
    await yard.advance(5)
    assert yard.words[1:] == ["agent-us over chat@us"]
    assert yard.pages[1].name == yard.pages[0].name


async def test_a_cockpit_ends_it_when_no_place_has_it_any_more(yard: Yard) -> None:
    first, second = yard.cockpit("A"), yard.cockpit("B")
    await yard.advance(20)
    first.fire("chat@eu", "chat@us")
    mine = [second.fire("chat@eu"), second.fire("chat@us")]
    await yard.advance(5)
    first.lives = False
    await yard.advance(FAIL_OVER_S)
    second.end(mine[0])
    await yard.advance(UNSEEN_S + 5)
    assert yard.words == ["A firing chat@eu chat@us"]
    second.end(mine[1])
    await yard.advance(5)
    assert len(yard.words) == 2
    assert yard.words[1].startswith("B over ")
    assert await yard.told("eu") == await yard.told("us") == []


async def test_of_a_place_that_is_not_heard_nothing_is_over(yard: Yard) -> None:
    first, second = yard.cockpit("A"), yard.cockpit("B")
    await yard.advance(20)
    first.fire("chat@eu")
    await yard.advance(2)
    first.lives = False
    now_ns = yard.clock.wall_ns()
    second.hear(PlaceReport(at_ns=now_ns, place="eu", state="gone", since_ns=now_ns))
    await yard.advance(3 * UNSEEN_S)
    assert yard.words == ["A firing chat@eu"]
    second.hear(PlaceReport(at_ns=now_ns, place="eu", state="heard", since_ns=now_ns))
    await yard.advance(UNSEEN_S + 5)
    assert yard.words[1:] == ["B over chat@eu"]


# None is worse than twice.


async def test_with_the_bus_lost_an_agent_calls_by_itself(yard: Yard) -> None:
    eu, cockpit = yard.agent("eu"), yard.cockpit()
    await yard.advance(20)
    yard.bus.lose()
    alert = eu.fire("chat@eu")
    await yard.advance(FAIL_OVER_S)
    assert yard.words == ["agent-eu firing chat@eu"]
    # It is back: what was told by itself is known to who calls before that is heard of the fault.
    yard.bus.come_back()
    now_ns = yard.clock.wall_ns()
    cockpit.hear(PlaceReport(at_ns=now_ns, place="eu", state="heard", since_ns=now_ns))
    mine = cockpit.fire("chat@eu")
    await yard.advance(RETURN_S + 5)
    eu.end(alert)
    cockpit.end(mine)
    await yard.advance(5)
    assert yard.words[1:] == ["A over chat@eu"]
    assert yard.pages[1].name == yard.pages[0].name


async def test_with_the_bus_lost_who_calls_goes_on_calling(yard: Yard) -> None:
    cockpit = yard.cockpit()
    await yard.advance(20)
    yard.bus.lose()
    cockpit.fire("chat@eu")
    await yard.advance(2)
    assert yard.words == ["A firing chat@eu"]


async def test_a_bus_that_refuses_keeps_nobody_from_calling(yard: Yard) -> None:
    yard.bus.lose()
    eu, cockpit = yard.agent("eu"), yard.cockpit()
    eu.fire("chat@eu")
    cockpit.fire("other@us")
    await yard.advance(FAIL_OVER_S)
    assert sorted(yard.words) == ["A firing other@us", "agent-eu firing chat@eu"]


async def test_who_may_not_write_on_the_bus_calls_while_nobody_has_the_pager(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = yard.cockpit("V")
    write = yard.bus.publish
    refused = {viewer.on_call}

    async def publish(*arguments: Any, **more: Any) -> int:
        if turning[0] in refused:
            raise BusError("fake://bus refuses: permissions violation")
        return await write(*arguments, **more)

    monkeypatch.setattr(yard.bus, "publish", publish)
    turning = turns_of(yard, monkeypatch)
    await yard.advance(20)
    viewer.fire("chat@eu")
    await yard.advance(5)
    assert yard.words == ["V firing chat@eu"]
    viewer.attention.mute(["other@eu"])
    await yard.advance(5)
    cockpit = yard.cockpit("A")
    turning = turns_of(yard, monkeypatch, turning)
    await yard.advance(20)
    for run in (viewer, cockpit):
        run.fire("other@eu")
    await yard.advance(5)
    assert yard.words[1:] == ["A firing other@eu"]
    assert [line.partition(":")[0] for line in viewer.said] == [
        "what is muted here is so on this screen alone",
        viewer.said[1].partition(":")[0],
    ]
    assert viewer.said[1].startswith("alerts go out from host-A")


async def test_who_slept_calls_nobody_before_it_has_looked(yard: Yard) -> None:
    eu, cockpit = yard.agent("eu"), yard.cockpit()
    await yard.advance(20)
    cockpit.lives = False
    eu.fire("chat@eu")
    await yard.advance(FAIL_OVER_S)
    assert yard.words == ["agent-eu firing chat@eu"]
    cockpit.lives = True
    cockpit.fire("chat@eu")  # its backlog comes before anything else
    await yard.advance(30)
    assert yard.words == ["agent-eu firing chat@eu"]


async def test_who_cannot_tell_steps_back_for_who_can(yard: Yard) -> None:
    eu, cockpit = yard.agent("eu"), yard.cockpit()
    await yard.advance(20)
    cockpit.teller.works = False
    for run in (eu, cockpit):
        run.fire("chat@eu")
    await yard.advance(FAIL_OVER_S)
    assert yard.words == ["agent-eu firing chat@eu"]
    assert cockpit.said == [
        "alert eA-a1 (firing) could not be told from here: it is for others to tell"
    ]
    cockpit.teller.works = True
    await yard.advance(2 * STEP_BACK_S)
    assert yard.words == ["agent-eu firing chat@eu"]  # the cockpit has it again, and knows


async def test_of_two_ways_to_tell_one_that_works_is_enough(yard: Yard) -> None:
    cockpit = yard.cockpit()
    broken = Teller(cockpit)
    broken.works = False
    cockpit.on_call._sinks.insert(0, broken)  # type: ignore[arg-type]
    await yard.advance(20)
    cockpit.fire("chat@eu")
    await yard.advance(5)
    cockpit.fire("chat@us")
    await yard.advance(3 * STEP_BACK_S)
    assert yard.words == ["A firing chat@eu", "A firing chat@us"]
    assert cockpit.said == []


async def test_an_alert_of_the_machine_names_its_place(yard: Yard) -> None:
    eu, cockpit = yard.agent("eu"), yard.cockpit()
    await yard.advance(20)
    machine = {"cause": "local_observer", "places": ("eu",), "harm": Harm("stands")}
    cockpit.fire("", **machine, routes=())
    mine = eu.fire("", **machine, routes=())
    await yard.advance(5)
    cockpit.lives = False
    await yard.advance(FAIL_OVER_S)
    assert yard.words == ["A firing "]
    eu.end(mine)
    await yard.advance(5)
    assert yard.words[1:] == ["agent-eu over "]
    assert await yard.told("eu") == []


async def test_who_cannot_tell_and_is_alone_tries_again(yard: Yard) -> None:
    cockpit = yard.cockpit()
    await yard.advance(20)
    cockpit.teller.works = False
    cockpit.fire("chat@eu")
    await yard.advance(STEP_BACK_S / 2)
    cockpit.teller.works = True
    assert yard.words == []
    await yard.advance(STEP_BACK_S)
    assert yard.words == ["A firing chat@eu"]


async def test_what_waits_for_its_turn_is_left_to_who_has_come(yard: Yard) -> None:
    eu = yard.agent("eu")
    await yard.advance(5)
    eu.teller.slow = []
    eu.fire("chat@eu")
    await yard.advance(2)
    cockpit = yard.cockpit()
    cockpit.fire("chat@eu")
    await yard.advance(3)
    eu.teller.deliver()
    await yard.advance(30)
    assert yard.words == ["A firing chat@eu"]


async def test_what_was_on_its_way_is_not_told_again_by_who_has_come(yard: Yard) -> None:
    eu, cockpit = yard.agent("eu"), yard.cockpit()
    cockpit.lives = False
    await yard.advance(5)
    eu.fire("chat@eu")
    cockpit.lives = True
    cockpit.fire("chat@eu")
    await yard.advance(30)
    assert yard.words == ["agent-eu firing chat@eu"]


# Cockpits of some places.


async def test_a_cockpit_of_one_place_calls_for_it_alone(yard: Yard) -> None:
    eu, us, filtered = yard.agent("eu"), yard.agent("us"), yard.cockpit("F", "eu")
    await yard.advance(20)
    for run in (eu, filtered):
        run.fire("chat@eu")
    us.fire("chat@us")
    await yard.advance(5)
    assert sorted(yard.words) == ["F firing chat@eu", "agent-us firing chat@us"]


async def test_who_watches_all_calls_before_who_watches_some(yard: Yard) -> None:
    filtered = yard.cockpit("F", "eu")
    await yard.advance(20)
    wide = yard.cockpit("A")
    await yard.advance(20)
    for run in (filtered, wide):
        run.fire("chat@eu")
    await yard.advance(5)
    assert yard.words == ["A firing chat@eu"]
    wide.lives = False
    filtered.fire("other@eu")
    await yard.advance(FAIL_OVER_S + 2)
    assert yard.words[1:] == ["F firing other@eu"]


async def test_two_of_the_same_places_tell_what_is_of_both_once(yard: Yard) -> None:
    first = yard.cockpit("F", "eu")
    await yard.advance(5)
    second = yard.cockpit("G", "eu", "us")  # has the pager of us alone
    await yard.advance(20)
    first.fire("chat@eu")
    second.fire("chat@eu", "chat@us")
    await yard.advance(20)
    assert yard.words == ["F firing chat@eu"]


# Attention.


async def test_what_is_muted_where_the_pager_is_calls_nobody(yard: Yard) -> None:
    cockpit = yard.cockpit()
    await yard.advance(20)
    cockpit.attention.mute(["chat@eu"])
    cockpit.fire("chat@eu")
    await yard.advance(60)
    assert yard.words == []
    yard.clock.now_ns += MUTED_S * NS
    await yard.advance(20)
    assert yard.words == ["A firing chat@eu"]


@pytest.mark.parametrize("by", ["second", "looker", "first"])
async def test_what_is_muted_on_any_screen_calls_nobody_until_it_is_muted_no_more(
    yard: Yard, by: str
) -> None:
    first, second, looker = yard.cockpit("A"), yard.cockpit("B"), yard.looker()
    await yard.advance(20)
    where = {"first": first, "second": second, "looker": looker}[by]
    where.attention.mute(["chat@eu"])
    await yard.advance(3)
    alerts = [run.fire("chat@eu") for run in (first, second)]
    await yard.advance(60)
    assert yard.words == []
    assert all(run.attention.muted_until_ns(alerts[0]) for run in yard.runs)
    looker.attention.unmute(["chat@eu"])
    await yard.advance(5)
    assert yard.words == ["A firing chat@eu"]
    assert not any(run.attention.muted_until_ns(alerts[0]) for run in yard.runs)


async def test_an_agent_that_calls_heeds_it_too(yard: Yard) -> None:
    eu, looker = yard.agent("eu"), yard.looker()
    await yard.advance(5)
    looker.attention.mute(["chat@eu"])
    await yard.advance(3)
    eu.fire("chat@eu")
    eu.fire("other@eu")
    await yard.advance(10)
    assert yard.words == ["agent-eu firing other@eu"]


async def test_what_was_acknowledged_on_another_screen_while_muted_is_not_told_later(
    yard: Yard,
) -> None:
    first, second = yard.cockpit("A"), yard.cockpit("B")
    await yard.advance(20)
    second.attention.mute(["chat@eu", "chat@us"])
    await yard.advance(3)
    first.fire("chat@eu")
    first.fire("chat@us")
    mine = second.fire("chat@eu")
    await yard.advance(10)
    second.attention.acknowledge(mine)
    await yard.advance(5)
    yard.clock.now_ns += MUTED_S * NS
    await yard.advance(30)
    assert yard.words == ["A firing chat@us"]


async def test_what_is_done_while_the_bus_is_lost_is_shared_when_it_is_back(yard: Yard) -> None:
    first, second = yard.cockpit("A"), yard.cockpit("B")
    await yard.advance(20)
    yard.bus.lose()
    second.attention.mute(["chat@eu"])
    await yard.advance(5)
    second.attention.mute(["chat@us"])
    yard.bus.come_back()
    await yard.advance(3)
    first.fire("chat@eu")
    first.fire("chat@us")
    await yard.advance(10)
    assert yard.words == []


async def test_who_has_nothing_to_call_with_is_told_who_has(yard: Yard) -> None:
    looker = yard.looker()
    await yard.advance(20)
    cockpit = yard.cockpit()
    await yard.advance(20)
    cockpit.lives = False
    await yard.advance(30)
    assert [line.partition(", pid")[0] for line in looker.said] == ["alerts go out from host-A"] * 2
    assert looker.said[1].endswith(" no more; agents tell them, where they can")


@pytest.mark.parametrize(
    "value", [b"{", b'{"until_ns": 3}', b'{"until_ns": {"chat@eu": 9000000000000000000}}']
)
async def test_nobody_mutes_for_longer_than_an_hour(yard: Yard, value: bytes) -> None:
    await yard.bucket.put(MUTED_KEY, value)
    cockpit = yard.cockpit()
    await yard.advance(20)
    alert = cockpit.fire("chat@eu")
    until_ns = cockpit.attention.muted_until_ns(alert)
    assert until_ns is None or until_ns <= yard.clock.wall_ns() + MUTED_S * NS


# Others' words.


async def test_whoever_writes_what_it_likes_is_bounded(yard: Yard) -> None:
    eu = yard.agent("eu")
    await yard.bucket.put(told_key("eu"), b"[" * 100_000)
    await yard.bucket.put(caller_key(ALL_PLACES), b'{"host": "\\u001b[2J' + b"x" * 5_000 + b'"}')
    await yard.advance(2)
    eu.fire("chat@eu")
    await yard.advance(FAIL_OVER_S)
    assert yard.words == ["agent-eu firing chat@eu"]
    assert all("\x1b" not in line and len(line) < 300 for line in eu.said)


async def test_a_defect_is_said_and_ends_nothing(yard: Yard) -> None:
    cockpit = yard.cockpit()
    broken = [ValueError("odd")]
    turn = cockpit.on_call.turn

    async def odd() -> None:
        if broken:
            raise broken.pop()
        await turn()

    cockpit.on_call.turn = odd  # type: ignore[method-assign]
    async with cockpit.on_call.at_work():
        await yard.clock.advance(20)
        assert cockpit.said == ["who calls people is not agreed on for a moment: ValueError: odd"]
        assert await yard.bucket.get(caller_key(ALL_PLACES)) is not None
    assert await yard.bucket.get(caller_key(ALL_PLACES)) is None


async def test_what_a_run_ends_with_stays_what_it_is(yard: Yard) -> None:
    cockpit = yard.cockpit()

    async def run() -> None:
        async with cockpit.on_call.at_work():
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        await run()
