"""What a user can set: the settings here; reading and checking a file beside them."""

from probes.config.settings import (
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
