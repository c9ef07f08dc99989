"""The page of a probe: what stands on it, and that nothing of it leaves its cells."""

from datetime import UTC

import made
import made_request
import pytest
from changed import replace
from made_request import MS, answered, claim, evenly, probe_of, refused

from probes.board.views import PhaseRow, RequestView
from probes.events import Limit
from tui.draw.text import Line, line_text, line_width
from tui.panes.request import request_id, request_lines

WIDTHS = (*range(2, 60, 3), 60, 78, 80, 118, 158, 300)


def page(request: RequestView, width: int = 158, asked: str = "m") -> list[Line]:
    return request_lines(request, width, made.WALL_ANCHOR_NS, asked, zone=UTC)


def text(request: RequestView, width: int = 158, asked: str = "m") -> str:
    return "\n".join(line_text(line).rstrip() for line in page(request, width, asked))


@pytest.mark.parametrize("name", made_request.EVERY)
def test_no_line_is_wider_than_the_page_and_none_moves_the_cursor(name: str) -> None:
    for width in WIDTHS:
        for line in page(made_request.EVERY[name], width):
            assert line_width(line) <= width, line
            assert line_text(line).isprintable()


@pytest.mark.parametrize("name", made_request.EVERY)
def test_at_every_width_the_same_is_told(name: str) -> None:
    request = made_request.EVERY[name]
    narrow, wide = (
        {word for word in text(request, width).split() if len(word) < 9 and word.isalpha()}
        for width in (60, 200)
    )
    assert wide <= narrow


def test_the_first_line_says_what_it_came_to_and_the_next_in_whose_words() -> None:
    lines = [line_text(line) for line in page(made_request.FAILED)]
    assert lines[0] == (
        "server error (overloaded) after 3 attempts · over after 2.50 s"
        " · 2.00 s of it between attempts"
    )
    assert lines[1] == "22:25:41 to 22:25:43 · cap 64, in ≤256 · request req_throttled_2"
    assert lines[2] == "detail: The engine is currently overloaded, please try again later"
    assert page(made_request.FAILED)[0][0][1] == "missed"
    assert page(made_request.SLOW)[0][0] == ("ok", "title")


def test_a_probe_that_came_tells_what_was_felt() -> None:
    first = line_text(page(made_request.RETRIED)[0])
    assert first == (
        "ok after 3 attempts · TTFT 4.20 s · E2E 5.45 s · 31.2 tokens/s"
        " · 800 ms of it between attempts"
    )
    assert "TTFA" not in first
    reasoned = replace(made_request.SLOW.probe, first_answer_ns=made_request.START_NS + 3000 * MS)
    assert "TTFA 3.00 s" in text(replace(made_request.SLOW, probe=reasoned))


def test_it_says_that_it_was_sent_because_something_was_suspected() -> None:
    assert "beside the pace" not in text(made_request.SLOW)
    assert "beside the pace" in text(probe_of(answered(), evidence=True))


def test_the_last_attempt_is_told_first_and_each_with_its_own_ids_and_words() -> None:
    told = text(made_request.RETRIED)
    places = [told.index(f"attempt {number} of 3") for number in (3, 2, 1)]
    assert places == sorted(places)
    first = told[places[2] :]
    assert "x-request-id  req_throttled_0" in first
    assert "Rate limit reached for concurrent requests: limit 4." in first
    assert "concurrency · 0 of 4 left · full again in 0.4s" in first
    assert "after 400 ms, for rate_limit.concurrency" in first
    assert "retry-after: 0.4" in first


def test_one_attempt_needs_no_heading() -> None:
    assert "attempt 1 of 1" not in text(made_request.SLOW)


def test_all_ids_stand_by_their_header_and_no_header_twice() -> None:
    _, told = text(made_request.SLOW).split("took")
    assert "x-request-id  req_cd100bbad896cec01fa32f6b" in told
    assert "cf-ray  8d1f0c4a2b7e9c31-FRA" in told
    assert "response  chatcmpl-9b85edc937083c07b10ed29c" in told
    assert "via: 1.1 google" in told
    assert told.count("req_cd100bbad896cec01fa32f6b") == 1


def test_the_servers_own_times_stand_beside_ours() -> None:
    lines = text(made_request.SLOW).splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("the server"))
    assert [line.split("  usage")[0].rstrip() for line in lines[start : start + 6]] == [
        "the server       it says    we saw      rest",
        "queue             1.90 s",
        "prompt            210 ms",
        "writing           1.24 s    1.25 s",
        "1st token         2.11 s    2.60 s    490 ms  its stages together",
        "the end           3.41 s    3.85 s    444 ms",
    ]


def test_a_server_that_claims_more_than_we_measured_is_marked() -> None:
    request = probe_of(answered(server_claims=(claim("total", 9.0, "x-total"),)))
    (line,) = [line for line in page(request) if "more than we measured" in line_text(line)]
    assert line[-1] == (
        "  5.15 s more than we measured: another clock or definition (x-total)",
        "slow",
    )


def test_gateways_and_other_metrics_are_told_too() -> None:
    claims = (claim("overhead", 0.012, "x-gateway"), claim("other", 0.5, "x-warp"))
    told = text(probe_of(answered(server_claims=claims, hidden_retries=2)))
    assert "gateway            12 ms" in told
    assert "besides           500 ms" in told
    assert "2 further tries that we did not see" in told


USUAL = (
    PhaseRow("retries", 0.0, 0.0, 9, 240),
    PhaseRow("connect", 0.0, 0.0004, 9, 240),
    PhaseRow("headers", 2.4, 0.51, 9, 240),
    PhaseRow("first_token", 0.2, 0.22, 9, 240),
    PhaseRow("writing", 1.3, 1.31, 9, 240),
)


def test_each_phase_stands_against_its_usual_and_what_took_longer_stands_out() -> None:
    lines = request_lines(made_request.SLOW, 100, made.WALL_ANCHOR_NS, "m", USUAL, UTC)
    texts = [line_text(line) for line in lines]
    start = next(place for place, text in enumerate(texts) if text.startswith("phase"))
    assert texts[start : start + 5] == [
        "phase            it took     usual         ×  median of 240 probes while well",
        "connect           0.4 ms    0.4 ms      1.00",
        "headers           2.38 s    510 ms      4.67▲",
        "1st token         220 ms    220 ms      1.00",
        "writing           1.25 s    1.31 s     0.957",
    ]
    (loud,) = [line for line in lines if any(text.endswith("▲") for text, _ in line)]
    assert loud[-1] == ("      4.67▲", "sluggish")


def test_retries_stand_out_where_there_usually_are_none() -> None:
    lines = request_lines(made_request.RETRIED, 100, made.WALL_ANCHOR_NS, "m", USUAL, UTC)
    assert "retries           1.60 s    0.0 ms          ▲" in map(line_text, lines)


def test_what_nobody_feels_does_not_stand_out() -> None:
    usual = (PhaseRow("connect", 0.0, 0.0001, 9, 240),)
    lines = request_lines(made_request.SLOW, 100, made.WALL_ANCHOR_NS, "m", usual, UTC)
    assert "connect           0.4 ms    0.1 ms      4.00" in map(line_text, lines)


def test_where_no_usual_is_known_there_is_no_table_of_it() -> None:
    unknown = tuple(replace(row, usual_s=None) for row in USUAL)
    lines = request_lines(made_request.SLOW, 100, made.WALL_ANCHOR_NS, "m", unknown, UTC)
    assert not any(line_text(line).startswith("phase") for line in lines)


def test_a_stall_is_drawn_where_it_was_and_named() -> None:
    lines = page(made_request.STALLED, 100)
    (strip,) = [line for line in lines if line_text(line).startswith("in time")]
    halted = [place for place, (_, role) in enumerate(strip) if role == "stall"]
    assert {strip[place][0] for place in halted} == {"⋯"}
    below = lines[lines.index(strip) + 1]
    assert line_text(below).strip() == "╰ 2.50 s"
    assert len(line_text(below)) - len("╰ 2.50 s") == 14 + halted[0] - 1
    assert "longest 2.50 s, × 104, before chunk 31 at 3.39 s" in text(made_request.STALLED)
    (bars,) = [line for line in lines if line_text(line).startswith("each wait")]
    assert [place for place, span in enumerate(bars[1:]) if span == ("█", "stall")] == [29]


def test_an_even_stream_has_no_gap_worth_a_mark() -> None:
    assert "╰" not in text(made_request.SLOW)
    assert "40 chunks, 32 ms apart (median) · longest 34 ms" in text(made_request.SLOW)


def test_long_gaps_that_are_no_stalls_are_named_all_the_same() -> None:
    request = probe_of(answered(chunk_offsets_ns=evenly(100, 40, 20, stall=(20, 300))))
    assert "╰ 300 ms" in text(request)


def test_chunks_that_came_at_once_are_no_division_by_nothing() -> None:
    request = probe_of(answered(chunk_offsets_ns=(100 * MS,) * 5))
    assert "5 chunks, 0.0 ms apart" in text(request)


def test_of_an_endless_answer_the_rest_is_counted() -> None:
    request = probe_of(answered(chunk_offsets_ns=evenly(100, 2000, 40)))
    assert text(request, 80).count("▁" * 60) == 6
    assert "the last 1,603 are not" in " ".join(text(request, 80).split())


def test_an_answer_that_came_whole_has_no_strip() -> None:
    told = text(made_request.WHOLE)
    assert "not streamed: no TTFT" in told
    assert "in time" not in told


def test_a_probe_that_never_began_has_a_page_too() -> None:
    assert text(made_request.NEVER).startswith("cancelled · over after 0.0 ms")


def test_attempts_that_nobody_heard_of_are_said_to_be_unknown() -> None:
    assert "its attempts are not known" in text(
        replace(made_request.NEVER, probe=replace(made_request.NEVER.probe, attempts=2))
    )
    assert "not known" not in text(made_request.NEVER)


def test_which_model_answered_is_told_where_it_is_another_one() -> None:
    served = "Qwen/Qwen3-235B-A22B-Instruct-2507"
    assert "asked for was small-model" in text(made_request.SLOW, asked="small-model")
    assert "asked for was" not in text(made_request.SLOW, asked=served)
    assert "the answer names none" in text(probe_of(answered(served_model="")))


def test_what_is_spent_and_what_was_lost_on_the_way_stands_out() -> None:
    spent = refused(limits=(Limit(kind="tokens", limit=4000, remaining=0, scope="upstream"),))
    lossy = probe_of(replace(spent, rtt_to="server", rtt_ns=MS, retransmits=3))
    roles = {line_text(line).strip(): line[-1][1] for line in page(lossy) if line}
    words = "limit         tokens · 0 of 4.0k left · counts for upstream"
    assert roles[words] == "missed"
    assert roles["path          RTT 1.0 ms, resent 3 (to the server)"] == "slow"


def test_stamps_that_are_not_to_be_trusted_are_said_so() -> None:
    told = text(probe_of(answered(flagged="local_gap"), flagged="local_gap"))
    assert "stamps not to be trusted: local_gap" in told


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (made_request.RETRIED, ("req_cd100bbad896cec01fa32f6b", "x-request-id")),
        (probe_of(refused(), answered(1, request_id=None)), ("req_throttled_0", "x-request-id")),
        (probe_of(answered(request_ids={})), ("req_cd100bbad896cec01fa32f6b", "")),
        (probe_of(answered(request_id=None)), ("", "")),
        (made_request.NEVER, ("", "")),
    ],
)
def test_the_id_to_ask_about_is_the_newest_there_is(
    request_: RequestView, expected: tuple[str, str]
) -> None:
    assert request_id(request_) == expected


def test_an_id_that_is_copied_is_fit_to_be_pasted() -> None:
    found, header = request_id(made_request.HOSTILE)
    assert found.isprintable()
    assert header.isprintable()
