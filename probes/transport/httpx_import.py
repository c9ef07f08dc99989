"""Makes the import of httpx cheaper; imported before whatever imports httpx.

Where rich is installed, httpx imports its own command line, and with it rich, pygments and click:
36 of its 54 ms and 3 MB, in every engine. A module that is None cannot be imported, and httpx goes
on without it.
"""

import sys

sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
