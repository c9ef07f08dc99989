"""Letting a concurrency find itself on a live screen: the key, what is typed, what undoes it."""

import pytest
from test_home_screen import cockpit
from test_typing import hint, typed

from probes.control.commands import Adapt, SetKnob

pytestmark = pytest.mark.anyio

ROUTE = "busy-llama"


async def test_the_key_lets_it_find_itself_and_no_longer() -> None:
    async with cockpit() as it:
        await it.press("j", "l", "l")
        assert it.session.commands == [Adapt(route=ROUTE, on=True), Adapt(route=ROUTE, on=False)]


async def test_undo_gives_the_concurrency_back_that_was_there_before() -> None:
    async with cockpit() as it:
        await it.press("j")
        before = it.session.wanted.routes[ROUTE].concurrency
        await it.press("l", "u")
        assert it.session.commands[-1] == Adapt(route=ROUTE, on=False, concurrency=before)


async def test_turning_it_by_hand_says_that_it_no_longer_finds_itself_and_undo_lets_it() -> None:
    async with cockpit() as it:
        await it.press("j", "l", "plus")
        wanted = it.session.wanted.routes[ROUTE]
        assert not wanted.adaptive
        notes = [note.message for note in it.app._notifications]
        assert any("CONC no longer finds itself. u lets it again." in note for note in notes)
        assert it.session.commands[-1] == SetKnob(
            route=ROUTE, knob="concurrency", value=wanted.concurrency
        )
        await it.press("u")
        back = Adapt(route=ROUTE, on=True, concurrency=wanted.concurrency - 1)
        assert it.session.commands[-1] == back


async def test_it_is_typed_as_the_settings_have_it() -> None:
    async with cockpit() as it:
        await it.press("j")
        await typed(it, "conc auto")
        assert it.session.commands == [Adapt(route=ROUTE, on=True)]
        await typed(it, "conc auto")
        assert hint(it) == f"{ROUTE}: concurrency finds itself already"
