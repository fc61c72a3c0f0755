"""Terms: what a test is held to, fixed before it starts: the metric, the plan, and what makes an answer bad."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ml_pipeline.apps.ml.signature import Task
from ml_pipeline.errors import Complaint, InvalidInput
from ml_pipeline.stats.metrics import Metric
from ml_pipeline.stats.plans import Guardrail, Plan

# The guardrails that there are: the share of answers that failed, and of those slower than an objective.
ERRORS, SLOW = "errors", "slow"
_OF_TASK: Final[Mapping[Task, tuple[str, ...]]] = {
    "classification": ("accuracy", "brier", "log_loss", "reward"),
    "regression": ("absolute_error", "squared_error", "reward"),
}
# What a plan has in numbers.
NUMBERS = ("alpha", "harm_alpha", "margin", "min_labels", "max_labels", "min_time_s", "max_time_s")


@dataclass(frozen=True, slots=True)
class Terms:
    """Metric and plan; `objective_us` is for the guardrail `slow`: a slower answer is a bad one."""

    metric: Metric
    plan: Plan
    objective_us: int | None = None

    def bad(self, is_failed: bool, latency_us: int) -> dict[str, bool]:
        """Whether an answer was bad, by each guardrail."""
        known = {ERRORS: is_failed, SLOW: is_failed or latency_us > (self.objective_us or 0)}
        return {guardrail.name: known[guardrail.name] for guardrail in self.plan.guardrails}

    def metric_json(self) -> dict[str, Any]:
        """The metric as JSON values."""
        return {name: getattr(self.metric, name) for name in ("name", "cap", "low", "high")}

    def plan_json(self) -> dict[str, Any]:
        """The plan as JSON values."""
        plan = self.plan
        return {
            "weights": list(plan.weights),
            **{name: getattr(plan, name) for name in NUMBERS},
            "guardrails": [
                {
                    "name": guardrail.name,
                    "margin": guardrail.margin,
                    "alpha": guardrail.alpha,
                    "objective_us": self.objective_us if guardrail.name == SLOW else None,
                }
                for guardrail in plan.guardrails
            ],
        }

    @classmethod
    def from_json(cls, metric_json: Mapping[str, Any], plan_json: Mapping[str, Any]) -> Terms:
        """The terms that `metric_json` and `plan_json` wrote. ValueError for what does not fit together."""
        metric = Metric(**metric_json)
        guardrails = plan_json["guardrails"]
        plan = Plan(
            weights=tuple(plan_json["weights"]),
            is_binary=metric.is_binary,
            guardrails=tuple(Guardrail(one["name"], one["margin"], one["alpha"]) for one in guardrails),
            **{name: plan_json[name] for name in NUMBERS},
        )
        return cls(metric, plan, next((one["objective_us"] for one in guardrails if one["name"] == SLOW), None))


def checked(task: Task, metric_json: Mapping[str, Any], plan_json: Mapping[str, Any]) -> Terms:
    """The terms for algorithms of `task`. Raises InvalidInput for what does not fit together."""
    name = metric_json["name"]
    if name not in _OF_TASK[task]:
        expected = f"a metric of {task}: {', '.join(_OF_TASK[task])}"
        raise InvalidInput([Complaint(None, "metric", expected, repr(name))])
    for guardrail in plan_json["guardrails"]:
        if (guardrail["objective_us"] is None) == (guardrail["name"] == SLOW):
            expected = f"objective_us, above 0, for {SLOW!r} and for no other"
            raise InvalidInput([Complaint(None, "guardrails", expected, repr(guardrail["objective_us"]))])
    try:
        return Terms.from_json(metric_json, plan_json)
    except ValueError as error:
        raise InvalidInput([Complaint(None, None, str(error), "numbers that do not fit together")]) from None
