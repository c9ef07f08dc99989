"""Load generators of others, run by their own commands where they are on the PATH.

They cannot be told to stop early, so they get a duration; their stamps are wall time, mapped to
monotonic time when they have ended.
"""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import msgspec

from ..client import RunningClient, Task
from ..processes import descendants
from ..readings import Reading, Report
from ..spawning import foreign_environment, spawned, wait_for_end
from .tokenizer import write_tokenizer

MARGIN_S = 2.0
"""By which a tool streams longer than it is watched."""
PATIENCE_S = 120.0
"""They reckon for a while after the last answer."""
NS_PER_MS = 1e6
NS_PER_S = 1_000_000_000
TOKENIZER = "tokenizer"
RESULT = "result"
GUIDELLM_FILE = "benchmarks.json"


def aiperf_report(lines: Sequence[bytes], offset_ns: int) -> Report:
    """Return what AIPerf's `profile_export.jsonl` says; `offset_ns` is wall − monotonic time.

    Its request latency ends with the last output; the request's own end stands in its metadata.
    """
    readings = []
    for line in lines:
        record = msgspec.json.decode(line)
        about, metrics = record["metadata"], record["metrics"]
        if about["was_cancelled"] or "time_to_first_token" not in metrics:
            continue
        started_ns = about["request_start_ns"] - offset_ns
        first_ns = started_ns + round(metrics["time_to_first_token"]["value"] * NS_PER_MS)
        gaps = (round(gap * NS_PER_MS) for gap in metrics["inter_chunk_latency"]["value"])
        reading = Reading(
            request_id=about["x_request_id"],
            started_ns=started_ns,
            first_ns=first_ns,
            done_ns=about["request_end_ns"] - offset_ns,
            chunks_ns=list(accumulate(gaps, initial=first_ns)),
        )
        readings.append(reading)
    return Report(readings=readings)


def _whole_ns(seconds: float) -> int:
    """Return ns without losing what a float of so many ns cannot hold."""
    return int(seconds) * NS_PER_S + round(seconds % 1 * NS_PER_S)


def guidellm_report(data: bytes, offset_ns: int) -> Report:
    """Return what GuideLLM's JSON says; it keeps no stamps of single chunks, and no connections."""
    requests = msgspec.json.decode(data)["benchmarks"][0]["requests"]["successful"]

    def reading(request: dict[str, Any]) -> Reading:
        timings = request["info"]["timings"]
        return Reading(
            request_id=request["response_id"],
            started_ns=_whole_ns(timings["request_start"]) - offset_ns,
            first_ns=_whole_ns(timings["first_token_iteration"]) - offset_ns,
            done_ns=_whole_ns(timings["request_end"]) - offset_ns,
            chunks_ns=[],
        )

    return Report(readings=[reading(request) for request in requests], always_cold=True)


def _aiperf_argv(task: Task, duration_s: float) -> list[str]:
    return [
        *("profile", "--model", "metronome", "--url", task.base_url),
        *("--endpoint-type", "chat", "--streaming", "--ui", "none"),
        *("--use-server-token-count", "--tokenizer", str(task.folder / TOKENIZER)),
        *("--concurrency", str(task.streams), "--benchmark-duration", f"{duration_s:g}"),
        *("--isl", "10", "--osl", str(task.tokens)),
        *("--artifact-dir", str(task.folder / RESULT)),
    ]


def _guidellm_argv(task: Task, duration_s: float) -> list[str]:
    backend = f"target={task.base_url},model=metronome,http2=false,validate_backend=false"
    data = f"prompt_tokens=10,output_tokens={task.tokens}"
    return [
        *("run", "--backend", f"kind=openai_http,{backend},max_tokens={task.tokens}"),
        *("--profile", f"kind=concurrent,streams={task.streams}"),
        *("--constraint", f"kind=max_duration,seconds={duration_s:g}"),
        *("--tokenizer", f"kind=hf_auto,model={task.folder / TOKENIZER}"),
        *("--data", f"kind=synthetic_text,{data}"),
        *(
            "--output",
            f"kind=json,path={task.folder / RESULT / GUIDELLM_FILE}",
            "--disable-console",
        ),
    ]


def _aiperf_result(result: Path, offset_ns: int) -> Report:
    return aiperf_report((result / "profile_export.jsonl").read_bytes().splitlines(), offset_ns)


def _guidellm_result(result: Path, offset_ns: int) -> Report:
    return guidellm_report((result / GUIDELLM_FILE).read_bytes(), offset_ns)


@dataclass(frozen=True)
class Tool:
    """A command, how it is called, and how its results are read."""

    name: str
    command: str
    arguments: Callable[[Task, float], list[str]]
    read: Callable[[Path, int], Report]
    most_streams: int = 200

    def missing(self) -> str:
        """Return why it cannot be run here, empty where it can."""
        return "" if shutil.which(self.command) else f"{self.command} is not installed"

    @contextmanager
    def start(self, task: Task) -> Iterator[RunningClient]:
        """Spawn it with a tokenizer of its own, so that it needs no network."""
        write_tokenizer(task.folder / TOKENIZER)
        (task.folder / RESULT).mkdir()
        log = task.folder / "output.txt"
        argv = [self.command, *self.arguments(task, task.seconds + MARGIN_S)]
        with (
            log.open("wb") as output,
            spawned(
                argv, task, env=foreign_environment(task), stdout=output, stderr=output
            ) as process,
        ):
            yield _Running(self, process, task.folder / RESULT, log)


@dataclass(frozen=True)
class _Running:
    tool: Tool
    process: subprocess.Popen[bytes]
    result: Path
    log: Path

    def processes(self) -> Mapping[str, list[int]]:
        return {"all": [self.process.pid, *descendants(self.process.pid)]}

    def stop(self) -> None:
        wait_for_end(self.process, self.tool.name, self.log, PATIENCE_S)

    def report(self, since_ns: int) -> Report:
        offset_ns = time.time_ns() - time.monotonic_ns()
        whole = self.tool.read(self.result, offset_ns)
        kept = [reading for reading in whole.readings if reading.started_ns >= since_ns]
        return msgspec.structs.replace(whole, readings=kept)


TOOLS = (
    Tool("AIPerf", "aiperf", _aiperf_argv, _aiperf_result),
    Tool("GuideLLM", "guidellm", _guidellm_argv, _guidellm_result),
)
