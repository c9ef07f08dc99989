"""What a user can set, and the secrets that go with it: routes.toml → `Config`.

`settings`: every key with type, range, default and meaning, on the field of its record; `goals`
those of a good probe, `expect` what an answer must be. `fields`: how a field is read. `file`: a
whole file found, read, checked and merged; `checks` for what takes more than one key, or the
environment. `reference`: all keys in the tables of the README. `saving`: changes written back into
the file, with its comments. `keys`: an API key that can never be right; `secrets`: where keys come
from; `key_command` and its `keeper`: the command that prints one; `scrubbing`: keys taken out of
what a server sends. `urls`, `proxies`, `proxy_choice`, `no_proxy`, `tls`: how a server is reached.
"""

from probes.config.expect import Expect
from probes.config.goals import Goals
from probes.config.settings import (
    Alerting,
    Budget,
    Config,
    Dialect,
    DialectChoice,
    Display,
    History,
    KeyHeader,
    Price,
    Recording,
    Route,
    Timeouts,
    Tls,
)

__all__ = [
    "Alerting",
    "Budget",
    "Config",
    "Dialect",
    "DialectChoice",
    "Display",
    "Expect",
    "Goals",
    "History",
    "KeyHeader",
    "Price",
    "Recording",
    "Route",
    "Timeouts",
    "Tls",
]
