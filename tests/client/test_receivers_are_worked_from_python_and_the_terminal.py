"""`Client.receivers` and `ml-pipeline receivers` against a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from homes import Home
from servers import Server
from terminals import run

from ml_pipeline.client import Client
from ml_pipeline.errors import Refused

URL = "https://hooks.example.org/ml"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With nothing registered."""
    one = Server("asgi", Home(tmp_path_factory.mktemp("receivers") / "home").make(), {}).start()
    yield one
    one.stop()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url, server.home.keys["admin"]) as one:
        yield one


def said(server: Server, *arguments: str) -> str:
    """What the command printed; it must have ended well and complained of nothing."""
    done = run(server, "receivers", *arguments)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def test_a_receiver_goes_through_its_life_in_python(client: Client) -> None:
    made = client.receivers.add(URL, ["abtest.*"], description="what for")
    assert made["secret"].startswith("whsec_")
    assert (made["kind"], made["team"], made["description"]) == ("webhook", "default", "what for")
    assert "secret" not in client.receivers.get(made["id"])
    assert client.receivers.change(made["id"], events=["*"])["events"] == ["*"]
    assert [one["id"] for one in client.receivers.list(kind="webhook")] == [made["id"]]
    delivery = client.receivers.test(made["id"])
    assert [one["uid"] for one in client.receivers.deliveries(made["id"], state="queued")] == [delivery["uid"]]
    assert client.receivers.retry(made["id"], delivery["uid"])["state"] == "queued"
    assert client.receivers.rotate(made["id"])["secret"] != made["secret"]
    of_all = client.receivers.add(URL, ["*"], all_teams=True, administration=True)
    assert (of_all["team"], of_all["administration"]) == (None, True)
    for one in (made, of_all):
        client.receivers.remove(one["id"])
    with pytest.raises(Refused, match="no receiver"):
        client.receivers.get(made["id"])
    with pytest.raises(Refused, match="no mail server is set"):
        client.receivers.add("ops@example.org", ["*"])


def test_commands_say_what_they_did(server: Server, client: Client, tmp_path: Path) -> None:
    added = said(server, "add", URL, "--event", "abtest.ended", "--event", "batch.*")
    (receiver,) = client.receivers.list()
    first, secret, once = added.splitlines()
    assert first == f"Receiver {receiver['id']}: {URL} is told of abtest.ended, batch.*."
    assert secret.startswith("Secret: whsec_")
    assert once.startswith("Keep the secret")
    number = str(receiver["id"])
    assert URL in said(server, "list")
    assert json.loads(said(server, "list", "--json"))[0]["id"] == receiver["id"]
    assert "is on its way" in said(server, "test", number)
    assert "receiver.test" in said(server, "deliveries", number)
    assert json.loads(said(server, "deliveries", number, "--json", "--state", "queued"))[0]["attempts"] == 0
    rotated = said(server, "rotate", number)
    assert rotated.startswith("Secret: whsec_")
    assert "is used as well until" in rotated
    assert said(server, "remove", number) == f"Receiver {number} is removed.\n"
    assert client.receivers.list() == []


def test_what_cannot_be_done_is_said(server: Server) -> None:
    for arguments, code, told in (
        (("add", "http://10.0.0.1/", "--event", "*"), 1, "ML_PIPELINE_WEBHOOK_ALLOW"),
        (("add", URL, "--event", "no.such"), 1, "docs/webhooks.md"),
        (("add", URL), 2, "--event"),
        (("add", URL, "--event", "*", "--team", "x", "--all-teams"), 2, "--team"),
        (("remove", "999"), 1, "no receiver"),
    ):
        done = run(server, "receivers", *arguments)
        assert (done.returncode, told in done.stderr) == (code, True), done.stderr
