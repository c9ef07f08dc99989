"""What a pattern costs grows with the text, and with nothing else."""

import re
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from probes.kit.linear_patterns import MOST_CHARACTERS, LinearPattern, PatternError

EVIL = [
    # (pattern, what is repeated, what stands at the end so that it does not match)
    (r"^(a+)+$", "a", "!"),
    (r"^(a|a)*$", "a", "!"),
    (r"^(a|aa)+$", "a", "!"),
    (r"(x+x+)+y", "x", ""),
    (r"^(([a-z])+.)+[A-Z]([a-z])+$", "a", ""),
    (r"^([a-zA-Z0-9])(([\-.]|[_]+)?([a-zA-Z0-9]+))*(@)$", "a", "!"),
    (r"(.*)*(.*)*(.*)*=", "x", ""),
    (r"(?:\s*,?\s*)*z", " ,", ""),
]
"""Patterns of advisories and of the literature on denial of service by regular expressions."""
TIMES = 16


def cost_of(search: Callable[[str], object], text: str) -> float:
    """Return the CPU time of one search, the least of five."""
    costs = []
    for _ in range(5):
        began = time.thread_time()
        search(text)
        costs.append(time.thread_time() - began)
    return min(costs)


@pytest.mark.parametrize(("pattern", "part", "end"), EVIL)
def test_what_blows_up_elsewhere_grows_with_the_text(pattern: str, part: str, end: str) -> None:
    search = LinearPattern(pattern).is_in
    assert not search(part * 4_000 + end)
    short, long = (cost_of(search, part * n + end) for n in (4_000, TIMES * 4_000))
    # Of a quadratic search the second would be 16 times as much again.
    assert long < 4 * TIMES * max(short, 1e-5)


@pytest.mark.parametrize(("pattern", "part", "end"), EVIL[:3])
def test_python_s_own_engine_would_double_with_each_character(
    pattern: str, part: str, end: str
) -> None:
    search = re.compile(pattern).search
    short, long = (cost_of(search, part * n + end) for n in (12, 18))
    assert long > 6 * short


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("a" * (MOST_CHARACTERS + 1), "more than 1,000 characters"),
        (r"\pL{1000}", "too large"),
        (r"(((\w{100}){100}){100})", "is no pattern of RE2"),
        ("(?=a)b", "is no pattern of RE2"),
        (r"(a)\1", "is no pattern of RE2"),
        ("[", "is no pattern of RE2"),
        ("\ud800", "half a character"),
    ],
)
def test_what_is_none_or_too_large_is_refused(
    pattern: str, complaint: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(PatternError, match=re.escape(complaint)):
        LinearPattern(pattern)
    assert capfd.readouterr() == ("", "")  # a screen must not be written on


@pytest.mark.parametrize("text", ["", "\ud800a", "a\x00a", "\U0001f600a", "é" * 10])
def test_any_text_can_be_searched(text: str) -> None:
    assert LinearPattern("a").is_in(text) == ("a" in text)


def test_case_can_be_one() -> None:
    assert LinearPattern("harbour", ignore_case=True).is_in("The HARBOUR")
    assert not LinearPattern("harbour").is_in("The HARBOUR")


@pytest.mark.parametrize("module", ["tui.cli", "probes.__main__", "probes.config.file"])
def test_nobody_loads_the_engines_who_has_no_pattern_and_no_schema(module: str) -> None:
    code = f"import sys, {module}; print({{'re2', 'jsonschema'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
