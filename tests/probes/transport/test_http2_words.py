"""What HTTP/2 libraries say of a failure, in words."""

import pytest
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, StreamReset

from probes.transport.http2_words import ended_stream, in_words, words_of_ending


def reset(code: ErrorCodes | int) -> str:
    return str(StreamReset(stream_id=1, error_code=code))


def goodbye(code: ErrorCodes | int | None, debug: bytes | None = None) -> str:
    event = ConnectionTerminated()
    event.error_code, event.last_stream_id, event.additional_data = code, 1, debug
    return str(event)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            reset(ErrorCodes.INTERNAL_ERROR),
            "the server broke the stream off: an internal error (HTTP/2 INTERNAL_ERROR)",
        ),
        (
            reset(ErrorCodes.PROTOCOL_ERROR),
            "the server broke the stream off (HTTP/2 PROTOCOL_ERROR)",
        ),
        (reset(0x99), "the server broke the stream off (HTTP/2 error 153)"),
        (reset(ErrorCodes.CANCEL).replace(":8", ":ErrorCodes.CANCEL"), "no longer wants it"),
        (
            goodbye(ErrorCodes.ENHANCE_YOUR_CALM, b"too_many_pings"),
            "the server broke the connection off: it has too much to do with us"
            " (HTTP/2 ENHANCE_YOUR_CALM, too_many_pings)",
        ),
        (goodbye(0), "the server broke the connection off: without an error (HTTP/2 NO_ERROR)"),
        (goodbye(2, b"\x1b[31m"), "the connection off: an internal error (HTTP/2 INTERNAL_ERROR)"),
        (goodbye(None), "the server broke the connection off"),
    ],
)
def test_how_a_stream_ended_is_told_in_words(said: str, words: str) -> None:
    assert ended_stream(said)
    told = words_of_ending(said)
    assert told.endswith(words) or words in told
    assert not set(told) & set("<>")


def test_other_failures_end_no_stream() -> None:
    assert not ended_stream("Server disconnected")


def test_members_of_enumerations_become_words() -> None:
    said = "Invalid input ConnectionInputs.RECV_HEADERS in state ConnectionState.CLOSED"
    assert in_words(said) == "Invalid input recv headers in state closed"
    assert in_words("Invalid HTTP/2 preamble, 1.1.") == "Invalid HTTP/2 preamble, 1.1."
