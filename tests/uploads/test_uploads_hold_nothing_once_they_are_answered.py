"""Where an upload lies while it comes in, when its bytes go, and that only so many come in at once."""

from __future__ import annotations

import bodies
import wine
from homes import Home
from servers import Server, wait_until

AT_ONCE = 4


def test_the_bytes_of_a_refused_upload_go_with_the_reply(door: Server) -> None:
    reply = bodies.posted(door, bodies.part("artifact", "m.onnx"), 60)
    assert reply.status_code == 422, reply.text
    wait_until(lambda: not bodies.nameless_files(door))


def test_an_upload_comes_in_to_the_work_folder_and_is_gone_with_its_client(door: Server) -> None:
    connection = bodies.begun(door, 5)
    wait_until(lambda: len(bodies.nameless_files(door)) == 1)
    (place,) = bodies.nameless_files(door)
    assert place.startswith(str(door.home.folder / "work"))
    connection.close()
    wait_until(lambda: not bodies.nameless_files(door))


def test_an_upload_too_many_is_refused_before_it_is_read(home: Home) -> None:
    # Behind gunicorn as it is started here, as many keep every thread.
    server = Server("asgi", home, {}).start()
    try:
        connections = [bodies.begun(server, 5) for _ in range(AT_ONCE)]
        wait_until(lambda: len(bodies.nameless_files(server)) == AT_ONCE)
        with server.client("manage") as client:
            reply = client.post(wine.UPLOADS, data=wine.form("a"), files=wine.files(wine.skops_file(), "m.skops"))
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "overloaded")
        assert reply.headers["retry-after"] == "10"
        with server.client("predict") as client:
            assert client.post(wine.NEIGHBOUR, json=wine.ROW).status_code == 200
        for connection in connections:
            connection.close()
        wait_until(lambda: bodies.posted(server, bodies.part("metadata")).status_code == 422)
    finally:
        server.stop()
