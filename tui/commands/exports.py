"""The options by which a run feeds other programs, for every command that has them."""

from argparse import Namespace
from collections.abc import Callable
from typing import Protocol

from probes.run.exporting import AskedExports, Export, ExportError, open_exports
from tui.commands.output import UsageError


class Exporting(Protocol):
    """A run that can be exported."""

    def export(self, export: Export) -> None:
        """Give every batch to what goes to another program, and close it with the run."""
        ...

    @property
    def note(self) -> Callable[[str], object]:
        """Put a notice into the stream, from any thread."""
        ...


def export(session: Exporting, arguments: Namespace) -> None:
    """Let a session feed what the command line asks for, before it runs.

    Raises:
        UsageError: something cannot be had; the line names the option.
    """
    asked = AskedExports(
        prometheus=arguments.prometheus,
        otlp=arguments.otlp,
        otlp_traces=arguments.otlp_traces,
    )
    try:
        for one in open_exports(asked, session.note):
            session.export(one)
    except ExportError as error:
        raise UsageError(str(error)) from None
