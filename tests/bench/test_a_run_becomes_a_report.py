"""A benchmark's JSON becomes Markdown in which each claim is judged by the medians of the rounds."""

from __future__ import annotations

import itertools

import pytest
from runs import run

from benchmarks.data_plane import claims, figures, report
from benchmarks.data_plane.figures import Shot


def test_claims_are_judged_by_the_rounds_ratios() -> None:
    judged = {one.text: (one.measured, one.holds) for one in claims.claims(run())}
    assert judged["SQLite: rate by that of FastAPI + ONNX Runtime without a log, 32 connections"] == ("2.00", True)
    assert judged["SQLite: rate by that of the tutorial's way, 32 connections"] == ("9.00", False)
    # 2 × 1 ms + 1.5 × 0.1 ms.
    (bound,) = [one for one in claims.claims(run()) if "one connection" in one.text]
    assert bound == (bound.text, "≤ 2.15 ms", "1.00 ms", True)
    assert judged["SQLite: rate of one algorithm among 50 live by that of it alone, 32 connections"] == ("0.60", False)
    assert len(judged) == 13


def test_a_figure_is_the_median_of_the_rounds() -> None:
    assert figures.median(run(), Shot("servers", "product-sqlite", "32"), "rate") == 4_500
    assert figures.once(run(), "servers", "tutorial", "start_s") == 2


@pytest.mark.parametrize("part", ["servers", "feedback", "workers", "rows", "algorithms"])
def test_a_run_of_one_part_is_reported_alone(part: str) -> None:
    document = {name: content for name, content in run().items() if name in ("run", part)}
    assert [line for line in report.markdown(document).splitlines() if line.startswith("## ")][1:-1] == [
        {
            "servers": "## Servers",
            "feedback": "## Feedback",
            "workers": "## Two processes",
            "rows": "## Logged rows",
            "algorithms": "## Algorithms",
        }[part]
    ]


def test_the_page_has_every_table_whole() -> None:
    lines = report.page(run()).splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert tables
    for line, following in itertools.pairwise(lines):
        if line.startswith("|") and following.startswith("|"):
            assert line.count(" | ") == following.count(" | ")
