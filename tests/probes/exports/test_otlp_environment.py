"""What the SDK of OpenTelemetry would pass over in its variables is refused."""

from pathlib import Path

import pytest

from probes.exports.otlp_environment import OtlpEnvironmentError, check_environment

EXPORTER = "OTEL_EXPORTER_OTLP_"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("OTEL_METRIC_EXPORT_INTERVAL", "-5", "milliseconds above 0"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0", "milliseconds above 0"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "15s", "milliseconds above 0"),
        (f"{EXPORTER}TIMEOUT", "abc", "seconds above 0"),
        (f"{EXPORTER}METRICS_TIMEOUT", "nan", "seconds above 0"),
        (f"{EXPORTER}COMPRESSION", "zip", "none, gzip or deflate"),
        (f"{EXPORTER}CERTIFICATE", "/nowhere/ca.pem", "a path at which there is something"),
        (f"{EXPORTER}TRACES_CLIENT_KEY", "/nowhere", "a path at which there is something"),
        (
            f"{EXPORTER}METRICS_TEMPORALITY_PREFERENCE",
            "foo",
            "cumulative, delta or lowmemory",
        ),
        ("OTEL_SDK_DISABLED", "True", "false: nothing is sent while it is disabled"),
    ],
)
def test_what_cannot_be_is_told_by_name_value_and_what_was_expected(
    name: str, text: str, expected: str
) -> None:
    with pytest.raises(OtlpEnvironmentError) as caught:
        check_environment({name: text})
    assert str(caught.value) == f"{name}: got {text}, expected {expected}"


@pytest.mark.parametrize("text", ["sk-secret", "a=1,sk-secret", "=sk-secret"])
def test_headers_that_are_none_are_told_without_what_may_be_a_key(text: str) -> None:
    with pytest.raises(OtlpEnvironmentError) as caught:
        check_environment({f"{EXPORTER}HEADERS": text})
    assert str(caught.value) == (
        f"{EXPORTER}HEADERS: got what is none, expected name=value,name=value"
    )


def test_all_of_it_is_told_at_once_and_nothing_that_a_terminal_obeys() -> None:
    with pytest.raises(OtlpEnvironmentError) as caught:
        check_environment({"OTEL_METRIC_EXPORT_INTERVAL": "\x1b[2J", f"{EXPORTER}TIMEOUT": "x"})
    assert len(caught.value.problems) == 2
    assert "\x1b" not in str(caught.value)


def test_what_can_be_is_taken(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    check_environment(
        {
            "OTEL_METRIC_EXPORT_INTERVAL": "5000",
            f"{EXPORTER}TIMEOUT": "2.5",
            f"{EXPORTER}COMPRESSION": "gzip",
            f"{EXPORTER}CERTIFICATE": str(tmp_path / "ca.pem"),
            f"{EXPORTER}METRICS_TEMPORALITY_PREFERENCE": "DELTA",
            f"{EXPORTER}HEADERS": "api-key=a=b, other=",
            "OTEL_SDK_DISABLED": "false",
            f"{EXPORTER}METRICS_HEADERS": "",
        }
    )
