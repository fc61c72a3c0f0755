"""A base install, httpx, Typer and rich alone, imports and uses the client and its commands."""

from __future__ import annotations

import json
import subprocess
import sys

from homes import ENDPOINT
from people import PERSON
from servers import BY_WSGI, Server

pytestmark = BY_WSGI

HEAVY = ("django", "rest_framework", "numpy", "pandas", "sklearn", "skops", "onnx", "onnxruntime", "pyarrow", "joblib")
BLOCKED = f"import sys; sys.modules.update(dict.fromkeys({HEAVY!r}))\n"
USE = """
from ml_pipeline.client import Client
with Client(sys.argv[1], sys.argv[2]) as client:
    print(client.predict(sys.argv[3], {"age": float("nan"), "sex": "Male"})["status"])
    print(len(client.algorithms(sys.argv[3])), client.ready()["ready"])
"""
LEFT_OUT = """
from ml_pipeline.errors import InvalidArtifact
class Model:
    def fit(self): ...
    def get_params(self): ...
from ml_pipeline.client import Client
try:
    Client(sys.argv[1], sys.argv[2]).register("e", "n", "1", Model())
except InvalidArtifact as error:
    print(error)
"""
COMMAND = """
from ml_pipeline.cli import main
url, key = sys.argv[1:3]
import os
os.environ.update(ML_PIPELINE_URL=url, ML_PIPELINE_API_KEY=key)
sys.argv[:] = ["ml-pipeline", *sys.argv[3:]]
main()
"""
HELP = """
from ml_pipeline.cli import main
sys.argv[:] = ["ml-pipeline", "--help"]
try:
    main()
finally:
    print([name for name in ("httpx", "asyncio", "ssl", "numpy") if sys.modules.get(name)], file=sys.stderr)
"""


def run(code: str, door: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCKED + code, door.url, door.home.keys["admin"], *arguments]
    return subprocess.run(command, env=door.home.environment, capture_output=True, text=True, check=False)


def test_the_client_works_without_them(door: Server) -> None:
    done = run(USE, door, ENDPOINT)
    assert done.stdout.splitlines() == ["OK", "3 True"], done.stderr


def test_a_fitted_object_without_skops_names_the_remedy(door: Server) -> None:
    assert "pip install skops" in run(LEFT_OUT, door).stdout


def test_the_commands_work_without_them(door: Server) -> None:
    done = run(COMMAND, door, "predict", ENDPOINT, json.dumps(PERSON), "--json")
    assert json.loads(done.stdout)["status"] == "OK", done.stderr
    assert run(COMMAND, door, "history", ENDPOINT).returncode == 0


def test_help_imports_no_http(door: Server) -> None:
    done = run(HELP, door)
    assert "register" in done.stdout
    assert done.stderr.strip() == "[]"
