"""`llmtop manual`: a topic of the rooms' pages as plain text, or what topics there are.

On a terminal a pager shows what is longer than the screen; on a pipe nothing is between.
"""

import os
import shlex
import shutil
import subprocess
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from probes.kit.child_environment import child_environment
from tui.commands.output import OK, UsageError, say
from tui.draw.text import Line, cells, clip, line_text
from tui.manual import Topic, find, topics

_PIPE_WIDTH: Final = 80
_MOST_WIDTH: Final = 100
"""Cells beyond which a line of prose is hard to follow back to its beginning."""
_LESS_OPTIONS: Final = "FRX"
"""Leave at once where all fits the screen, keep colours, leave the text on the screen: as git asks
of less, where the user has not."""
_USUAL_PAGER: Final = "less"


def run(arguments: Namespace) -> int:
    """Print a topic, or the list of all.

    Raises:
        UsageError: there is no such topic.
        OutputError: the output cannot be written.
    """
    words = " ".join(arguments.topic)
    width = _width()
    if not words:
        _show(listed(topics(), width))
        return OK
    found = find(words)
    if not found:
        raise UsageError(f"no topic begins with {words}; `llmtop manual` lists all")
    if len(found) > 1:
        say([f"several topics begin with {words}:", *listed(found, width)])
        return OK
    from tui.draw.markdown import markdown_lines  # a list has no need of it

    _show([line_text(line) for line in markdown_lines(found[0].whole, width)])
    return OK


def listed(some: Sequence[Topic], width: int) -> list[str]:
    """Return a line for each topic: what it is asked for by, and its first sentence."""
    longest = max(cells(topic.name) for topic in some)
    at = min(longest, width // 2) + 2
    lines: list[str] = []
    for topic in some:
        if topic.is_room and lines:
            lines.append("")
        blanks = " " * max(2, at - cells(topic.name))
        line: Line = ((f"{topic.name}{blanks}{topic.summary}", "text"),)
        lines.append(line_text(clip(line, width)).rstrip())
    return lines


def _width() -> int:
    if not sys.stdout.isatty():
        return _PIPE_WIDTH
    return min(shutil.get_terminal_size().columns, _MOST_WIDTH)


def _show(lines: Sequence[str]) -> None:
    """Print lines, by a pager where there is a terminal and one can be had."""
    pager = pager_of(os.environ) if sys.stdout.isatty() else []
    if not pager:
        say(lines)
        return
    text = "".join(f"{line}\n" for line in lines)
    encoding = sys.stdout.encoding or "utf-8"
    # The user's own word, as every program takes it; it gets nothing but the text.
    environ = {"LESS": _LESS_OPTIONS, **child_environment(os.environ)}
    with subprocess.Popen(pager, stdin=subprocess.PIPE, env=environ) as process:  # noqa: S603
        # A pager that is left early takes no more, and Ctrl-C is for it alone: were we gone before
        # it, it would fight with the shell for the terminal.
        with suppress(BrokenPipeError, KeyboardInterrupt):
            process.communicate(text.encode(encoding, "replace"))
        while process.returncode is None:
            with suppress(KeyboardInterrupt):
                process.wait()


def pager_of(environ: Mapping[str, str]) -> list[str]:
    """Return the command that shows a long text: $PAGER, else less; nothing where there is none."""
    asked = environ.get("PAGER")
    try:
        words = shlex.split(_USUAL_PAGER if asked is None else asked)
    except ValueError:  # a quote that does not end
        return []
    found = shutil.which(words[0], path=environ.get("PATH")) if words else None
    return [found, *words[1:]] if found else []
