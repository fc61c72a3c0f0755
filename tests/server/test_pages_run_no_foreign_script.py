"""Every page says that only scripts from files of ours may run in it, and has no others itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from people import PERSON
from servers import Server

PAGES = (
    "/login",
    "/admin/login/",
    "/api/v1",
    "/api/v1/endpoints",
    "/api/v1/endpoints/income_classifier",
    "/api/v1/mlalgorithms",
    "/api/v1/mlrequests/feedback",
    "/api/docs",
    "/admin/",
    "/admin/endpoints/mlalgorithm/",
    "/admin/auth/user/1/change/",
    "/admin/password_change/",
    "/nothing/here",
)
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
}
PASSWORD = "correct horse battery staple"
MAKE = f"""
import django
django.setup()
from django.contrib.auth.models import User
if not User.objects.exists():
    User.objects.create_superuser("root", password={PASSWORD!r})
"""


@pytest.fixture(scope="module")
def person(door: Server) -> Iterator[httpx.Client]:
    """A browser in which the administrator has logged in."""
    door.home.python(MAKE)
    headers = {"Accept": "text/html", "Referer": door.url}
    with httpx.Client(base_url=door.url, headers=headers, timeout=60) as browser:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get("/login").text)
        assert token
        form = {"username": "root", "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
        assert browser.post("/login", data=form).status_code == 302
        yield browser


def directives(page: httpx.Response) -> dict[str, list[str]]:
    policy = [one.split() for one in page.headers["content-security-policy"].split(";")]
    return {name: sources for name, *sources in policy}


@pytest.mark.parametrize("path", PAGES)
def test_the_page_says_what_may_run(person: httpx.Client, path: str) -> None:
    page = person.get(path)
    assert directives(page)["default-src"] == ["'none'"]
    assert directives(page)["script-src"] == ["'self'"]
    assert directives(page)["frame-ancestors"] == ["'none'"]
    assert "geolocation=()" in page.headers["permissions-policy"]
    for name, value in HEADERS.items():
        assert page.headers[name] == value


@pytest.mark.parametrize("path", PAGES)
def test_the_page_has_no_script_that_it_forbids(person: httpx.Client, path: str) -> None:
    page = person.get(path).text
    for attributes in re.findall(r"<script\b([^>]*)>", page):
        assert 'src="/' in attributes or 'type="application/json"' in attributes, attributes
    assert not re.findall(r"""<[^>]+\son\w+\s*=\s*["']""", page)
    assert "javascript:" not in page


def test_the_documentations_script_is_a_file_of_its_own(person: httpx.Client) -> None:
    sources = re.findall(r'<script[^>]*src="([^"]+)"', person.get("/api/docs").text)
    own = person.get(next(one for one in sources if "script=" in one).replace("&amp;", "&"))
    assert own.status_code == 200
    assert own.headers["content-type"].startswith("application/javascript")
    assert "SwaggerUIBundle" in own.text


def test_a_person_logs_out_on_a_browsable_page(door: Server, person: httpx.Client) -> None:
    with httpx.Client(base_url=door.url, headers=person.headers, cookies=dict(person.cookies), timeout=60) as browser:
        page = browser.get("/api/v1/endpoints").text
        token = re.search(r'/logout[^>]*>\s*<input type="hidden" name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token, page
        assert browser.post("/logout?next=/login", data={"csrfmiddlewaretoken": token[1]}).status_code == 302
        assert browser.get("/api/v1/endpoints").status_code == 401


def test_predictions_are_taken_for_nothing_but_json(door: Server) -> None:
    assert door.predict(PERSON).headers["x-content-type-options"] == "nosniff"
    assert httpx.get(f"{door.url}/healthz").headers["x-content-type-options"] == "nosniff"
