"""People with a session: one who may do everything, and clients that have logged in as a browser would."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from homes import Home
from servers import Server

NAME, PASSWORD = "ada", "correct-horse-battery-staple"


def make_superuser(home: Home) -> None:
    """There is a superuser NAME in `home`."""
    home.python(
        "import django; django.setup()\n"
        "from django.contrib.auth.models import User\n"
        f"User.objects.filter(username={NAME!r}) or User.objects.create_superuser({NAME!r}, password={PASSWORD!r})"
    )


@contextmanager
def logged_in(server: Server, password: str = PASSWORD) -> Iterator[httpx.Client]:
    """A client with a session, where `password` is right, and without one where it is not."""
    with server.client(None) as client:
        client.post("/login", data={"username": NAME, "password": password, **token(client)})
        yield client


def token(client: httpx.Client, path: str = "/login") -> dict[str, str]:
    """What a form of the page at `path` proves by that it is the page's own."""
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get(path).text)
    assert found is not None
    return {"csrfmiddlewaretoken": found[1]}
