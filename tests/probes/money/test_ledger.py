"""The spending ledger: many runs, one hourly limit."""

import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from changed import replace

from probes.config import Budget, Route
from probes.config.places import routes_at
from probes.kit.process_identity import RunIdentity, current_identity
from probes.money.lease_rules import OVERALL, Ask, emergency_part, route_key
from probes.money.ledger import Ledger, new_run
from probes.money.ledger_file import LedgerError

pytestmark = pytest.mark.usefixtures("closed_ledgers")

BUDGET = Budget(tokens_per_hour=1_000, route_tokens_per_hour=600)
NS = 1_000_000_000


class Wall:
    """Wall time that a test sets."""

    def __init__(self) -> None:
        self.s = 1_800_000_000

    def ns(self) -> int:
        """Return it in nanoseconds."""
        return self.s * NS


def want(ledger: Ledger, run: str, route: str, tokens: int, budget: Budget = BUDGET) -> int:
    """Ask for a lease; return how much of it was granted."""
    return ledger.exchange(run, [Ask(route, want_tokens=tokens)], budget)[route].tokens


def test_a_lease_grows_to_what_is_wanted_and_to_the_routes_limit() -> None:
    ledger = Ledger(None)
    assert want(ledger, "a", "r", 100) == 100
    assert want(ledger, "a", "r", 50) == 100
    assert want(ledger, "a", "r", 5_000) == 600


def test_several_runs_share_one_limit() -> None:
    ledger = Ledger(None)
    assert want(ledger, "a", "r", 400) == 400
    assert want(ledger, "b", "r", 400) == 200
    assert want(ledger, "c", "r", 400) == 0


def test_engines_of_a_run_have_leases_of_their_own_in_one_record() -> None:
    ledger = Ledger(None)
    first = ledger.exchange("a", [Ask("r", want_tokens=100)], BUDGET)["r"]
    second = ledger.exchange("a", [Ask("r", spent_tokens=30, want_tokens=700)], BUDGET, engine=1)
    assert (first.tokens, second["r"].tokens) == (100, 600 - 100 - 30)
    assert second[OVERALL].tokens == 470
    (run,) = ledger.report().runs
    assert (run.id, run.tokens, run.leased_tokens) == ("a", 30, 570)
    assert want(ledger, "b", "r", 1) == 0
    ledger.release("a")
    assert want(ledger, "b", "r", 1_000) == 570


def test_what_is_not_kept_of_a_lease_is_free_for_others() -> None:
    ledger = Ledger(None)
    want(ledger, "a", "r", 400)
    ask = Ask("r", spent_tokens=50, want_tokens=100, keep_tokens=100, keep_usd=0.0)
    assert ledger.exchange("a", [ask], BUDGET)["r"].tokens == 100
    assert ledger.exchange("a", [replace(ask, spent_tokens=0)], BUDGET)["r"].tokens == 100
    assert ledger.exchange("a", [Ask("r", keep_tokens=5_000)], BUDGET)["r"].tokens == 100
    assert want(ledger, "b", "r", 600) == 600 - 50 - 100


@pytest.mark.parametrize(("least", "granted"), [(0, 200), (200, 200), (201, 0)])
def test_a_part_with_which_nothing_can_be_done_is_not_leased(least: int, granted: int) -> None:
    ledger = Ledger(None)
    want(ledger, "a", "r", 400)
    ask = Ask("r", want_tokens=300, least_tokens=least)
    assert ledger.exchange("b", [ask], BUDGET)["r"].tokens == granted


def test_the_overall_limit_binds_over_all_routes() -> None:
    ledger = Ledger(None)
    assert want(ledger, "a", "r", 600) == 600
    assert want(ledger, "a", "s", 600) == 400
    assert want(ledger, "b", "t", 600) == 0


def test_what_is_spent_leaves_the_lease_and_stays_used() -> None:
    ledger = Ledger(None)
    want(ledger, "a", "r", 100)
    grants = ledger.exchange("a", [Ask("r", spent_tokens=30, spent_usd=0.5)], BUDGET)
    assert (grants["r"].tokens, grants["r"].used_tokens, grants["r"].used_usd) == (70, 30, 0.5)
    assert (grants[OVERALL].tokens, grants[OVERALL].used_tokens) == (70, 30)
    assert ledger.used("r") == (30, 0.5)
    assert ledger.used() == (30, 0.5)
    assert ledger.used("s") == (0, 0.0)


def test_more_than_the_lease_spent_is_counted_whole() -> None:
    ledger = Ledger(None)
    want(ledger, "a", "r", 100)
    grant = ledger.exchange("a", [Ask("r", spent_tokens=650, want_tokens=100)], BUDGET)["r"]
    assert (grant.tokens, grant.used_tokens) == (0, 650)


def test_spending_is_free_again_after_an_hour_and_not_before() -> None:
    wall = Wall()
    ledger = Ledger(None, wall_ns=wall.ns)
    ledger.exchange("a", [Ask("r", spent_tokens=600)], BUDGET)
    wall.s += 3_599
    assert want(ledger, "a", "r", 100) == 0
    wall.s += 11
    assert want(ledger, "a", "r", 100) == 100
    assert ledger.used() == (0, 0.0)


def test_a_clock_set_back_never_makes_money_free_nor_locks_it_for_ever() -> None:
    wall = Wall()
    ledger = Ledger(None, wall_ns=wall.ns)
    wall.s += 400 * 86_400
    ledger.exchange("a", [Ask("r", spent_tokens=600)], BUDGET)
    wall.s -= 400 * 86_400
    assert want(ledger, "a", "r", 100) == 0
    wall.s += 3_611
    assert want(ledger, "a", "r", 100) == 100


def test_the_lease_of_a_dead_run_is_spent_and_neither_freed_nor_counted_twice() -> None:
    dead = RunIdentity(pid=1, boot="boot", born="5")
    fates: dict[RunIdentity, bool | None] = {dead: True}
    ledger = Ledger(None, identity=dead, is_alive=lambda who: fates[who])
    want(ledger, "a", "r", 500)
    ledger.exchange("a", [Ask("r", spent_tokens=100)], BUDGET)
    assert want(ledger, "b", "r", 600) == 100
    ledger.release("b")
    fates[dead] = False
    assert ledger.used("r") == (500, 0.0)
    assert ledger.used("r") == (500, 0.0)
    fates[dead] = True
    assert want(ledger, "c", "r", 600) == 100


def test_the_lease_of_a_run_that_cannot_be_seen_runs_out_and_is_spent_then() -> None:
    wall = Wall()
    ledger = Ledger(None, wall_ns=wall.ns, is_alive=lambda _who: None)
    want(ledger, "a", "r", 500)
    wall.s += 599
    assert want(ledger, "b", "r", 100) == 100
    assert ledger.used("r") == (0, 0.0)
    wall.s += 20
    assert ledger.used("r") == (500, 0.0)
    ledger.release("b")
    wall.s += 3_600  # an hour after it ran out, which is when it can have been spent at the latest
    assert ledger.used("r") == (0, 0.0)


def test_a_lease_that_ran_out_more_than_an_hour_ago_is_nothing_of_this_hour() -> None:
    wall = Wall()
    ledger = Ledger(None, wall_ns=wall.ns, is_alive=lambda _who: False)
    want(ledger, "a", "r", 500)
    wall.s += 600 + 3_601
    assert ledger.used("r") == (0, 0.0)
    assert want(ledger, "b", "r", 600) == 600


def test_a_run_that_ends_frees_its_leases() -> None:
    ledger = Ledger(None)
    want(ledger, "a", "r", 600)
    ledger.release("a")
    assert want(ledger, "b", "r", 600) == 600


def test_dollars_bind_as_tokens_do() -> None:
    ledger = Ledger(None)
    budget = Budget(route_usd_per_hour=1.0, usd_per_hour=1.5)
    asks = [Ask("r", want_tokens=10, want_usd=0.8)]
    assert ledger.exchange("a", asks, budget)["r"].usd == pytest.approx(0.8)
    assert ledger.exchange("b", asks, budget)["r"].usd == pytest.approx(0.2)
    other = [Ask("s", want_tokens=10, want_usd=0.8)]
    assert ledger.exchange("b", other, budget)["s"].usd == pytest.approx(0.5)


def test_one_probe_is_reserved_whole_or_not_at_all() -> None:
    ledger = Ledger(None)
    first = ledger.reserve("r", 500, BUDGET)
    assert first is not None
    assert ledger.reserve("r", 200, BUDGET) is None
    ledger.settle(first, 50, 0.01)
    assert ledger.used("r") == (50, 0.01)
    assert ledger.reserve("r", 200, BUDGET) is not None


def test_a_route_is_known_by_name_address_and_model() -> None:
    route = Route(name="a", base_url="http://x", model="m")
    keys = {
        route_key(route),
        route_key(Route(name="b", base_url="http://x", model="m")),
        route_key(Route(name="a", base_url="http://y", model="m")),
        route_key(Route(name="a", base_url="http://x", model="n")),
    }
    assert len(keys) == 4
    assert route_key(route) == route_key(Route(name="a", base_url="http://x", model="m"))


def test_a_route_is_one_whichever_place_it_is_probed_from() -> None:
    route = Route(name="a", base_url="http://x", model="m")
    eu, us = (routes_at((route,), place)[0] for place in ("eu", "us"))
    assert route_key(eu) == route_key(us) == route_key(route)
    assert route_key(eu) != route_key(replace(eu, place=""))  # somebody called it `a@eu`
    ledger = Ledger(None)
    ledger.introduce([us, eu])
    ledger.exchange("run", [Ask(route_key(eu), spent_tokens=7)], BUDGET)
    assert [(one.name, one.tokens) for one in ledger.report().routes] == [("a", 7)]


def test_the_file_is_the_owners_alone_and_outlives_the_run(tmp_path: Path) -> None:
    path = tmp_path / "state" / "ledger.sqlite3"
    Ledger(path).exchange("a", [Ask("r", spent_tokens=7)], BUDGET)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert Ledger(path).used() == (7, 0.0)


RACER = """
import sys
from pathlib import Path
from probes.config import Budget
from probes.money.lease_rules import Ask
from probes.money.ledger import Ledger, new_run
ledger, run = Ledger(Path(sys.argv[1])), new_run()
budget = Budget(tokens_per_hour=1000, route_tokens_per_hour=600)
spent = {"r": 0, "s": 0}
for _ in range(40):
    grants = ledger.exchange(run, [Ask(route, want_tokens=30) for route in spent], budget)
    asks = []
    for route in spent:
        spend = min(17, grants[route].tokens)
        spent[route] += spend
        asks.append(Ask(route, spent_tokens=spend))
    ledger.exchange(run, asks, budget)
print(spent["r"], spent["s"])
"""


def test_processes_that_race_never_spend_beyond_the_limits(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    root = str(Path(__file__).parents[3])
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": root},
        )
        for _ in range(2)
    ]
    spent = [[int(word) for word in racer.communicate()[0].split()] for racer in racers]
    assert all(racer.returncode == 0 for racer in racers)
    by_route = [sum(of_route) for of_route in zip(*spent, strict=True)]
    assert max(by_route) <= 600
    assert sum(by_route) <= 1_000
    assert Ledger(path).used() == (sum(by_route), 0.0)
    assert sum(by_route) > 900  # and together they can use nearly all of it


def test_a_ledger_that_stays_locked_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probes.money.ledger_file.BUSY_S", 0.02)
    path = tmp_path / "ledger.sqlite3"
    ledger = Ledger(path)
    ledger.used()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LedgerError, match="locked"):
        ledger.used()
    other.execute("ROLLBACK")
    other.close()
    assert ledger.used() == (0, 0.0)
    ledger.close()


def test_a_process_is_told_from_another_that_took_its_number() -> None:
    me = current_identity()
    assert me.is_alive() in (True, None)
    if me.boot:
        assert replace(me, born="another birth").is_alive() is False
        assert replace(me, boot="another boot").is_alive() is None
        assert replace(me, space="another namespace").is_alive() is None
        assert replace(me, space="").is_alive() is None


def test_every_run_has_a_name_of_its_own() -> None:
    assert new_run() != new_run()


def test_the_emergency_part_is_a_hundredth_of_each_budget() -> None:
    whole = Budget(
        tokens_per_hour=2_000_000,
        route_tokens_per_hour=500_099,
        usd_per_hour=2.5,
        route_usd_per_hour=0.5,
    )
    part = emergency_part(whole)
    assert (part.tokens_per_hour, part.route_tokens_per_hour) == (20_000, 5_000)
    assert (part.usd_per_hour, part.route_usd_per_hour) == pytest.approx((0.025, 0.005))
    assert emergency_part(BUDGET).usd_per_hour is None


def test_runs_are_told_by_what_they_spent_and_hold() -> None:
    ledger = Ledger(None)
    ledger.exchange("little", [Ask("r", 30, want_tokens=20)], BUDGET)
    ledger.exchange("holds", [Ask("s", 10, want_tokens=50)], BUDGET)
    ledger.exchange("spent", [Ask("r", 55)], BUDGET)
    ledger.exchange("tied", [Ask("r", 50)], BUDGET)
    told = [(run.id, run.tokens, run.leased_tokens) for run in ledger.report().runs]
    assert told == [("holds", 10, 50), ("spent", 55, 0), ("little", 30, 20), ("tied", 50, 0)]


@pytest.mark.parametrize(("tokens", "usd"), [(0, 0.25), (70, 0.0), (70, 0.25)])
def test_what_was_spent_counts_in_whichever_measure_it_is_told(tokens: int, usd: float) -> None:
    ledger = Ledger(None)
    ledger.exchange("run", [Ask("r", spent_tokens=tokens, spent_usd=usd)], Budget())
    assert ledger.used("r") == (tokens, usd)
