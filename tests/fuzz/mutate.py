"""Samples made from samples, knowing what bytes, HTTP, event streams and JSON are made of."""

import gzip
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from sample import ENDS, Framing, Sample

LARGEST_BODY = 60_000
FRAMINGS: tuple[Framing, ...] = ("chunked", "length", "close")
_WORDS: dict[str, list[Any]] = json.loads((Path(__file__).parent / "dictionary.json").read_text())
TOKENS = [token.encode("latin-1") for token in _WORDS["tokens"]]


class Mutator:
    """Makes new samples from a pool, the same ones for the same seed."""

    def __init__(self, random: Random, dialects: Sequence[str]) -> None:
        self._random = random
        self._dialects = dialects
        self._of_bytes: tuple[Callable[[bytes, bytes], bytes], ...] = (
            self._flip, self._overwrite, self._delete, self._insert, self._insert, self._repeat,
            self._splice, self._cut, self._number, self._drop_event, self._swap_events,
            self._line_ends, self._json, self._json, self._json,
        )  # fmt: skip

    def next(self, pool: Sequence[Sample]) -> Sample:
        """Return a new sample."""
        random = self._random
        sample, other = self._pick(pool), self._pick(pool)
        for _ in range(random.choice((1, 1, 2, 3, 6))):
            sample = self._once(sample, other)
        return replace(sample, cuts=random.getrandbits(32))

    def _pick(self, pool: Sequence[Sample]) -> Sample:
        """Return one of the pool: the first ones, and the newest, more often than the others."""
        length = len(pool)
        start, end = self._random.choice(((0, length // 8), (0, length), (length // 2, length)))
        return pool[self._random.randrange(start, max(start + 1, end))]

    def _once(self, sample: Sample, other: Sample) -> Sample:
        random = self._random
        kind = random.randrange(20)
        if kind == 0:
            return replace(sample, dialect=random.choice(self._dialects))
        if kind == 1:
            return replace(sample, end=random.choice(ENDS))
        if kind == 2 and sample.framing != "raw":
            return replace(sample, framing=random.choice(FRAMINGS))
        if kind == 3:
            return replace(sample, framing="raw", body=sample.wire()[:LARGEST_BODY])
        if kind in (4, 5, 6, 7) and sample.framing != "raw":
            return replace(sample, head=self._head(sample.head, other.head))
        if kind == 8 and sample.framing != "raw":
            return self._coded(sample)
        changed = random.choice(self._of_bytes)(sample.body, other.body)
        return replace(sample, body=changed[:LARGEST_BODY])

    def _span(self, data: bytes) -> tuple[int, int]:
        """Return a short range mostly, any range at times."""
        start = self._random.randint(0, len(data))
        longest = self._random.choice((1, 4, 16, 64, len(data)))
        return start, min(len(data), start + self._random.randint(0, longest))

    def _flip(self, data: bytes, _other: bytes) -> bytes:
        if not data:
            return b"\0"
        at = self._random.randrange(len(data))
        return data[:at] + bytes([data[at] ^ 1 << self._random.randrange(8)]) + data[at + 1 :]

    def _overwrite(self, data: bytes, _other: bytes) -> bytes:
        start, end = self._span(data)
        return data[:start] + self._random.randbytes(end - start) + data[end:]

    def _delete(self, data: bytes, _other: bytes) -> bytes:
        start, end = self._span(data)
        return data[:start] + data[end:]

    def _insert(self, data: bytes, _other: bytes) -> bytes:
        at = self._random.randint(0, len(data))
        return data[:at] + self._random.choice(TOKENS) + data[at:]

    def _repeat(self, data: bytes, _other: bytes) -> bytes:
        start, end = self._span(data)
        times = self._random.choice((1, 2, 9, 100, 3000))
        return data[:end] + data[start:end] * min(times, 20_000 // max(1, end - start)) + data[end:]

    def _splice(self, data: bytes, other: bytes) -> bytes:
        return data[: self._span(data)[0]] + other[self._span(other)[0] :]

    def _cut(self, data: bytes, _other: bytes) -> bytes:
        return data[: self._span(data)[0]]

    def _number(self, data: bytes, _other: bytes) -> bytes:
        """Replace a digit by something extreme."""
        places = [at for at, byte in enumerate(data[:4000]) if 48 <= byte <= 57]
        if not places:
            return data
        at = self._random.choice(places)
        value = self._random.choice((b"-1", b"9" * 20, b"1e999", b"0.5", b"", b"9" * 5000, b"null"))
        return data[:at] + value + data[at + 1 :]

    def _drop_event(self, data: bytes, _other: bytes) -> bytes:
        events = data.split(b"\n\n")
        del events[self._random.randrange(len(events))]
        return b"\n\n".join(events)

    def _swap_events(self, data: bytes, other: bytes) -> bytes:
        events, others = data.split(b"\n\n"), other.split(b"\n\n")
        place = self._random.randrange(len(events))
        events[place] = self._random.choice(events + others)
        return b"\n\n".join(events)

    def _line_ends(self, data: bytes, _other: bytes) -> bytes:
        return data.replace(b"\n", self._random.choice((b"\r", b"\r\n", b"\n\n", b"\r\r\n")))

    def _json(self, data: bytes, _other: bytes) -> bytes:
        """Change something in one of the JSON values, and write it back where it was."""
        places = [at for at in range(min(len(data), 20_000)) if data[at : at + 1] == b"{"]
        starts = [at for at in places if at == 0 or data[at - 1 : at] in (b" ", b":", b"\n")]
        if not starts:
            return data
        start = self._random.choice(starts)
        text = data[start:].decode("latin-1")
        try:
            value, size = json.JSONDecoder(strict=False).raw_decode(text)
        except (ValueError, RecursionError):
            return data
        try:
            written = json.dumps(self._changed(value, 0), ensure_ascii=self._random.random() < 0.8)
        except RecursionError:
            return data
        return data[:start] + written.encode("utf-8", "replace") + data[start + size :]

    def _changed(self, value: Any, depth: int) -> Any:
        """Return a JSON value of which one part is another."""
        random = self._random
        if not isinstance(value, dict | list) or not value or random.random() < 0.15 * depth:
            other = random.choice(_WORDS["json_values"])
            deep = self._nested(value) if random.random() < 0.05 else other
            return random.choice((value, [value], {"text": value}, other, other, other, deep))
        if isinstance(value, list):
            at = random.randrange(len(value))
            times = random.choice((1, 1, 1, 0, 2, 200))
            return [*value[:at], *[self._changed(value[at], depth + 1)] * times, *value[at + 1 :]]
        key = random.choice(list(value))
        changed = {**value, key: self._changed(value[key], depth + 1)}
        if random.random() < 0.2:
            changed[random.choice(_WORDS["json_keys"])] = random.choice(
                (*_WORDS["json_values"], changed.pop(key))
            )
        return changed

    def _nested(self, value: Any) -> Any:
        for _ in range(self._random.choice((9, 120, 300, 700))):
            value = self._random.choice(([value], {"a": value}))
        return value

    def _head(self, head: bytes, other: bytes) -> bytes:
        random = self._random
        kind = random.randrange(6)
        if kind == 0:
            _, _, rest = head.partition(b"\r\n")
            return (
                b"HTTP/1.%d %03d X\r\n" % (random.randrange(3), random.choice(_WORDS["statuses"]))
                + rest
            )
        if kind == 1:
            return self._flip(head, b"")
        if kind == 2:
            lines = head.splitlines(keepends=True)
            del lines[random.randrange(len(lines) or 1) :][:1]
            return b"".join(lines)
        if kind == 3:
            return head + other.partition(b"\r\n")[2]
        line = f"{random.choice(_WORDS['headers'])}: {random.choice(_WORDS['values'])}\r\n"
        return head + line.encode() * random.choice((1, 1, 1, 2, 300))

    def _coded(self, sample: Sample) -> Sample:
        """Return a sample whose body is in a coding, or in another charset, as its head says."""
        coding = self._random.choice(("gzip", "deflate", "raw", "utf-16", "latin-1"))
        body = sample.body
        if coding == "gzip":
            body = gzip.compress(body, 1, mtime=0)
        elif coding == "deflate":
            body = zlib.compress(body, 1)
        elif coding == "raw":
            body = zlib.compress(body, 1)[2:-4]
        else:
            body = body.decode("utf-8", "replace").encode(coding, "replace")
            head = sample.head + f"content-type: text/plain; charset={coding}\r\n".encode()
            return replace(sample, head=head, body=body)
        said = "deflate" if coding == "raw" else coding
        return replace(
            sample, head=sample.head + f"content-encoding: {said}\r\n".encode(), body=body
        )
