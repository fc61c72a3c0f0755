"""Django's settings: SQLite as it comes, production mode."""

from __future__ import annotations

import os

SECRET_KEY = "only-for-the-benchmark-nothing-is-kept-with-it"  # noqa: S105  (a server that lives for minutes)
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "benchmarks.data_plane.tutorial.apps.EndpointsConfig",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
]
ROOT_URLCONF = "benchmarks.data_plane.tutorial.urls"
WSGI_APPLICATION = "benchmarks.data_plane.tutorial.wsgi.application"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["BENCH_DATABASE"],
        "OPTIONS": {"timeout": 20},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
