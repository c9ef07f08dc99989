"""`on_alert`: a command is told each alert, once, without a secret, and never outlives us."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from board_streams import at, hello, tick
from changed import replace
from clocks import ManualClock

from probes.config.key_command import MOST_GIVEN, tell_command
from probes.control.attention import MUTED_S, Attention
from probes.events import Alert, Burn, Harm
from probes.exports.alert_command import AlertCommand
from probes.exports.alert_documents import AlertDocuments, alert_fields
from probes.exports.alert_sink import QUEUED_MOST

ROOT = Path(__file__).parents[3]
KEY = "sk-abcdefghijklmnop"
ALERT = Alert(
    at_ns=at(130),
    id="e1-a1",
    state="firing",
    kind="incident",
    routes=("alpha",),
    since_ns=at(100),
    incident="e1-1",
    cause="outage",
    harm=Harm("nothing_answered", "alpha"),
    text="alpha: provider is down · nothing is answered",
)
posix = pytest.mark.skipif(os.name != "posix", reason="needs processes of POSIX")


class Told:
    """Takes what a command would be told."""

    def __init__(self, *failures: str) -> None:
        self.given: list[dict[str, Any]] = []
        self.environs: list[dict[str, str]] = []
        self.failures = list(failures)
        self.may_run = threading.Event()
        self.may_run.set()

    def __call__(self, argv: Any, given: bytes, *, seconds: float, environ: Any) -> None:
        self.may_run.wait(5)
        self.given.append(json.loads(given))
        self.environs.append(environ)
        if self.failures and (failure := self.failures.pop(0)):
            raise ValueError(failure)


def command(told: Told, reported: list[str], **changes: Any) -> AlertCommand:
    attention = changes.pop("attention", None) or Attention(ManualClock())
    documents = AlertDocuments(attention, lambda text: text.replace(KEY, "***"), "r1")
    given: dict[str, Any] = {
        "seconds": 10.0,
        "environ": {"PATH": "/bin"},
        "report": reported.append,
        "tell": told,
    }
    return AlertCommand(["page"], documents, **(given | changes))


def test_a_muted_incident_pages_nobody_and_what_was_paged_is_closed() -> None:
    clock, told = ManualClock(), Told()
    attention = Attention(clock)
    it = command(told, [], attention=attention)
    other = replace(ALERT, id="e1-a2")
    it.receive([ALERT], b"")
    attention.mute(ALERT.routes)
    it.receive([other, replace(ALERT, state="over"), replace(other, state="over")], b"")
    it.receive([replace(ALERT, id="e1-a3")], b"")
    clock.now_ns += MUTED_S * 10**9
    it.receive([tick(1.0)], b"")
    it.close()
    assert [(one["id"], one["state"]) for one in told.given] == [
        ("e1-a1", "firing"),
        ("e1-a1", "over"),
        ("e1-a3", "firing"),
    ]


def test_each_alert_is_told_in_order_with_its_moments_in_utc() -> None:
    told, reported = Told(), list[str]()
    it = command(told, reported)
    over = Alert(**{**{f: getattr(ALERT, f) for f in ALERT.__struct_fields__}, "state": "over"})
    it.receive([hello(), tick(1.0), ALERT, over], b"")
    it.close()
    assert [one["state"] for one in told.given] == ["firing", "over"]
    first = told.given[0]
    assert (first["id"], first["incident"], first["cause"]) == ("e1-a1", "e1-1", "outage")
    assert first["at"].endswith("Z")
    assert first["harm"] == {"reason": "nothing_answered", "route": "alpha"}
    assert reported == []


def test_nothing_runs_where_nothing_alerts() -> None:
    told = Told()
    it = command(told, [])
    it.receive([hello(), tick(1.0)], b"")
    it.close()
    assert told.given == []


def test_no_secret_is_told() -> None:
    told = Told()
    it = command(told, [])
    alert = Alert(
        at_ns=1,
        id="a",
        state="firing",
        kind="burn",
        routes=(f"x {KEY}",),
        since_ns=0,
        harm=Harm("burns", f"x {KEY}", "success", 0.99, 3, 9),
        text=f"it said {KEY}",
    )
    it.receive([alert], b"")
    it.close()
    assert KEY not in json.dumps(told.given)


def test_a_failure_is_said_once_and_another_one_again() -> None:
    told, reported = (
        Told("ended with status 3", "ended with status 3", "took long", ""),
        list[str](),
    )
    it = command(told, reported)
    for _ in range(4):
        it.receive([ALERT], b"")
    it.close()
    assert reported == ["on_alert ended with status 3", "on_alert took long"]


def test_more_than_can_wait_is_left_out_and_said() -> None:
    told, reported = Told(), list[str]()
    told.may_run.clear()
    it = command(told, reported)
    it.receive([ALERT] * (QUEUED_MOST + 10), b"")
    assert len(reported) == 1
    assert "the next are left out" in reported[0]
    told.may_run.set()
    it.close()
    assert QUEUED_MOST <= len(told.given) <= QUEUED_MOST + 1


def test_the_longest_alert_there_can_be_is_told_whole() -> None:
    routes = tuple(f"{number:0>64}" for number in range(1000))
    burn = Burn(long_s=1, short_s=1, long_rate=1, short_rate=1, threshold=1, budget=0.1)
    alert = Alert(
        at_ns=1,
        id="a",
        state="firing",
        kind="burn",
        routes=routes,
        since_ns=0,
        harm=Harm("burns"),
        burn=burn,
        text="x" * 600,
    )
    fields = alert_fields(alert, 0)
    assert (len(fields["routes"]), fields["routes_count"]) == (50, 1000)
    assert len(json.dumps(fields)) < MOST_GIVEN / 6  # all of it may have to be escaped


@posix
def test_a_command_reads_it_from_stdin_without_a_shell(tmp_path: Path) -> None:
    out = tmp_path / "out"
    argv = [
        sys.executable,
        "-c",
        "import sys, pathlib; print('x' * 9999); pathlib.Path(sys.argv[1]).write_text("
        "sys.stdin.read() + sys.argv[2])",
        str(out),
        "$HOME; `id`",
    ]
    tell_command(argv, b'{"a": 1}\n', seconds=10, environ={"PATH": os.environ["PATH"]})
    assert out.read_text() == '{"a": 1}\n$HOME; `id`'


@posix
def test_one_that_reads_nothing_and_one_that_fails() -> None:
    environ = {"PATH": os.environ["PATH"]}
    tell_command(["true"], b"x" * MOST_GIVEN, seconds=10, environ=environ)
    with pytest.raises(ValueError, match="status 1"):
        tell_command(["false"], b"", seconds=10, environ=environ)
    with pytest.raises(ValueError, match="cannot be started"):
        tell_command(["no such program"], b"", seconds=10, environ=environ)
    with pytest.raises(ValueError, match=r"did not end within 0\.2 s"):
        tell_command(["sleep", "60"], b"", seconds=0.2, environ=environ)


@posix
def test_it_dies_with_us_however_we_die(tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    program = textwrap.dedent(f"""
        import os
        from probes.config.key_command import tell_command
        tell_command(["sh", "-c", "echo $$ > {noted}; sleep 60"], b"", seconds=60,
                     environ=dict(os.environ))
    """)
    ours = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    try:
        pid = _until(lambda: int(noted.read_text() or 0) if noted.exists() else 0)
        ours.send_signal(signal.SIGKILL)
        assert _until(lambda: not Path(f"/proc/{pid}").exists())
    finally:
        ours.kill()
        ours.wait()


def _until(holds: Any, seconds: float = 5.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := holds()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found
