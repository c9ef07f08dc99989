"""`llmtop agent`: a place that probes without a screen, and gives what it measures to a bus."""

import os
import platform
from argparse import Namespace
from functools import partial

import anyio

from probes.bus.address import bus_address, listed_password
from probes.bus.connection import BusConnection, BusError, NoClientError
from probes.bus.names import BUDGETS_BUCKET
from probes.bus.presence import PlaceTakenError
from probes.config.places import check_place, config_at
from probes.config.secrets import resolve_headers
from probes.kit.clock import SystemClock
from probes.kit.process_identity import current_identity
from probes.money.bus_ledger import BusLedger
from probes.run.agent import run_agent
from probes.run.exporting import calls_people
from probes.run.session import Session
from tui.commands.exports import export
from tui.commands.output import FAILED, UsageError, complain
from tui.commands.settings import needed_settings
from tui.commands.watch import history_of, recorder_of


def run(arguments: Namespace) -> int:
    """Probe for a place until a signal, or for as long as was asked for.

    Raises:
        UsageError: the place is taken, no bus is named, or nats-py is missing.
        ConfigError: the settings, the address or the place have mistakes, or a key cannot be had.
    """
    if arguments.in_process and arguments.engines > 1:
        raise UsageError("--engines and --in-process exclude each other")
    place = check_place(arguments.place)
    # A password in it is nobody's business who can list processes.
    url = arguments.bus or os.environ.get("LLMTOP_BUS", "")
    if not url:
        raise UsageError("which bus? --bus nats://HOST:4222, or the variable LLMTOP_BUS")
    address = bus_address(
        url, arguments.bus_credentials, arguments.bus_ca, arguments.bus_certificate
    )
    if arguments.bus and (told := listed_password(arguments.bus, address)):
        complain([told])
    config = config_at(needed_settings(arguments, os.environ), place)
    headers = resolve_headers(config, os.environ)
    clock = SystemClock()
    recorder = recorder_of(config, arguments)

    def say(line: str) -> None:
        complain([line])

    def session(connection: BusConnection) -> Session:
        on_call = None
        if calls_people(config.alerts):
            from probes.run.on_call import OnCall  # few have a need

            on_call = OnCall(
                connection,
                home=place,
                clock=clock,
                host=platform.node(),
                process=current_identity(),
                report=say,
            )
        made = Session(
            config,
            headers,
            recorder=recorder,
            ledger=BusLedger(
                connection.bucket(BUDGETS_BUCKET),
                place=place,
                clock=clock,
                command="llmtop agent",
            ),
            in_process=arguments.in_process,
            engines=arguments.engines,
            include_text=config.recording.text,
            goes_back=False,
            history=history_of(config, arguments),
            on_call=on_call,
        )
        export(made, arguments)
        return made

    try:
        return anyio.run(
            partial(
                run_agent,
                address,
                place,
                session,
                recorder=recorder,
                clock=clock,
                say=say,
                duration_s=arguments.duration,
            )
        )
    except (PlaceTakenError, NoClientError) as error:
        raise UsageError(str(error)) from None
    except BusError as error:
        complain([str(error)])
        return FAILED
