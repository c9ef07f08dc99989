"""The page of the bus says what is on it, what is kept, and what happens when."""

import re

from pages import KB, MB, Page, each_of, first_cells, hour

from probes.bus import connection, messages, names, pager, presence
from probes.config.places import EXPECTED
from probes.control import attention, commands
from probes.exports import bus_events, unsent
from probes.kit.exit_status import ExitStatus
from probes.run import agent, bus_commands, on_call
from tui.cli import parser

PAGE = Page("probes/bus/README.md")

NUMBERS = {
    "": (f"A place is {EXPECTED}.",),
    "An agent": (f"all sent for which {agent.FLUSH_S:g} s were enough",),
    "What is on it": (
        f"events of at most {names.BATCH_S:g} s and {names.BATCH_BYTES // KB} KB",
        f"kept for {connection.EVENTS_AGE_S / 3600:g} h and",
        f"up to {connection.EVENTS_BYTES >> 30} GB in all",
        f"{connection.LEAST_EVENTS_BYTES >> 30} GB where the server has no room",
        f"write {connection.EVENTS_BYTES >> 30} GB in an hour and a quarter",
    ),
    "What happens when": (
        f"{unsent.MEMORY_BYTES // MB} MB of events wait in memory",
        f"Its place is free {connection.PRESENCE_TTL_S:g} s later",
        f"which it does each {presence.RENEW_S:g} s",
        f"up to {bus_events._KEPT_BYTES // MB} MB of it",
        f"away for longer than {connection.PRESENCE_TTL_S:g} s",
    ),
    "Who calls people": (
        f"renews it each {presence.RENEW_S:g} s",
        f"was not renewed for {pager.DEAD_S:g} s, who stands by",
        f"takes it; {pager.YIELD_S:g} s later agents call",
        f"says nothing for {on_call.HAND_OVER_S:g} s",
        f"has stood by for {on_call.STOOD_BY_S / 60:g} minutes",
        f"told after {on_call.UNSEEN_S / 60:g} minutes",
        f"and {pager.DEAD_S + pager.YIELD_S:g} s later each agent calls for itself",
        f"waits {on_call.RETURN_S:g} s for that",
        f"lets go of the pager for {on_call.STEP_BACK_S:g} s",
        f"It ends after {hour(attention.MUTED_S)}",
    ),
    "Commands": (
        f"A command has {messages.LONGEST_COMMAND // KB} KB at most",
        f"a note {bus_commands.LONGEST_NOTE:,} characters",
        f"{bus_commands.MOST_AT_ONCE} at once are read, and {bus_commands.MOST_PER_S:g} a second",
    ),
}


@each_of(NUMBERS)
def test_the_page_says_what_the_program_has(title: str, words: str) -> None:
    assert words in PAGE.line(title)


def test_the_table_has_the_subjects_and_buckets_that_there_are() -> None:
    assert first_cells(PAGE.rows("What is on it")) == [
        names.events_of("PLACE"),
        names.commands_of("PLACE"),
        names.PLACES_BUCKET,
        names.HELLOS_BUCKET,
        names.WANTED_BUCKET,
        names.BUDGETS_BUCKET,
        names.PAGERS_BUCKET,
    ]
    keys = PAGE.line("What is on it")
    for key in (names.caller_key(names.ALL_PLACES), names.told_key("PLACE"), names.MUTED_KEY):
        assert f"`{key}`" in keys
    assert f"the stream `{names.STREAM}` keeps" in PAGE.line("What is on it")


def test_the_headers_are_those_of_a_message() -> None:
    found = re.findall(r"^\| `(llmtop-[a-z-]+)` \|", PAGE.text, re.MULTILINE)
    assert found == [names.RUN_HEADER, names.FIRST_HEADER, names.OFFSET_HEADER]


def test_the_options_are_those_of_the_command() -> None:
    actions = parser()._subparsers._group_actions[0].choices["agent"]._actions  # type: ignore[union-attr, index, call-overload]
    there = {action.option_strings[-1] for action in actions} - {"--help"}
    told = set(re.findall(r"--[a-z-]+", " ".join(first_cells(PAGE.rows("An agent")))))
    assert there - told == {"--in-process"}  # for who looks for a defect
    assert told <= there


def test_the_statuses_are_those_of_every_command() -> None:
    found = re.findall(r"^\| (\d) \| ", PAGE.section("An agent"), re.MULTILINE)
    assert [int(one) for one in found] == [ExitStatus.OK, ExitStatus.FAILED, ExitStatus.USAGE]


def test_the_commands_are_those_that_are_obeyed() -> None:
    line = PAGE.line("Commands").partition(" are obeyed")[0]
    obeyed = [kind.__struct_config__.tag for kind in bus_commands.OBEYED]
    assert re.findall(r"`([a-z_]+)`", line) == obeyed
    assert commands.Configure not in bus_commands.OBEYED
