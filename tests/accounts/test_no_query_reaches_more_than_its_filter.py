"""Every list with every parameter it takes and many that it does not: refused or an ordinary list, on two databases."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest
import two_teams
from homes import Home
from hostile_queries import FOREIGN, VALUES
from operations import OPERATIONS
from servers import Server
from two_teams import MARKS, OURS

# More than a server behind gunicorn takes in one line.
LONG = "x" * 100_000
REFUSED = (400, 404, 422)


class Listing(NamedTuple):
    """A list: its address for what is ours, the parameters that it takes, and those of them that match a text whole."""

    address: str
    parameters: dict[str, Any]

    def matches_text(self, name: str) -> bool:
        schema = self.parameters[name]
        return schema == {"type": "string"} and name not in ("before", "at")


@pytest.fixture(scope="module", params=["asgi on sqlite", "wsgi on postgresql"])
def client(
    request: pytest.FixtureRequest, prepared_home: Home, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """What asks with a key for everything in the team `default`."""
    door, _, database = request.param.partition(" on ")
    folder = tmp_path_factory.mktemp("queries") / "home"
    if database == "sqlite":
        home = prepared_home.copy(folder)
    else:
        postgres = request.getfixturevalue("postgres")
        postgres.psql("CREATE DATABASE queries")
        home = prepared_home.moved(folder, postgres.get_uri("queries"))
    secret = two_teams.make(home)["admin"]
    server = Server(door, home, {}).start()
    with httpx.Client(base_url=server.url, headers={"X-Api-Key": secret}, timeout=60) as one:
        yield one
    server.stop()


@pytest.fixture(scope="module")
def listings(client: httpx.Client) -> list[Listing]:
    """Every operation of the table whose reply is a list, as OpenAPI describes it."""
    document = client.get("/api/schema").json()
    described = {
        re.sub(r"\{[^}]*\}", "*", path): methods["get"]
        for path, methods in document["paths"].items()
        if "get" in methods
    }
    found = []
    for one in OPERATIONS:
        # Drift is an object with a list in it; tests/monitoring ask about that.
        if one.method != "GET" or one.path.endswith("/drift"):
            continue
        operation = described["/api/v1" + re.sub(r"\{[^}]*\}", "*", one.path)]
        takes = {each["name"]: each["schema"] for each in operation.get("parameters", []) if each["in"] == "query"}
        if "limit" in takes:
            found.append(Listing(one.address({**OURS, "request": "x", "key": 1}), takes))
    assert len(found) >= 10
    return found


def ids(reply: httpx.Response) -> list[Any]:
    assert reply.status_code == 200, reply.text
    return [one.get("id", one.get("name")) for one in reply.json()]


def asked(client: httpx.Client, listing: Listing, query: str) -> httpx.Response:
    reply = client.get(f"{listing.address}?{query}")
    shown = (listing.address, query[:200], reply.status_code, reply.text[:300])
    assert reply.status_code in (200, *REFUSED), shown
    if reply.status_code == 200:
        assert not MARKS.search(reply.text), shown
    else:
        assert reply.json()["error"]["code"], shown
    return reply


def test_what_it_takes_filters_and_does_no_more(client: httpx.Client, listings: list[Listing]) -> None:
    for listing in listings:
        everything = ids(client.get(listing.address, params={"limit": 1000}))
        assert everything or listing.address.endswith(("/mlrequests", "/errors"))
        for name in listing.parameters:
            for payload in VALUES:
                reply = asked(client, listing, f"{name}={payload}")
                if reply.status_code == 200 and isinstance(reply.json(), list):
                    found = ids(reply)
                    assert found == [one for one in everything if one in found], (listing.address, name, payload)
                    assert not (found and listing.matches_text(name)), (listing.address, name, payload)
        assert ids(client.get(listing.address, params={"limit": 1000})) == everything


def test_what_it_does_not_take_is_refused_by_name(client: httpx.Client, listings: list[Listing]) -> None:
    for listing in listings:
        for name in FOREIGN:
            if name not in listing.parameters:
                for value in ("rivals", "%27%20OR%201%3D1--", ""):
                    reply = asked(client, listing, f"{name}={value}")
                    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "unknown_parameter"), (
                        name,
                        value,
                    )


def test_what_comes_twice_gives_no_more_than_either(client: httpx.Client, listings: list[Listing]) -> None:
    for listing in listings:
        everything = ids(client.get(listing.address, params={"limit": 1000}))
        for name in listing.parameters:
            for one, other in (
                ("rivals", "default"),
                ("1", "%27%20OR%201%3D1--"),
                ("rivals", "rivals"),
                ("", "rivals"),
            ):
                reply = asked(client, listing, f"{name}={one}&{name}={other}&limit=1000")
                if reply.status_code == 200 and isinstance(reply.json(), list):
                    assert set(ids(reply)) <= set(everything)
                asked(client, listing, f"{name}={one}&team__name=rivals&{name}={other}")


def test_a_value_of_100_kb_is_refused_or_finds_nothing(client: httpx.Client, listings: list[Listing]) -> None:
    place = urlsplit(str(client.base_url))
    for listing in listings:
        for name in (*listing.parameters, "unknown"):
            # httpx asks for no address of this length.
            connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=60)
            connection.request(
                "GET", f"{listing.address}?{name}={LONG}", headers={"X-Api-Key": client.headers["X-Api-Key"]}
            )
            with connection.getresponse() as reply:
                content = reply.read(20_000)
            connection.close()
            # A server refuses such a line with a page of its own.
            assert reply.status in (*REFUSED, 414, 431, 200), (listing.address, name, reply.status)
            assert len(content) < 10_000
            assert reply.status != 200 or content == b"[]", (listing.address, name)
        # What came before is served as ever.
        assert client.get(listing.address).status_code == 200


def test_an_address_names_one_thing_or_nothing(client: httpx.Client) -> None:
    for operation in OPERATIONS:
        placeholders = re.findall(r"\{(\w+)\}", operation.path)
        if operation.method != "GET" or not placeholders:
            continue
        for place in placeholders:
            for payload in VALUES:
                path = operation.path
                for name in placeholders:
                    path = path.replace(
                        f"{{{name}}}", payload if name == place else str({**OURS, "request": "x", "key": 1}[name])
                    )
                reply = client.get("/api/v1" + path)
                # A lone % is no address for some servers, and what has no segment is the list above it.
                assert reply.status_code in (200, *REFUSED, 301), (path, reply.status_code, reply.text[:200])
                if reply.status_code == 200:
                    assert not MARKS.search(reply.text), path


def test_a_page_of_the_admin_looks_up_nothing_by_its_address(client: httpx.Client) -> None:
    with closing(two_teams.logged_in(str(client.base_url), "vera-administrator")) as browser:
        pages = re.findall(r'href="(/admin/\w+/\w+/)"', browser.get("/admin/").text)
        assert len(set(pages)) >= 10
        for page in set(pages):
            for query in (
                *(f"{name}=rivals" for name in FOREIGN if name not in ("q", "page")),
                *(
                    "hash__startswith=a",
                    "user__password__startswith=pbkdf2",
                    "team__name__startswith=rivals",
                    "scopes__contains=x",
                ),
            ):
                assert browser.get(f"{page}?{query}").status_code == 400, (page, query)
            for name in ("q", "o", "p", "all", "_popup", "_to_field", "_facets"):
                for value in ("vandals", "-1", "1.-2.3", "999999", "%27%20OR%201%3D1--", "%00"):
                    reply = browser.get(f"{page}?{name}={value}")
                    assert reply.status_code in (200, 302, 400), (page, name, value)
                    assert not MARKS.search(reply.text), (page, name, value)
