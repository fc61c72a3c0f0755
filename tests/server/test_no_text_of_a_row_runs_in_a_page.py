"""Rows whose texts are scripts and markup, shown on every page by a real browser: nothing of them runs.

Each page is opened twice: as it is, when its policy must have nothing to refuse, and with the policy put aside, when
what is not escaped would run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import hostile_rows
import pytest
import sessions
from homes import REPOSITORY
from playwright.sync_api import Browser, ConsoleMessage, Page, Response, sync_playwright
from servers import Server

pytestmark = pytest.mark.services

CHROMIUM = Path("/usr/bin/chromium")
IMAGE, SCRIPT = hostile_rows.TEXTS[0], hostile_rows.SCRIPT
# What an address names, by the segment before it.
NAMES = {
    "endpoints": "endpoint",
    "aliases": "alias",
    "mlalgorithms": "algorithm",
    "tags": "tag",
    "mlalgorithmstatuses": "step",
    "mlrequests": "request",
    "teams": "team",
    "members": "username",
    "keys": "key",
    "abtests": "abtest",
    "batches": "batch",
    "feedback": "feedback_file",
    "receivers": "receiver",
    "alertrules": "alertrule",
    "alerts": "alert",
    "deliveries": "delivery",
}
# What a stranger writes into a link that he sends.
REFLECTING = (
    "/login?next={}",
    "/admin/login/?next={}",
    "/nothing/{}",
    "/api/v1?{}={}",
    "/api/v1/endpoints/{}",
    "/api/v1/endpoints?{}={}",
    "/api/v1/endpoints?name={}",
    "/api/v1/mlrequests?unit={}&limit={}",
    "/api/v1/endpoints?format={}",
    "/api/docs?url={}",
    "/api/docs?{}#{}",
    "/api/schema?x={}",
    "/admin/endpoints/endpoint/?o={}",
    "/admin/endpoints/endpoint/?{}={}",
    "/admin/endpoints/endpoint/{}/change/",
    "/admin/auth/user/?q={}",
)


class Visits:
    """A browser's tab, and what ran in it or was refused."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self._url = url
        self.seen: list[str] = []
        page.add_init_script(
            "addEventListener('securitypolicyviolation', e => console.error('refused ' + e.blockedURI))"
        )
        page.on("console", self._told)
        page.on("dialog", lambda dialog: (self.seen.append(f"dialog {dialog.message}"), dialog.dismiss()))

    def _told(self, message: ConsoleMessage) -> None:
        if message.type == "error" and ("refused" in message.text or "Content Security Policy" in message.text):
            self.seen.append(message.text)

    def open(self, path: str) -> Response:
        """The reply to `path`, once the page is there with its images. Fails where something of it ran."""
        self.seen.clear()
        reply = self.page.goto(self._url + path, wait_until="load")
        assert reply is not None
        assert self.page.evaluate("window.ran") is None, path
        assert self.seen == [], path
        assert hostile_rows.RECKONED not in self.page.content(), path
        assert reply.status < 500, path
        assert self.page.url.startswith(self._url), path
        return reply


@pytest.fixture(scope="module")
def server(module_home: Any) -> Iterator[Server]:
    sessions.make_superuser(module_home)
    one = Server("asgi", module_home, {"ML_PIPELINE_TRUSTED_PROXIES": "127.0.0.1"}).start()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def rows(server: Server) -> dict[str, Any]:
    """The ids of hostile rows by model, and the names that addresses call them by."""
    program = REPOSITORY / "tests" / "server" / "hostile_rows.py"
    found: dict[str, Any] = json.loads(server.home.run(sys.executable, str(program)).stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.fail(f"There is no {CHROMIUM}, which tests marked `services` need: apt-get install chromium", False)
    with sync_playwright() as playwright, ExitStack() as stack:
        # Whoever is root, as in a container, has no sandbox.
        one = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        stack.callback(one.close)
        yield one


@pytest.fixture(scope="module", params=["as it is", "without its policy"])
def visits(request: pytest.FixtureRequest, browser: Browser, server: Server, rows: Any) -> Iterator[Visits]:
    """The tab of an administrator who has logged in."""
    context = browser.new_context(bypass_csp=request.param != "as it is")
    with sessions.logged_in(server) as client:
        context.add_cookies(
            [{"name": one.name, "value": str(one.value), "url": server.url} for one in client.cookies.jar]
        )
    yield Visits(context.new_page(), server.url)
    context.close()


def policy(reply: Response) -> str:
    return reply.headers.get("content-security-policy", "")


def test_every_page_of_the_admin(visits: Visits, rows: dict[str, Any]) -> None:
    visits.open("/admin/")
    for model, ids in rows["ids"].items():
        place = f"/admin/{model.replace('.', '/')}/"
        assert policy(visits.open(place)).startswith("default-src 'none'; script-src 'self';")
        for one in ids:
            assert policy(visits.open(f"{place}{quote(one)}/change/")), model
        visits.open(f"{place}{quote(ids[0])}/history/")
        visits.open(f"{place}{quote(ids[0])}/delete/")
    for path in ("auth/user/add/", f"auth/user/{rows['ids']['auth.user'][0]}/password/", "password_change/"):
        visits.open(f"/admin/{path}")


def test_the_texts_are_on_the_pages_as_texts(visits: Visits, rows: dict[str, Any]) -> None:
    algorithm = rows["ids"]["endpoints.mlalgorithm"][0]
    for path in (f"/admin/endpoints/mlalgorithm/{algorithm}/change/", f"/api/v1/mlalgorithms/{algorithm}"):
        visits.open(path)
        shown = visits.page.inner_text("body")
        assert SCRIPT in shown, path
        assert hostile_rows.BRACES in shown, path


def test_every_page_of_the_api(visits: Visits, rows: dict[str, Any], server: Server) -> None:
    with server.client("read") as client:
        paths = [path for path in client.get("/api/schema").json()["paths"] if path.startswith("/api/v1/")]
    pages = ["/api/v1", "/api/docs"]
    for names in rows["names"]:
        for path in paths:
            segments = path.split("/")
            for place, segment in enumerate(segments):
                if segment.startswith("{") and segments[place - 1] in NAMES:
                    segments[place] = quote(str(names[NAMES[segments[place - 1]]]), safe="")
            pages.append("/".join(segments))
    opened = 0
    for page in sorted(set(pages)):
        if "{" not in page:
            reply = visits.open(page)
            opened += reply.ok
            if reply.headers["content-type"].startswith("text/html"):
                assert policy(reply).startswith("default-src 'none'; script-src 'self';"), page
    assert opened >= 30


def test_what_an_address_says_does_not_run_either(visits: Visits) -> None:
    for path in REFLECTING:
        for text in (*hostile_rows.TEXTS, "javascript:ran=1//", "//evil.example/"):
            visits.open(path.replace("{}", quote(text, safe="")))


def test_the_pages_for_those_who_are_nobody(browser: Browser, server: Server) -> None:
    """They try to log in so often that the last page tells them to wait."""
    context = browser.new_context(bypass_csp=True, extra_http_headers={"X-Forwarded-For": "198.51.100.7"})
    tab = Visits(context.new_page(), server.url)
    for text in hostile_rows.TEXTS:
        tab.open(f"/login?next={quote(text)}")
        tab.page.fill("input[name=username]", text)
        tab.page.fill("input[name=password]", text)
        with tab.page.expect_navigation():
            tab.page.click("input[type=submit], button[type=submit]")
        assert tab.page.evaluate("window.ran") is None
        assert tab.seen == []
    assert "Too many tries" in tab.page.inner_text("body")
    context.close()


def test_what_is_not_escaped_would_have_been_seen(browser: Browser, server: Server) -> None:
    """The prober on what is known: without the policy it runs and is seen, with it it is refused and that is seen."""
    for bypassed in (True, False):
        context = browser.new_context(bypass_csp=bypassed)
        tab = Visits(context.new_page(), server.url)
        tab.open("/login")
        tab.page.evaluate("text => { document.body.innerHTML = text }", IMAGE)
        if bypassed:
            tab.page.wait_for_function("window.ran === 1")
        else:
            # The image is not there, which is told after its script was refused.
            tab.page.wait_for_load_state("networkidle")
            assert tab.page.evaluate("window.ran") is None
            assert tab.seen != []
        context.close()
