"""Pages: the report of a test as one HTML text that needs nothing else, neither script nor file nor network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString

from ml_pipeline import __version__
from ml_pipeline.apps.abtests.models import ABTest
from ml_pipeline.apps.abtests.report import charts, conditions, explained, facts, sentences
from ml_pipeline.apps.abtests.report.charts import Share
from ml_pipeline.apps.abtests.report.facts import ArmFacts, ChallengerFacts, Facts
from ml_pipeline.charts import figures, pages


def written(test: ABTest) -> str:
    """The page. It costs the same however many requests the test has had."""
    return render_to_string("abtests/report.html", _context(facts.of(test)))


def _context(found: Facts) -> dict[str, Any]:
    lead = sentences.lead(found)
    return {
        "style": pages.style(),
        "facts": found,
        "test": found.test,
        "lead": lead,
        "reasons": [pages.marked(one) for one in lead.reasons],
        "advice": [pages.marked(one) for one in lead.advice],
        "terms": explained.terms(found),
        "scale": found.scale,
        "arms": [_arm(found, one) for one in found.arms],
        "shares": _shares(found),
        "challengers": [_challenger(found, one) for one in found.challengers],
        "conditions": conditions.of_test(found),
        "guardrails": explained.guardrails(found),
        "withdrawn": [sentences.withdrawn(found, one) for one in found.challengers if one.arm.withdrawal],
        "correction": pages.marked(explained.correction(found)),
        "rule": explained.rule(found),
        "made_at": figures.moment(timezone.now()),
        "version": __version__,
    }


def _arm(found: Facts, arm: ArmFacts) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": arm.name,
        "units": pages.Cell(arm.units, f"{arm.units:,}"),
        "labels": pages.Cell(arm.labels, f"{arm.labels:,}"),
        "mean": pages.Cell(arm.mean_score, "–" if arm.mean_score is None else found.scale.value(arm.mean_score)),
        "plan": "withdrawn" if arm.share is None else figures.share(arm.share),
        "part": "–" if arm.part is None else figures.share(arm.part),
        "labelled": figures.share(arm.labels / arm.units) if arm.units else "–",
        "difference": "the champion",
    }
    if arm.number:
        one = found.challengers[arm.number - 1]
        row["difference"] = found.scale.between(*one.band) if one.now["mean"] is not None else "not known yet"
    return row


def _shares(found: Facts) -> SafeString:
    arms = [Share(one.name, one.part, one.share, one.units) for one in found.arms]
    return charts.shares("shares", arms, "Answers of each arm, and the plan's shares")


def _challenger(found: Facts, one: ChallengerFacts) -> dict[str, Any]:
    number, scale = one.arm.number, found.scale
    row: dict[str, Any] = {
        "name": one.name,
        "now": one.now,
        "difference": sentences.difference(found, one),
        "evidence": sentences.evidence(one),
        "conditions": conditions.of_challenger(found, number),
        "path": [],
    }
    if one.path:
        digits = scale.digits(*one.band)
        row["path"] = [_point(found, point, digits) for point in reversed(one.path)]
        title = f"How far {one.name} is from {found.champion}, label by label"
        row["band"] = charts.band(f"band-{number}", one.path, scale, found.terms.plan.margin, title)
        title = f"The evidence that {one.name} is better than {found.champion}, label by label"
        row["course"] = charts.evidence(f"evidence-{number}", one.path, found.terms.plan.evidence_bound, title)
    return row


def _point(found: Facts, point: Mapping[str, Any], digits: int) -> list[pages.Cell]:
    counts = [pages.Cell(point[name], f"{point[name]:,}") for name in ("labels", "pairs")]
    scores = [point[name] for name in ("low", "mean", "high")]
    differences = [pages.Cell(one, "–" if one is None else found.scale.difference(one, digits)) for one in scores]
    return [*counts, *differences, pages.Cell(point["log_evidence"], figures.evidence(point["log_evidence"]))]
