"""What routes need of the machine that probes them, for an engine whose host is another machine.

Rule 1: keys, proxies with passwords and files are never sent: settings name them, and each machine
has its own under these names. So variables, packages and paths are looked at here, in the words in
which a settings file is judged, and all that is missing is told at once.
Rule 2: a key command is run here as well, with the rights of whoever started the engine. That is
nothing new to who logs in with a shell; a login that may start an engine and nothing else says so
(`commands` is False), and then none is run.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from probes.config import Config, Route
from probes.config.checks import check_needs
from probes.config.errors import KeyPath, Problems, dotted
from probes.config.key_command import run_key_command
from probes.config.secrets import KeyCommand, resolve_headers
from probes.config.tls import TLS_FILES, check_authorities, check_tls

_NEEDS: Final = ("api_key_env", "headers", "proxy", "http2")


def headers_here(
    routes: Sequence[Route],
    environ: Mapping[str, str],
    *,
    commands: bool = True,
    run: KeyCommand = run_key_command,
) -> dict[str, dict[str, str]]:
    """Return the request headers of every route, secrets of this machine filled in, by route name.

    Raises:
        ConfigError: something is missing here, or is not allowed; all of it, one line each.
    """
    problems = Problems(dotted)
    for route in routes:
        path = ("routes", route.shared_name)
        check_needs({key: getattr(route, key) for key in _NEEDS}, path, environ, problems)
        files: dict[str, Any] = {key: getattr(route.tls, key) for key in TLS_FILES}
        named = {key: file for key, file in files.items() if file is not None}
        paths: dict[str, KeyPath] = {key: (*path, "tls", key) for key in TLS_FILES}
        check_tls(named, paths, problems)
        if route.api_key_cmd is not None and not commands:
            words = "is not run: llmtop engine was started with --no-commands"
            problems.add((*path, "api_key_cmd"), words)
    check_authorities(routes, environ, problems)
    problems.raise_if_any()
    return resolve_headers(Config(routes=tuple(routes)), environ, run)
