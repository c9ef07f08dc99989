"""Frozen values with a few fields changed, whether they are dataclasses or structs."""

import dataclasses
from typing import Any

import msgspec


def replace(value: Any, /, **changes: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(value, **changes)
    return dataclasses.replace(value, **changes)
