"""Refusals with all that the server said; servers that are silent, absent or not ours; keys that stay secret."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest
from homes import ENDPOINT
from people import PERSON
from servers import Server, free_port
from strangers import stranger

from ml_pipeline.client import Client
from ml_pipeline.errors import CallFailed, ForeignReply, InvalidInput, NotReachable, Refused


def test_a_refusal_carries_what_the_server_said(door: Server, client: Client) -> None:
    with pytest.raises(Refused) as caught:
        client.predict(ENDPOINT, [PERSON, {**PERSON, "age": "old", "height": 2}])
    error = caught.value
    assert (error.status, error.code, error.retry_after_s) == (422, "invalid_input", None)
    assert {(detail["row"], detail["field"]) for detail in error.details} == {(1, "age"), (1, "height")}
    assert error.message == str(error)
    lines = error.message.splitlines()[1:]
    assert len(lines) == 2
    assert any("row 1, field 'age': expected an integer" in line and 'got "old"' in line for line in lines)


def test_a_single_complaint_is_said_once(client: Client) -> None:
    with pytest.raises(Refused) as caught:
        client.predict(ENDPOINT, {**PERSON, "age": "old"})
    assert str(caught.value).count("'age'") == 1


@pytest.mark.parametrize("scope", [None, "read"])
def test_a_key_that_is_missing_or_opens_something_else_is_refused(door: Server, scope: str | None) -> None:
    with (
        Client(door.url, door.home.keys[scope] if scope else None) as stranger,
        pytest.raises(Refused) as caught,
    ):
        stranger.predict(ENDPOINT, PERSON)
    assert (caught.value.status, caught.value.code) == ((403, "forbidden") if scope else (401, "unauthenticated"))


def test_the_environment_names_server_and_key(door: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_PIPELINE_URL", f"{door.url}/")
    monkeypatch.setenv("ML_PIPELINE_API_KEY", f"{door.home.keys['predict']}\n")
    with Client() as client:
        assert client.predict(ENDPOINT, PERSON)["status"] == "OK"


def test_what_passes_says_when_to_come_again(start: Callable[..., Server]) -> None:
    server = start("asgi")
    with closing(sqlite3.connect(server.home.folder / "db.sqlite3")) as database:
        database.execute("ALTER TABLE endpoints_mlrequest RENAME TO hidden")
    with Client(server.url, server.home.keys["predict"]) as client, pytest.raises(Refused) as caught:
        client.predict(ENDPOINT, PERSON)
    assert (caught.value.status, caught.value.code, caught.value.retry_after_s) == (503, "journal_unavailable", 1)


def test_nobody_at_the_address_is_not_reachable() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with Client(url, "key") as client, pytest.raises(NotReachable, match=f"{url} is not reachable"):
        client.predict(ENDPOINT, PERSON)


def test_a_server_that_says_nothing_is_not_waited_for_without_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Client(url, "key", timeout_s=0.2) as client, pytest.raises(NotReachable, match=r"no answer within 0\.2 s"):
            client.predict(ENDPOINT, PERSON)


@pytest.mark.parametrize("status", [200, 404, 502])
def test_a_page_of_a_proxy_is_not_taken_for_a_reply(status: int) -> None:
    page = b"<html><body>Bad Gateway</body></html>"
    with stranger(status, page, Content_Type="text/html; charset=utf-8") as proxy, Client(proxy.url, "key") as client:
        with pytest.raises(ForeignReply, match=f"answered {status} with text/html"):
            client.predict(ENDPOINT, PERSON)
        assert len(proxy.asked) == 1


def test_json_in_another_shape_is_not_taken_for_a_refusal() -> None:
    with (
        stranger(404, b'{"detail": "Not Found"}', Content_Type="application/json") as other,
        Client(other.url, "key") as client,
    ):
        with pytest.raises(ForeignReply, match="answered 404 with application/json"):
            client.predict(ENDPOINT, PERSON)
        with pytest.raises(ForeignReply):
            client.ready()


def test_the_key_goes_nowhere_but_to_the_server_that_was_named() -> None:
    with stranger(200, b"[]", Content_Type="application/json") as elsewhere:
        moved = {"Location": f"{elsewhere.url}/api/v1/mlalgorithms", "Content_Type": "text/html"}
        with (
            stranger(301, b"", **moved) as proxy,
            Client(proxy.url, "mlp_secret") as client,
            pytest.raises(ForeignReply, match=elsewhere.url),
        ):
            client.algorithms()
        link = f'<{elsewhere.url}/api/v1/mlalgorithms?before=7&limit=1000>; rel="next"'
        body = b'[{"id": 8}]'
        with stranger(200, body, Content_Type="application/json", Link=link) as proxy, Client(proxy.url, "k") as client:
            pages = client._connection.pages("/api/v1/mlalgorithms", {"endpoint": "wine"}, limit=2)
            assert len(pages) == 2
            assert [path for _, path, _ in proxy.asked][1] == "/api/v1/mlalgorithms?before=7&limit=1000"
        assert elsewhere.asked == []


def test_nothing_is_sent_twice() -> None:
    with stranger(503, b'{"error": {"code": "overloaded", "message": "Later."}}', Retry_After="1") as server:
        with Client(server.url, "key") as client, pytest.raises(Refused) as caught:
            client.predict(ENDPOINT, PERSON)
        assert (caught.value.retry_after_s, caught.value.message) == (1, "Later.")
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://[", "nonsense", "http://me:secret@host"]
)
def test_what_is_no_address_is_named_at_once(url: str) -> None:
    with pytest.raises(InvalidInput, match="an address such as") as caught:
        Client(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("key", ["mlp_sécret", "mlp secret", "mlp\nsecret"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(InvalidInput, match="an API key") as caught:
        Client("http://127.0.0.1:1", key)
    assert "cret" not in str(caught.value)
    assert "mlp" not in repr(Client("http://127.0.0.1:1", "mlp_secret"))


def test_a_prefix_in_the_address_is_kept() -> None:
    with (
        stranger(200, b'{"ready": true}', Content_Type="application/json") as server,
        Client(f"{server.url}/models/", "key") as client,
    ):
        client.ready()
        assert server.asked[0][1] == "/models/readyz"


def test_one_base_holds_whatever_befalls_a_call() -> None:
    assert {NotReachable, ForeignReply, Refused} <= set(CallFailed.__subclasses__())
