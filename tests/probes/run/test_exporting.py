"""What a run feeds is had before it begins, or one line says why not; nothing is loaded unasked."""

import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from typing import Any

import pytest
from board_streams import hello

from probes.kit.listen import ListenAddress
from probes.run.exporting import AskedExports, Export, ExportError, close_exports, open_exports
from tui.cli import parser
from tui.commands.exports import export
from tui.commands.output import UsageError

ANY = ListenAddress("127.0.0.1", 0)
THEIRS = ("prometheus_client", "opentelemetry", "requests", "google.protobuf", "wsgiref")


def opened(**asked: Any) -> list[Export]:
    return open_exports(AskedExports(**asked), lambda _: None)


def test_without_being_asked_for_there_is_none() -> None:
    assert opened() == []


@pytest.mark.anyio
async def test_all_that_is_asked_for_is_opened_and_closed() -> None:
    exports = opened(prometheus=ANY, otlp="http://127.0.0.1:9", otlp_traces=True)
    assert [type(one).__name__ for one in exports] == ["PrometheusExport", "OtlpExport"]
    for one in exports:
        one.receive([hello()], b"")
    await close_exports(exports)


def test_what_was_opened_is_closed_where_another_cannot_be_had() -> None:
    (first,) = opened(prometheus=ANY)
    taken = first.address  # type: ignore[attr-defined]
    first.close()
    with pytest.raises(ExportError, match=r"^--otlp "):
        opened(prometheus=taken, otlp="none")
    again = opened(prometheus=taken)
    again[0].close()


def test_a_port_that_is_taken_names_the_option() -> None:
    (first,) = opened(prometheus=ANY)
    with pytest.raises(ExportError, match=r"^--prometheus 127\.0\.0\.1:\d+: the port is taken"):
        opened(prometheus=first.address)  # type: ignore[attr-defined]
    first.close()


def test_what_the_environment_says_of_it_and_cannot_be_ends_the_run_before_it_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "0")
    with pytest.raises(ExportError) as caught:
        opened(otlp="http://127.0.0.1:9")
    assert str(caught.value) == (
        "--otlp: OTEL_METRIC_EXPORT_INTERVAL: got 0, expected milliseconds above 0"
    )


def test_spans_without_a_receiver_are_refused() -> None:
    with pytest.raises(ExportError, match="--otlp-traces goes with --otlp URL"):
        opened(otlp_traces=True)


@pytest.mark.parametrize(
    ("asked", "module", "words"),
    [
        (
            {"prometheus": ANY},
            "prometheus_client",
            "--prometheus: prometheus-client is missing: pip install 'llmtop-tui[prometheus]'",
        ),
        ({"otlp": "http://127.0.0.1:9"}, "requests", "pip install 'llmtop-tui[otlp]'"),
    ],
)
def test_a_package_that_is_missing_is_one_line_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], module: str, words: str
) -> None:
    for name in [name for name in sys.modules if name.startswith("probes.exports.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ExportError) as caught:
        opened(**asked)
    assert words in str(caught.value)


def test_a_start_loads_none_of_it() -> None:
    program = (
        "import sys, tui.cli, tui.commands.live, tui.commands.watch, probes.run.session;"
        "tui.cli.parser().parse_args(['--headless', '--prometheus', '9464', '--otlp', 'http://x']);"
        "print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert loaded.returncode == 0, loaded.stderr
    found = [
        name
        for name in loaded.stdout.split()
        if any(name == one or name.startswith(f"{one}.") for one in THEIRS)
        or (name.startswith("probes.exports.") and name != "probes.exports.json_lines")
    ]
    assert found == []


# The command line.


@pytest.mark.parametrize("command", [[], ["demo"]])
def test_each_run_takes_the_options(command: list[str]) -> None:
    options = ["--prometheus", ":9464", "--otlp", "http://127.0.0.1:4318", "--otlp-traces"]
    arguments = parser().parse_args([*command, *options])
    assert arguments.prometheus == ListenAddress("127.0.0.1", 9464)
    assert (arguments.otlp, arguments.otlp_traces) == ("http://127.0.0.1:4318", True)
    before = parser().parse_args([*options, *command])
    assert before.prometheus == arguments.prometheus


def test_an_address_that_is_none_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match=r"--prometheus: got nowhere, expected a port, :PORT or"):
        parser().parse_args(["--prometheus", "nowhere"])


class Run:
    """Takes exports and notices."""

    def __init__(self) -> None:
        self.exports: list[Export] = []
        self.notes: list[str] = []

    def export(self, one: Export) -> None:
        self.exports.append(one)

    @property
    def note(self) -> Callable[[str], object]:
        return self.notes.append


def test_a_run_is_given_what_it_is_to_feed() -> None:
    run = Run()
    export(run, Namespace(prometheus=ANY, otlp=None, otlp_traces=False))
    (one,) = run.exports
    one.close()
    assert run.notes[0].startswith("Prometheus: http://127.0.0.1:")


def test_what_cannot_be_had_is_a_mistake_of_usage() -> None:
    with pytest.raises(UsageError, match=r"^--otlp "):
        export(Run(), Namespace(prometheus=None, otlp="nowhere", otlp_traces=False))
