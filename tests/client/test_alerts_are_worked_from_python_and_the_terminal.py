"""`Client.alerts` and `ml-pipeline alerts` against a real server, and open alerts in `ml-pipeline status`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from homes import Home
from servers import Server
from terminals import run

from ml_pipeline.client import Client
from ml_pipeline.errors import Refused

ENDPOINT = "demo"
_MADE = """
import django
django.setup()
from ml_pipeline.apps.accounts.models import Team
from ml_pipeline.apps.endpoints import endpoints
endpoints.create("demo", Team.objects.get(name="default"), actor="tests")
"""
_ROUND = """
import django
django.setup()
from ml_pipeline.apps.jobs import jobs, leases
from ml_pipeline.apps.monitoring import alert_rounds
jobs.stand(["monitoring.alerts"])
lease = leases.claim(["monitoring.alerts"], "tests")
alert_rounds.work(lease)
lease.postpone(0.0)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With an endpoint that nobody has asked anything, and nothing registered."""
    home = Home(tmp_path_factory.mktemp("alerts") / "home").make()
    home.python(_MADE)
    one = Server("asgi", home, {}).start()
    yield one
    one.stop()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url, server.home.keys["admin"]) as one:
        yield one


def said(server: Server, *arguments: str) -> str:
    """What the command printed; it must have ended well and complained of nothing."""
    done = run(server, *arguments)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def test_a_rule_goes_through_its_life_in_python(server: Server, client: Client) -> None:
    rule = client.alerts.add(ENDPOINT, "silent", "requests", below=5, window_hours=2)
    assert (rule["condition"], rule["threshold"], rule["window_hours"]) == ("below", 5, 2)
    assert client.alerts.list() == []
    server.home.python(_ROUND)
    (alert,) = client.alerts.list(endpoint=ENDPOINT, is_open="true", rule=str(rule["id"]))
    assert client.alerts.get(alert["id"]) == alert
    assert client.alerts.rule(rule["id"])["standing"][0]["state"] == "alerting"
    assert [one["name"] for one in client.status(ENDPOINT)[0]["alerts"]] == ["silent"]
    assert client.alerts.change(rule["id"], is_active=False)["is_active"] is False
    assert client.alerts.list(is_open="true") == []
    client.alerts.remove(rule["id"])
    assert client.alerts.rules(endpoint=ENDPOINT) == []
    assert client.alerts.list(outcome="rule_switched_off")[0]["id"] == alert["id"]
    for more in ({}, {"above": 1.0, "below": 2.0}):
        with pytest.raises(ValueError, match="either above or below"):
            client.alerts.add(ENDPOINT, "x", "requests", **more)
    with pytest.raises(Refused, match="threshold"):
        client.alerts.add(ENDPOINT, "x", "accuracy", below=80)


def test_commands_say_what_they_did(server: Server, client: Client) -> None:
    assert said(server, "alerts") == "No alert is open.\n"
    added = said(server, "alerts", "add", ENDPOINT, "quiet", "requests", "--below", "5", "--hours", "3")
    (rule,) = client.alerts.rules()
    number = str(rule["id"])
    assert added == f"Rule {number}, quiet, of {ENDPOINT}: an alert when requests is below 5 in 3 h.\n"
    assert "not looked at" in said(server, "alerts", "rules")
    options = ("--recovers-at", "0.1", "--min-rows", "7", "--feature", "age", "--json")
    made = json.loads(said(server, "alerts", "add", ENDPOINT, "gaps", "missing_rate", "--above", "0.2", *options))
    assert (made["recovers_at"], made["min_rows"], made["feature"]) == (0.1, 7, "age")
    server.home.python(_ROUND)
    listed = said(server, "alerts")
    assert "requests 0, below 5" in listed
    assert json.loads(said(server, "alerts", "--json"))[0]["name"] == "quiet"
    assert "quiet: requests 0, below 5, since" in " ".join(said(server, "status", ENDPOINT).split())
    assert "alerting 0" in said(server, "alerts", "rules", "--endpoint", ENDPOINT)
    assert said(server, "alerts", "remove", number) == f"Rule {number} is removed.\n"
    assert said(server, "alerts", "--endpoint", ENDPOINT) == "No alert is open.\n"
    assert "rule deleted" in said(server, "alerts", "--all")


def test_what_cannot_be_done_is_said(server: Server) -> None:
    rule = ("add", ENDPOINT, "some", "accuracy")
    for arguments, code, told in (
        (rule, 2, "--above"),
        ((*rule, "--above", "1", "--below", "1"), 2, "--above"),
        ((*rule, "--below", "80"), 1, "threshold"),
        ((*rule, "--below", "0.8", "--version", "9"), 1, "version"),
        (("add", ENDPOINT, "some", "beauty", "--below", "1"), 1, "latency_p99_us"),
        (("add", "nobodys", "some", "accuracy", "--below", "0.8"), 1, "no endpoint"),
        (("remove", "999"), 1, "no alert rule"),
    ):
        done = run(server, "alerts", *arguments)
        assert (done.returncode, told in done.stderr) == (code, True), done.stderr
