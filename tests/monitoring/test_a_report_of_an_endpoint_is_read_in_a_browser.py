"""The report of an endpoint in a real browser, narrow and wide, light and dark: nothing runs or leaves the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from asked import Asker
from lived import drift_tested, in_production, life
from page_reader import CHROMIUM, Reader
from playwright.sync_api import sync_playwright
from traffic import PRICES, watched

from ml_pipeline.apps.endpoints.models import MLAlgorithm

pytestmark = [pytest.mark.services, pytest.mark.django_db]

HOSTILE = "<script>ran=1</script><img src=x onerror=ran=1>"
LONG = "a_name_without_an_end_" * 4


@pytest.mark.parametrize("look", ["light", "dark"])
def test_it_fits_any_window_and_runs_nothing(look: str, tmp_path: Path) -> None:
    by, prices = in_production(), watched("3", PRICES)
    life(by, by, by, prices, hours=3, rows=500, older_from=2)
    drift_tested()
    MLAlgorithm.objects.filter(pk=by.pk).update(name=HOSTILE[:48], version=LONG[:50])
    page = Asker().reply("endpoints/demo/report", from_="2026-03-04", to="2026-03-05", slices="job").content.decode()
    file = tmp_path / "report.html"
    file.write_text(page, encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        reader = Reader(browser)
        assert HOSTILE[:40] in reader.read(file.as_uri(), color_scheme=look)
        browser.close()
    assert reader.complaints == []
