"""What is wrong with settings only beside others, or without an extra; each alone is looked at by its reader."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any

# By the name of the setting, the check that complains of it.
_OPENID = {
    "ML_PIPELINE_OIDC_ISSUER": "ml_pipeline.E019",
    "ML_PIPELINE_OIDC_CLIENT_ID": "ml_pipeline.E020",
    "ML_PIPELINE_OIDC_CLIENT_SECRET": "ml_pipeline.E021",
    "ML_PIPELINE_OIDC_GROUPS": "ml_pipeline.E022",
}


def wrong(values: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each thing that is wrong. What could not be read is not in `values`, and was complained of."""
    yield from _wrong_about_openid(values)
    if values.get("ML_PIPELINE_RAY_ADDRESS") and importlib.util.find_spec("ray") is None:
        extra = "it needs the extra `ray`: pip install 'ml-pipeline[server,ray]'."
        yield f"(ml_pipeline.E027) ML_PIPELINE_RAY_ADDRESS: {extra}"
    if values.get("ML_PIPELINE_EMAIL_URL") and not values.get("ML_PIPELINE_EMAIL_FROM", True):
        yield "(ml_pipeline.E030) ML_PIPELINE_EMAIL_FROM: it is needed, because ML_PIPELINE_EMAIL_URL is set."


def _wrong_about_openid(values: Mapping[str, Any]) -> Iterator[str]:
    given = [name for name in _OPENID if values.get(name, True)]
    if not given:
        return
    for name, check in _OPENID.items():
        if name not in given:
            yield f"({check}) {name}: it is needed, because {given[0]} is set."
    if importlib.util.find_spec("mozilla_django_oidc") is None:
        yield f"(ml_pipeline.E019) {given[0]}: it needs the extra `oidc`: pip install 'ml-pipeline[server,oidc]'."
