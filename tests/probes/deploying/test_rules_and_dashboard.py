"""What ships for Prometheus and Grafana speaks of metrics that there are, by labels they have."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import probes.deploying
from probes.events import Outcome
from probes.exports.metrics import METRIC, METRICS

FOLDER = Path(probes.deploying.__file__).parent
RULES = (FOLDER / "rules.yaml").read_text("utf-8")
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text("utf-8"))
RECORDED = {*re.findall(r"^ +- record: (\S+)$", RULES, re.MULTILINE)}
NAME = re.compile(r"\bllmtop_[a-z0-9_]+\b")
SERIES = {
    name
    for metric in METRICS
    for name in (
        metric.name,
        *(
            (f"{metric.name}_bucket", f"{metric.name}_count", f"{metric.name}_sum")
            if metric.kind == "histogram"
            else ()
        ),
    )
}
FROM_PROMETHEUS = {"job", "instance", "le"}


def expressions() -> Iterator[tuple[str, str]]:
    """Give every query that ships, with where it stands."""
    found = re.findall(r"^ +expr: (?:\|\n((?: {10,}.*\n)+)|(.+)\n)", RULES, re.MULTILINE)
    for number, (block, line) in enumerate(found):
        yield f"rule {number}", block or line
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"]


EXPRESSIONS = dict.fromkeys(f"{where}: {' '.join(expr.split())}" for where, expr in expressions())


def test_all_of_them_are_looked_at() -> None:
    rules = len(re.findall(r"^ +- (?:alert|record):", RULES, re.MULTILINE))
    queries = sum(len(panel.get("targets", ())) for panel in DASHBOARD["panels"])
    assert sum(1 for _ in expressions()) == rules + queries + 3
    assert rules > 15
    assert queries > 40


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_that_is_named_exists(expression: str) -> None:
    query = expression.partition(": ")[2]
    assert {*NAME.findall(query)} <= SERIES
    assert {*re.findall(r"llmtop:[a-z0-9_:]+", query)} <= RECORDED


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_label_that_is_asked_for_exists(expression: str) -> None:
    query = expression.partition(": ")[2]
    names = NAME.findall(query)
    bases = (re.sub(r"_(bucket|count|sum)$", "", name) for name in names if name not in METRIC)
    known = {
        label
        for name in (*bases, *(n for n in names if n in METRIC))
        for label in METRIC[name].labels
    }
    if "llmtop:" in query:
        known |= {"route", "model", "place"}
    for selector in re.findall(r"\{([^}]*)\}", query):
        asked = {*re.findall(r"([a-z_]+)(?:=~|!~|!=|=)\"", selector)}
        assert asked <= known | FROM_PROMETHEUS
    for grouped in re.findall(r"\b(?:by|without) \(([^)]*)\)", query):
        assert {*map(str.strip, grouped.split(","))} <= known | FROM_PROMETHEUS
    for outcomes in re.findall(r"outcome(?:=~|!~|!=|=)\"([^\"]*)\"", query):
        assert {*outcomes.split("|")} <= {*Outcome.__args__}


def test_every_metric_is_on_the_dashboard() -> None:
    """What is served and nowhere shown nobody needs."""
    shown = {
        re.sub(r"_(bucket|count|sum)$", "", name) if name not in METRIC else name
        for name in NAME.findall(json.dumps(DASHBOARD))
    }
    assert {*METRIC} - shown == set()


def test_every_query_is_of_those_that_are_chosen() -> None:
    """Agents and a cockpit of theirs serve the same: whoever has both looks at one kind."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            selectors = re.findall(r"\bllmtop_[a-z0-9_]+(\{[^}]*\})?", target["expr"])
            assert all('instance=~"$instance"' in one for one in selectors), target["expr"]


def test_nothing_looks_well_where_there_is_nothing() -> None:
    """A figure that stands for none would say of an llmtop that is away that all is well."""
    for panel in DASHBOARD["panels"]:
        if panel["type"] == "stat":
            assert "noValue" not in panel["fieldConfig"]["defaults"], panel["title"]


def test_every_alert_says_who_and_how_much_it_matters() -> None:
    alerts = re.split(r"^ +- alert: ", RULES, flags=re.MULTILINE)[1:]
    assert len(alerts) > 12
    for alert in alerts:
        name = alert.partition("\n")[0]
        assert re.search(r"severity: (page|warning)", alert), name
        assert "summary:" in alert, name
    names = [alert.partition("\n")[0] for alert in alerts]
    assert len({*names}) == len(names)
    assert all(re.fullmatch(r"Llmtop[A-Za-z]+", name) for name in names)


def test_panels_lie_side_by_side() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len({*ids}) == len(ids)


def test_the_dashboard_asks_which_prometheus_it_reads() -> None:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] == "${datasource}", panel["title"]


def test_panels_and_variables_have_what_grafana_s_types_require() -> None:
    """By `@grafana/schema` 13.2: what is left out there is a mistake of types, not a default."""
    required = {
        "timeseries": ("legend", {"calcs", "displayMode", "placement", "showLegend"}),
        "heatmap": ("color", {"exponent", "fill", "reverse", "scheme", "steps"}),
        "stat": ("reduceOptions", {"calcs"}),
    }
    for panel in DASHBOARD["panels"]:
        if panel["type"] in required:
            option, keys = required[panel["type"]]
            assert keys <= {*panel["options"][option]}, panel["title"]
    for variable in DASHBOARD["templating"]["list"]:
        assert {"text", "value"} <= {*variable["current"]}, variable["name"]
