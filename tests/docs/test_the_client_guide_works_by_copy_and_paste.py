"""The guide to the Python client: its examples run one after another, as people paste them, on a real server."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import guides
import servers
from homes import Home
from people import held_out_people
from servers import Server

PAGE = "docs/client.md"
# What the guide leaves to "within a second": nobody pastes as fast as a script runs.
FOLLOWED = """
import time
from ml_pipeline.errors import Refused
while True:
    try:
        client.predict("wine", wine.data.iloc[0])
        break
    except Refused:
        time.sleep(0.05)
"""


def test_every_example_works(tmp_path: Path, home: Home, start: Callable[..., Server]) -> None:
    server = start("asgi")
    register, *then = guides.blocks(PAGE, "From a notebook to production", "python")
    errors = guides.blocks(PAGE, "Errors", "python")
    assert (len(then), len(errors)) == (2, 1)
    (tmp_path / "guide.py").write_text("\n".join([register, FOLLOWED, *then, *errors]))
    command = f"{sys.executable} guide.py"
    key = home.keys["admin"]
    printed = guides.run(command, tmp_path, ML_PIPELINE_URL=server.url, ML_PIPELINE_API_KEY=key).splitlines()

    created, predicted, count, accepted, rolled_back, *history, tagged, refused = printed
    assert created.startswith("True onnx")
    assert predicted.startswith("barolo 0.9")
    assert (count, accepted, rolled_back) == ("178", "3", "production")
    assert [line.split()[1:4] for line in history] == [
        ["1", "production", "key:admin-key"],
        ["2", "staging", "key:admin-key"],
        ["2", "production", "key:admin-key"],
    ]
    assert tagged == "['1']"
    assert refused == "422 invalid_input alcohol"


def test_a_file_of_rows_is_scored(tmp_path: Path, home: Home, start: Callable[..., Server]) -> None:
    server = start("asgi")
    [example] = guides.blocks(PAGE, "Files of rows", "python")
    (tmp_path / "guide.py").write_text(example)
    held_out_people().head(20).to_csv(tmp_path / "people.csv", index=False)
    with servers.worker(home):
        own = {"ML_PIPELINE_URL": server.url, "ML_PIPELINE_API_KEY": home.keys["admin"]}
        printed = guides.run(f"{sys.executable} guide.py", tmp_path, **own).splitlines()
    assert printed[-3:] == ["20 of 20", "[]", "succeeded "]
    assert len((tmp_path / "people-scored.csv").read_text().splitlines()) == 21
