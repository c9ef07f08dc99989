"""Where files are: one way from a setting to a path, and llmtop's own folders.

Rule 1. `~` and `~user` mean home folders wherever a path is named: on the command line (a shell
leaves `--record='~/x'` alone), in a variable, in routes.toml.
Rule 2. A relative path of a settings file begins at the folder of that file.
Rule 3. Where a home folder is needed and none is known it is said. Nothing is ever put into a
folder that is called `~`, nor into one that a relative HOME or XDG variable leads to (the XDG base
directory specification: a path that is not absolute is to be ignored).
"""

import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import platformdirs

NOWHERE: Final = Path(os.devnull) / "no home folder"
"""A folder that can never be: whoever makes it or opens a file in it is told by the system, as on a
disk that cannot be written."""


class PathError(ValueError):
    """A path cannot be had; the text says why."""


def path_of(text: str, folder: Path | None = None) -> Path:
    """Return the path that a setting names; a relative one begins at `folder`, where there is one.

    Raises:
        PathError: it begins with a home folder that is not known, or where we are is not known.
    """
    path = Path(text)
    if text.startswith("~"):  # `./~` is a folder of that name, of which a Path keeps the end alone
        user = path.parts[0][1:]
        home = _home_of(user) if user else home_folder()
        return home.joinpath(*path.parts[1:])
    if folder is None:
        return path
    try:
        return (folder / path).absolute()
    except OSError as error:
        raise PathError(f"the current folder is gone: {error.strerror or error}") from None


def home_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Return the user's home folder: HOME's where that is absolute, else the one the system knows.

    Raises:
        PathError: there is none.
    """
    environ = os.environ if environ is None else environ
    if sys.platform == "win32":
        named = environ.get("USERPROFILE", "")
    else:
        named = environ.get("HOME", "")
    if Path(named).is_absolute():
        return Path(named)
    found = _home_of_id(os.getuid()) if sys.platform != "win32" else None
    if found is None:
        why = "is not set" if not named else f"is {named}, no absolute path"
        raise PathError(f"no home folder is known: HOME {why}")
    return found


def _home_of(user: str) -> Path:
    home = Path(f"~{user}")
    try:
        return home.expanduser()
    except RuntimeError:
        raise PathError(f"no user is named {user}: write ./~{user} for a folder") from None


def _home_of_id(user: int) -> Path | None:
    if sys.platform == "win32":
        return None
    import pwd

    try:
        home = Path(pwd.getpwuid(user).pw_dir)
    except KeyError:  # a container's made-up user
        return None
    return home if home.is_absolute() else None


def config_folder() -> Path:
    """Return the folder that routes.toml belongs in.

    Raises:
        PathError: there is no home folder for it to be in.
    """
    return _own_folder(platformdirs.user_config_dir, "XDG_CONFIG_HOME", ".config")


def state_folder() -> Path:
    """Return the folder of recordings and ledger; NOWHERE, where there is no home folder."""
    try:
        return _state_folder()
    except PathError:
        return NOWHERE


def runtime_folder() -> Path:
    """Return the folder for what need not outlive the machine's next start: XDG_RUNTIME_DIR's where
    that is absolute, else one of the user's own among the temporary files.

    It may be anybody's: whoever uses it looks first whose it is.
    """
    named = os.environ.get("XDG_RUNTIME_DIR", "")
    if Path(named).is_absolute():
        return Path(named) / "llmtop"
    user = f"-{os.getuid()}" if sys.platform != "win32" else ""
    return Path(tempfile.gettempdir()) / f"llmtop{user}"


def state_complaint() -> str | None:
    """Return why there is no folder of recordings and ledger; None where there is one."""
    try:
        _state_folder()
    except PathError as error:
        return (
            f"{error}: there is no place for recordings and the ledger, so only the emergency part "
            "of the budgets may be spent; set HOME or XDG_STATE_HOME"
        )
    return None


def _state_folder() -> Path:
    return _own_folder(platformdirs.user_state_dir, "XDG_STATE_HOME", ".local/state")


def _own_folder(ask: Callable[..., str], variable: str, usual: str) -> Path:
    if Path(os.environ.get(variable, "")).is_absolute():
        return Path(ask("llmtop", appauthor=False))
    home = home_folder()
    if not home.is_dir():
        # Made by us, a home folder would be nobody's.
        raise PathError(f"the home folder {home} is not there")
    folder = Path(ask("llmtop", appauthor=False))
    named = os.environ.get("HOME")
    if sys.platform != "win32" and named is not None and not Path(named).is_absolute():
        return home / usual / "llmtop"
    return folder if folder.is_absolute() else home / usual / "llmtop"
