"""Without key and session every route refuses every method, but for those on a list that somebody has looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
from django.contrib.admindocs.views import simplify_regex
from django.urls import URLPattern, URLResolver, get_resolver
from servers import Server

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
REFUSED = {400, 401, 403, 404, 405}
# What the data plane answers before Django sees it.
DATA_PLANE = (
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/v1/income_classifier/predict",
    "/api/v1/income_classifier@candidate/predict",
)
# Path, as a pattern: methods that need no credentials, and why.
OPEN = {
    r"/(healthz|readyz)": ({"GET", "HEAD"}, "load balancers have no key, and are told nothing but the state"),
    r"/login": (
        {"GET", "HEAD", "OPTIONS", "POST"},
        "who has no session gets one here; POST needs a token",
    ),
    r"/admin/login/": ({"GET", "HEAD", "OPTIONS", "POST"}, "the same, for the admin"),
    r"/": ({"GET", "HEAD", "POST", "OPTIONS"}, "leads to /api/v1, which refuses"),
    r"/admin/logout/": ({"GET", "HEAD", "OPTIONS", "TRACE"}, "leads to the admin, which refuses"),
    r"/logout": ({"OPTIONS"}, "says that it takes POST"),
}
# Where a browser is sent to log in.
LOGIN = re.compile(r"(http://[^/]+)?/(admin/)?login/?\?next=")


def routes() -> Iterator[str]:
    """An address for every route that Django has, its parameters filled in."""
    yield from sorted({"/" + address for address in _addresses(get_resolver().url_patterns, "")})
    yield from DATA_PLANE


def _addresses(patterns: list[URLPattern | URLResolver], before: str) -> Iterator[str]:
    for one in patterns:
        route = before + _filled(str(one.pattern))
        if isinstance(one, URLResolver):
            yield from _addresses(one.url_patterns, route)
        else:
            yield route


def _filled(route: str) -> str:
    samples = {"request": "00000000-0000-7000-8000-000000000000", "endpoint": "income_classifier"}
    text = simplify_regex(route).lstrip("/") if route.endswith("$") else route
    return re.sub(r"<(?:(\w+):)?\w+>", lambda found: samples.get(found[1] or "", "1"), text)


def is_refused(reply: httpx.Response) -> bool:
    sent_to_log_in = reply.status_code == 302 and LOGIN.match(reply.headers["Location"]) is not None
    return reply.status_code in REFUSED or sent_to_log_in


def test_every_route_refuses_every_method_unless_it_is_listed(door: Server) -> None:
    met, let_in = set(), []
    with httpx.Client(base_url=door.url, timeout=60) as client:
        for path in routes():
            listed = [one for one in OPEN if re.fullmatch(one, path)]
            for method in METHODS:
                reply = client.request(method, path)
                assert reply.status_code < 500, (method, path, reply.status_code)
                if any(method in OPEN[one][0] for one in listed):
                    met |= {(one, method) for one in listed if not is_refused(reply) or method == "POST"}
                elif not is_refused(reply):
                    let_in.append((method, path, reply.status_code, reply.text[:100]))
    assert not let_in
    # What is listed and refused has no place in the list.
    assert met == {(one, method) for one, (methods, _) in OPEN.items() for method in methods}


def test_the_routes_that_are_tried_are_those_of_the_api_the_admin_and_the_pages() -> None:
    found = set(routes())
    some = {"/api/v1/keys/1/revoke", "/api/v1/events", "/api/schema", "/api/docs", "/admin/auth/user/add/", "/login"}
    assert some <= found
    assert len(found) > 90
