"""A person's new password ends all other sessions of that person; set by an administrator, all of them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import httpx
import pytest
from servers import Server

OLD, NEW, NEWER = "correct horse battery staple", "wrong horse battery staple", "another horse battery staple"
MAKE = f"""
import django
django.setup()
from django.contrib.auth.models import User
for name in ("boss", "eve"):
    User.objects.filter(username=name).delete()
    User.objects.create_superuser(name, password={OLD!r})
"""


def token_of(page: httpx.Response) -> str:
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert token, page.text
    return token[1]


@contextlib.contextmanager
def logged_in(server: Server, name: str, password: str = OLD) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=server.url, headers={"Accept": "text/html", "Referer": server.url}, timeout=60
    ) as browser:
        form = {"username": name, "password": password, "csrfmiddlewaretoken": token_of(browser.get("/login"))}
        done = browser.post("/login", data=form)
        assert done.status_code == 302, done.text
        cookie = next(one for one in done.headers.get_list("set-cookie") if one.startswith("sessionid="))
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        yield browser


def is_open(browser: httpx.Client) -> bool:
    return browser.get("/admin/").status_code == 200


@pytest.fixture(autouse=True)
def _people(door: Server) -> None:
    door.home.python(MAKE)


def test_ones_own_change_leaves_the_session_in_which_it_was_made(door: Server) -> None:
    with logged_in(door, "eve") as here, logged_in(door, "eve") as elsewhere:
        assert is_open(here)
        assert is_open(elsewhere)
        page = here.get("/admin/password_change/")
        form = {"old_password": OLD, "new_password1": NEW, "new_password2": NEW, "csrfmiddlewaretoken": token_of(page)}
        assert here.post("/admin/password_change/", data=form).status_code == 302
        assert is_open(here)
        assert not is_open(elsewhere)
        with logged_in(door, "eve", NEW) as again:
            assert is_open(again)


def test_an_administrators_change_ends_all_of_them_and_none_of_his_own(door: Server) -> None:
    with logged_in(door, "boss") as boss, logged_in(door, "eve") as one, logged_in(door, "eve") as other:
        people = boss.get("/admin/auth/user/?q=eve").text
        number = re.search(r"/admin/auth/user/(\d+)/change/", people)
        assert number, people
        address = f"/admin/auth/user/{number[1]}/password/"
        form = {"password1": NEWER, "password2": NEWER, "usable_password": "true"}
        done = boss.post(address, data={**form, "csrfmiddlewaretoken": token_of(boss.get(address))})
        assert done.status_code == 302, done.text
        assert not is_open(one)
        assert not is_open(other)
        assert is_open(boss)
