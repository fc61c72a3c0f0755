"""Every operation of the API: its route, the scope that it needs, and a body that it accepts."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from people import PERSON


class Operation(NamedTuple):
    """One method of one route; `{name}` in path and body stands for something of one's own or of others."""

    method: str
    path: str
    scope: str
    body: Any = None
    # Whether it names nothing that is somebody's: lists, and what makes something new.
    is_of_all: bool = False

    @property
    def names_something(self) -> bool:
        """Whether something that is somebody's is in its path or its body."""
        return re.search(r"\{[a-z_]+\}", f"{self.path} {self.body}") is not None

    def address(self, names: dict[str, Any]) -> str:
        """Where it is for what `names` says."""
        return "/api/v1" + self.path.format(**names)

    def content(self, names: dict[str, Any]) -> Any:
        """Its body for what `names` says."""
        return _filled(self.body, names)


def _filled(value: Any, names: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(one, names) for name, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, names) for one in value]
    return names[value[1:-1]] if isinstance(value, str) and value.startswith("{") else value


OPERATIONS = [
    Operation("POST", "/{endpoint}/predict", "predict", PERSON),
    Operation("POST", "/{endpoint}@{alias}/predict", "predict", PERSON),
    Operation("GET", "/endpoints", "read", is_of_all=True),
    Operation("POST", "/endpoints", "manage", {"name": "made-by-tests", "team": "{team}"}, is_of_all=True),
    Operation("GET", "/endpoints/{endpoint}", "read"),
    Operation("PUT", "/endpoints/{endpoint}", "manage", {"owner": "tests"}),
    Operation("PATCH", "/endpoints/{endpoint}", "manage", {"owner": "tests"}),
    Operation("DELETE", "/endpoints/{endpoint}", "manage"),
    Operation("GET", "/endpoints/{endpoint}/history", "read"),
    Operation("GET", "/endpoints/{endpoint}/metrics", "read"),
    Operation("GET", "/endpoints/{endpoint}/drift", "read"),
    Operation("GET", "/endpoints/{endpoint}/report", "read"),
    Operation("POST", "/endpoints/{endpoint}/rollback", "manage", {"reason": "tests"}),
    Operation("GET", "/endpoints/{endpoint}/aliases", "read"),
    Operation("GET", "/endpoints/{endpoint}/aliases/{alias}", "read"),
    Operation("PUT", "/endpoints/{endpoint}/aliases/{alias}", "manage", {"parent_mlalgorithm": "{algorithm}"}),
    Operation("DELETE", "/endpoints/{endpoint}/aliases/{alias}", "manage"),
    Operation("GET", "/mlalgorithms", "read", is_of_all=True),
    Operation("POST", "/mlalgorithms", "manage", {"endpoint": "{endpoint}"}, is_of_all=True),
    Operation("GET", "/mlalgorithms/{algorithm}", "read"),
    Operation("POST", "/mlalgorithms/{algorithm}/archive", "manage", {"reason": "tests"}),
    Operation("GET", "/mlalgorithms/{algorithm}/tags/{tag}", "read"),
    Operation("PUT", "/mlalgorithms/{algorithm}/tags/{tag}", "manage", {"value": "tests"}),
    Operation("DELETE", "/mlalgorithms/{algorithm}/tags/{tag}", "manage"),
    Operation("GET", "/mlalgorithmstatuses", "read", is_of_all=True),
    Operation("POST", "/mlalgorithmstatuses", "manage", {"parent_mlalgorithm": "{algorithm}", "status": "staging"}),
    Operation("GET", "/mlalgorithmstatuses/{step}", "read"),
    Operation("GET", "/mlrequests", "read", is_of_all=True),
    Operation(
        "POST", "/mlrequests/feedback", "feedback", [{"request_id": "{request}", "feedback": ">50K"}], is_of_all=True
    ),
    Operation("GET", "/mlrequests/{request}", "read"),
    Operation("PUT", "/mlrequests/{request}", "feedback", {"feedback": "<=50K"}),
    Operation("PATCH", "/mlrequests/{request}", "feedback", {"feedback": "<=50K"}),
    Operation("GET", "/abtests", "read", is_of_all=True),
    Operation(
        "POST",
        "/abtests",
        "manage",
        {"title": "tests", "parent_mlalgorithm_1": "{algorithm}", "parent_mlalgorithm_2": "{archived}"},
    ),
    Operation("GET", "/abtests/plan", "read"),
    Operation("GET", "/abtests/{abtest}", "read"),
    Operation("GET", "/abtests/{abtest}/report", "read"),
    Operation("GET", "/abtests/{abtest}/verification", "read"),
    Operation("GET", "/abtests/{abtest}/selftest", "read"),
    Operation("POST", "/abtests/{abtest}/selftest", "manage", {"replays": 20, "seed": 1}),
    Operation("POST", "/abtests/{abtest}/stop", "manage", {"reason": "tests"}),
    Operation("POST", "/stop_ab_test/{abtest}", "manage", {"reason": "tests"}),
    Operation("GET", "/batches", "read", is_of_all=True),
    Operation("POST", "/batches", "predict", {"endpoint": "{endpoint}"}),
    Operation("GET", "/batches/{batch}", "read"),
    Operation("GET", "/batches/{batch}/result", "read"),
    Operation("GET", "/batches/{batch}/errors", "read"),
    Operation("POST", "/batches/{batch}/cancel", "predict"),
    Operation("GET", "/batches/feedback", "read", is_of_all=True),
    Operation("POST", "/batches/feedback", "feedback", {"endpoint": "{endpoint}"}),
    Operation("GET", "/batches/feedback/{feedback_file}", "read"),
    Operation("POST", "/batches/feedback/{feedback_file}/cancel", "feedback", {}),
    Operation("POST", "/batch-predict", "predict", {"endpoint": "{endpoint}"}),
    Operation("GET", "/teams", "read", is_of_all=True),
    Operation("POST", "/teams", "admin", {"name": "made-by-tests"}, is_of_all=True),
    Operation("GET", "/teams/{team}", "read"),
    Operation("PATCH", "/teams/{team}", "admin", {"description": "tests"}),
    Operation("GET", "/teams/{team}/members", "admin"),
    Operation("GET", "/teams/{team}/members/{username}", "admin"),
    Operation("PUT", "/teams/{team}/members/{username}", "admin", {"role": "viewer"}),
    Operation("DELETE", "/teams/{team}/members/{username}", "admin"),
    Operation("GET", "/keys", "admin", is_of_all=True),
    Operation(
        "POST", "/keys", "admin", {"name": "made-by-tests", "scopes": ["read"], "team": "{team}"}, is_of_all=True
    ),
    Operation("GET", "/keys/{key}", "admin"),
    Operation("PATCH", "/keys/{key}", "admin", {"rows_per_day": 1}),
    Operation("POST", "/keys/{key}/revoke", "admin"),
    Operation("GET", "/events", "admin", is_of_all=True),
    Operation("GET", "/receivers", "read", is_of_all=True),
    Operation(
        "POST",
        "/receivers",
        "manage",
        {"kind": "webhook", "address": "https://hooks.example.org/", "events": ["tag.*"], "team": "{team}"},
        is_of_all=True,
    ),
    Operation("GET", "/receivers/{receiver}", "read"),
    Operation("PATCH", "/receivers/{receiver}", "manage", {"description": "tests"}),
    Operation("POST", "/receivers/{receiver}/test", "manage", {}),
    Operation("POST", "/receivers/{receiver}/rotate", "manage", {}),
    Operation("GET", "/receivers/{receiver}/deliveries", "read"),
    Operation("POST", "/receivers/{receiver}/deliveries/{delivery}/retry", "manage", {}),
    Operation("DELETE", "/receivers/{receiver}", "manage"),
    Operation("GET", "/alertrules", "read", is_of_all=True),
    Operation(
        "POST",
        "/alertrules",
        "manage",
        {
            "endpoint": "{endpoint}",
            "name": "made-by-tests",
            "measure": "requests",
            "condition": "below",
            "threshold": 1,
        },
    ),
    Operation("GET", "/alertrules/{alertrule}", "read"),
    Operation("PATCH", "/alertrules/{alertrule}", "manage", {"threshold": 2}),
    Operation("GET", "/alerts", "read", is_of_all=True),
    Operation("GET", "/alerts/{alert}", "read"),
    Operation("DELETE", "/alertrules/{alertrule}", "manage"),
]
