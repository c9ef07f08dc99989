"""`llmtop --bus`: the same cockpit over all places that publish on a bus, or their events."""

import os
import platform
from argparse import Namespace
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from probes.bus.address import BusAddress, bus_address, listed_password
from probes.bus.connection import BusConnection, BusError, NoClientError
from probes.bus.names import EVENTS_OF_ALL
from probes.kit.clock import SystemClock
from probes.kit.paths import state_complaint
from probes.kit.process_identity import current_identity
from probes.run.exporting import calls_people
from probes.run.places_session import PlacesSession
from probes.sources.bus import SINCE_S, BusSource
from probes.sources.source import Receive
from tui.commands.exports import export
from tui.commands.output import FAILED, UsageError, complain
from tui.commands.replay import display_settings
from tui.commands.settings import with_window
from tui.commands.waiting import WaitingFor
from tui.commands.watch import history_of, need_face, recorder_of, show
from tui.terminal.collector import passes_seldom

if TYPE_CHECKING:
    from probes.run.on_call import OnCall

_EXCLUDED = ("config", "base_url", "model", "api_key_env", "in_process")
"""What is about probing from here."""


def run(arguments: Namespace) -> int:
    """Watch what is probed from other places; return the exit status.

    Raises:
        UsageError: the options do not go together, or there is no terminal.
        ConfigError: what was given is no address of a bus.
        OutputError: the events of a headless run cannot be written.
    """
    others = [name for name in _EXCLUDED if getattr(arguments, name)]
    others += ["engines"] if arguments.engines > 1 else []
    if others:
        option = others[0].replace("_", "-")
        raise UsageError(f"--bus and --{option} exclude each other: probes are sent by agents")
    for place in arguments.place:
        if place.way:
            raise UsageError(
                f"--place {place.name}={place.way}{f':{place.host}' if place.host else ''} and "
                "--bus exclude each other: over a bus a place is named alone"
            )
    places = tuple(place.name for place in arguments.place)
    address = bus_address(
        arguments.bus, arguments.bus_credentials, arguments.bus_ca, arguments.bus_certificate
    )
    need_face(arguments, "llmtop --bus URL")
    config, problems = display_settings(os.environ)
    config = with_window(config, arguments)
    try:
        anyio.run(_try, address)
    except NoClientError as error:
        raise UsageError(str(error)) from error
    except BusError as error:
        complain([str(error)])
        return FAILED
    calls = calls_people(config.alerts)
    # What is done about alerts on a screen counts for whoever calls.
    on_call = _on_call(address, places, calls=calls) if calls or not arguments.headless else None
    session = PlacesSession(
        partial(_source, address, places, arguments.since or SINCE_S),
        config=config,
        goes_back=not arguments.headless,
        recorder=recorder_of(config, arguments),
        history=history_of(config, arguments),
        on_call=on_call,
    )
    told = (*problems, state_complaint(), listed_password(arguments.bus, address))
    for problem in filter(None, told):
        session.note(problem)
    export(session, arguments)
    # Boards of many places are large, and events hold no circles: of a screen its own collector
    # takes over.
    with passes_seldom():
        return show(session, config, arguments, call=session.subscribe_caller)


async def _try(address: BusAddress) -> None:
    """Connect and begin to read once: a wrong address, and that one may not read there, is told
    before there is a screen. Raises BusError."""
    bus = BusConnection(address, clock=SystemClock())
    refused: BusError | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(WaitingFor(f"waiting for {bus.shown}").run)
        try:
            await bus.connect()
            async with bus.messages(EVENTS_OF_ALL):
                pass
        except BusError as error:
            refused = error
        finally:
            await bus.close()
            tasks.cancel_scope.cancel()
    if refused is not None:
        raise refused


def _on_call(address: BusAddress, places: tuple[str, ...], *, calls: bool) -> "OnCall":
    """Return what knows whether it is on this cockpit to call people.

    Its connection is its own: that of the source ends before the last alert is told.
    """
    from probes.run.on_call import OnCall  # few have a need

    clock = SystemClock()
    bus = BusConnection(address, clock=clock, name="llmtop pager")

    async def keep() -> None:
        try:
            await bus.run()
        finally:
            with anyio.CancelScope(shield=True):
                await bus.close()

    return OnCall(
        bus,
        places=places,
        calls=calls,
        clock=clock,
        host=platform.node(),
        process=current_identity(),
        keep=keep,
    )


def _source(
    address: BusAddress,
    places: tuple[str, ...],
    since_s: float,
    receive: Receive,
    **hears: Any,
) -> BusSource:
    clock = SystemClock()
    return BusSource(
        BusConnection(address, clock=clock),
        receive,
        places=places,
        since_s=since_s,
        clock=clock,
        **hears,
    )
