"""The report of an endpoint: what to look at in plain words, and the numbers of the API, in one page by itself."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from asked import Asker
from lived import drift_tested, in_production, life
from read_pages import Page, is_whole
from registered import team
from traffic import BINARY, COLOURS, HOUR, NOON, PRICES, watched

from ml_pipeline.apps.accounts import teams
from ml_pipeline.apps.endpoints import endpoints
from ml_pipeline.apps.endpoints.models import Endpoint, MLAlgorithm
from ml_pipeline.apps.monitoring.models import DriftTest, Window

pytestmark = pytest.mark.django_db
DAY: dict[str, Any] = {"from_": "2026-03-04", "to": "2026-03-05"}
REPORT = "endpoints/demo/report"


def read(**query: Any) -> Page:
    """The page, which is whole."""
    reply = Asker().reply(REPORT, **query)
    assert (reply.status_code, reply["Content-Type"]) == (200, "text/html; charset=utf-8"), reply.content
    html = reply.content.decode()
    is_whole(html)
    return Page(html)


def shown(page: Page, key: str) -> list[list[str]]:
    """The exact values of a table's cells."""
    return [row for row in page.tables[key] if row]


def exact(*values: Any) -> list[str]:
    return ["" if value is None else repr(value) for value in values]


def of(interval: Any) -> Any:
    return None if interval is None else interval["value"]


def test_its_numbers_are_those_of_the_api() -> None:
    by, prices = in_production(), watched("3", PRICES)
    life(by, by, by, prices, hours=4, rows=500, older_from=2)
    drift_tested()
    asker, query = Asker(), {**DAY, "slices": "job"}
    metrics, page = asker.get("endpoints/demo/metrics", **query, by="hour"), read(**query)
    told = metrics["algorithms"]
    assert [one["version"] for one in told] == ["1", "3"]
    rows = []
    for one in told:
        performance, reference = one["performance"], one["reference"]
        name = "accuracy" if "accuracy" in performance else "mae"
        rows.append(
            exact(
                one["requests"],
                one["feedback"]["labelled"],
                of(performance[name]),
                reference[name],
                of((one["estimate"] or {}).get("accuracy")),
                of(one["error_rate"]),
                one["latency_us"]["p50"],
                one["latency_us"]["p99"],
            )
        )
    assert shown(page, "algorithms") == rows
    assert page.columns["algorithms"][2:6] == ["Requests", "With outcome", "Right, or error", "Reference"]
    series = metrics["series"][::-1]
    assert shown(page, "traffic") == [
        exact(*(sum(one[name] for one in step["algorithms"]) for name in ("requests", "errors"))) for step in series
    ]
    for place, measure, more in ((0, "accuracy", ["estimated_accuracy"]), (1, "mae", [])):
        steps = [one for step in series for one in step["algorithms"] if one["id"] == told[place]["id"]]
        assert shown(page, f"course-{place}") == [
            exact(
                one["requests"],
                *(one["latency_us"][name] for name in ("p50", "p90", "p99")),
                one["labelled"],
                *(of(one[name]) for name in (measure, *more)),
            )
            for one in steps
        ]
    first = told[0]
    bins = first["performance"]["calibration"]["bins"]
    assert shown(page, "calibration-0") == [exact(one["rows"], one["chance"], of(one["rate"])) for one in bins]
    (sliced,) = first["slices"]
    assert shown(page, "slices-0-0") == [exact(one["rows"], of(one["accuracy"])) for one in sliced["slices"]]
    labels = sorted(first["performance"]["labels"], key=lambda one: one["label"])
    counts = {one["label"]: one for one in first["labels"]}
    assert sorted(shown(page, "labels-0")) == sorted(
        exact(
            counts[one["label"]]["count"],
            counts[one["label"]]["share"],
            one["predicted"],
            one["true"],
            *(of(one[name]) for name in ("precision", "recall", "f1")),
        )
        for one in labels
    )
    tests = [one for one in asker.get("endpoints/demo/drift")["tests"] if one["version"] == "1"]
    judged = [*tests[0]["result"]["features"], tests[0]["result"]["score"]]
    assert sorted(shown(page, "drift-0")) == sorted(
        exact(*(one[name] for name in ("excess", "psi", "p", "q"))) for one in judged
    )
    assert len(shown(page, "tests-0")) == len(tests)


def test_what_is_to_be_looked_at_stands_at_the_top() -> None:
    by = in_production()
    life(by, hours=5, rows=600, older_from=3, wrong_from=3, told=0.5, failing=0.05)
    drift_tested()
    page = read(**DAY, slices="job")
    for words in (
        "things to look at",
        "The accuracy of model 1 has dropped, says its detector since",
        "model 1 is right less often than on the reference",
        "Many requests failed: ",
        "By code: internal ",
        "What model 1 is asked has drifted",
        "Drift is no damage",
        "In production is model 1.",
        "3,000 requests came in this time; ",
        "It is alarmed since",
        "age: larger than in the reference",
    ):
        assert words in page.text, words
    after = read(from_="2026-03-04T17:00:00Z", to="2026-03-04T22:00:00Z")
    assert "Nothing was asked in this time" in after.text
    assert "In the time of the same length before there were 3,000" in after.text


def test_a_gap_between_slices_is_told_where_it_is_beyond_chance() -> None:
    by = in_production()
    life(by, hours=1, rows=300, told=1.0)
    label_count = len(by.signature["labels"]) ** 2
    for window in Window.objects.all():
        sums = json.loads(window.slices)
        # Of the members only one in ten is right.
        sums["member"][1] = [10, 90, 90, 10][:label_count]
        sums["member"][0] = [100, 5, 5, 100][:label_count]
        Window.objects.filter(pk=window.pk).update(slices=json.dumps(sums))
    metrics = Asker().get("endpoints/demo/metrics", **DAY, slices="member")["algorithms"][0]["slices"][0]
    assert metrics["largest_gap"]["is_beyond_chance"]
    page = read(**DAY, slices="member,age,nothing")
    assert "Where member is" in page.text
    assert "That is beyond chance" in page.text
    assert "The feature is a number." in page.text
    assert "The algorithm has no feature of this name." in page.text


def test_where_nothing_was_asked_it_says_so_instead_of_drawing() -> None:
    watched("1")
    page = read()
    assert "Nothing was asked in this time" in page.text
    assert "None of these algorithms is in production now." in page.text
    assert not [tag for tag, _ in page.elements if tag == "svg"]


def test_an_algorithm_without_reference_or_outcomes_says_what_is_not_known() -> None:
    life(watched("1", is_profiled=False), hours=1, told=0.0)
    page = read(**DAY)
    for words in (
        "Of no answer of model 1 the outcome is known",
        "nothing lets it be estimated",
        "registered without reference rows",
        "Its accuracy is not watched",
    ):
        assert words in page.text, words
    assert "An estimate stands" not in page.text


def test_an_estimate_is_named_as_one() -> None:
    life(in_production(), hours=2, told=0.0)
    page = read(**DAY)
    assert "An estimate stands in their place." in page.text
    assert "blind to a change of what is true" in page.text
    assert {"guess"} <= {str(given.get("class")) for _, given in page.elements}


def test_a_long_range_is_drawn_by_days_and_has_bounded_charts() -> None:
    by = in_production()
    life(by, hours=2)
    window = Window.objects.filter(hours=24).values().get()
    Window.objects.bulk_create(
        Window(**{**window, "id": None, "begins_at": window["begins_at"] - day * timedelta(days=1)})
        for day in range(1, 380)
    )
    page = read(from_="2025-02-10", to="2026-03-05")
    assert "Requests by day" in page.text
    assert len(shown(page, "traffic")) == 380
    assert len([tag for tag, _ in page.elements if tag in ("rect", "circle", "path")]) < 1_500


def test_many_features_and_many_tests_are_bounded_and_counted() -> None:
    by = in_production()
    life(by, hours=1)
    features = [
        {"name": f"feature {place}", "rows": 500, "p": 0.5, "q": 0.5, "psi": 0.1, "excess": place / 1e5}
        for place in range(1_500)
    ]
    result = {
        "features": [{**one, "is_drifted": False, "words": "as before"} for one in features],
        "score": None,
        "untested": [],
        "estimate": None,
    }
    texts = {is_alarm: json.dumps({**result, "features": []}) for is_alarm in (True, False)}
    DriftTest.objects.bulk_create(
        DriftTest(
            parent_mlalgorithm=by,
            from_at=NOON + place * HOUR - 300 * HOUR,
            to_at=NOON + (place + 1) * HOUR - 300 * HOUR,
            rows=500,
            tested=1_500,
            is_alarm=place in (17, 120),
            result=texts[place in (17, 120)] if place < 299 else json.dumps(result),
            created_at=NOON,
        )
        for place in range(300)
    )
    page = read(from_="2026-02-18", to="2026-03-05")
    assert "300 tests reached into this time, 2 found drift" in page.text
    assert "1,492 more did not" in page.text
    assert "And 1485 more." in page.text
    tests = shown(page, "tests-0")
    assert len(tests) <= 30
    assert page.text.count(" drift ") >= 2
    assert len(shown(page, "drift-0")) == 15


def test_many_algorithms_are_listed_and_few_are_drawn() -> None:
    first = in_production()
    life(first, hours=1, rows=100)
    windows = list(Window.objects.filter(hours__lte=24).values())
    nothing = {"features": '{"features": {}, "scores": null, "labels": null}', "slices": "{}"}
    for number in range(2, 46):
        other = watched(str(number), is_profiled=False)
        for one in windows:
            Window.objects.create(**{**one, "id": None, "parent_mlalgorithm_id": other.pk, **nothing})
    page = read(**DAY)
    assert "41 more with version and algorithm in the address" in page.text
    assert len(shown(page, "algorithms")) == 40
    assert sum(tag == "h2" for tag, _ in page.elements) == 3 + 4


def test_texts_of_people_are_texts() -> None:
    hostile = '</title></style><script>ran=1</script><img src=x onerror="ran=1">{{ 7 }}'
    turned = "\u202eright to left" + "x" * 200
    features = [{**one, "name": name} for one, name in zip(BINARY["features"], ("age", "job", "member"), strict=True)]
    by = in_production(signature={**COLOURS, "features": features, "labels": ["blue", "green", "red"]})
    life(by, hours=2, rows=600, older_from=1)
    drift_tested()
    for one in DriftTest.objects.all():
        result = one.result.replace('"name":"age"', f'"name":{json.dumps(hostile)}')
        result = result.replace('"name":"job"', f'"name":{json.dumps(turned)}')
        DriftTest.objects.filter(pk=one.pk).update(result=result)
    text = json.dumps(by.reference_profile).replace('"baker"', json.dumps(hostile))
    signature = {**by.signature, "labels": [hostile, turned[:250], "red"]}
    MLAlgorithm.objects.filter(pk=by.pk).update(
        name=hostile[:100], version=turned[:60], reference_profile=json.loads(text), signature=signature
    )
    page = read(**DAY, slices="job")
    assert hostile in page.text
    assert turned in page.text


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"from_": "yesterday"}, 422),
        ({"from_": "2026-03-05", "to": "2026-03-04"}, 422),
        ({"from_": "2020-03-05", "to": "2026-03-04"}, 422),
        ({"slices": ",".join(map(str, range(100)))}, 422),
        ({"version": "9"}, 404),
        ({"by": "hour"}, 400),
        ({"limit": "1"}, 400),
    ],
)
def test_what_is_refused_is_refused_in_json(query: dict[str, Any], code: int) -> None:
    watched("1")
    reply = Asker().reply(REPORT, **query)
    assert (reply.status_code, reply["Content-Type"]) == (code, "application/json")
    assert set(reply.json()["error"]) == {"code", "message", "details"}


def test_who_may_not_read_metrics_reads_no_report() -> None:
    watched("1")
    other = teams.create("others", {}, actor="tests")
    endpoints.create("theirs", other, actor="tests")
    assert Asker("predict").refusal(REPORT)[0] == 403
    assert Asker(of=other).refusal(REPORT)[0] == 404
    assert Asker(of=team()).refusal("endpoints/theirs/report")[0] == 404
    assert Asker().refusal("endpoints/nothing/report")[0] == 404
    assert Endpoint.objects.count() == 2
