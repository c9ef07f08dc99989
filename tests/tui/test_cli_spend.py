"""What single probes cost is reserved before and settled after, in the ledger of all runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from probes.config import Budget, Config, Price, Route
from probes.events import AttemptFinished, ProbeFinished, StampLadder
from probes.ledger import Ledger, route_key
from probes.report import prompt_tokens
from probes.single import ProbeRecord
from tui.commands.spend import Purse

ROUTE = Route(
    name="r", base_url="https://h", model="m", retries=1, price=Price(input=1.0, output=2.0)
)
SIZE = prompt_tokens(ROUTE)
MOST = 2 * (SIZE + 64)


def record(charged: int, cost: float) -> ProbeRecord:
    attempt = AttemptFinished(
        at_ns=1, route="r", probe="1-1", attempt=0, outcome="ok", stamps_ns=StampLadder(),
        charged_tokens=charged, charged_usd=cost,
    )  # fmt: skip
    probe = ProbeFinished(
        at_ns=1, route="r", probe="1-1", outcome="ok", attempts=1, started_ns=0, scheduled_ns=0,
        cost_usd=cost,
    )  # fmt: skip
    return ProbeRecord(probe, (attempt,))


@pytest.fixture
def used(tmp_path: Path) -> Callable[[], tuple[int, float]]:
    def read() -> tuple[int, float]:
        ledger = Ledger(tmp_path / "ledger.sqlite3")
        try:
            return ledger.used(route_key(ROUTE))
        finally:
            ledger.close()

    return read


def config_of(budget: Budget) -> Config:
    return Config(routes=(ROUTE,), budget=budget)


def test_a_probe_is_settled_at_what_it_cost(tmp_path: Path, used) -> None:
    with Purse(config_of(Budget()), tmp_path / "ledger.sqlite3") as purse:
        assert purse.admit([ROUTE]) == [ROUTE]
        purse.settle({"r": record(20, 0.5)})
    assert used() == (20, 0.5)


def test_a_probe_that_was_cut_off_counts_in_full(tmp_path: Path, used) -> None:
    def cut_off() -> None:
        with Purse(config_of(Budget()), tmp_path / "ledger.sqlite3") as purse:
            purse.admit([ROUTE])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_off()
    tokens, usd = used()
    assert tokens == MOST
    assert usd == pytest.approx(2 * (SIZE * 1.0 + 64 * 2.0) / 1e6)


@pytest.mark.parametrize(
    ("budget", "admitted"),
    [
        (Budget(route_tokens_per_hour=MOST), True),
        (Budget(route_tokens_per_hour=MOST - 1), False),
        (Budget(tokens_per_hour=MOST - 1), False),
        (Budget(route_usd_per_hour=1e-5), False),
    ],
)
def test_only_what_the_budget_can_bear_is_sent(
    tmp_path: Path, budget: Budget, admitted: bool
) -> None:
    with Purse(config_of(budget), tmp_path / "ledger.sqlite3") as purse:
        assert bool(purse.admit([ROUTE])) is admitted


def test_a_ledger_that_cannot_be_used_is_said_and_the_probe_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    with Purse(config_of(Budget()), tmp_path / "file" / "ledger.sqlite3") as purse:
        assert purse.admit([ROUTE]) == [ROUTE]
        purse.settle({"r": record(20, 0.5)})
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("llmtop: the spending ledger ")
    assert line.endswith("; the probe is not counted")
