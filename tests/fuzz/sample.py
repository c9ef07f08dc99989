"""One answer as a server may send it: its bytes, how they are cut, and how the connection ends."""

import base64
import json
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, Literal, TypeAlias

from stream_cases import CASES, dated
from wire import payloads

Framing: TypeAlias = Literal["chunked", "length", "close", "raw"]
End: TypeAlias = Literal["close", "reset", "timeout.stall", "timeout.first_token", "closed_by_us"]
ENDS: tuple[End, ...] = ("close", "reset", "timeout.stall", "timeout.first_token", "closed_by_us")
MOST_CUTS = 24
LARGEST_SEED = 30_000
_FRAMINGS: dict[str, Framing] = {"content-length": "length", "length": "length", "raw": "raw"}
_NOW_S = 1_795_430_000.0


@dataclass(frozen=True)
class Sample:
    """What is fuzzed. `head` ends before its blank line; `raw` answers have all in `body`."""

    dialect: str
    head: bytes
    body: bytes
    framing: Framing = "chunked"
    end: End = "close"
    cuts: int = 0
    """Seed of the places where the bytes are cut."""

    def wire(self) -> bytes:
        """Return the bytes on the wire."""
        if self.framing == "raw":
            return self.body
        if self.framing == "length":
            return b"%sContent-Length: %d\r\n\r\n%s" % (self.head, len(self.body), self.body)
        if self.framing == "close":
            return self.head + b"\r\n" + self.body
        chunks = (b"%x\r\n%s\r\n" % (len(piece), piece) for piece in self._cut(self.body, 6))
        return self.head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks) + b"0\r\n\r\n"

    def pieces(self) -> list[bytes]:
        """Return the bytes as they are read."""
        return self._cut(self.wire(), MOST_CUTS)

    def _cut(self, data: bytes, most: int) -> list[bytes]:
        random = Random(self.cuts)
        cuts = sorted(random.randint(0, len(data)) for _ in range(random.randint(0, most)))
        return [data[a:b] for a, b in pairwise([0, *cuts, len(data)]) if a < b]


def seeds(dialects: tuple[str, ...]) -> list[Sample]:
    """Return the samples that all begins with: the cases, each in every dialect."""
    found = [_of_case(case) for case in CASES if _size(case) <= LARGEST_SEED]
    others = [replace(one, dialect=name) for one in found for name in dialects]
    return list(dict.fromkeys(found + others))


def _size(case: dict[str, Any]) -> int:
    return sum(len(f["bytes_b64"]) * f.get("repeat", 1) for f in case["frames"])


def _of_case(case: dict[str, Any]) -> Sample:
    headers = dated(case["headers"], _NOW_S)
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    head = f"HTTP/1.1 {case['status']} X\r\n{''.join(lines)}"
    body = b"".join(piece for frame in case["frames"] for piece in payloads(frame))
    framing = _FRAMINGS.get(case.get("framing", ""), "chunked")
    if not case["status"] and framing != "raw":
        head, framing = "HTTP/1.1 200 X\r\n", "close"
    end: End = {"stall": "timeout.stall", "reset": "reset"}.get(case["close"], "close")  # type: ignore[assignment]
    return Sample(case["api"], head.encode(), body, framing, end)


def save(sample: Sample, what: str, file: Path) -> None:
    """Write a sample with what was wrong with it."""
    fields = asdict(sample)
    for name in ("head", "body"):
        fields[name] = base64.b64encode(fields[name]).decode()
    shown = sample.wire()[:400].decode("latin-1")
    file.write_text(json.dumps({"what": what, "sample": fields, "wire": shown}, indent=1) + "\n")


def load(file: Path) -> Sample:
    """Read a sample that was written."""
    fields = json.loads(file.read_text())["sample"]
    for name in ("head", "body"):
        fields[name] = base64.b64decode(fields[name])
    return Sample(**fields)
