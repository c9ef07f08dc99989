"""What a tool is called with, however a server writes it."""

import json
from collections.abc import Mapping


def given_to_call(value: object) -> str:
    """Return the JSON that a call is given; some servers send the object itself instead.

    Halves of characters stay as they came. Empty for what is neither, or nested beyond reason.
    """
    if not isinstance(value, Mapping | list):
        return value if isinstance(value, str) else ""
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    except RecursionError:
        return ""
