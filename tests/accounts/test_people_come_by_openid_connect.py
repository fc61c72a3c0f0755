"""People log in through an OpenID provider, and are in the teams that their groups mean; whatever is not right about
their token, they are not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from homes import Home
from openid_provider import CLIENT_SECRET, LIES, OpenIDProvider
from servers import Server

PASSWORD = "correct horse battery staple"
GROUPS = "/ops=cellar:operator,cn=bosses=cellar:administrator,watchers=default:viewer,lost=nowhere:viewer"
SETUP = f"""
import django
django.setup()
from django.contrib.auth.models import User
from ml_pipeline.apps.accounts import teams
User.objects.create_superuser("admin", "ann@example.org", {PASSWORD!r})
teams.create("cellar", {{}}, actor="tests")
teams.create("attic", {{}}, actor="tests")
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIDProvider]:
    running = OpenIDProvider().start()
    yield running
    running.stop()


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def server(
    request: pytest.FixtureRequest,
    provider: OpenIDProvider,
    prepared_home: Home,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    home = prepared_home.copy(tmp_path_factory.mktemp("openid") / "home")
    home.python(SETUP)
    provider.basic = request.param == "asgi"
    running = Server(request.param, home, {**provider.environment, "ML_PIPELINE_OIDC_GROUPS": GROUPS}).start()
    yield running
    running.stop()


def browser(server: Server) -> httpx.Client:
    return httpx.Client(base_url=server.url, timeout=60, headers={"Accept": "text/html"})


def come(client: httpx.Client, page: str = "/api/v1/teams") -> httpx.Response:
    """The last reply of a log-in by the link on the page."""
    link = re.search(r'href="(/oidc/login[^"]*)"', client.get("/login", params={"next": page}).text)
    assert link
    return client.get(link[1], follow_redirects=True, headers={"Accept": "text/html"})


def teams_of(client: httpx.Client) -> list[str] | int:
    """Names of the teams that he sees; a status for whoever is nobody."""
    reply = client.get("/api/v1/teams", headers={"Accept": "application/json"})
    return sorted(team["name"] for team in reply.json()) if reply.status_code == 200 else reply.status_code


def members(server: Server, team: str) -> dict[str, tuple[str, str]]:
    with server.client("admin") as client:
        rows = client.get(f"/api/v1/teams/{team}/members").json()
    return {row["username"]: (row["role"], row["origin"]) for row in rows}


def events(server: Server) -> list[dict[str, Any]]:
    with server.client("admin") as client:
        return client.get("/api/v1/events").json()


@pytest.mark.parametrize("page", ["/login", "/admin/login/"])
def test_each_page_to_log_in_offers_the_provider_and_leads_back(
    server: Server, provider: OpenIDProvider, page: str
) -> None:
    provider.be({"sub": "g-1", "preferred_username": "gil", "groups": ["watchers"]})
    with browser(server) as client:
        text = client.get(page, params={"next": "/api/v1/teams?limit=7"}).text
        link = re.search(r'href="(/oidc/login[^"]*)"[^>]*>Log in with ([^<]*)<', text)
        assert link
        assert link[2] == "127.0.0.1"
        landed = client.get(link[1], follow_redirects=True)
        assert (landed.status_code, landed.url.raw_path) == (200, b"/api/v1/teams?limit=7")


def test_who_is_in_a_group_sees_what_is_its_teams(server: Server, provider: OpenIDProvider) -> None:
    provider.be({"sub": "w-1", "preferred_username": "wat", "groups": ["watchers", "lost", "others"]})
    with browser(server) as client:
        landed = come(client, "/api/v1/endpoints")
        assert (landed.status_code, landed.url.path) == (200, "/api/v1/endpoints")
        seen = client.get("/api/v1/endpoints", headers={"Accept": "application/json"}).json()
        assert [one["name"] for one in seen] == ["income_classifier"]
        assert teams_of(client) == ["default"]
        assert client.get("/admin/accounts/team/").status_code == 200
        assert client.get("/admin/auth/user/").status_code == 403
        assert client.get("/api/v1/keys", headers={"Accept": "application/json"}).status_code == 403
        # He logs out as everybody does.
        form = {"csrfmiddlewaretoken": client.cookies["csrftoken"]}
        assert client.post("/logout", data=form, headers={"Referer": server.url}).status_code == 302
        assert teams_of(client) == 401
    assert "there is not" in server.log
    [name] = [name for name in members(server, "default") if name.startswith("wat.")]
    [made] = [one for one in events(server) if (one["action"], one["subject"]) == ("member.put", name)]
    assert made["actor"] == f"provider:{provider.issuer}"
    assert made["details"]["role"] == "viewer"
    assert made["address"] == "127.0.0.1"


def test_roles_follow_the_groups_at_each_log_in_and_those_by_hand_stay(
    server: Server, provider: OpenIDProvider
) -> None:
    who = {"sub": "f-1", "preferred_username": "fay"}
    with browser(server) as client:
        provider.be({**who, "groups": ["/ops"]})
        come(client)
        [name] = members(server, "cellar")
        assert members(server, "cellar")[name] == ("operator", "provider")
        with server.client("admin") as administrator:
            administrator.put(f"/api/v1/teams/attic/members/{name}", json={"role": "viewer"}).raise_for_status()
        # Of two roles the one that may do more.
        provider.be({**who, "groups": ["cn=bosses", "/ops"]})
        come(client)
        assert members(server, "cellar")[name] == ("administrator", "provider")
        provider.be({**who, "groups": []})
        come(client)
        assert members(server, "cellar") == {}
        assert members(server, "attic")[name] == ("viewer", "hand")
        assert teams_of(client) == ["attic"]
        # What an administrator says of a provider's membership is by hand from then on.
        provider.be({**who, "groups": ["/ops"]})
        come(client)
        with server.client("admin") as administrator:
            administrator.put(f"/api/v1/teams/cellar/members/{name}", json={"role": "viewer"}).raise_for_status()
            come(client)
            assert members(server, "cellar")[name] == ("viewer", "hand")
            for team in ("cellar", "attic"):
                administrator.delete(f"/api/v1/teams/{team}/members/{name}").raise_for_status()
        provider.be({**who, "groups": []})
        assert come(client).status_code == 403
        assert teams_of(client) == 403


def test_who_is_in_no_group_is_refused_and_nothing_is_kept_of_him(server: Server, provider: OpenIDProvider) -> None:
    provider.be({"sub": "n-1", "preferred_username": "nobody", "groups": ["others", "lost"]})
    with browser(server) as client:
        page = come(client)
        assert page.status_code == 403
        assert page.headers["content-type"].startswith("text/html")
        assert "You are in no group that has a place here." in page.text
        assert teams_of(client) == 401
    assert "nobody" not in server.home.python(
        "import django; django.setup(); from django.contrib.auth.models import User;"
        "print(*User.objects.values_list('username', flat=True))"
    )


def test_nobody_takes_over_another_account(server: Server, provider: OpenIDProvider) -> None:
    for number in (1, 2):
        provider.be(
            {
                "sub": f"a-{number}",
                "preferred_username": "admin",
                "email": "ann@example.org",
                "is_superuser": True,
                "groups": ["watchers"],
            }
        )
        with browser(server) as client:
            assert come(client).status_code == 200
            assert teams_of(client) == ["default"]
    assert len([name for name in members(server, "default") if re.fullmatch(r"admin\.[0-9a-f]{8}", name)]) == 2
    rows = server.home.python(
        "import django; django.setup(); from django.contrib.auth.models import User;"
        "print([(u.username, u.is_superuser, u.has_usable_password(), u.identities.count())"
        " for u in User.objects.filter(username__startswith='admin').order_by('pk')])"
    )
    assert rows.startswith("[('admin', True, True, 0)")
    assert rows.count("False, False, 1") == 2


def test_groups_may_come_as_user_info_of_the_same_person_only(server: Server, provider: OpenIDProvider) -> None:
    with browser(server) as client:
        provider.be({"sub": "u-1"}, told={"sub": "u-2", "groups": ["watchers"]})
        assert come(client).status_code == 403
        provider.be({"sub": "u-1"}, told={"sub": "u-1", "groups": ["watchers"]})
        assert come(client).status_code == 200
        assert teams_of(client) == ["default"]


@pytest.mark.parametrize("lie", LIES)
def test_a_token_that_is_not_right_logs_nobody_in(server: Server, provider: OpenIDProvider, lie: str) -> None:
    provider.be({"sub": "l-1", "preferred_username": "liar", "groups": ["watchers"]}, LIES[lie])
    with browser(server) as client:
        page = come(client)
        assert page.status_code == 403
        assert page.headers["content-type"].startswith("text/html")
        assert teams_of(client) == 401
    assert not [name for name in members(server, "default") if name.startswith("liar")]


def callback_of(client: httpx.Client) -> str:
    """The address that the provider sends the browser back to, not gone to yet."""
    asked = client.get("/oidc/login")
    return str(httpx.get(asked.headers["location"]).headers["location"])


def test_a_log_in_is_for_one_browser_and_for_once(server: Server, provider: OpenIDProvider) -> None:
    provider.be({"sub": "r-1", "groups": ["watchers"]})
    with browser(server) as client, browser(server) as victim:
        back = callback_of(client)
        # Another browser, which has begun one of its own, or none.
        assert victim.get(back).status_code == 403
        victim.get("/oidc/login")
        assert victim.get(back).status_code == 403
        assert teams_of(victim) == 401
        # Another log-in's code.
        stolen = parse_qs(urlsplit(callback_of(victim)).query)["code"][0]
        mixed = re.sub(r"code=[^&]+", f"code={stolen}", callback_of(client))
        assert client.get(mixed).status_code == 403
        assert client.get(back).status_code == 302
        assert teams_of(client) == ["default"]
        # Again: refused, and whoever is logged in stays so.
        assert client.get(back).status_code == 403
        assert client.get("/oidc/callback?error=access_denied").status_code == 403
        assert client.get("/oidc/callback").status_code == 403
        assert teams_of(client) == ["default"]


def test_it_leads_to_pages_of_this_server_only(server: Server, provider: OpenIDProvider) -> None:
    provider.be({"sub": "p-1", "groups": ["watchers"]})
    with browser(server) as client:
        assert come(client, "https://elsewhere.example/").url.path == "/api/v1"


def test_a_closed_account_ends_its_sessions_and_opens_none(server: Server, provider: OpenIDProvider) -> None:
    provider.be({"sub": "c-1", "preferred_username": "cid", "groups": ["watchers"]})
    with browser(server) as client:
        come(client)
        assert teams_of(client) == ["default"]
        server.home.python(
            "import django; django.setup(); from django.contrib.auth.models import User;"
            "User.objects.filter(username__startswith='cid.').update(is_active=False)"
        )
        assert teams_of(client) == 401
        assert come(client).status_code == 403


def by_password(server: Server) -> int:
    with browser(server) as client:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get("/login").text)
        assert token
        form = {"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
        return client.post("/login", data=form, headers={"Referer": server.url}).status_code


def test_no_secret_of_the_provider_is_written(server: Server) -> None:
    written = b"".join(path.read_bytes() for path in server.home.folder.glob("db.sqlite3*")) + server.log.encode()
    assert CLIENT_SECRET.encode() not in written
    assert b"an-access-token" not in written


def test_a_server_starts_and_passwords_work_while_the_provider_is_down(
    home: Home, start: Callable[..., Server]
) -> None:
    home.python(SETUP)
    absent = OpenIDProvider()
    absent.be({"sub": "d-1", "groups": ["watchers"]})
    server = start("asgi", **absent.environment, ML_PIPELINE_OIDC_GROUPS=GROUPS)
    assert by_password(server) == 302
    with browser(server) as client:
        page = come(client)
        assert page.status_code == 503
        assert "retry-after" in page.headers
        assert page.headers["content-type"].startswith("text/html")
        absent.start()
        try:
            assert come(client).status_code == 200
        finally:
            absent.stop()
    assert server.predict({}).status_code == 422


def test_without_a_provider_there_is_no_link(home: Home, start: Callable[..., Server]) -> None:
    server = start("asgi")
    with browser(server) as client:
        assert "oidc" not in client.get("/login").text
        assert client.get("/oidc/login").status_code == 404
