"""HEAD, which load balancers and crawlers send: the head of the reply to GET, no body, and nothing in the log."""

from __future__ import annotations

import pytest
from servers import Server


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/api/v1/endpoints", "/nothing/here", "/admin/login/"])
def test_head_has_the_status_and_the_length_of_get(door: Server, path: str) -> None:
    with door.client() as client:
        head, reply = client.head(path), client.get(path)
        # The connection is still in step.
        assert client.get("/healthz").status_code == 200
    assert (head.status_code, head.content) == (reply.status_code, b"")
    assert head.headers["content-type"] == reply.headers["content-type"]
    assert "WARNING" not in door.log
