"""What the environment tells the SDK of OpenTelemetry, looked at before it is begun.

The SDK takes what it cannot read for nothing said, and says so in a log that nobody sees: who
mistypes a timeout or the path of a certificate would learn it weeks later, or never. So each
variable that we name on our page and that holds what it cannot is an error, all of them at once.
A value that may be a credential is never shown.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from probes.kit.durations import number
from probes.kit.sanitise import neutralise


class OtlpEnvironmentError(ValueError):
    """Variables hold what they cannot; `problems` says of each what, without a secret."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems: Final = problems


class _Rule(NamedTuple):
    """What some variables may hold."""

    names: tuple[str, ...]
    holds: Callable[[str], bool]
    expected: str
    is_shown: bool = True


def _each(name: str) -> tuple[str, ...]:
    """Return an exporter's variable, of all signals and of each."""
    return tuple(f"OTEL_EXPORTER_OTLP_{signal}{name}" for signal in ("", "METRICS_", "TRACES_"))


def _is_above_0(text: str) -> bool:
    value = number(text)
    return value is not None and value > 0


def _are_headers(text: str) -> bool:
    pairs = [pair for pair in text.split(",") if pair.strip()]
    return all(pair.partition("=")[0].strip() and "=" in pair for pair in pairs)


_RULES: Final = (
    _Rule(("OTEL_METRIC_EXPORT_INTERVAL",), _is_above_0, "milliseconds above 0"),
    _Rule(_each("TIMEOUT"), _is_above_0, "seconds above 0"),
    _Rule(
        _each("COMPRESSION"),
        lambda text: text.strip().lower() in ("none", "gzip", "deflate"),
        "none, gzip or deflate",
    ),
    _Rule(
        (*_each("CERTIFICATE"), *_each("CLIENT_CERTIFICATE"), *_each("CLIENT_KEY")),
        lambda text: Path(text).exists(),
        "a path at which there is something",
    ),
    _Rule(
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",),
        lambda text: text.strip().lower() in ("cumulative", "delta", "lowmemory"),
        "cumulative, delta or lowmemory",
    ),
    _Rule(_each("HEADERS"), _are_headers, "name=value,name=value", is_shown=False),
    _Rule(
        ("OTEL_SDK_DISABLED",),
        lambda text: text.strip().lower() != "true",
        "false: nothing is sent while it is disabled",
    ),
)


def check_environment(environ: Mapping[str, str]) -> None:
    """Look at what the SDK will be told.

    Raises:
        OtlpEnvironmentError: some of it cannot be.
    """
    if problems := list(_problems(environ)):
        raise OtlpEnvironmentError(problems)


def _problems(environ: Mapping[str, str]) -> Iterator[str]:
    for rule in _RULES:
        for name in rule.names:
            text = environ.get(name, "")
            if text and not rule.holds(text):
                got = neutralise(text, 60) if rule.is_shown else "what is none"
                yield f"{name}: got {got}, expected {rule.expected}"
