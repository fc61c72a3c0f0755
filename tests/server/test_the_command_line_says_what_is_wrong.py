"""`ml-pipeline`: exit codes, the server without its extra, an unmigrated database, and serving a migrated one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
from homes import REPOSITORY, Home
from people import PERSON
from servers import free_port

from ml_pipeline import __version__
from ml_pipeline.apps.ml.bundles import write_bundle

COMMAND = str(Path(sys.executable).parent / "ml-pipeline")
WITHOUT_SERVER = "import sys; sys.modules['django'] = None; from ml_pipeline.cli import main; main()"


def test_wrong_use_exits_with_2(home: Home) -> None:
    for arguments in (("nonsense",), ("keys", "create", "name"), ("serve", "--port", "1")):
        assert home.run(COMMAND, *arguments, check=False).returncode == 2


def test_help_names_every_command(home: Home) -> None:
    shown = home.run(COMMAND, "--help").stdout
    assert all(name in shown for name in ("demo", "serve", "migrate", "keys"))


def test_the_version_is_told(home: Home) -> None:
    assert home.run(COMMAND, "--version").stdout == f"ml-pipeline {__version__}\n"


def test_a_bundle_without_a_name_is_registered_under_none(home: Home, tmp_path: Path, bundles: Path) -> None:
    files = {path.name: path.read_bytes() for path in (bundles / "decision_tree").iterdir()}
    manifest = json.loads(files.pop("manifest.json"))
    nameless = {key: value for key, value in manifest.items() if key not in ("name", "files", "format")}
    write_bundle(tmp_path / "bundle", nameless, files)
    register = ("register", str(tmp_path / "bundle"), "--endpoint", "shop", "--version", "1")
    refused = home.manage(*register, check=False)
    assert (refused.returncode, "give one by --name" in refused.stderr) == (1, True), refused.stderr
    told = home.manage(*register, "--name", "tree").stdout
    assert told.startswith("Registered tree 1 as algorithm ")
    assert told.endswith(").\n")
    assert ".)" not in told


def test_without_the_extra_the_remedy_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SERVER, "migrate"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stderr.strip()) == (
        1,
        "This command needs the server: pip install 'ml-pipeline[server]'",
    )


def test_a_refusal_exits_with_1_and_says_why(home: Home) -> None:
    done = home.run(COMMAND, "keys", "create", "admin-key", "--scope", "read", check=False)
    assert (done.returncode, "There is an API key named 'admin-key' already" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr


def test_a_database_that_is_not_migrated_is_not_served(tmp_path: Path) -> None:
    bare = Home(tmp_path / "bare")
    bare.folder.mkdir()
    (bare.folder / "secret_key").write_text("0123456789" * 4)
    served = bare.run(COMMAND, "serve", check=False)
    assert (served.returncode, "ml-pipeline migrate" in served.stderr) == (1, True)
    listed = bare.run(COMMAND, "keys", "list", check=False)
    assert (listed.returncode, "ml-pipeline migrate" in listed.stderr) == (1, True)
    bare.run(COMMAND, "migrate")
    assert json.loads(bare.run(COMMAND, "keys", "list", "--json").stdout) == []


def test_serve_serves_until_it_is_stopped(home: Home) -> None:
    port = free_port()
    environment = {**home.environment, "PORT": str(port)}
    process = subprocess.Popen([COMMAND, "serve"], env=environment, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"Serving on http://127.0.0.1:{port}. Ctrl-C stops.\n"
        transport = httpx.HTTPTransport(retries=8)
        with httpx.Client(transport=transport, headers={"X-Api-Key": home.keys["predict"]}) as client:
            reply = client.post(f"http://127.0.0.1:{port}/api/v1/income_classifier/predict", json=PERSON)
        assert reply.status_code == 200
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        process.stdout.close()


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    build = "from hatchling.build import build_wheel; import sys; print(build_wheel(sys.argv[1]))"
    made = subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"},
        capture_output=True,
        text=True,
        check=True,
    )
    with zipfile.ZipFile(tmp_path / made.stdout.strip()) as wheel:
        names = wheel.namelist()
        metadata = wheel.read(next(name for name in names if name.endswith("/METADATA"))).decode()
    assert {name.split("/")[0] for name in names} == {"ml_pipeline", "ml_pipeline-0.1.0.dist-info"}
    assert "ml_pipeline/server/templates/rest_framework/api.html" in names
    base = {
        line.split()[1].split(">")[0]
        for line in metadata.splitlines()
        if line.startswith("Requires-Dist") and ";" not in line
    }
    assert base == {"httpx", "rich", "typer"}
