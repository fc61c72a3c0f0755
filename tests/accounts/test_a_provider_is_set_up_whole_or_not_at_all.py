"""A server that is told half of what it needs to know of its OpenID provider does not start, and says what."""

from __future__ import annotations

import subprocess
import sys

import pytest
from homes import REPOSITORY, Home
from openid_provider import CLIENT_SECRET, OpenIDProvider

GOOD = {
    **OpenIDProvider().environment,
    "ML_PIPELINE_OIDC_GROUPS": "/ops=cellar:operator,cn=bosses=cellar:administrator",
}


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("ISSUER", "", "(ml_pipeline.E019) ML_PIPELINE_OIDC_ISSUER: it is needed, because ML_PIPELINE_OIDC_CLIENT_ID"),
        ("ISSUER", "http://id.example.org", "(ml_pipeline.E019) ML_PIPELINE_OIDC_ISSUER: expected https://"),
        ("CLIENT_ID", "", "(ml_pipeline.E020) ML_PIPELINE_OIDC_CLIENT_ID: it is needed"),
        ("CLIENT_SECRET", "", "(ml_pipeline.E021) ML_PIPELINE_OIDC_CLIENT_SECRET: it is needed"),
        ("GROUPS", "", "(ml_pipeline.E022) ML_PIPELINE_OIDC_GROUPS: it is needed"),
        ("GROUPS", "ops=cellar", "(ml_pipeline.E022) ML_PIPELINE_OIDC_GROUPS: expected GROUP=TEAM:ROLE"),
        ("GROUPS", "ops=cellar:king", "viewer, operator, administrator"),
        ("GROUPS_CLAIM", " ", "(ml_pipeline.E023)"),
        ("SCOPES", "profile", "(ml_pipeline.E024)"),
    ],
)
def test_a_wrong_setting_stops_the_start(prepared_home: Home, name: str, value: str, told: str) -> None:
    environment = {**prepared_home.environment, **GOOD, f"ML_PIPELINE_OIDC_{name}": value}
    assert told in _started([sys.executable, "backend/manage.py", "check"], environment)


def test_without_the_extra_nothing_starts(prepared_home: Home) -> None:
    code = "import sys; sys.modules['mozilla_django_oidc'] = None; import ml_pipeline.server.settings"
    told = _started([sys.executable, "-c", code], {**prepared_home.environment, **GOOD})
    assert "ML_PIPELINE_OIDC_ISSUER: it needs the extra `oidc`" in told


def _started(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert CLIENT_SECRET not in done.stderr
    return done.stderr
