"""`llmtop engine`: an engine for a cockpit on another machine, on standard input and output.

Its cockpit starts it over ssh (`llmtop --place NAME=ssh:HOST`); nobody types it.
"""

import sys
from argparse import Namespace

from tui.commands.output import UsageError


def run(arguments: Namespace) -> int:
    """Serve one cockpit until it is gone; return the exit status.

    Raises:
        UsageError: a person has typed it on a terminal.
    """
    if sys.stdin.isatty():
        raise UsageError(
            "engine is spoken to by a cockpit on another machine, which starts it: "
            "llmtop --place NAME=ssh:HOST"
        )
    from probes.__main__ import serve_elsewhere  # an engine is no light thing to import

    return serve_elsewhere(commands=not arguments.no_commands)
