"""How the metronome is started, for whoever runs it in a process of its own."""

import os
import sys
from pathlib import Path
from typing import Final

_TESTS: Final = Path(__file__).parents[1]

ARGV: Final = (sys.executable, "-P", "-m", "truth")
ENVIRONMENT: Final = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join((str(_TESTS.parent), str(_TESTS))),
}
