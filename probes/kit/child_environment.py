"""What a program that we start is given of our environment: all of it but secrets that were given
to us.

Rule 1: a secret goes to the server that it is for. A command that is told of an alert, ssh with
what its settings name, a pager and an engine, whose keys come by its pipe, have no need of it: what
they log, dump or pass on has none.
Rule 2: who takes a secret notes it here (`note_secret`): by the name of its variable, and by its
value, for people have copies of it under other names. What only we read is known by name (`_OURS`).
Rule 3: every program that is started is given `child_environment`, or less.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

_OURS: Final = re.compile(r"LLMTOP_BUS|OTEL_EXPORTER_OTLP_(\w+_)?HEADERS")
"""Variables that we read ourselves and that may hold a password."""
_LONG: Final = 8
"""Characters of a secret that are looked for within other values; `x` and `test`, which people give
to servers that want any key, lie in every second one."""
_NEEDED: Final = frozenset(
    (
        *("PATH", "HOME", "SHELL", "USER", "LOGNAME", "PWD", "LANG", "LC_ALL", "TERM", "TZ"),
        *("TMPDIR", "TMP", "TEMP", "SYSTEMROOT", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"),
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR"),
    )
)
"""Without these a program does not find its way; a word for a key, such as the name of its
server's folder, may lie in them."""

_names: set[str] = set()
_values: set[str] = set()


def note_secret(value: str, *names: str) -> None:
    """Know of a secret that was given to us, and of the variables that it was read from."""
    _names.update(names)
    if value.strip():
        _values.add(value.strip())


def child_environment(environ: Mapping[str, str], secrets: Collection[str] = ()) -> dict[str, str]:
    """Return an environment without the variables that hold a secret: one of those that were noted,
    or of `secrets`."""
    known = {*_values, *secrets} - {""}
    return {
        name: value
        for name, value in environ.items()
        if name not in _names
        and not _OURS.fullmatch(name)
        and (name in _NEEDED or not any(_holds(value, secret) for secret in known))
    }


def _holds(value: str, secret: str) -> bool:
    if len(secret) >= _LONG:
        return secret in value
    # A short one counts as a whole, and as the password of a URL.
    return value.strip() == secret or f":{secret}@" in value
