"""A worker that is told of a Ray cluster has its batch jobs scored there; where it is away, the job says so."""

from __future__ import annotations

from pathlib import Path

import clusters
import pandas as pd
import pytest
from batched import Batches, write_people
from homes import Home
from servers import wait_until

pytestmark = pytest.mark.services


def test_a_job_is_the_same_where_a_node_is_killed(home: Home, tmp_path: Path) -> None:
    batches, path = Batches(home), tmp_path / "people.csv"
    write_people(path, 16_000, note="x" * 6_000)
    here = batches.create(path)
    with batches.worker():
        batches.wait(here, seconds=180)
    there = batches.create(path)
    with clusters.started() as cluster:
        token = {"RAY_AUTH_TOKEN_PATH": str(cluster.token_path)}
        with batches.worker(ML_PIPELINE_RAY_ADDRESS=cluster.address, **token):
            wait_until(lambda: batches.state(there, "rows_done") > 0, 90)
            cluster.kill_node(1)
            assert batches.state(there) == "running"
            batches.wait(there, seconds=180)
    # The ids are those of its own rows.
    frames = [pd.read_csv(batches.result(pk)).drop(columns="request_id") for pk in (here, there)]
    pd.testing.assert_frame_equal(*frames)
    assert len(batches.log(there)) == 16_000


def test_a_cluster_that_is_away_is_why_a_job_failed(home: Home, tmp_path: Path) -> None:
    batches, path = Batches(home), tmp_path / "people.csv"
    write_people(path, 10)
    job = batches.create(path)
    with batches.worker(ML_PIPELINE_RAY_ADDRESS="127.0.0.1:1"):
        assert batches.wait(job, "failed").error == "The Ray cluster does not answer."
