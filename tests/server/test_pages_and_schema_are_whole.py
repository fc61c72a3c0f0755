"""OpenAPI is valid and complete; every page can be browsed by a person who logged in."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from homes import Home
from people import PERSON
from servers import Server

PAGES = (
    "/api/v1",
    "/api/v1/endpoints",
    "/api/v1/endpoints/income_classifier",
    "/api/v1/endpoints/income_classifier/history",
    "/api/v1/endpoints/income_classifier/metrics",
    "/api/v1/endpoints/income_classifier/drift",
    "/api/v1/endpoints/income_classifier/report",
    "/api/v1/endpoints/income_classifier/rollback",
    "/api/v1/endpoints/income_classifier/aliases",
    "/api/v1/endpoints/income_classifier/aliases/candidate",
    "/api/v1/mlalgorithms",
    "/api/v1/mlalgorithms/1",
    "/api/v1/mlalgorithms/1/archive",
    "/api/v1/mlalgorithms/1/tags/review",
    "/api/v1/mlalgorithmstatuses",
    "/api/v1/mlalgorithmstatuses/1",
    "/api/v1/mlrequests",
    "/api/v1/mlrequests/feedback",
    "/api/docs",
    "/admin/",
    "/admin/endpoints/endpoint/",
    "/admin/endpoints/mlalgorithm/",
    "/admin/endpoints/mlalgorithm/1/change/",
    "/admin/endpoints/algorithmtag/",
    "/admin/endpoints/endpointalias/",
    "/admin/endpoints/mlalgorithmstatus/",
    "/admin/endpoints/mlrequest/",
    "/admin/endpoints/feedback/",
    "/admin/accounts/apikey/",
    "/admin/accounts/team/",
    "/admin/accounts/membership/",
    "/admin/events/event/",
    "/admin/auth/user/",
    "/admin/auth/user/add/",
    "/api/v1/teams",
    "/api/v1/teams/default",
    "/api/v1/keys",
    "/api/v1/events",
)
HTML = {"Accept": "text/html,application/xhtml+xml"}
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def person(door: Server) -> Iterator[httpx.Client]:
    """A browser in which the administrator has logged in."""
    door.home.python(
        f"""
import django
django.setup()
from django.contrib.auth.models import User
if not User.objects.filter(username="root").exists():
    User.objects.create_superuser("root", password={PASSWORD!r})
"""
    )
    with httpx.Client(base_url=door.url, headers=HTML, follow_redirects=True, timeout=60) as browser:
        form = browser.get("/login")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form.text)
        assert token, form.text
        data = {"username": "root", "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
        page = browser.post("/login", data=data, headers={"Referer": door.url})
        assert page.status_code == 200
        assert "Api Root" in page.text
        yield browser


@pytest.mark.parametrize("path", PAGES)
def test_the_page_opens(door: Server, person: httpx.Client, path: str) -> None:
    page = person.get(path)
    if path.endswith(("aliases/candidate", "tags/review")):
        # There is none yet; the page shows the form that makes one.
        assert page.status_code == 404
        assert 'data-method="PUT"' in page.text
    elif path.endswith(("rollback", "archive", "feedback")):
        # Nothing to read there, but the page shows the form.
        assert page.status_code == 405
    else:
        assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")


def test_the_page_of_a_request_shows_it_and_takes_feedback(door: Server, person: httpx.Client) -> None:
    page = person.get(f"/api/v1/mlrequests/{door.predict(PERSON).json()['request_id']}")
    assert page.status_code == 200
    assert "Craft-repair" in page.text
    assert "PUT" in page.text


def filled_in(token: str) -> bytes:
    """The form of an upload as a browser sends it: what was left empty comes too, without a name where it is a file."""
    texts = {"csrfmiddlewaretoken": token, "endpoint": "shop", "name": "m", "version": "1", "metadata": ""}
    parts = [f'name="{name}"\r\n\r\n{text}' for name, text in texts.items()]
    files = {"artifact": ("m.onnx", "no graph"), "sample": ("", ""), "reference": ("", "")}
    for field, (name, content) in files.items():
        parts.append(f'name="{field}"; filename="{name}"\r\nContent-Type: application/octet-stream\r\n\r\n{content}')
    lines = [f"--part\r\nContent-Disposition: form-data; {part}\r\n" for part in parts]
    return "".join([*lines, "--part--\r\n"]).encode()


def test_the_page_of_algorithms_takes_an_upload(door: Server, person: httpx.Client) -> None:
    address = "/api/v1/mlalgorithms"
    page = person.get(address).text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token, page
    assert set(re.findall(r'<input name="(\w+)"\s+type="file"', page)) == {"artifact", "sample", "reference"}
    assert set(re.findall(r'<(?:input|textarea) name="(\w+)" class="form-control"', page)) == {
        "endpoint",
        "name",
        "version",
        "metadata",
    }
    headers = {"Accept": "application/json", "Referer": door.url, "Content-Type": "multipart/form-data; boundary=part"}
    taken = person.post(address, content=filled_in(token[1]), headers=headers)
    # The form is as it should be: what is wrong is the model.
    assert (taken.status_code, taken.json()["error"]["code"]) == (422, "invalid_artifact"), taken.text
    assert person.post(address, content=filled_in("forged"), headers=headers).status_code == 403
    shown = person.post(address, content=filled_in(token[1]), headers={**headers, **HTML})
    assert (shown.status_code, 'name="artifact"' in shown.text) == (422, True)


def test_options_names_the_fields_of_an_upload(door: Server) -> None:
    with door.client("admin") as client:
        fields = client.options("/api/v1/mlalgorithms").json()["actions"]["POST"]
    kinds = {name: about["type"] for name, about in fields.items() if about["type"] != "string"}
    assert kinds == dict.fromkeys(("artifact", "sample", "reference"), "file upload")


def test_a_form_carries_its_token(door: Server, person: httpx.Client) -> None:
    page = person.get("/api/v1/endpoints").text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token, page
    form = {"name": f"shop-{door.door}", "csrfmiddlewaretoken": token[1]}
    made = person.post("/api/v1/endpoints", data=form, headers={"Referer": door.url})
    assert made.status_code == 201, made.text


def test_the_style_sheets_are_there(person: httpx.Client) -> None:
    page = person.get("/api/v1/endpoints")
    for link in re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text + person.get("/api/docs").text):
        assert person.get(link).status_code == 200, link


def test_who_is_not_logged_in_is_sent_to_log_in(door: Server) -> None:
    with httpx.Client(base_url=door.url, headers=HTML, follow_redirects=True) as stranger:
        assert "/login" in str(stranger.get("/api/docs").url)
        page = stranger.get("/")
        assert page.status_code == 401
        assert "/login" in page.text


def test_a_form_without_its_token_changes_nothing(person: httpx.Client) -> None:
    refused = person.post("/api/v1/endpoints", json={"name": "forged"})
    assert refused.status_code == 403
    assert person.get("/api/v1/endpoints/forged").status_code == 404


def test_the_schema_is_valid_openapi(prepared_home: Home) -> None:
    done = prepared_home.manage("spectacular", "--validate", "--fail-on-warn", check=False)
    assert done.returncode == 0, done.stderr


def test_every_operation_tells_its_errors(door: Server) -> None:
    with door.client("read") as client:
        document = client.get("/api/schema").json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert "default" in operation["responses"], (method, path)
    assert document["paths"]["/api/v1/{endpoint}/predict"]["post"]["operationId"] == "predict"


def test_the_files_of_an_upload_are_files(door: Server) -> None:
    with door.client("read") as client:
        document = client.get("/api/schema").json()
    body = document["paths"]["/api/v1/mlalgorithms"]["post"]["requestBody"]["content"]
    name = body["multipart/form-data"]["schema"]["$ref"].rpartition("/")[2]
    properties = document["components"]["schemas"][name]["properties"]
    binary = {field for field, about in properties.items() if about.get("format") == "binary"}
    assert binary == {"artifact", "sample", "reference"}
