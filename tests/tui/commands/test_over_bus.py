"""`llmtop --bus`: what goes with it, and what a late cockpit is made of."""

from argparse import Namespace
from collections.abc import Callable
from typing import Any

import pytest

from probes.bus.address import BusAddress
from probes.bus.connection import BusLostError
from probes.config import Config
from probes.config.errors import ConfigError
from probes.run.places_session import PlacesSession
from tui.cli import main, parser
from tui.commands import over_bus
from tui.commands.output import UsageError

URL = "nats://bus:4222"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Let there be a bus and no screen; give what would have been shown."""
    told: list[tuple[Any, ...]] = []

    async def there(_address: BusAddress) -> None:
        return

    def show(session: PlacesSession, config: Config, arguments: Namespace, **more: Any) -> int:
        told.append((session, config, arguments, more))
        return 7

    monkeypatch.setattr(over_bus, "_try", there)
    monkeypatch.setattr(over_bus, "show", show)
    monkeypatch.setattr(over_bus, "display_settings", lambda _environ: (Config(routes=()), ()))
    return told


def run(*options: str) -> int:
    arguments = parser().parse_args([*options, "--headless", "--no-record"])
    return over_bus.run(arguments)


def test_all_places_are_shown_without_any_settings(shown: list[tuple[Any, ...]]) -> None:
    assert run("--bus", URL) == 7
    ((session, _config, _arguments, more),) = shown
    assert session.status.state == "starting"
    assert session.status.detail == f"connecting to {URL}"
    # The past is not called for again.
    assert more["call"] == session.subscribe_caller


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--config", "routes.toml"], "--bus and --config exclude each other"),
        (["--base-url", "http://h"], "--bus and --base-url exclude each other"),
        (["--model", "m"], "--bus and --model exclude each other"),
        (["--api-key-env", "KEY"], "--bus and --api-key-env exclude each other"),
        (["--in-process"], "--bus and --in-process exclude each other"),
        (["--engines", "2"], "--bus and --engines exclude each other"),
        (["--place", "eu=ssh:host"], "--place eu=ssh:host and --bus exclude each other"),
        (["--place", "eu=local"], "--place eu=local and --bus exclude each other"),
    ],
)
def test_what_is_about_probing_from_here_does_not_go_with_a_bus(
    options: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.cli._cores", lambda: 8)
    with pytest.raises(UsageError) as error:
        run("--bus", URL, *options)
    assert told in str(error.value)


@pytest.mark.parametrize("url", ["http://h", "nats://", "nats://h/path", ""])
def test_what_is_no_address_is_refused_before_anything_is_tried(url: str) -> None:
    with pytest.raises(ConfigError, match="--bus"):
        run("--bus", url)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--since", "10m"], "--since goes with --bus"),
        (["--bus-credentials", "f.creds"], "--bus-credentials goes with --bus"),
    ],
)
def test_options_of_a_bus_need_one(
    options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(options) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("command", ["demo", "check", "manual"])
def test_a_bus_before_a_command_is_refused(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--bus", URL, command]) == 2
    assert "--bus, before a command, goes with llmtop itself alone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("span", "seconds"), [("90s", 90.0), ("10m", 600.0), ("6h", 21_600.0), ("1h 30m", 5400.0)]
)
def test_how_far_back_it_begins_is_a_time_with_its_unit(span: str, seconds: float) -> None:
    assert parser().parse_args(["--bus", URL, "--since", span]).since == seconds


@pytest.mark.parametrize("span", ["0s", "-5m", "5", "soon", "3d", ""])
def test_a_span_that_is_none_is_refused(span: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--bus", URL, f"--since={span}"]) == 2
    assert "expected a time such as 90s, 10m or 6h" in capsys.readouterr().err


def test_a_bus_that_cannot_be_reached_is_told_before_there_is_a_screen(
    shown: list[tuple[Any, ...]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def away(_address: BusAddress) -> None:
        raise BusLostError(f"{URL} cannot be reached: Connection refused")

    monkeypatch.setattr(over_bus, "_try", away)
    assert run("--bus", URL) == 1
    assert shown == []
    assert capsys.readouterr().err == f"llmtop: {URL} cannot be reached: Connection refused\n"


def test_the_window_of_the_command_line_counts(shown: list[tuple[Any, ...]]) -> None:
    run("--bus", URL, "--window", "15m")
    assert shown[0][1].display.window == "15m"


def test_a_password_in_the_address_is_not_shown(shown: list[tuple[Any, ...]]) -> None:
    run("--bus", "nats://me:s3cret@bus:4222")
    assert "s3cret" not in shown[0][0].status.detail


def test_what_is_wrong_with_the_settings_does_not_stand_in_the_way(
    shown: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = ["settings left aside: routes.toml: …"]
    monkeypatch.setattr(over_bus, "display_settings", lambda _: (Config(routes=()), problems))
    noted: list[str] = []
    note: Callable[..., object] = lambda _session, text: noted.append(text)  # noqa: E731
    monkeypatch.setattr(PlacesSession, "note", note)
    assert run("--bus", URL) == 7
    assert noted[:1] == problems
