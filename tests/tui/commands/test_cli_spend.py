"""What single probes cost is reserved before and settled after, in the ledger of all runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from probes.config import Budget, Config, Price, Route
from probes.engine.single import ProbeRecord
from probes.events import AttemptFinished, ProbeFinished, StampLadder
from probes.money.lease_rules import route_key
from probes.money.ledger import Ledger
from tui.commands.spend import ProbeReservations

ROUTE = Route(
    name="r", base_url="https://h", model="m", retries=1, price=Price(input=1.0, output=2.0)
)
SIZE = ROUTE.input_tokens
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
    with ProbeReservations(config_of(Budget()), tmp_path / "ledger.sqlite3") as reservations:
        assert reservations.admit([ROUTE]) == [ROUTE]
        reservations.settle({"r": record(20, 0.5)})
    assert used() == (20, 0.5)


def test_a_probe_that_was_cut_off_counts_in_full(tmp_path: Path, used) -> None:
    def cut_off() -> None:
        with ProbeReservations(config_of(Budget()), tmp_path / "ledger.sqlite3") as reservations:
            reservations.admit([ROUTE])
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
    with ProbeReservations(config_of(budget), tmp_path / "ledger.sqlite3") as reservations:
        assert bool(reservations.admit([ROUTE])) is admitted


@pytest.fixture
def unusable(tmp_path: Path) -> Path:
    """A ledger whose folder is a file."""
    (tmp_path / "file").write_text("no folder")
    return tmp_path / "file" / "ledger.sqlite3"


def test_without_the_ledger_probes_are_counted_apart_and_share_the_emergency_part(
    tmp_path: Path, unusable: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    emergency = tmp_path / "runtime" / "emergency.sqlite3"
    config = config_of(Budget(route_tokens_per_hour=2 * MOST * 100 + 100))
    admitted = 0
    for _ in range(4):  # each a command of its own
        with ProbeReservations(config, unusable, emergency=emergency) as reservations:
            admitted += len(reservations.admit([ROUTE]))
            reservations.settle({"r": record(MOST, 0.0)} if admitted else {})
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("llmtop: the spending ledger ")
        assert line.endswith("a route: the emergency part of the budget")
    assert admitted == 2


def test_without_either_ledger_nothing_is_sent(
    unusable: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    emergency = unusable.with_name("emergency.sqlite3")
    with ProbeReservations(config_of(Budget()), unusable, emergency=emergency) as reservations:
        assert reservations.admit([ROUTE]) == []
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("nothing is sent")


def test_a_runtime_folder_that_others_can_write_to_is_not_counted_in(
    tmp_path: Path, unusable: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "runtime"
    folder.mkdir()
    folder.chmod(0o777)
    with ProbeReservations(
        config_of(Budget()), unusable, emergency=folder / "e.sqlite3"
    ) as reservations:
        assert reservations.admit([ROUTE]) == []
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("ours alone: nothing is sent")


def test_a_broken_ledger_is_said_and_the_emergency_part_may_be_spent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(b"broken" * 999)
    with ProbeReservations(config_of(Budget()), path) as reservations:
        assert reservations.admit([ROUTE]) == [ROUTE]
        reservations.settle({"r": record(20, 0.5)})
    (broken, doubt) = capsys.readouterr().err.splitlines()
    assert "kept as" in broken
    assert "only the emergency part of each budget may be spent" in doubt


def test_a_command_that_is_killed_has_spent_all_it_had_reserved(tmp_path: Path, used) -> None:
    reservations = ProbeReservations(config_of(Budget()), tmp_path / "ledger.sqlite3")
    assert reservations.admit([ROUTE]) == [ROUTE]
    assert used() == (0, 0.0)
    reservations._ledger.close()  # as the kernel closes what a killed process held
    assert used()[0] == MOST


def test_a_command_that_was_taken_for_dead_puts_the_truth_in_the_place_of_that(
    tmp_path: Path, used
) -> None:
    with ProbeReservations(config_of(Budget()), tmp_path / "ledger.sqlite3") as reservations:
        reservations.admit([ROUTE])
        reservations._ledger._locks.close()
        assert used()[0] == MOST
        reservations.settle({"r": record(20, 0.5)})
    assert used() == (20, 0.5)


def test_what_was_counted_apart_is_settled_once_the_ledger_works(
    tmp_path: Path, unusable: Path, used, capsys: pytest.CaptureFixture[str]
) -> None:
    emergency = tmp_path / "runtime" / "emergency.sqlite3"
    with ProbeReservations(config_of(Budget()), unusable, emergency=emergency) as reservations:
        reservations.admit([ROUTE])
        reservations.settle({"r": record(20, 0.5)})
    for _ in range(2):  # and once only
        with ProbeReservations(
            config_of(Budget()), tmp_path / "ledger.sqlite3", emergency=emergency
        ) as reservations:
            reservations.admit([])
        assert used() == (20, 0.5)
    capsys.readouterr()
