"""No program that is started has a secret that was given to us, whatever its variable is called."""

import ast
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio
import pytest

from probes.bus.address import bus_address
from probes.config import Config, Route
from probes.config.key_command import run_key_command
from probes.config.places import GivenPlace
from probes.config.secrets import resolve_headers
from probes.config.webhooks import webhook_url
from probes.kit import child_environment as module
from probes.kit.child_environment import child_environment, note_secret
from probes.sources.child_process import launch_process
from probes.sources.ssh import ssh_launch
from probes.sources.supervised import Launch

posix = pytest.mark.skipif(os.name != "posix", reason="needs processes of POSIX")
ROOT = Path(__file__).parents[3]
KEY = "sk-abcdefghijklmnop"


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_names", set())
    monkeypatch.setattr(module, "_values", set())


def test_what_only_we_read_is_left_out_unasked() -> None:
    ours = ("LLMTOP_BUS", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
    given = dict.fromkeys(ours, "s3cret") | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h", "C": "c"}
    assert child_environment(given).keys() == {"OTEL_EXPORTER_OTLP_ENDPOINT", "C"}


def test_a_secret_is_left_out_by_its_name_and_wherever_it_stands() -> None:
    note_secret(KEY, "MY_KEY")
    given = {"MY_KEY": "another by now", "COPY": KEY, "HEADER": f"Bearer {KEY}", "C": "c"}
    assert child_environment(given) == {"C": "c"}


def test_secrets_of_the_caller_count_once() -> None:
    assert child_environment({"A": KEY, "B": "b"}, {KEY, ""}) == {"B": "b"}
    assert child_environment({"A": KEY}) == {"A": KEY}


def test_a_word_that_is_given_for_a_key_takes_no_other_variable_away() -> None:
    note_secret("x", "LOCAL_KEY")
    note_secret("lm-studio", "OTHER_KEY")
    note_secret(" ", "EMPTY_KEY")
    kept = {
        "PATH": "/usr/bin:/home/me/lm-studio/bin",
        "HOME": "/home/x",
        "EDITOR": "vix",
        "LC_NAME": "fr_FX.x",
    }
    given = kept | {"LOCAL_KEY": "x", "OTHER_KEY": "lm-studio", "SAME": "x", "EMPTY_KEY": " "}
    assert child_environment(given) == kept


def test_a_short_password_of_a_url_is_one() -> None:
    note_secret("pw")
    given = {"NATS_URL": "nats://ann:pw@bus:4222", "OTHER": "nats://ann@bus:4222"}
    assert child_environment(given).keys() == {"OTHER"}


@posix
def test_neither_an_engine_nor_ssh_nor_a_key_command_has_what_we_were_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hook = "https://alerts.example.com/T0/B1/sEcReT"
    for name, value in {
        "LLMTOP_BUS": "nats://ann:first@bus",
        "OTHER_BUS": "nats://ann:other-pw@bus",
        "MY_KEY": KEY,
        "HEADER_KEY": "hdr-0123456789",
        "COPY": f"key={KEY}",
        "HOOK": hook,
        "KEPT": "kept",
    }.items():
        monkeypatch.setenv(name, value)
    # Whatever is started is this: ssh, the interpreter of an engine.
    out = tmp_path / "out"
    script = tmp_path / "ssh"
    script.write_text(f'#!/bin/sh\nenv > "{out}"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    printed = run_key_command(["sh", "-c", "echo ${LLMTOP_BUS:-none}-${MY_KEY:-none}"])
    assert printed == f"none-{KEY}\n", "a key may be made of another"
    bus_address("env:OTHER_BUS")
    webhook_url("env:HOOK", os.environ)
    route = Route(
        name="r",
        base_url="https://x.example/v1",
        model="m",
        api_key_env="MY_KEY",
        headers={"X-Key": "env:HEADER_KEY"},
    )
    resolve_headers(Config(routes=(route,)), os.environ)

    place = GivenPlace("eu", "ssh", "eu.example", "llmtop")
    engine = partial(launch_process, argv=[str(script)])
    for launch in (engine, ssh_launch(place)):
        anyio.run(started, launch)
        found = dict(line.partition("=")[::2] for line in out.read_text().splitlines())
        assert found["KEPT"] == "kept"
        assert not {"LLMTOP_BUS", "OTHER_BUS", "MY_KEY", "HEADER_KEY", "COPY", "HOOK"} & {*found}
        out.unlink()
    assert not {"OTHER_BUS", "MY_KEY", "HOOK"} & {*child_environment(os.environ)}


async def started(launch: Launch) -> None:
    async with anyio.create_task_group() as tasks:
        child = await launch(tasks)
        await child.wait()


def starts() -> Iterator[tuple[str, ast.Call]]:
    """Each call of the product that starts a program."""
    for room in ("probes", "tui"):
        for file in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call):
                    called = ast.unparse(node.func)
                    if called.startswith("subprocess.") or called.endswith(
                        (".open_process", ".run_process", "os.system", "os.spawnv", "os.popen")
                    ):
                        yield f"{file.relative_to(ROOT)}:{node.lineno}", node


def test_every_program_that_is_started_is_told_its_environment() -> None:
    found = dict(starts())
    assert len(found) >= 7
    bare = [
        where
        for where, call in found.items()
        if not any(given.arg == "env" for given in call.keywords)
    ]
    assert not bare, "a program inherits all of our environment: give it child_environment"
