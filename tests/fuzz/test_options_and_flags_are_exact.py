"""What Schemathesis found, by hand: OPTIONS of any route, flags that are none, and tables without their columns."""

from __future__ import annotations

import pytest
from servers import Server


@pytest.mark.parametrize(
    "path", ["endpoints/none/aliases/none", "teams/none/members/nobody", "mlalgorithms/999/tags/none", "endpoints"]
)
def test_options_tells_the_fields_of_what_is_not_there_yet(door: Server, path: str) -> None:
    with door.client("admin") as client:
        reply = client.options(f"/api/v1/{path}")
    assert reply.status_code == 200
    assert set(reply.json()["actions"]) <= {"PUT", "POST"}
    assert reply.json()["actions"]


@pytest.mark.parametrize(("flag", "status"), [("true", 200), ("False", 200), ("", 200), ("maybe", 422), ("2", 422)])
def test_a_flag_that_cannot_be_read_is_refused(door: Server, flag: str, status: int) -> None:
    with door.client("read") as client:
        assert client.get("/api/v1/mlalgorithmstatuses", params={"active": flag}).status_code == status


@pytest.mark.parametrize(("table", "status"), [("request_id,feedback\n", 200), ("{}", 400), ("", 400)])
def test_a_table_without_lines_names_its_columns(door: Server, table: str, status: int) -> None:
    with door.client("feedback") as client:
        reply = client.post("/api/v1/mlrequests/feedback", content=table, headers={"Content-Type": "text/csv"})
    assert reply.status_code == status


@pytest.mark.parametrize("seconds", ["0", "0.123456789012345", "1.5e-130"])
def test_seconds_are_read_however_a_number_is_written(door: Server, seconds: str) -> None:
    with door.client("admin") as client:
        reply = client.post("/api/v1/endpoints/none/rollback", params={"wait": seconds}, json={})
    assert reply.status_code == 404
