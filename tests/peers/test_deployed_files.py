"""The files that ship for operators, run as far as a machine without containers can.

What a compose file starts is started here by hand: the same programs with the same arguments, on
loopback and free ports in the place of the services' names.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import yaml
from nats_server import NatsServer, free_port
from peer_processes import python, simulated
from programs import program

import probes.deploying

FOLDER: Final = Path(probes.deploying.__file__).parent
ENDS_S: Final = 60.0
SETTINGS: Final = """
[defaults]
base_url = "{base_url}"
interval = 0.5
[routes.alpha]
model = "healthy"
"""


def text_of(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def compose() -> Any:
    return yaml.safe_load(text_of("compose.yaml"))


def llmtop(*arguments: str) -> list[str]:
    return python("-m", "tui.cli", *arguments)


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "llmtop-agent@eu.service"
    unit.write_text(text_of("llmtop-agent@.service"), encoding="utf-8")
    verify = [program("systemd-analyze", "systemd"), "verify", "--man=no", str(unit)]
    said = subprocess.run(verify, capture_output=True, text=True, timeout=ENDS_S, check=False)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


def test_the_unit_starts_an_agent(tmp_path: Path) -> None:
    (line,) = re.findall(r"^ExecStart=(.+)$", text_of("llmtop-agent@.service"), re.MULTILINE)
    words = shlex.split(line)
    assert words[:2] == ["/usr/bin/env", "llmtop"]
    given = {"%i": "eu", "/etc/llmtop/routes.toml": str(tmp_path / "routes.toml")}
    with ExitStack() as stack:
        bus = server(stack, tmp_path)
        write_settings(stack, tmp_path)
        arguments = [given.get(word, word) for word in words[2:]]
        heard = watched(stack, bus, tmp_path, {"eu": arguments})
    assert {event["route"] for event in heard if event["type"] == "probe_finished"} == {"alpha@eu"}


def test_prometheus_takes_its_settings_and_the_rules(tmp_path: Path) -> None:
    for name in ("prometheus.yaml", "rules.yaml"):
        (tmp_path / name).write_text(text_of(name), encoding="utf-8")
    check = [program("promtool", "prometheus"), "check", "config", "prometheus.yaml"]
    said = subprocess.run(
        check, cwd=tmp_path, capture_output=True, text=True, timeout=ENDS_S, check=False
    )
    assert said.returncode == 0, said.stdout + said.stderr
    scraped = yaml.safe_load(text_of("prometheus.yaml"))["scrape_configs"][0]["static_configs"]
    agents = {name: one for name, one in compose()["services"].items() if "agent" in name}
    ports = {f"{name}:{port_of(one['command'])}" for name, one in agents.items()}
    assert {target for one in scraped for target in one["targets"]} == ports


def port_of(command: list[str]) -> str:
    (port,) = [word.rpartition(":")[2] for word in command if word.startswith("--prometheus=")]
    return port


def test_the_services_of_the_compose_file_are_one_cockpit(tmp_path: Path) -> None:
    services = compose()["services"]
    told = services["nats"]["command"]
    assert told[told.index("-sd") + 1] == "/data"
    assert "bus:/data" in services["nats"]["volumes"]
    with ExitStack() as stack:
        bus = server(stack, tmp_path)
        write_settings(stack, tmp_path)
        agents = {}
        for name in ("agent-eu", "agent-us"):
            agents[name] = [
                word.replace("nats://nats:4222", bus.url)
                .replace("/etc/llmtop/routes.toml", str(tmp_path / "routes.toml"))
                .replace("0.0.0.0:9464", f"127.0.0.1:{free_port()}")
                for word in services[name]["command"]
            ]
        heard = watched(stack, bus, tmp_path, agents)
    probed = {event["route"] for event in heard if event["type"] == "probe_finished"}
    assert probed == {"alpha@eu", "alpha@us"}


def test_agents_of_two_places_on_one_machine_keep_what_is_theirs_apart() -> None:
    unit = text_of("llmtop-agent@.service")
    # A dynamic user owns its folder alone: two instances would take one from each other.
    assert "DynamicUser=yes" in unit
    assert "\nStateDirectory=llmtop/%i\n" in unit
    assert "\nEnvironment=XDG_STATE_HOME=%S/llmtop/%i\n" in unit


def test_the_container_installs_extras_that_there_are() -> None:
    (wanted,) = re.findall(r"llmtop-tui\[([a-z,0-9]+)\]", text_of("Containerfile"))
    project = (FOLDER.parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    for extra in wanted.split(","):
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra


def test_the_container_is_installed_where_there_is_a_compiler() -> None:
    """A slim image has none, and a package that tdigest stands on ships no wheels."""
    stages = re.split(r"^FROM ", text_of("Containerfile"), flags=re.MULTILINE)[1:]
    (installing,) = [stage for stage in stages if "pip install" in stage]
    image, _, name = installing.splitlines()[0].partition(" AS ")
    assert "slim" not in image
    assert "alpine" not in image
    # What runs is the same Python, and has what was installed at the same path.
    last = stages[-1]
    assert last.splitlines()[0] == f"{image}-slim"
    (folder,) = re.findall(rf"^COPY --from={name} (\S+) \1$", last, re.MULTILINE)
    assert f"python -m venv {folder}" in installing
    assert re.search(rf"^ENV PATH={folder}/bin:\$PATH", last, re.MULTILINE)


def server(stack: ExitStack, folder: Path) -> NatsServer:
    bus = NatsServer(folder)
    bus.start()
    stack.callback(bus.kill)
    return bus


def write_settings(stack: ExitStack, folder: Path) -> None:
    base_url = stack.enter_context(simulated("healthy"))
    settings = SETTINGS.format(base_url=f"{base_url}/v1")
    (folder / "routes.toml").write_text(settings, encoding="utf-8")


def watched(
    stack: ExitStack, bus: NatsServer, folder: Path, agents: dict[str, list[str]]
) -> list[dict[str, Any]]:
    """Run agents and a cockpit over them for some seconds; return what it printed."""
    for name, arguments in agents.items():
        process = subprocess.Popen(
            llmtop(*arguments),
            env={
                **environment(),
                "XDG_STATE_HOME": str(folder / name),
                "LLMTOP_BUS": bus.url,  # as the unit's environment file has it
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(process.wait, ENDS_S)
        stack.callback(process.terminate)
    heard: list[dict[str, Any]] = []
    # A busy machine takes its time to start them: look until all have probed.
    for _ in range(4):
        cockpit = llmtop("--bus", bus.url, "--headless", "--duration", "5", "--no-record")
        said = subprocess.run(
            cockpit, env=environment(), capture_output=True, text=True, timeout=ENDS_S, check=True
        )
        heard = [json.loads(line) for line in said.stdout.splitlines()]
        probed = {event["route"] for event in heard if event["type"] == "probe_finished"}
        if len(probed) == len(agents):
            break
    return heard


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
