"""routes.toml → `Config`: found, read strictly, defaults merged, every mistake told at once.

Tables: [defaults] (any key of a route), [routes.NAME] with [routes.NAME.goals], .expect, .timeouts,
.tls and .price, [budget], [recording], [history], [alerts], [display], [keys]. What a key takes
stands on its field in `probes.config.settings`. The values of secrets never appear in an error;
names of variables and headers do.
"""

import re
import tomllib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from probes.config.checks import (
    EXCLUSIVE_KEYS,
    check_pace,
    check_route,
    check_table,
    check_webhook,
)
from probes.config.errors import ConfigError, KeyPath, Problems, dotted, shown
from probes.config.expect import settle_expect
from probes.config.fields import fields_of, needed, note_missing, read_table
from probes.config.prompts import generated_prompt
from probes.config.prompts_file import PromptsFileError, read_prompts
from probes.config.settings import (
    AUTO,
    LONGEST_PROMPT_MB,
    Alerting,
    Budget,
    Config,
    Display,
    History,
    Recording,
    Route,
    route_keys,
)
from probes.config.text import EncodingError, decode_text
from probes.config.tls import TLS_FILES, anchor, check_authorities, check_tls
from probes.config.workloads import WORKLOADS
from probes.kit.open_regular import NotRegularError, TooLargeError
from probes.kit.paths import PathError, config_folder, path_of
from probes.kit.trust import UntrustedError, read_trusted

CONFIG_VARIABLE: Final = "LLMTOP_CONFIG"
SETTINGS_FILE: Final = "routes.toml"
_MAXIMUM_BYTES: Final = 1_000_000
"""Thousands of routes; a prompt of that size has a file of its own."""
_MAXIMUM_NAME: Final = 64
"""Characters of a route's name, which stands in every event and row."""
_OTHER_TABLES: Final = {
    "budget": Budget,
    "recording": Recording,
    "history": History,
    "alerts": Alerting,
    "display": Display,
}
_TABLES: Final = ("defaults", "routes", *_OTHER_TABLES, "keys")
_MERGED_TABLES: Final = ("goals", "timeouts", "tls")
"""A price is not merged: half of it from elsewhere would be the price of nothing. Nor is what is
expected: another prompt is answered otherwise."""


def default_config_path() -> Path:
    """Return where routes.toml belongs on this platform.

    Raises:
        ConfigError: there is no home folder for it to be in.
    """
    try:
        return config_folder() / SETTINGS_FILE
    except PathError as error:
        raise ConfigError(
            (f"no settings: {error}; name them with --config FILE, or set HOME or XDG_CONFIG_HOME",)
        ) from None


def locate_config(argument: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the file to read: `argument` (--config), LLMTOP_CONFIG, the platform's folder.

    A file that was named is returned whether it exists or not; without one, None. Nothing is ever
    taken from the current directory unless named.

    Raises:
        ConfigError: LLMTOP_CONFIG begins with a home folder that is not known.
    """
    named = named_config(argument, environ)
    if named is not None:
        return named
    try:
        default = config_folder() / SETTINGS_FILE
    except PathError:
        return None
    try:
        default.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return default  # it may be there: whoever reads it is told why that cannot be known
    return default


def named_config(argument: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the file that --config or LLMTOP_CONFIG names.

    Raises:
        ConfigError: LLMTOP_CONFIG begins with a home folder that is not known.
    """
    named = environ.get(CONFIG_VARIABLE)
    if argument is not None or not named:
        return argument
    try:
        return path_of(named)
    except PathError as error:
        raise ConfigError((f"{CONFIG_VARIABLE}: {error}",)) from None


def load_config(path: Path, environ: Mapping[str, str] | None) -> Config:
    """Read a routes.toml.

    `environ` is only asked whether the variables that the file names are set. None says that this
    machine probes nothing: variables, packages and TLS files are those of the machines that do, and
    are looked at there.

    Raises:
        ConfigError: the file cannot be read, or has mistakes: all of them, one line each.
    """
    text = read_settings(path)
    if not text.strip():
        words = "is empty, expected at least one table [routes.NAME]"
        advice = "`llmtop init --stdout` prints a whole file to begin with"
        raise ConfigError((f"{path}: {words}; {advice}",))
    config = parse_config(text, path, environ)
    return msgspec.structs.replace(config, digest=digest_of(text))


def digest_of(text: str) -> str:
    """Return what tells a settings file's text from any other."""
    return sha256(text.encode()).hexdigest()


def parse_config(text: str, path: Path, environ: Mapping[str, str] | None) -> Config:
    """Return the settings in `text`; `path` names them in errors and anchors what they name.

    Raises:
        ConfigError: the text has mistakes: all of them, one line each.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError((f"{path.name}: {_syntax_complaint(str(error), text)}",)) from None
    except ValueError:  # Python reads no integer of more than 4,300 digits
        words = "a number in it has more digits than can be read"
        raise ConfigError((f"{path.name}: {words}",)) from None
    except RecursionError:
        words = "its tables or lists are nested too deep to be read"
        raise ConfigError((f"{path.name}: {words}",)) from None
    problems = Problems(lambda keys: f"{path.name}: {dotted(keys)}")
    for table in raw:
        if table not in _TABLES:
            problems.unknown((table,), _TABLES)
    # Every table is read before anything is raised: a user mends all mistakes in one go.
    routes = _read_routes(raw, path.parent, environ, problems)
    if environ is not None:
        check_authorities(routes, environ, problems)
    others = {
        key: read_table(raw.get(key, {}), fields_of(record), (key,), problems)
        for key, record in _OTHER_TABLES.items()
    }
    if environ is not None:
        check_webhook(others["alerts"].get("webhook"), ("alerts", "webhook"), environ, problems)
    keys = _read_keys(raw.get("keys", {}), problems)
    problems.raise_if_any()
    made = {key: record(**others[key]) for key, record in _OTHER_TABLES.items()}
    return Config(routes=routes, keys=keys, source=str(path), **made)


def single_route_config(
    base_url: str,
    model: str,
    *,
    environ: Mapping[str, str] | None,
    api_key_env: str | None = None,
    dialect: str = "chat",
    name: str | None = None,
) -> Config:
    """Return the settings of `--base-url URL --model M`: one route, every other value a default.

    Raises:
        ConfigError: a value is wrong; the lines name the options.
    """
    raw: dict[str, Any] = {"base_url": base_url, "model": model, "dialect": dialect}
    if api_key_env is not None:
        raw["api_key_env"] = api_key_env
    problems = Problems(_option)
    own = read_table(raw, route_keys(), (), problems)
    check_table(own, (), environ, problems)
    problems.raise_if_any()  # before what follows, for a route is made of good values alone
    name = name or model
    if len(name) > _MAXIMUM_NAME:
        name = name[: _MAXIMUM_NAME - 1] + "…"
    route = Route(name=name, **_settled(own))
    check_route(route, (), problems)
    if environ is not None:
        check_authorities([route], environ, problems)
    problems.raise_if_any()
    return Config(routes=(route,))


def override_route(route: Route, values: Mapping[str, Any]) -> Route:
    """Return `route` with some keys replaced, in the file's shape: `{"timeouts": {"stall": 2.0}}`.

    Raises:
        ConfigError: a value is wrong; the lines name the options.
    """
    problems = Problems(_option)
    own = read_table(dict(values), route_keys(), (), problems)
    problems.raise_if_any()
    if "timeouts" in own:
        own["timeouts"] = msgspec.structs.replace(route.timeouts, **own["timeouts"])
    if "concurrency" in own:
        bounds = {"concurrency_min": route.concurrency_min, **own}
        own = {**own, "adaptive": False, **_settled(bounds)}
    changed = msgspec.structs.replace(route, **own)
    check_route(changed, (), problems)
    check_pace(changed, (), problems)
    problems.raise_if_any()
    return changed


def _option(path: KeyPath) -> str:
    """Return the option of the command line that sets a route's key."""
    suffix = "-timeout" if path[0] == "timeouts" else ""
    return f"--{path[-1].replace('_', '-')}{suffix}"


def read_settings(path: Path) -> str:
    """Return the text of a settings file that only its owner can write, or of a given pipe.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return decode_text(read_trusted(path, _MAXIMUM_BYTES, may_be_given=True))
    except EncodingError as error:
        raise ConfigError((f"{path.name}: {error}",)) from None
    except UntrustedError as error:
        complaint = str(error)
    except TooLargeError as error:
        complaint = str(error.strerror)
    except NotRegularError as error:
        advice = "for one route without any file: --base-url URL --model M"
        complaint = f"{error.strerror}; {advice}"
    except OSError as error:
        complaint = f"cannot be read: {error.strerror or error}"
    raise ConfigError((f"{path}: {complaint}",))


def _syntax_complaint(message: str, text: str) -> str:
    """Return a TOML error as `line L, column C: what`."""
    what, _, where = message.partition(" (at ")
    found = re.fullmatch(r"line (\d+), column (\d+)\)", where)
    if found:
        line, column = found.groups()
    else:
        lines = text.split("\n")
        line, column = str(len(lines)), str(len(lines[-1]) + 1)
    # The message can quote what stands there, which can be a key without its quotes.
    return f"line {line}, column {column}: {what.split(':')[0]}"


def _read_routes(
    raw: Mapping[str, Any], folder: Path, environ: Mapping[str, str] | None, problems: Problems
) -> tuple[Route, ...]:
    raw_defaults = raw.get("defaults", {})
    defaults = _read_route_keys(raw_defaults, folder, ("defaults",), environ, problems)
    tables = raw.get("routes")
    if not isinstance(tables, dict) or not tables:
        problems.add(("routes",), "no route, expected at least one table [routes.NAME]")
        return ()
    keys, routes = route_keys(), []
    for name, table in tables.items():
        path = ("routes", name)
        if not name.strip() or not name.isprintable() or len(name) > _MAXIMUM_NAME:
            problems.add(path, f"is no name, expected 1 to {_MAXIMUM_NAME} printable characters")
        own = _read_route_keys(table, folder, path, environ, problems)
        values: dict[str, Any] = {}
        if isinstance(table, dict) and isinstance(raw_defaults, dict):
            values = {**raw_defaults, **table}
            note_missing(values, keys, path, problems)
        merged = _merge(defaults, own)
        # A complaint of a file stands where that is named, in the route or in [defaults].
        tls, own_tls = merged.get("tls", {}), own.get("tls", {})
        paths = {key: (*(path if key in own_tls else ("defaults",)), "tls", key) for key in tls}
        check_tls(tls, paths, problems, files=environ is not None)
        if not merged.keys() >= {*needed(keys)}:
            continue
        for key, value in merged.items():
            if key in keys and keys[key].is_table:
                merged[key] = keys[key].kind(**value)
        routes.append(Route(name=name, **_settled(merged)))
        check_route(routes[-1], path, problems)
        # What is wrong itself was complained of, and says nothing of the other.
        if not any(key in values and key not in merged for key in ("pace", "rate")):
            check_pace(routes[-1], path, problems)
    return tuple(routes)


def _read_keys(raw: object, problems: Problems) -> dict[str, tuple[str, ...]]:
    """Return [keys]: a key or a list of them for each action; empty for none.

    Only their shape is judged. Which actions and keys there are is the screen's to say.
    """
    if not isinstance(raw, dict):
        problems.add(("keys",), f"got {shown(raw)}, expected a table")
        return {}
    keys: dict[str, tuple[str, ...]] = {}
    for action, value in raw.items():
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            words = 'expected a key such as "plus", a list of them, or "" for none'
            problems.add(("keys", action), f"got {shown(value)}, {words}")
            continue
        keys[action] = tuple(name for name in names if name)
    return keys


def _read_route_keys(
    table: object,
    folder: Path,
    path: KeyPath,
    environ: Mapping[str, str] | None,
    problems: Problems,
) -> dict[str, Any]:
    """Return the good values of one table of route keys, paths absolute and its prompt as text."""
    values = read_table(table, route_keys(), path, problems)
    check_table(values, path, environ, problems)
    tokens, file = values.pop("prompt_tokens", None), values.pop("prompt_file", None)
    if tokens is not None:
        values["prompt"] = generated_prompt(tokens)
    if file is not None:
        try:
            values["prompt"] = _read_prompt(path_of(file, folder))
        except ValueError as error:
            problems.add((*path, "prompt_file"), str(error))
    file = values.pop("prompts_file", None)
    if file is not None:
        values["prompts"] = ()
        try:
            values["prompts"] = read_prompts(path_of(file, folder))
        except PromptsFileError as error:
            for line in error.problems:
                problems.add((*path, "prompts_file"), line)
        except PathError as error:
            problems.add((*path, "prompts_file"), str(error))
    if "expect" in values:
        values["expect"] = settle_expect(values["expect"], folder, (*path, "expect"), problems)
    for key in TLS_FILES:
        anchor(values.get("tls", {}), key, folder, (*path, "tls", key), problems)
    anchor(values, "unix_socket", folder, (*path, "unix_socket"), problems)
    return values


def _settled(values: dict[str, Any]) -> dict[str, Any]:
    """Return a route's values with a number for a concurrency that finds itself."""
    if values.get("concurrency") != AUTO:
        return values
    begins = values.get("concurrency_min", route_keys()["concurrency_min"].default)
    return {**values, "concurrency": begins, "adaptive": True}


def _merge(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return own values over defaults; goals, timeouts and tls key by key, all else whole."""
    merged = dict(defaults)
    for group in EXCLUSIVE_KEYS:
        # One that the route has sets aside whichever of them [defaults] has.
        if any(key in own for key in group):
            for key in group:
                merged.pop(key, None)
    if own.get("pace") == "interval":
        merged.pop("rate", None)  # that of [defaults] is for the routes whose pace is open
    if "workload" in own or "prompts" in own:
        merged.pop("system", None)  # theirs is a prompt of its own
    for key, value in own.items():
        merged[key] = {**defaults.get(key, {}), **value} if key in _MERGED_TABLES else value
    if "workload" in merged:
        _fill_in_workload(merged, defaults, own)
    return merged


def _fill_in_workload(
    merged: dict[str, Any], defaults: Mapping[str, Any], own: Mapping[str, Any]
) -> None:
    """Give a route what its workload asks for."""
    workload = WORKLOADS[merged["workload"]]
    # A cap that [defaults] has for all routes is none of a workload that a route asks for.
    if "max_tokens" not in own and ("workload" in own or "max_tokens" not in defaults):
        merged["max_tokens"] = workload.max_tokens
    if workload.prompt is not None:
        merged["prompts"] = (workload.prompt,)
    if workload.is_fresh:
        merged.pop("cache", None)


def _read_prompt(file: Path) -> str:
    """Return the text of a prompt's file.

    Raises:
        ValueError: it cannot be read, or holds no prompt; the text names the file.
    """
    try:
        text = decode_text(read_trusted(file, LONGEST_PROMPT_MB * 1_000_000))
    except TooLargeError:
        raise ValueError(f"{file}: is larger than {LONGEST_PROMPT_MB} MB") from None
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror or error}") from None
    except (UntrustedError, EncodingError) as error:
        raise ValueError(f"{file}: {error}") from None
    if not text.strip():
        raise ValueError(f"{file}: is empty")
    return text
