"""Settings written back to the file they came from, with its comments, when a user asks for it.

Rule 1. Nothing is written that was not shown before: `propose` says what would change, `write`
does just that.
Rule 2. The file is the one that was read. Where it has changed since, it is left alone: somebody
has written what we do not know.
Rule 3. Comments and the order of keys stay. A value that a route has from [defaults] gets a line in
the route's own table; [defaults] is of all routes, and stays.
Rule 4. What is written is read back first, in memory, and must be the old settings with the
changes, no more and no less. What cannot be put into place so is told, to be done by hand.
Rule 5. There is either the old file or the new one, never a part: the new one is written beside it
and takes its name. A symbolic link stays a link, and the mode stays what it was.

Secrets are never in the file, so none can be written.
"""

import os
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Item, Table

from probes.config.errors import ConfigError, KeyPath, dotted
from probes.config.file import digest_of, parse_config, read_settings
from probes.config.reference import toml_value
from probes.config.settings import AUTO, Config, Display, Route
from probes.kit.paths import PathError

_UTF8_MARK: Final = b"\xef\xbb\xbf"


class SaveError(Exception):
    """The settings cannot be written; the text says why, in one line."""


class Change(NamedTuple):
    """One value that is to be another."""

    path: KeyPath
    before: Any
    after: Any
    inherited: bool = False
    """The route has it from [defaults], or has none: it gets a line of its own."""

    @property
    def words(self) -> str:
        """The change in one line."""
        *tables, key = self.path
        where = dotted(tuple(tables))
        line = f"{where}: {key} {toml_value(self.before)} → {toml_value(self.after)}"
        return line + (", in its own table" if self.inherited and tables[0] == "routes" else "")


class SettingsFile:
    """The file of a run's settings, as it was read."""

    def __init__(self, config: Config, environ: Mapping[str, str] | None) -> None:
        self.path = Path(config.source)
        self._digest = config.digest
        self._environ = environ

    def propose(
        self, routes: Mapping[str, Mapping[str, float | str]], display: Mapping[str, str]
    ) -> tuple[Change, ...]:
        """Return what would change: keys of routes, by their names, and of [display].

        Raises:
            SaveError: the file has changed since, or cannot be read or written.
        """
        text = self._text()
        raw = tomlkit.parse(text).unwrap()
        config = self._config(text)
        changes: list[Change] = []
        for route in config.routes:
            own = raw.get("routes", {}).get(route.name, {})
            for key, wanted in routes.get(route.name, {}).items():
                before = route.asked_concurrency if key == "concurrency" else getattr(route, key)
                after = _in_type_of(getattr(route, key), wanted)
                if before != after:
                    path = ("routes", route.name, key)
                    changes.append(Change(path, before, after, inherited=key not in own))
        for key, word in display.items():
            before = getattr(config.display, key)
            if before != word:
                changes.append(Change(("display", key), before, word))
        return tuple(changes)

    def write(self, changes: Sequence[Change]) -> None:
        """Write changes that were proposed.

        Raises:
            SaveError: the file has changed since, or cannot be written; it is as it was.
        """
        text = self._text()
        wanted = _changed(self._config(text), changes)
        made = next(
            (made for made in _candidates(text, changes) if self._is(made, wanted)),
            None,
        )
        if made is None:
            by_hand = "; ".join(change.words for change in changes)
            raise SaveError(f"{self.path.name}: cannot be changed in place; by hand: {by_hand}")
        self._replace(made)
        self._digest = digest_of(made)

    def _text(self) -> str:
        """Return what the file holds, where it is what was read."""
        if not self.path.is_file():
            raise SaveError(f"{self.path}: is no file that could be written")
        try:
            text = read_settings(self.path)
        except ConfigError as error:
            raise SaveError(error.problems[0]) from None
        if digest_of(text) != self._digest:
            raise SaveError(
                f"{self.path.name}: has changed on disk since it was read; nothing was written: "
                "start llmtop anew to take it in, then save"
            )
        return text

    def _config(self, text: str) -> Config:
        try:
            return parse_config(text, self.path, self._environ)
        except ConfigError as error:  # such as where a prompt's file is gone by now
            raise SaveError(error.problems[0]) from None

    def _is(self, text: str, wanted: Config) -> bool:
        """Tell whether a text means some settings."""
        try:
            return parse_config(text, self.path, self._environ) == wanted
        except (ConfigError, PathError):
            return False

    def _replace(self, text: str) -> None:
        """Put a text into the place of the file's, whole or not at all."""
        temporary = None
        try:
            target = self.path.resolve(strict=True)
            before = target.stat()
            mark = _UTF8_MARK if target.read_bytes().startswith(_UTF8_MARK) else b""
            # In the file's own folder: a name can only be taken over within one file system.
            descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
            temporary = Path(name)
            with os.fdopen(descriptor, "wb") as file:
                file.write(mark + text.encode())
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(stat.S_IMODE(before.st_mode))
            if hasattr(os, "chown") and before.st_uid != os.geteuid():
                os.chown(temporary, before.st_uid, before.st_gid)
            temporary.replace(target)
        except OSError as error:
            if temporary is not None:
                with suppress(OSError):
                    temporary.unlink()
            raise SaveError(f"{self.path}: cannot be written: {error.strerror or error}") from None


def _in_type_of(before: Any, wanted: float | str) -> Any:
    """Return a knob's number as the setting has it: knobs are floats, all of them."""
    if isinstance(wanted, str):
        return wanted
    return round(wanted) if isinstance(before, int) else wanted


def _changed(config: Config, changes: Sequence[Change]) -> Config:
    """Return settings with changes."""
    display: dict[str, Any] = {}
    routes: dict[str, dict[str, Any]] = {}
    for change in changes:
        if change.path[0] == "display":
            display[change.path[1]] = change.after
        else:
            routes.setdefault(change.path[1], {})[change.path[2]] = change.after
    replace = msgspec.structs.replace
    changed: tuple[Route, ...] = tuple(
        replace(route, **_settled(route, routes.get(route.name, {}))) for route in config.routes
    )
    shown: Display = replace(config.display, **display)
    return replace(config, routes=changed, display=shown)


def _settled(route: Route, changes: dict[str, Any]) -> dict[str, Any]:
    """Return changes of a route's keys as changes of its record."""
    asked = changes.get("concurrency")
    if asked is None:
        return changes
    adaptive = asked == AUTO
    begins = route.concurrency_min if adaptive else asked
    return {**changes, "concurrency": begins, "adaptive": adaptive}


def _candidates(text: str, changes: Sequence[Change]) -> Iterator[str]:
    """Give texts with the changes made, the nicer one first."""
    for beside in (True, False):
        with suppress(TOMLKitError, KeyError, TypeError, AttributeError):
            document = tomlkit.parse(text)
            for change in changes:
                *tables, key = change.path
                here: Any = document
                for name in tables:
                    if name not in here:
                        here[name] = tomlkit.table()
                    here = here[name]
                after = change.after
                if isinstance(after, float) and after.is_integer():
                    after = int(after)  # as people write it
                if beside and key not in here and isinstance(here, Table):
                    _insert(here, key, after)
                else:
                    here[key] = after
            yield tomlkit.dumps(document)


def _insert(table: Table, key: str, value: Any) -> None:
    """Put a new key right below the last one of a table.

    At the table's end, where tomlkit would put it, often stands the comment of the next table.
    """
    plain = [name for name, item in table.value.body if name is not None and not _is_table(item)]
    if not plain:
        table[key] = value
        return
    last = table.value[plain[-1].key]
    item: Item = tomlkit.item(value)
    item.trivia.indent = last.trivia.indent
    if not last.trivia.trail:  # the end of a file without a last newline
        last.trivia.trail = "\n"
        item.trivia.trail = ""
    else:
        item.trivia.trail = last.trivia.trail
    table.value._insert_after(plain[-1], key, item)


def _is_table(item: Item) -> bool:
    return item.is_table() or item.is_aot()
