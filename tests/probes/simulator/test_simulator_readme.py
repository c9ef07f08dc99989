"""The page of the simulator says which scenarios there are, and what may stand in a file of one."""

import re
import tomllib

import pytest
from pages import Page, each_of, quoted

from probes.simulator.library import parse_scenario
from probes.simulator.prefix_cache import BLOCK_TOKENS
from probes.simulator.reference import FIELDS, field_table, scenario_table
from probes.simulator.scenario import ScenarioFile

PAGE = Page("probes/simulator/README.md")

NUMBERS = {"A scenario file": (f"Blocks of {BLOCK_TOKENS} tokens kept",)}

BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE.text, re.DOTALL)


@each_of(NUMBERS)
def test_the_page_says_what_the_program_has(title: str, words: str) -> None:
    assert words in PAGE.line(title)


def test_no_quantity_is_left_out() -> None:
    assert PAGE.loose(NUMBERS) == []


def test_the_scenarios_are_those_that_ship() -> None:
    """Print them anew with `python -m probes.simulator.reference`."""
    assert scenario_table() in PAGE.section("The scenarios")


@pytest.mark.parametrize("head", FIELDS)
def test_the_fields_stand_there_as_they_are_declared(head: str) -> None:
    assert field_table(head) in PAGE.section("A scenario file")


@pytest.mark.parametrize("head", FIELDS)
def test_no_field_is_without_a_meaning(head: str) -> None:
    told = {quoted(line)[0] for line in field_table(head).splitlines()[2:]}
    overrides = {"serving", "limits", "faults"} & set(FIELDS[head].__struct_fields__)
    assert set(FIELDS[head].__struct_fields__) == told | overrides
    for line in field_table(head).splitlines()[2:]:
        assert line.endswith(". |"), line


@pytest.mark.parametrize("text", BLOCKS)
def test_an_example_is_a_scenario(text: str) -> None:
    scenario = parse_scenario("example", text.encode())
    assert scenario.title
    assert tomllib.loads(text).keys() <= set(ScenarioFile.__struct_fields__)


def test_the_example_of_a_truth_is_an_incident_of_its_route() -> None:
    (incident,) = parse_scenario("example", BLOCKS[1].encode()).incidents(1_000)
    assert (incident.route, incident.start_s, incident.end_s) == ("big", 120, 210)
