"""The report of a test in each of its states: what is decided or missing in plain words, in one page by itself."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest
import reported
from django.contrib.auth.models import User
from django.test import Client
from read_pages import Page, is_whole
from reported import STATES

from ml_pipeline.apps.abtests import certificates, ends
from ml_pipeline.apps.abtests.models import ABTest
from ml_pipeline.apps.abtests.report import scales
from ml_pipeline.apps.endpoints.models import MLAlgorithm

pytestmark = pytest.mark.django_db

# What each page says, as patterns: first the headline.
SAYS = {
    "without_labels": ["^Nothing is known yet: no label has come$", "12 units have been answered", "nothing to draw"],
    "running": [
        r"^Not decided yet: about \d+ more labels, [\d,]+ \w+ at the present pace$",
        r"about \d+ more are right; the data still allow everything between \d+ fewer and \d+ more",
        r"not yet Enough labels\. 120 labels have come; at least 200 were wanted\.",
        r"The evidence that model 2 is better is 1 : [\d.]+; 1 : 20 is needed",
        r"Slow answers \(over 50 ms\)",
        "It decides by itself as soon as the evidence is there: the winner goes into production",
    ],
    "promoted": [
        "^Decided: model 2 is better, and went into production$",
        r"of every 100 answers about \d+ more \(between \d+ and \d+ more\) are right",
        r"It went into production on \d+ \w+ \d{4}",
        "ml-pipeline rollback demo",
        "by its own rule",
    ],
    "proposed": [
        "^Decided: model 2 is better, and waits for a person to promote it$",
        "Until a person promotes it, model 1 stays in production",
        "ml-pipeline promote demo 2",
    ],
    "at_maximum": [
        "^Ended without a decision: model 1 stays in production$",
        "The most labels of the plan, 80, had come",
        r"It was not shown that model 2 is better than model 1: the evidence came to 1 : [\d.]+, and 1 : 20 is needed",
        r"The largest difference that the data still allow: .* either up to \d+ fewer or up to \d+ more are right",
        "not reached Enough evidence",
    ],
    "stopped": [
        "^Stopped without a decision: model 1 stays in production$",
        r"The largest difference that the data still allow: .* either up to \d+ fewer or up to \d+ more are right",
        r"\d+ more labels would have decided it on average",
        "by bob, after",
    ],
    "stopped_without_labels": ["^Stopped without a decision", "No label has come, so nothing is known of any arm"],
    "harmful": [
        "^The champion, model 1, stays in production: the only challenger did harm$",
        r"model 2 was withdrawn, because it was worse than the champion: evidence 1 : \d+, the alarm is at 1 : 100",
        r"about \d+ fewer \(between \d+ and 100 fewer\) are right",
    ],
    "rolled_back": [
        "^Rolled back: model 1 is in production again$",
        "bob rolled the endpoint back, which ended the test",
        "The largest difference that the data still allow",
    ],
    "of_many": [
        "^Not decided yet",
        "model 2 against model 1",
        "model 3 against model 1",
        "model 3 was withdrawn, because it was worse",
        r"model 1, with 50\.0 % of the units",
        "1 : 40 is needed",
        "is 5 % at most, all challengers together",
    ],
    "spoilt": [
        "^This test cannot promote anybody any more$",
        "labels come more often for one arm than for another",
        "failed Labels come in the shares of the plan",
    ],
    "of_errors": [
        "^Decided: model 2 is better",
        r"the mean absolute error is about [\d.]+ lower",
        "An error of 40 or more counts as 40",
        r"better by more than this: the mean absolute error is 0\.40 lower",
    ],
    "of_chances": [
        "^Not decided yet",
        r"the Brier score is about 0\.\d+ (lower|higher)",
        "the mean of 4 of the champion with the mean of 1 of the challenger",
        r"model 1, with 80\.0 % of the units",
    ],
    "of_rewards": ["^Not decided yet", r"the mean reward is about [\d.]+ (lower|higher)", r"from -50 to 50 \(reward\)"],
    "corrected": ["^Not decided yet", "An outcome was corrected after it had been counted", "The first one counts"],
}


@pytest.fixture
def people() -> Client:
    client = Client(headers={"Host": "127.0.0.1", "Accept": "text/html"})
    client.force_login(User.objects.create_superuser("root"))
    return client


def read(people: Client, test: ABTest) -> str:
    reply = people.get(f"/api/v1/abtests/{test.pk}/report")
    assert reply.status_code == 200
    assert reply["Content-Type"] == "text/html; charset=utf-8"
    return reply.content.decode()


def headline(html: str) -> str:
    found = re.search(r"<h2>(.*?)</h2>", html)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("state", STATES)
def test_it_says_what_is_the_case(state: str, people: Client) -> None:
    html = read(people, STATES[state]())
    page, first, rest = Page(html), SAYS[state][0], SAYS[state][1:]
    assert re.search(first, headline(html)), headline(html)
    for pattern in rest:
        assert re.search(pattern, page.text), (pattern, page.text)
    is_whole(html)


@pytest.mark.parametrize(
    ("metric", "score", "value", "difference"),
    [
        ({"name": "accuracy"}, 0.843, "84.3 %", "+2.5"),
        ({"name": "brier"}, 0.75, "0.250", "+0.025"),
        ({"name": "log_loss"}, 0.0, "4.605", "+0.115"),
        ({"name": "log_loss"}, 1.0, "0.010", "+0.115"),
        ({"name": "absolute_error", "cap": 40.0}, 0.5, "20.00", "+1.00"),
        ({"name": "squared_error", "cap": 1_000.0}, 0.9, "100", "+25"),
        ({"name": "reward", "low": -50.0, "high": 50.0}, 0.75, "25.0", "+2.5"),
    ],
)
def test_scores_are_told_in_the_metrics_unit(metric: dict[str, Any], score: float, value: str, difference: str) -> None:
    scale = scales.of(metric)
    assert scale.value(score) == value
    assert scale.difference(0.025, scale.digits(0.02, 0.04)) == difference


@pytest.mark.parametrize("state", ["running", "of_many", "of_errors", "stopped"])
def test_its_numbers_are_those_of_the_api(state: str, people: Client) -> None:
    test = STATES[state]()
    page = Page(read(people, test))
    record: dict[str, Any] = people.get(f"/api/v1/abtests/{test.pk}", headers={"Accept": "application/json"}).json()
    standing = record["standing"]
    columns = [standing[name] for name in ("units", "labels", "mean_scores")]
    assert [[float(one) for one in row] for row in page.tables["arms"] if row] == [
        list(row) for row in zip(*columns, strict=True)
    ]
    shown = [row for row in page.tables["path"] if row]
    for challenger in standing["challengers"]:
        names = ("labels", "pairs", "low", "mean", "high", "log_evidence")
        path = [point for point in record["path"] if point["arm"] == challenger["arm"]]
        if not challenger["is_withdrawn"] and path[-1]["labels"] < sum(standing["labels"]):
            path.append({**challenger, "labels": sum(standing["labels"])})
        expected = [[str(point[name]) for name in names] for point in reversed(path)]
        mine, shown = shown[: len(path)], shown[len(path) :]
        assert mine == expected
    assert shown == []


def test_the_certificate_is_named_by_its_digest(people: Client) -> None:
    test = reported.stopped()
    html = read(people, test)
    record = people.get(f"/api/v1/abtests/{test.pk}", headers={"Accept": "application/json"}).json()
    digest = hashlib.sha256(certificates.exact(record["certificate"]).encode()).hexdigest()
    assert f'<code id="digest">{digest}</code>' in html
    assert f"ml-pipeline abtest verify {test.pk}" in html


def test_texts_of_people_are_texts(people: Client) -> None:
    hostile = '</title></style><script>ran=1</script><img src=x onerror="ran=1">`<b>`{{ 7 }}'
    test = reported.begun(title=hostile)
    for one in MLAlgorithm.objects.all():
        MLAlgorithm.objects.filter(pk=one.pk).update(name=f"<svg onload=ran=1>{hostile[:80]}")
    reported.judged(test, (0.6, 0.8), 12)
    running = read(people, test)
    ABTest.objects.filter(pk=test.pk).update(created_by=hostile)
    ends.stop(test, actor=hostile[:100])
    stopped = read(people, test)
    ABTest.objects.filter(pk=test.pk).update(summary=hostile * 3)
    for html in (running, stopped, read(people, test)):
        is_whole(html)
        assert hostile in Page(html).text
        assert "<b>`" not in html


@pytest.mark.parametrize(
    ("is_known", "address", "code"), [(True, "999/report", 404), (True, "1/report?x=1", 400), (False, "1/report", 401)]
)
def test_what_is_refused_is_json_for_browsers_too(is_known: bool, address: str, code: int, people: Client) -> None:
    client = people if is_known else Client(headers={"Host": "127.0.0.1", "Accept": "text/html"})
    reply = client.get(f"/api/v1/abtests/{address}")
    assert (reply.status_code, reply["Content-Type"]) == (code, "application/json")
    assert set(reply.json()["error"]) == {"code", "message", "details"}
