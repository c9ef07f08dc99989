"""`llmtop deploy`: the files that ship for operators, printed: a unit, containers, Prometheus."""

from argparse import Namespace
from importlib.resources import files
from typing import Final, NamedTuple

from tui.commands.output import OK, say


class Shipped(NamedTuple):
    """A file that ships."""

    file: str
    """Its name, here and where it is to lie."""
    about: str


SHIPPED: Final = {
    "unit": Shipped("llmtop-agent@.service", "systemd: an agent; the instance names its place"),
    "containerfile": Shipped("Containerfile", "an agent in a container"),
    "compose": Shipped("compose.yaml", "a bus, two agents and Prometheus, to begin with"),
    "nats": Shipped("nats-server.conf", "nats-server: a bus with a user for each place"),
    "prometheus": Shipped("prometheus.yaml", "what Prometheus scrapes of these agents"),
    "rules": Shipped("rules.yaml", "alert rules for Prometheus, of what --prometheus serves"),
    "dashboard": Shipped("dashboard.json", "the same as a dashboard of Grafana"),
}


def run(arguments: Namespace) -> int:
    """Print a file as it is, or the list of all.

    Raises:
        OutputError: the output cannot be written.
    """
    if arguments.file is None:
        width = max(map(len, SHIPPED))
        names = max(len(one.file) for one in SHIPPED.values())
        say(f"{key:<{width}}  {one.file:<{names}}  {one.about}" for key, one in SHIPPED.items())
        return OK
    shipped = files("probes.deploying") / SHIPPED[arguments.file].file
    say(shipped.read_text(encoding="utf-8").splitlines())
    return OK
