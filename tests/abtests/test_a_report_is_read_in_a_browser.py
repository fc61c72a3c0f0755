"""Reports in a real browser, narrow and wide, light and dark: nothing runs, is refused, or goes beyond the edge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sessions
from homes import ENDPOINT
from page_reader import CHROMIUM, Reader
from playwright.sync_api import sync_playwright
from reported import STATES
from servers import Server

from ml_pipeline.apps.abtests.models import ABTest
from ml_pipeline.apps.abtests.report import pages
from ml_pipeline.apps.endpoints.models import MLAlgorithm

pytestmark = pytest.mark.services

HOSTILE = "<script>ran=1</script><img src=x onerror=ran=1>"
LONG = "a_title_without_an_end_" * 10


@pytest.mark.django_db
@pytest.mark.parametrize("state", STATES)
def test_a_report_that_was_kept_as_a_file(state: str, tmp_path: Path) -> None:
    test = STATES[state]()
    ABTest.objects.filter(pk=test.pk).update(title=HOSTILE + LONG)
    MLAlgorithm.objects.filter(version="2").update(name=HOSTILE[:60])
    file = tmp_path / "report.html"
    file.write_text(pages.written(ABTest.objects.get(pk=test.pk)), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        reader = Reader(browser)
        assert HOSTILE in reader.read(file.as_uri(), color_scheme="dark")
        browser.close()
    assert reader.complaints == []


def test_a_report_that_a_server_shows(start: Any) -> None:
    server: Server = start("asgi")
    sessions.make_superuser(server.home)
    with server.client("admin") as client:
        found = client.get("/api/v1/mlalgorithms", params={"endpoint": ENDPOINT}).json()
        ids = [one["id"] for one in sorted(found, key=lambda one: one["current_status"] != "production")]
        body = {"title": HOSTILE, "parent_mlalgorithm_1": ids[0], "parent_mlalgorithm_2": ids[1]}
        test = client.post("/api/v1/abtests", json=body).json()
    with sessions.logged_in(server) as person:
        cookies = [{"name": one.name, "value": str(one.value), "url": server.url} for one in person.cookies.jar]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        reader = Reader(browser)
        text = reader.read(f"{server.url}/api/v1/abtests/{test['id']}/report", cookies)
        browser.close()
    assert "no label has come" in text
    assert HOSTILE in text
    assert reader.complaints == []
