"""From the command line and the environment to the settings of a run."""

import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

import msgspec

from probes.config import Config, Route
from probes.config.errors import ConfigError, dotted, nearest
from probes.config.file import default_config_path, load_config, locate_config, single_route_config
from probes.config.places import known_as
from tui.commands.output import UsageError
from tui.draw.theme_names import OWN_THEMES


def given_settings(arguments: Namespace, environ: Mapping[str, str] | None) -> Config | None:
    """Return the settings of `--base-url`, or of the file that is found; None without either.

    Without `environ` this machine probes nothing, and is not asked for what that would need.

    Raises:
        UsageError: the options do not go together.
        ConfigError: the settings have mistakes.
    """
    if arguments.base_url is not None or arguments.model is not None:
        if arguments.base_url is None or arguments.model is None:
            raise UsageError("--base-url and --model go together")
        if arguments.config is not None:
            raise UsageError("--base-url and --config exclude each other")
        return single_route_config(
            arguments.base_url,
            arguments.model,
            environ=environ,
            api_key_env=arguments.api_key_env,
            dialect=getattr(arguments, "dialect", None) or "chat",
        )
    if arguments.api_key_env is not None:
        raise UsageError("--api-key-env goes with --base-url and --model")
    path = locate_config(arguments.config, os.environ if environ is None else environ)
    return None if path is None else load_config(path, environ)


def with_window(config: Config, arguments: Namespace) -> Config:
    """Return the settings with the window that `--window` asks for."""
    if arguments.window is None:
        return config
    display = msgspec.structs.replace(config.display, window=arguments.window)
    return msgspec.structs.replace(config, display=display)


def needed_settings(arguments: Namespace, environ: Mapping[str, str]) -> Config:
    """Return the settings.

    Raises:
        UsageError: there are none, or the options do not go together.
        ConfigError: the settings have mistakes.
    """
    config = given_settings(arguments, environ)
    if config is None:
        raise UsageError(
            f"no settings: {default_config_path()} is not there; "
            "write it with `llmtop init`, or name a route with --base-url and --model"
        )
    return config


def chosen_route(config: Config, name: str | None) -> Route:
    """Return the route of that name, or the only one.

    Raises:
        UsageError: there is none of that name, or several and no name.
    """
    names = [route.name for route in config.routes]
    if name is None and len(names) == 1:
        return config.routes[0]
    if name is None:
        raise UsageError(f"name one route of {', '.join(names)}")
    for route in config.routes:
        if route.name == name:
            return route
    if hint := known_as(name, names):
        raise UsageError(f"no route is named {name}{hint}")
    suggestion = nearest(name, names)
    hint = f"did you mean {suggestion}?" if suggestion else f"there are: {', '.join(names)}"
    raise UsageError(f"no route is named {name}; {hint}")


def check_display(config: Config) -> None:
    """Make sure that there is what the settings ask of the screen.

    Raises:
        ConfigError: there is no such theme, or keys cannot be given out so; all lines at once.
    """
    problems: list[str] = []
    name = Path(config.source).name
    if config.display.theme not in OWN_THEMES:
        from textual.theme import BUILTIN_THEMES  # an import that only other people's themes pay

        known = sorted({*OWN_THEMES, *BUILTIN_THEMES})
        if config.display.theme not in known:
            expected = f"expected one of {', '.join(known)}"
            problems.append(f"{name}: display.theme: got {config.display.theme}, {expected}")
    if config.keys:
        from tui.keys import KeymapError, remapped  # the same of keys

        try:
            remapped(config.keys)
        except KeymapError as error:
            problems += [f"{name}: {dotted(('keys', key))}: {text}" for key, text in error.problems]
    if problems:
        raise ConfigError(tuple(problems))
