"""What one run may spend, divided among its engines."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from probes.config import Price, Route
from probes.control.commands import Allow, Allowance
from probes.events import AttemptFinished, AttemptStarted, MoneyReport, StampLadder
from probes.money.spending import AttemptReservation, Spending
from probes.run.several.money import Money, Sum, portions

ROUTE = Route(name="r", base_url="http://x", model="m", prompt="x" * 40, max_tokens=90)
OTHER = Route(name="s", base_url="http://x", model="m", prompt="x" * 40, max_tokens=90)
PROBE = 100  # tokens a probe may cost: 10 of the prompt and the cap


def total(tokens: int, usd: float | None = None) -> Allow:
    """Return what a run of one route may spend in all."""
    told = Allowance(route="r", tokens=tokens, usd=usd, used_tokens=7, limit_tokens=9)
    overall = Allowance(route="", tokens=tokens, used_tokens=8, limit_tokens=10)
    return Allow(allowances=(overall, told))


def of_route(allow: Allow, route: str = "r") -> Allowance:
    """Return one route's allowance."""
    (allowance,) = (one for one in allow.allowances if one.route == route)
    return allowance


def started() -> AttemptStarted:
    """Return the start of an attempt."""
    return AttemptStarted(
        at_ns=1, route="r", probe="1", attempt=0, scheduled_ns=0, admitted_ns=0, cohort=""
    )


def finished(charged: int, usd: float | None = None) -> AttemptFinished:
    """Return the end of an attempt that was charged so much."""
    return AttemptFinished(
        at_ns=2,
        route="r",
        probe="1",
        attempt=0,
        outcome="ok",
        stamps_ns=StampLadder(),
        charged_tokens=charged,
        cost_usd=usd,
    )


@dataclass
class Engine:
    """An engine that spends, whose commands and words are on their way for a while."""

    spending: Spending = field(default_factory=Spending)
    commands: deque[Allow] = field(default_factory=deque)
    words: deque[MoneyReport | AttemptFinished] = field(default_factory=deque)
    reserved: list[AttemptReservation] = field(default_factory=list)
    spent: int = 0

    def obey(self) -> None:
        """Take one command."""
        if self.commands:
            command = self.commands.popleft()
            self.spending.allow(command.allowances, command.number)

    def begin_attempt(self) -> bool:
        """Reserve a probe; return whether that was allowed. An engine is told before it begins."""
        assert self.spending.report() is not None
        reservation = self.spending.reserve("r", PROBE)
        if reservation is not None:
            self.reserved.append(reservation)
        return reservation is not None

    def end_attempt(self, charged: int) -> None:
        """Settle an open reservation."""
        if self.reserved:
            self.spending.settle(self.reserved.pop(), charged, 0.0)
            self.spent += charged
            self.words.append(finished(charged))

    def speak(self) -> None:
        """Say what is spent and reserved."""
        report = self.spending.report()
        assert report is not None
        self.words.append(report)


class Run:
    """Engines and the money that is divided among them."""

    def __init__(self, shares: list[int], tokens: int) -> None:
        self.money = Money([ROUTE])
        self.working = {engine: {"r": share} for engine, share in enumerate(shares)}
        self.engines: dict[int, Engine] = {}
        self.charged = 0
        self.tokens = tokens
        self.money.allow(total(tokens))
        for engine in self.working:
            self.start(engine)
        for made in self.engines.values():
            while made.commands:
                made.obey()

    def start(self, engine: int) -> None:
        """Start an engine, which obeys its first allowance before it does anything."""
        self.money.begin(engine)
        self.engines[engine] = Engine()
        self.divide(everybody=True)
        while self.engines[engine].commands:
            self.engines[engine].obey()

    def end(self, engine: int, *, in_order: bool) -> None:
        """Let an engine end; what it had open is charged whole, as the host does it."""
        dead = self.engines.pop(engine)
        while dead.words:
            self._hear(engine, dead.words.popleft())
        for _ in dead.reserved:
            self._hear(engine, finished(PROBE))
        taken = self.money.end(engine, in_order=in_order)
        self.charged += round(taken["r"].tokens) if taken else 0

    def replace(self, engine: int) -> None:
        """Let an engine end and start again."""
        self.end(engine, in_order=True)
        self.start(engine)

    def kill(self, engine: int) -> None:
        """Let an engine be killed and start again."""
        self.end(engine, in_order=False)
        self.start(engine)

    def allow_more(self, tokens: int) -> None:
        """Let the run spend more."""
        self.tokens += tokens
        self.money.allow(total(self.tokens))

    def hear(self, engine: int) -> None:
        """Take one word of an engine."""
        if self.engines[engine].words:
            self._hear(engine, self.engines[engine].words.popleft())

    def divide(self, *, everybody: bool = False) -> None:
        """Put new allowances on their way."""
        for engine, allow in self.money.divide(self.working, everybody=everybody).items():
            self.engines[engine].commands.append(allow)

    def settle(self) -> None:
        """Let all that is on its way arrive, and the money go round."""
        for _ in range(6):
            for number, engine in self.engines.items():
                while engine.commands:
                    engine.obey()
                engine.speak()
                while engine.words:
                    self.hear(number)
            self.divide()

    @property
    def committed(self) -> int:
        """What all engines together have really spent and reserved, dead ones included."""
        open_tokens = sum(PROBE * len(engine.reserved) for engine in self.engines.values())
        unheard = sum(
            word.charged_tokens
            for engine in self.engines.values()
            for word in engine.words
            if isinstance(word, AttemptFinished)
        )
        return self.charged + unheard + open_tokens

    def _hear(self, engine: int, word: MoneyReport | AttemptFinished) -> None:
        if isinstance(word, MoneyReport):
            self.money.report(engine, word)
        else:
            self.charged += word.charged_tokens
            self.money.fold(engine, word)


def test_an_allowance_is_divided_by_streams_in_whole_probes() -> None:
    run = Run([3, 1], tokens=850)
    allowed = {
        number: run.money.divide(run.working, everybody=True)[number] for number in run.engines
    }
    assert of_route(allowed[0]).tokens == 600
    assert of_route(allowed[1]).tokens == 200
    assert of_route(allowed[0], "").tokens == 600
    assert (of_route(allowed[1]).used_tokens, of_route(allowed[1]).limit_tokens) == (7, 9)
    assert of_route(allowed[1], "").used_tokens == 8


def test_an_engine_without_streams_of_a_route_is_given_nothing_of_it() -> None:
    run = Run([2, 0], tokens=500)
    assert not run.engines[1].begin_attempt()
    assert sum(run.engines[0].begin_attempt() for _ in range(9)) == 5


def test_money_is_kept_for_an_engine_that_is_still_to_begin() -> None:
    money = Money([ROUTE])
    money.allow(total(800))
    money.begin(0)
    told = money.divide({0: {"r": 1}, 1: {"r": 1}}, everybody=True)
    assert of_route(told[0]).tokens == 400
    money.begin(1)
    assert of_route(money.divide({0: {"r": 1}, 1: {"r": 1}})[1]).tokens == 400


def test_the_last_probe_of_a_budget_is_not_stranded_in_halves() -> None:
    run = Run([1, 1], tokens=150)
    assert [engine.begin_attempt() for engine in run.engines.values()] == [True, False]


def test_what_an_idle_engine_has_is_taken_back_for_one_that_needs_it() -> None:
    run = Run([1, 1], tokens=400)
    busy = run.engines[0]
    assert [busy.begin_attempt() for _ in range(3)] == [True, True, False]
    run.settle()
    assert busy.begin_attempt()
    run.settle()
    assert run.engines[1].begin_attempt()
    run.settle()
    assert not any(engine.begin_attempt() for engine in run.engines.values())


def test_money_taken_back_is_given_away_only_when_the_engine_has_obeyed() -> None:
    run = Run([1, 1], tokens=400)
    busy, idle = run.engines[0], run.engines[1]
    while busy.begin_attempt():
        pass
    busy.speak()
    run.hear(0)
    run.divide()
    assert [of_route(command).tokens for command in idle.commands] == [100]
    run.divide()
    assert not busy.commands
    assert [idle.begin_attempt(), idle.begin_attempt()] == [True, True]  # it has not heard yet
    run.settle()
    assert not busy.begin_attempt()


def test_an_allowance_that_is_repeated_still_binds_when_an_older_one_is_obeyed() -> None:
    run = Run([1, 1], tokens=400)
    first = run.engines[1].spending.report()
    assert first is not None
    for _ in range(3):
        run.divide(everybody=True)
    run.money.report(1, first)
    busy = run.engines[0]
    while busy.begin_attempt():
        pass
    busy.speak()
    run.hear(0)
    run.divide()
    assert of_route(busy.commands[-1]).tokens == 200
    assert [run.engines[1].begin_attempt(), run.engines[1].begin_attempt()] == [True, True]


def test_an_engine_that_ended_in_order_leaves_what_it_was_not_charged() -> None:
    run = Run([1, 1], tokens=400)
    assert run.engines[0].begin_attempt()
    run.end(0, in_order=True)
    del run.working[0]
    run.settle()
    assert sum(run.engines[1].begin_attempt() for _ in range(9)) == 2
    run.settle()
    assert sum(run.engines[1].begin_attempt() for _ in range(9)) == 1


def test_what_a_killed_engine_had_in_its_hands_is_spent() -> None:
    run = Run([1, 1], tokens=400)
    assert run.engines[0].begin_attempt()  # charged as reserved when it is found dead
    assert run.engines[0].begin_attempt()
    run.money.fold(0, finished(60))
    taken = run.money.end(0, in_order=False)
    assert taken == {"r": Sum(200 - 60)}
    assert run.money.end(0, in_order=False) == {}
    del run.working[0], run.engines[0]
    run.settle()
    assert sum(run.engines[1].begin_attempt() for _ in range(9)) == 2
    run.settle()
    assert not run.engines[1].begin_attempt()
    run.allow_more(140)  # what the ledger gives for what was lost
    run.settle()
    assert run.engines[1].begin_attempt()


def test_of_a_killed_engine_the_most_it_was_allowed_and_may_not_have_given_back_is_spent() -> None:
    run = Run([1, 1], tokens=400)
    run.working[0]["r"] = 0
    run.engines[1].begin_attempt(), run.engines[1].begin_attempt()
    run.engines[1].speak()
    run.hear(1)
    run.divide()
    assert run.engines[0].commands  # told to give back, and has not obeyed
    assert run.money.end(0, in_order=False) == {"r": Sum(200)}


def test_a_burst_brings_its_money_to_an_engine_without_streams() -> None:
    run = Run([1, 0], tokens=400)
    run.money.expect_burst(1, "r", 3)
    run.divide(everybody=True)
    run.settle()
    assert run.engines[1].begin_attempt()
    for _ in range(3):
        run.money.fold(1, started())
    run.money.expect_burst(1, "gone", 3)
    run.settle()
    assert not run.engines[1].begin_attempt()


def test_a_greater_answer_cap_makes_the_whole_probes_dearer() -> None:
    run = Run([1, 1], tokens=1_000)
    run.money.expect_answer("r", 590)
    run.money.expect_prompt("r", 110)
    while any(engine.begin_attempt() for engine in run.engines.values()):
        pass
    assert run.committed == 1_000
    run = Run([1, 1], tokens=0)
    run.money.expect_answer("r", 590)
    run.money.allow(total(1_000))
    told = run.money.divide(run.working, everybody=True)
    assert sorted(of_route(allow).tokens for allow in told.values()) == [0, 600]


def test_dollars_are_divided_like_tokens() -> None:
    priced = Route(
        name="r",
        base_url="http://x",
        model="m",
        prompt="x" * 40,
        max_tokens=90,
        price=Price(input=1.0, output=2.0),
    )
    money = Money([priced])
    money.allow(total(100_000, usd=7 * PROBE * 2e-6))
    working = {0: {"r": 1}, 1: {"r": 1}}
    for engine in working:
        money.begin(engine)
    told = money.divide(working, everybody=True)
    dollars = [of_route(allow).usd or 0.0 for allow in told.values()]
    assert sorted(round(usd / (PROBE * 2e-6)) for usd in dollars) == [3, 4]
    money.fold(0, finished(50, usd=0.0001))
    money.fold(0, finished(50, usd=0.0004))
    money.end(0, in_order=True)
    money.report(1, MoneyReport(allow=2))
    (left,) = money.divide({1: {"r": 1}}, everybody=True).values()
    assert round((of_route(left).usd or 0.0) / (PROBE * 2e-6)) == 4  # 7 - 0.5 - 2, in whole probes


def test_without_a_limit_in_dollars_none_is_divided() -> None:
    money = Money([ROUTE, OTHER])
    money.allow(total(400))
    money.begin(0)
    (told,) = money.divide({0: {"r": 1, "s": 1}}, everybody=True).values()
    assert [(one.route, one.usd) for one in told.allowances] == [("", None), ("r", None)]
    assert money.divide({0: {"r": 1, "s": 1}}) == {}


@given(st.integers(0, 50), st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_portions_lose_nothing_and_follow_the_weights(units: int, weights: list[int]) -> None:
    parts = portions(units, weights, [0.0] * len(weights))
    assert sum(parts) == (units if sum(weights) else 0)
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - units * weight / max(1, sum(weights))) < 1


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            (
                *("begin", "end", "speak", "hear", "obey"),
                *("divide", "everybody", "replace", "kill", "more"),
            )
        ),
        st.integers(0, 3),
        st.integers(0, PROBE),
    ),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=4, max_size=4).filter(any),
    st.integers(0, 2_000),
    STEPS,
)
def test_together_they_never_overspend_and_nothing_is_stranded(
    shares: list[int], tokens: int, steps: list[tuple[str, int, int]]
) -> None:
    run = Run(shares, tokens)
    for what, number, amount in steps:
        engine = run.engines[number]
        deeds: dict[str, Callable[[], object]] = {
            "begin": engine.begin_attempt,
            "end": partial(engine.end_attempt, amount),
            "speak": engine.speak,
            "hear": partial(run.hear, number),
            "obey": engine.obey,
            "divide": run.divide,
            "everybody": partial(run.divide, everybody=True),
            "replace": partial(run.replace, number),
            "kill": partial(run.kill, number),
            "more": partial(run.allow_more, amount),
        }
        deeds[what]()
        assert run.committed <= run.tokens
    run.settle()
    while run.committed + PROBE <= run.tokens:
        before = run.committed
        for number, share in enumerate(shares):
            if share:
                run.engines[number].begin_attempt()
        run.settle()
        assert run.committed > before, "stranded"
        assert run.committed <= run.tokens
