"""How the metronome is started, for whoever runs it in a process of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

_TESTS: Final = Path(__file__).parents[1]
_IN_C: Final = Path(__file__).with_name("metronome.c")

ARGV: Final = (sys.executable, "-P", "-m", "truth")
ENVIRONMENT: Final = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join((str(_TESTS.parent), str(_TESTS))),
}


def argv_in_c(folder: Path) -> tuple[str, ...] | None:
    """Return how the metronome in C is started, compiled into `folder`; None without a compiler.

    Python sends up to 500 streams of 50 tokens/s on one core, this one some thousands.
    """
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        return None
    program = folder / "metronome"
    subprocess.run([compiler, "-O2", "-o", str(program), str(_IN_C), "-lm"], check=True)
    return (str(program),)
