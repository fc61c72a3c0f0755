"""Whoever guesses passwords is told to wait, on every page, in whichever process, and whatever headers he makes up."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from homes import Home
from servers import Server

from ml_pipeline.apps.accounts.tries import MAX_TRIES

PASSWORD = "correct horse battery staple"
PAGES = ("/login", "/admin/login/")
PROXY = {"ML_PIPELINE_TRUSTED_PROXIES": "127.0.0.1"}
FORGET = """
import django
django.setup()
from ml_pipeline.apps.accounts.models import LoginTries
LoginTries.objects.all().delete()
"""
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def people(prepared_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = prepared_home.copy(tmp_path_factory.mktemp("people") / "home")
    home.python(
        f"""
import django
django.setup()
from django.contrib.auth.models import User
for name in ("ann", "bob", "cid"):
    User.objects.create_superuser(name, password={PASSWORD!r})
"""
    )
    return home


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def behind_proxy(request: pytest.FixtureRequest, people: Home) -> Iterator[Server]:
    """It believes this machine who the client is, so that each test comes from an address of its own."""
    people.python(FORGET)
    server = Server(request.param, people, PROXY).start()
    yield server
    server.stop()


def fresh_address() -> str:
    return f"198.51.100.{next(_numbers)}"


def tried(
    server: Server, name: str, password: str, *, page: str = "/login", forwarded: str, accept: str = "text/html"
) -> httpx.Response:
    headers = {"X-Forwarded-For": forwarded, "Accept": accept, "Referer": server.url}
    with httpx.Client(base_url=server.url, timeout=60, headers=headers) as browser:
        token = re.search(
            r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get(page, headers={"Accept": "text/html"}).text
        )
        assert token
        form = {"username": name, "password": password, "csrfmiddlewaretoken": token[1]}
        return browser.post(page, data=form)


@pytest.mark.parametrize("page", PAGES)
def test_a_name_is_tried_so_often_from_any_address_and_then_refused(behind_proxy: Server, page: str) -> None:
    name = f"nobody-{behind_proxy.door}-{page}"
    for _ in range(MAX_TRIES):
        assert tried(behind_proxy, name, "wrong", page=page, forwarded=fresh_address()).status_code == 200
    refused = tried(behind_proxy, name, "wrong", page=page, forwarded=fresh_address())
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 600
    assert "Too many tries to log in" in refused.text
    assert refused.headers["content-type"].startswith("text/html")
    # On the other page too, however it is spelt.
    for other in PAGES:
        assert tried(behind_proxy, name.upper(), "wrong", page=other, forwarded=fresh_address()).status_code == 429


def test_a_program_is_told_in_the_shape_of_errors(behind_proxy: Server) -> None:
    replies = [
        tried(behind_proxy, f"bot-{behind_proxy.door}", "x", forwarded=fresh_address(), accept="application/json")
        for _ in range(MAX_TRIES + 1)
    ]
    assert replies[-1].json()["error"]["code"] == "quota_exceeded"
    assert "retry-after" in replies[-1].headers


def test_an_address_tries_names_so_often_and_others_are_not_held_up(behind_proxy: Server) -> None:
    address = fresh_address()
    for number in range(MAX_TRIES):
        assert tried(behind_proxy, f"n{number}", "wrong", forwarded=address).status_code == 200
    # What the client writes itself, left of what the proxy saw, is nothing.
    assert tried(behind_proxy, "ann", PASSWORD, forwarded=f"203.0.113.5, {address}").status_code == 429
    assert tried(behind_proxy, "ann", PASSWORD, forwarded=fresh_address()).status_code == 302


def test_the_right_password_is_refused_as_well_while_a_name_is_locked(behind_proxy: Server) -> None:
    for _ in range(MAX_TRIES):
        tried(behind_proxy, "bob", "wrong", forwarded=fresh_address())
    assert tried(behind_proxy, "bob", PASSWORD, forwarded=fresh_address()).status_code == 429


def test_a_success_gives_the_name_its_tries_back_but_not_the_address(behind_proxy: Server) -> None:
    address = fresh_address()
    for _ in range(3):
        for number in range(2):
            assert tried(behind_proxy, "cid", f"wrong {number}", forwarded=address).status_code == 200
        assert tried(behind_proxy, "cid", PASSWORD, forwarded=address).status_code == 302
    # Six of the address's tries were wrong; a person of his own does not get an attacker more of them.
    for _ in range(MAX_TRIES - 6):
        assert tried(behind_proxy, "ann", "wrong", forwarded=address).status_code == 200
    assert tried(behind_proxy, "cid", PASSWORD, forwarded=address).status_code == 429
    assert tried(behind_proxy, "cid", PASSWORD, forwarded=fresh_address()).status_code == 302


def test_without_a_trusted_proxy_no_header_gives_another_try(people: Home, start: Callable[..., Server]) -> None:
    people.python(FORGET)
    server = start("asgi", at=people)
    statuses = [tried(server, f"m{number}", "wrong", forwarded=fresh_address()).status_code for number in range(10)]
    assert statuses == [200] * MAX_TRIES + [429] * (10 - MAX_TRIES)


def test_many_at_once_in_several_processes_get_no_more_tries(each_home: Home, start: Callable[..., Server]) -> None:
    servers = [start(door, at=each_home, **PROXY) for door in ("asgi", "wsgi", "wsgi")]

    def one(number: int, *, of: str, forwarded: str = "") -> int:
        return tried(servers[number % 3], of, "wrong", forwarded=forwarded or fresh_address()).status_code

    with ThreadPoolExecutor(12) as pool:
        by_name = list(pool.map(lambda number: one(number, of="many"), range(24)))
        address = fresh_address()
        by_address = list(pool.map(lambda number: one(number, of=f"many-{number}", forwarded=address), range(24)))
    for statuses in (by_name, by_address):
        assert sorted(statuses) == [200] * MAX_TRIES + [429] * (24 - MAX_TRIES)


def test_nothing_secret_is_written(people: Home, start: Callable[..., Server]) -> None:
    server = start("asgi", at=people, **PROXY)
    for name, password in (("typed-in-the-wrong-field", "x"), ("ann", "a-wrong-secret-of-ann")):
        tried(server, name, password, forwarded=fresh_address())
    written = b"".join(path.read_bytes() for path in people.folder.glob("db.sqlite3*")) + server.log.encode()
    assert b"typed-in-the-wrong-field" not in written
    assert b"a-wrong-secret" not in written
