"""What a user can set: the settings here; reading and checking a file beside them."""

from probes.config.settings import (
    E2E_GOAL_CAP,
    Budget,
    CacheMode,
    CapField,
    Config,
    ConnectionMode,
    Dialect,
    DialectChoice,
    Display,
    Goals,
    KeyHeader,
    Price,
    Recording,
    Route,
    Timeouts,
    Tls,
)

__all__ = [
    "E2E_GOAL_CAP",
    "Budget",
    "CacheMode",
    "CapField",
    "Config",
    "ConnectionMode",
    "Dialect",
    "DialectChoice",
    "Display",
    "Goals",
    "KeyHeader",
    "Price",
    "Recording",
    "Route",
    "Timeouts",
    "Tls",
]
