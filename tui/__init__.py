"""The cockpit, and the command line that leads to it."""

import os
import sys

if os.path.basename(sys.argv[0] if sys.argv else "").startswith(("llmtop", "-m")):  # noqa: PTH119
    # This is the program that was called, and before anything else it learns to take Ctrl-C: most
    # of the time that a start takes goes into imports.
    try:
        from tui.terminal.interrupt import end_on_interrupt

        end_on_interrupt()
    except KeyboardInterrupt:
        os._exit(130)  # as `tui.terminal.interrupt` would have done
