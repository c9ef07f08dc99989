"""How ssh is started, and what its ends mean."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import anyio
import pytest

from probes import __version__
from probes.config.places import GivenPlace
from probes.control.commands import Command, Configure, Go
from probes.events import Event, Held
from probes.sources.child_process import launch_process
from probes.sources.rules import HostLimits
from probes.sources.ssh import ssh_argv, ssh_explain, ssh_launch
from probes.sources.supervised import SupervisedEngine

pytestmark = pytest.mark.anyio

EU = GivenPlace("eu", "ssh", "me@eu.example")
QUICK = HostLimits(backoff_first_s=0.02, backoff_max_s=0.05, stop_grace_s=0.5)


def test_ssh_asks_nothing_and_takes_no_option_from_a_host() -> None:
    argv = ssh_argv(EU)
    assert argv[:2] == ["ssh", "-T"]
    assert argv[-4:] == ["--", "me@eu.example", "llmtop", "engine"]
    options = argv[2:-4]
    assert set(options[::2]) == {"-o"}
    assert {"BatchMode=yes", "ControlMaster=no", "ForwardAgent=no"} < set(options[1::2])
    named = GivenPlace("eu", "ssh", "box", "~/venv/bin/llmtop")
    assert ssh_argv(named)[-3:] == ["box", "~/venv/bin/llmtop", "engine"]


@pytest.mark.parametrize(
    ("how", "words", "told", "starts_again"),
    [
        (
            "exit status 255",
            "ssh: connect to host eu.example port 22: Connection refused",
            "no way to me@eu.example: ssh: connect to host eu.example port 22: Connection refused",
            "always",
        ),
        (
            "exit status 255",
            "banner of the house\nssh: Could not resolve hostname eu.example: Name not known",
            "no way to me@eu.example: ssh: Could not resolve hostname eu.example: Name not known",
            "always",
        ),
        (
            "exit status 255",
            "Connection to 127.0.0.1 closed by remote host.",
            "no way to me@eu.example: Connection to 127.0.0.1 closed by remote host",
            "always",
        ),
        (
            "exit status 255",
            "No ED25519 host key is known for x.\nHost key verification failed.",
            "the host key of me@eu.example is not known here: log in once by hand, "
            "ssh me@eu.example",
            "never",
        ),
        (
            "exit status 255",
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
            "the host key of me@eu.example has CHANGED: somebody may sit between; "
            "ask ssh me@eu.example",
            "never",
        ),
        (
            "exit status 255",
            "me@eu.example: Permission denied (publickey,password).",
            "me@eu.example does not let us in: Permission denied (publickey,password); "
            "a key is needed that asks nothing: one in the agent, or without a passphrase",
            "never",
        ),
        (
            "exit status 255",
            "/root/.ssh/config: line 3: Bad configuration option: hostt\n"
            "/root/.ssh/config: terminating, 1 bad configuration options",
            "ssh does not like its settings: Bad configuration option: hostt",
            "never",
        ),
        (
            "exit status 255",
            "",
            "the engine at me@eu.example was killed, or the way to it was cut",
            "limited",
        ),
        (
            "exit status 127",
            "bash: line 1: llmtop: command not found",
            "me@eu.example: there is no llmtop on the PATH that a command over ssh has there; "
            "install it, or name it: --place eu=ssh:me@eu.example:/path/to/llmtop",
            "never",
        ),
        (
            "exit status 126",
            "bash: line 1: /usr/bin/llmtop: Permission denied",
            "me@eu.example: llmtop cannot be run there",
            "never",
        ),
        (
            "exit status 2",
            "hello\nllmtop: routes.chat.api_key_env: environment variable KEY is not set\n"
            "llmtop: routes.code.proxy: environment variable OUT is not set",
            "me@eu.example: routes.chat.api_key_env: environment variable KEY is not set "
            "(and 1 more)",
            "never",
        ),
        (
            "exit status 2",
            "llmtop: argument COMMAND: invalid choice: 'engine' (choose from 'demo') (see llmtop)",
            "me@eu.example: llmtop there is too old to be an engine for this one; "
            f"install {__version__} there",
            "never",
        ),
        ("exit status 2", "sh: syntax error", "me@eu.example: sh: syntax error", "never"),
        (
            "exit status 1",
            "Traceback",
            "the engine at me@eu.example ended: exit status 1",
            "limited",
        ),
        (
            "killed: silent for 30 s",
            "",
            "the engine at me@eu.example ended: killed: silent for 30 s",
            "limited",
        ),
        (
            "cannot start: No such file or directory",
            "",
            "ssh cannot be run on this machine (cannot start: No such file or directory)",
            "never",
        ),
    ],
)
def test_an_end_is_told_in_words_for_a_person(
    how: str, words: str, told: str, starts_again: str
) -> None:
    end = ssh_explain(EU)(how, words)
    assert (end.words, end.starts_again) == (told, starts_again)


def test_a_path_that_was_named_is_told_where_nothing_is_there() -> None:
    named = GivenPlace("eu", "ssh", "box", "/opt/llmtop")
    words = "bash: line 1: /opt/llmtop: No such file or directory"
    end = ssh_explain(named)("exit status 127", words)
    assert end.words == "box: there is no /opt/llmtop there"


async def prepare(engine: str) -> Sequence[Command]:
    return [Configure(engine=engine, routes=()), Go()]


async def held_after(script: str, *, until: int, retry: bool = False) -> list[str]:
    """Return what is told of engines that a shell script plays."""
    held: list[str] = []

    def receive(events: list[Event], _lines: bytes) -> None:
        held.extend(event.detail for event in events if isinstance(event, Held))

    host = SupervisedEngine(
        prepare,
        receive,
        launch=partial(launch_process, argv=["/bin/sh", "-c", script]),
        limits=QUICK,
        explain=ssh_explain(EU),
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(host.run)
        with anyio.fail_after(10):
            while len(held) < until:  # noqa: ASYNC110 - a process brings it about
                await anyio.sleep(0.01)
            if retry:
                host.retry()
                while len(held) < until + 1:  # noqa: ASYNC110
                    await anyio.sleep(0.01)
        state = host.status.state
        host.stop()
    return [*held, state]


async def test_a_way_that_fails_is_tried_for_ever_with_less_and_less_haste() -> None:
    *held, state = await held_after("echo no route to host >&2; exit 255", until=6)
    assert state == "restarting"
    assert held[0] == "no way to me@eu.example: no route to host; restart in 0.02 s"
    assert held[5].endswith("restart in 0.05 s")


async def test_what_only_a_person_can_mend_is_given_up_at_once_until_he_says_so() -> None:
    *held, state = await held_after("exit 127", until=1, retry=True)
    assert state == "gave_up"
    assert [line.partition(":")[0] for line in held] == ["me@eu.example"] * 2


async def test_the_place_is_reached_by_the_ssh_of_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text(
        f'#!{sys.executable}\nimport sys\nprint("\\n".join(sys.argv), file=sys.stderr)\n'
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    async with anyio.create_task_group() as tasks:
        child = await ssh_launch(EU)(tasks)
        assert await child.wait() == "exit status 0"
    assert child.last_words().splitlines()[1:] == ssh_argv(EU)[1:]
