"""A prompts file: one's own traffic's shapes, a line of JSON each.

Rule 1. A line is what Chat Completions takes (`messages`, `tools`), as one finds it in one's own
        logs, with what is said of it beside: `name`, `weight`, `max_tokens`, `images`.
Rule 2. What cannot be sent is refused when the file is read: no probe finds that out.
Rule 3. A mistake is told with file, line, key, value and what was expected. No message is shown:
        it may be of somebody's.
Rule 4. Pictures come along as data URLs, or as files that are made such; nothing is fetched.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, get_args

import msgspec

from probes.config.errors import KeyPath, Problems, dotted, shown
from probes.config.expect import read_expect
from probes.config.fields import Range, Settings, Shape, fields_of, note_missing, read_table
from probes.config.prompts import Message, Prompt, Role, Tool, ToolCall
from probes.config.text import EncodingError, decode_text
from probes.kit.open_regular import TooLargeError
from probes.kit.paths import PathError, path_of
from probes.kit.short_figures import counted
from probes.kit.trust import UntrustedError, read_trusted

LARGEST_FILE_MB: Final = 4
LARGEST_IMAGE_MB: Final = 4
LARGEST_IN_ALL_MB: Final = 16
"""Of a file with its pictures: all of it goes to the engine once, and stays in memory."""
MOST_LINES: Final = 200
MOST_SHAPES: Final = 16
"""Each has figures of its own for an hour, and beyond a few nobody reads them."""
_MOST_MESSAGES: Final = 1_000
_MOST_TOOLS: Final = 128
_MOST_IMAGES: Final = 20
_MEDIA: Final = ((b"\x89PNG", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"))
_ROLES: Final[Mapping[str, Role]] = {
    **{role: role for role in get_args(Role)},
    "developer": "system",  # OpenAI's newer word for it
}
_DATA_URL: Final = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,([A-Za-z0-9+/]+=*)")
_NAME: Final = Shape(
    "1 to 32 of the characters A-Z a-z 0-9 . _ -",
    lambda text: bool(re.fullmatch(r"[A-Za-z0-9._-]{1,32}", text)),
)
_IMAGE_WORDS: Final = "a data URL of a PNG, JPEG, GIF or WebP picture, or such a file"


class PromptsFileLine(Settings, frozen=True, kw_only=True):
    """The keys of a line."""

    messages: Annotated[
        tuple[dict[str, Any], ...],
        Shape(
            f"a list of 1 to {_MOST_MESSAGES:,} messages, the last of them a user's or a tool's",
            lambda found: 0 < len(found) <= _MOST_MESSAGES,
            show=False,
        ),
    ]
    """As Chat Completions has them: `role` and `content`, which is a text or a list of parts
    (`text`, `image_url`); `tool_calls`, `tool_call_id`."""
    name: Annotated[str | None, _NAME] = None
    """Shape that its figures stand under; lines of one name are one shape. Without it, `line-3`."""
    weight: Annotated[float, Range("a number", 0, 1_000, exclusive=True)] = 1.0
    """How often it comes: with weights of 3 and 1, three times of four."""
    max_tokens: Annotated[int | None, Range("a whole number", 1, 1_000_000)] = None
    """Its own answer cap; at most the route's, which lines without one have."""
    tools: Annotated[
        tuple[dict[str, Any], ...],
        Shape(
            f"a list of at most {_MOST_TOOLS} functions",
            lambda found: len(found) <= _MOST_TOOLS,
            show=False,
        ),
    ] = ()
    """As Chat Completions has them: `{"type": "function", "function": {"name": …}}`."""
    images: Annotated[
        tuple[str, ...], Shape(f"a list of texts, each {_IMAGE_WORDS}", show=False)
    ] = ()
    """Pictures that go with the last message: data URLs, or files relative to this one."""
    expect: Annotated[
        dict[str, Any] | None, Shape("an object with the keys of a route's `expect`", show=False)
    ] = None
    """What its answer must be, in the place of what the route expects."""


class PromptsFileError(ValueError):
    """The file cannot be used; `problems` says why, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def read_prompts(file: Path) -> tuple[Prompt, ...]:
    """Return the prompts of a file, in its order.

    Raises:
        PromptsFileError: it cannot be read, or has mistakes: all of them.
    """
    text = _text_of(file)
    prompts, problems, size = [], [], 0
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        reader = _LineReader(file, number)
        prompt = reader.read(line)
        problems += reader.problems
        if prompt is not None:
            prompts.append(prompt)
            size += sum(len(url) for one in prompt.messages for url in one.images) + len(line)
    problems += [f"{file}: {words}" for words in _together(prompts, size)]
    if not prompts and not problems:
        problems = [f"{file}: is empty, expected at least one line with messages"]
    if problems:
        raise PromptsFileError(problems)
    return tuple(prompts)


def _together(prompts: Sequence[Prompt], size: int) -> Iterator[str]:
    """Give what is wrong with lines that are each good by itself."""
    if len(prompts) > MOST_LINES:
        yield f"has {counted(len(prompts), 'line')}, expected at most {MOST_LINES}"
    if size > LARGEST_IN_ALL_MB * 1_000_000:
        yield f"is with its pictures larger than {LARGEST_IN_ALL_MB} MB"
    shapes: dict[str, Prompt] = {}
    for prompt in prompts:
        first = shapes.setdefault(prompt.name, prompt)
        if first.max_tokens != prompt.max_tokens:
            cap = "none" if first.max_tokens is None else f"{first.max_tokens:,}"
            words = f"expected that of line {first.line}, which has the same name: {cap}"
            yield f"line {prompt.line}: max_tokens: {words}"
    if len(shapes) > MOST_SHAPES and len(prompts) <= MOST_LINES:
        named = counted(len(shapes), "shape")
        yield f"has {named}, expected at most {MOST_SHAPES}: lines may share a name"


def _text_of(file: Path) -> str:
    try:
        return decode_text(read_trusted(file, LARGEST_FILE_MB * 1_000_000))
    except TooLargeError:
        complaint = f"is larger than {LARGEST_FILE_MB} MB"
    except OSError as error:
        complaint = error.strerror or str(error)
    except (UntrustedError, EncodingError) as error:
        complaint = str(error)
    raise PromptsFileError([f"{file}: {complaint}"])


class _LineReader:
    """Reads one line, and gathers what is wrong with it."""

    def __init__(self, file: Path, number: int) -> None:
        self._folder = file.parent
        self._number = number
        self._images = 0
        self.problems: list[str] = []
        where = f"{file}: line {number}"
        self._noted = Problems(lambda keys: f"{where}: {dotted(keys)}" if keys else where)

    def read(self, line: str) -> Prompt | None:
        """Return the prompt of a line; None where it has mistakes, which are in `problems`."""
        prompt = self._prompt(line)
        self.problems = list(self._noted.lines)
        return None if self.problems else prompt

    def _prompt(self, line: str) -> Prompt | None:
        try:
            raw = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            self._noted.add((), "is no JSON, expected one object a line")
            return None
        fields = fields_of(PromptsFileLine)
        if not isinstance(raw, dict):
            self._noted.add((), f"got {shown(raw)}, expected an object with messages")
            return None
        values = read_table(raw, fields, (), self._noted)
        note_missing(raw, fields, (), self._noted)
        messages = [
            self._message(one, ("messages", str(index)))
            for index, one in enumerate(values.get("messages", ()))
        ]
        tools = [
            self._tool(one, ("tools", str(index)))
            for index, one in enumerate(values.get("tools", ()))
        ]
        images = tuple(
            self._image(one, ("images", str(index)))
            for index, one in enumerate(values.get("images", ()))
        )
        if messages and messages[-1].role not in ("user", "tool"):
            words = f"got {shown(messages[-1].role)}, expected the last to be a user's or a tool's"
            self._noted.add(("messages", str(len(messages) - 1), "role"), words)
        elif images:
            last = messages[-1]
            messages[-1] = msgspec.structs.replace(last, images=(*last.images, *images))
        expect = None
        if "expect" in values:
            expect = read_expect(values["expect"], self._folder, ("expect",), self._noted)
        if self._images > _MOST_IMAGES:
            words = f"has {counted(self._images, 'picture')}, expected at most {_MOST_IMAGES}"
            self._noted.add((), words)
        return Prompt(
            name=values.get("name") or f"line-{self._number}",
            messages=tuple(messages),
            tools=tuple(tools),
            weight=values.get("weight", 1.0),
            max_tokens=values.get("max_tokens"),
            expect=expect,
            line=self._number,
        )

    def _message(self, raw: Mapping[str, Any], path: KeyPath) -> Message:
        said = raw.get("role")
        role = _ROLES.get(said) if isinstance(said, str) else None
        if role is None:
            words = " or ".join(f'"{one}"' for one in get_args(Role))
            self._noted.add((*path, "role"), f"got {shown(said)}, expected {words}")
            role = "user"
        for key in raw:
            if key not in ("role", "content", "tool_calls", "tool_call_id", "name", "refusal"):
                self._noted.unknown((*path, key), ("role", "content", "tool_calls", "tool_call_id"))
        texts, images = self._content(raw.get("content"), (*path, "content"))
        calls = tuple(
            self._call(one, (*path, "tool_calls", str(index)))
            for index, one in enumerate(_list(raw.get("tool_calls")))
        )
        if calls and role != "assistant":
            self._noted.add((*path, "tool_calls"), "stand in a message that is no assistant's")
        if images and role != "user":
            self._noted.add((*path, "content"), "has pictures in a message that is no user's")
        call_id = raw.get("tool_call_id")
        if role == "tool" and not (isinstance(call_id, str) and call_id):
            words = f"got {shown(call_id)}, expected the id of the call that it answers"
            self._noted.add((*path, "tool_call_id"), words)
        if not (texts or images or calls):
            self._noted.add((*path, "content"), "is empty, expected a text or a list of parts")
        return Message(
            role=role,
            text="\n".join(texts),
            images=images,
            tool_calls=calls,
            tool_call_id=call_id if role == "tool" and isinstance(call_id, str) else "",
        )

    def _content(self, raw: object, path: KeyPath) -> tuple[list[str], tuple[str, ...]]:
        if raw is None or isinstance(raw, str):
            return ([raw] if raw else []), ()
        texts, images = [], []
        if not isinstance(raw, list):
            self._noted.add(path, f"got {shown(raw)}, expected a text or a list of parts")
            return [], ()
        for index, part in enumerate(raw):
            here = (*path, str(index))
            kind = part.get("type") if isinstance(part, dict) else None
            match part:
                case {"type": "text", "text": str(text)}:
                    texts.append(text)
                case {"type": "image_url", "image_url": {"url": str(url)} | str(url)}:
                    images.append(self._image(url, (*here, "image_url")))
                case _:
                    words = 'expected {"type": "text"} with a text, or {"type": "image_url"}'
                    self._noted.add(here, f"got type {shown(kind)}, {words}")
        return texts, tuple(images)

    def _call(self, raw: object, path: KeyPath) -> ToolCall:
        match raw:
            case {
                "id": str(identity),
                "function": {"name": str(name), "arguments": str(arguments)},
            } if identity and name and _is_object(arguments):
                return ToolCall(id=identity, name=name, arguments=arguments)
        words = 'expected {"id", "function": {"name", "arguments": "{…}"}}'
        self._noted.add(path, f"is no call of a tool, {words}")
        return ToolCall(id="", name="", arguments="{}")

    def _tool(self, raw: object, path: KeyPath) -> Tool:
        match raw:
            case {"type": "function", "function": {"name": str(name), **rest}} if name:
                description, parameters = rest.get("description", ""), rest.get("parameters", {})
                if isinstance(description, str) and isinstance(parameters, dict):
                    return Tool(name=name, description=description, parameters=parameters)
        words = 'expected {"type": "function", "function": {"name", "description", "parameters"}}'
        self._noted.add(path, f"is no function, {words}")
        return Tool(name="")

    def _image(self, value: str, path: KeyPath) -> str:
        """Return a picture as a data URL; what is none is noted."""
        self._images += 1
        if value.startswith("data:"):
            found = _DATA_URL.fullmatch(value)
            try:
                picture = base64.b64decode(found[1], validate=True) if found else b""
            except binascii.Error:
                picture = b""
            if not picture or len(picture) > LARGEST_IMAGE_MB * 1_000_000:
                words = f"is no data URL of at most {LARGEST_IMAGE_MB} MB, expected {_IMAGE_WORDS}"
                self._noted.add(path, words)
            return value
        if re.match(r"[a-z][a-z0-9+.-]*://", value, re.IGNORECASE):
            self._noted.add(path, f"is a URL that would be fetched, expected {_IMAGE_WORDS}")
            return ""
        try:
            file = path_of(value, self._folder)
            picture = read_trusted(file, LARGEST_IMAGE_MB * 1_000_000)
        except TooLargeError:
            self._noted.add(path, f"got {shown(value)}, which is larger than {LARGEST_IMAGE_MB} MB")
            return ""
        except (OSError, UntrustedError, PathError) as error:
            why = (error.strerror or error) if isinstance(error, OSError) else error
            self._noted.add(path, f"got {shown(value)}: {why}; expected {_IMAGE_WORDS}")
            return ""
        kind = next((name for magic, name in _MEDIA if picture.startswith(magic)), "")
        if picture[:4] == b"RIFF" and picture[8:12] == b"WEBP":
            kind = "webp"
        if not kind:
            self._noted.add(path, f"got {shown(value)}, expected {_IMAGE_WORDS}")
        return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
