"""With ML_PIPELINE_TLS cookies and pages go over TLS alone; only a trusted proxy says that a request came that way."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from homes import Home
from people import PERSON
from servers import Server

BY_TLS = {"X-Forwarded-Proto": "https", "Accept": "text/html"}


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def behind_proxy(request: pytest.FixtureRequest, module_home: Home) -> Iterator[Server]:
    settings = {"ML_PIPELINE_TLS": "1", "ML_PIPELINE_TRUSTED_PROXIES": "127.0.0.1"}
    server = Server(request.param, module_home, settings).start()
    yield server
    server.stop()


def test_a_page_is_served_by_tls_and_browsers_are_told_to_keep_to_it(behind_proxy: Server) -> None:
    page = httpx.get(f"{behind_proxy.url}/login", headers=BY_TLS)
    assert page.status_code == 200
    assert page.headers["strict-transport-security"] == "max-age=31536000"
    cookie = page.headers["set-cookie"]
    assert cookie.startswith("csrftoken=")
    for flag in ("HttpOnly", "SameSite=Lax", "Secure"):
        assert flag in cookie


def test_plain_http_is_redirected(behind_proxy: Server) -> None:
    page = httpx.get(f"{behind_proxy.url}/login?next=/admin/")
    assert (page.status_code, page.headers["location"]) == (
        301,
        f"https://{page.request.url.netloc.decode()}/login?next=/admin/",
    )
    assert "set-cookie" not in page.headers


def test_predictions_and_health_checks_are_answered_as_they_come(behind_proxy: Server) -> None:
    assert behind_proxy.predict(PERSON).status_code == 200
    assert httpx.get(f"{behind_proxy.url}/readyz").status_code == 200


@pytest.mark.parametrize("door", ["asgi", "wsgi"])
def test_what_a_stranger_says_of_tls_counts_for_nothing(start: Callable[..., Server], door: str) -> None:
    server = start(door, ML_PIPELINE_TLS="1", ML_PIPELINE_TRUSTED_PROXIES="192.0.2.1")
    assert httpx.get(f"{server.url}/login", headers=BY_TLS).status_code == 301


def test_without_it_cookies_are_kept_from_scripts_and_other_sites_all_the_same(door: Server) -> None:
    page = httpx.get(f"{door.url}/login", headers={"Accept": "text/html"})
    cookie = page.headers["set-cookie"]
    assert ("HttpOnly" in cookie, "SameSite=Lax" in cookie, "Secure" in cookie) == (True, True, False)
    assert "strict-transport-security" not in page.headers
