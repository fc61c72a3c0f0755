"""Django's settings, made from the table in `configuration`. What operators may change stands there, the rest here."""

from __future__ import annotations

import dj_database_url

from ml_pipeline import __version__
from ml_pipeline.server import configuration, mysql, postgresql

_VALUES = configuration.read()

HOME = _VALUES["ML_PIPELINE_HOME"]
SECRET_KEY = configuration.secret_key(_VALUES)
HOME.mkdir(mode=0o700, parents=True, exist_ok=True)
(HOME / "work").mkdir(mode=0o700, exist_ok=True)
# Bundles as unpacked on this machine, and what is being registered now.
CACHE_DIR, WORK_DIR, ARCHIVE_DIR = HOME / "cache", HOME / "work", HOME / "archive"
DEBUG = _VALUES["ML_PIPELINE_DEBUG"]
ALLOWED_HOSTS = _VALUES["ML_PIPELINE_ALLOWED_HOSTS"]
QUEUE_ROWS = _VALUES["ML_PIPELINE_QUEUE_ROWS"]
MAX_BATCH = _VALUES["ML_PIPELINE_MAX_BATCH"]
MAX_WAIT_US = _VALUES["ML_PIPELINE_MAX_WAIT_US"]
DEADLINE_S = _VALUES["ML_PIPELINE_DEADLINE_MS"] / 1e3
MEMORY_BYTES = _VALUES["ML_PIPELINE_MEMORY_MB"] * 1_000_000
CHILD_MEMORY_BYTES = _VALUES["ML_PIPELINE_CHILD_MEMORY_MB"] * 1_000_000
REGISTRATION_MEMORY_BYTES = _VALUES["ML_PIPELINE_REGISTRATION_MEMORY_MB"] * 1_000_000
BATCH_DAYS = _VALUES["ML_PIPELINE_BATCH_DAYS"]
UPLOAD_BYTES = _VALUES["ML_PIPELINE_UPLOAD_MB"] * 1_000_000
BATCH_BYTES = _VALUES["ML_PIPELINE_BATCH_MB"] * 1_000_000
TRUSTED_KEYS = _VALUES["ML_PIPELINE_TRUSTED_KEYS"]
TRUSTED_PROXIES = _VALUES["ML_PIPELINE_TRUSTED_PROXIES"]
TLS = _VALUES["ML_PIPELINE_TLS"]
OIDC_ISSUER = _VALUES["ML_PIPELINE_OIDC_ISSUER"]
OIDC_GROUPS = _VALUES["ML_PIPELINE_OIDC_GROUPS"]
OIDC_GROUPS_CLAIM = _VALUES["ML_PIPELINE_OIDC_GROUPS_CLAIM"]
RAY_ADDRESS = _VALUES["ML_PIPELINE_RAY_ADDRESS"]
WEBHOOK_ALLOW = _VALUES["ML_PIPELINE_WEBHOOK_ALLOW"]
EMAIL_SERVER = _VALUES["ML_PIPELINE_EMAIL_URL"]
DEFAULT_FROM_EMAIL = _VALUES["ML_PIPELINE_EMAIL_FROM"]
HOST = _VALUES["HOST"]
PORT = _VALUES["PORT"]

DATABASES = {
    "default": dj_database_url.parse(_VALUES["ML_PIPELINE_DATABASE_URL"] or f"sqlite:///{HOME / 'db.sqlite3'}")
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # FULL: a commit is on disk before it returns. IMMEDIATE: a transaction takes the write lock when it begins, and
    # waits for it, instead of failing in the middle. Nobody copies the write-ahead log but `predictions.checkpoints`.
    DATABASES["default"]["OPTIONS"] = {
        "init_command": "PRAGMA wal_autocheckpoint=0; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        "transaction_mode": "IMMEDIATE",
        "timeout": 10,
    }
for _module in (mysql, postgresql):
    if DATABASES["default"]["ENGINE"] == _module.ENGINE:
        DATABASES["default"]["OPTIONS"] = _module.OPTIONS | DATABASES["default"].get("OPTIONS", {})

INSTALLED_APPS = [
    "ml_pipeline.server",
    "ml_pipeline.apps.batches",
    "ml_pipeline.apps.monitoring",
    "ml_pipeline.apps.predictions",
    "ml_pipeline.apps.abtests",
    "ml_pipeline.apps.endpoints",
    "ml_pipeline.apps.accounts",
    "ml_pipeline.apps.events",
    "ml_pipeline.apps.jobs",
    # Its pages are found with the other routes, where there are any: commands start without.
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]
MIDDLEWARE = [
    "ml_pipeline.server.middleware.accounted",
    "ml_pipeline.server.middleware.trusted_headers",
    "django.middleware.security.SecurityMiddleware",
    "ml_pipeline.server.middleware.page_headers",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "ml_pipeline.server.middleware.addressed",
    "ml_pipeline.server.middleware.RefusedTries",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = TLS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_HSTS_SECONDS = 31_536_000 if TLS else 0
if TLS and TRUSTED_PROXIES:
    # `server.middleware` takes the header away from whoever is no trusted proxy.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# What browsers are told of other names in the domain, and of lists that are built into them, its owner decides.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
ROOT_URLCONF = "ml_pipeline.server.urls"
ASGI_APPLICATION = "ml_pipeline.server.asgi.application"
WSGI_APPLICATION = "ml_pipeline.server.wsgi.application"
APPEND_SLASH = False
AUTHENTICATION_BACKENDS = ["ml_pipeline.apps.accounts.tries.CountedTries"]
# As mozilla-django-oidc reads them; where the provider's endpoints are, it says itself.
OIDC_RP_CLIENT_ID = _VALUES["ML_PIPELINE_OIDC_CLIENT_ID"]
OIDC_RP_CLIENT_SECRET = _VALUES["ML_PIPELINE_OIDC_CLIENT_SECRET"]
OIDC_RP_SCOPES = _VALUES["ML_PIPELINE_OIDC_SCOPES"]
OIDC_RP_SIGN_ALGO = "RS256"
OIDC_USE_PKCE = True
OIDC_TIMEOUT = 5
if OIDC_ISSUER:
    AUTHENTICATION_BACKENDS.append("ml_pipeline.apps.accounts.openid.ProvidedPeople")
LOGIN_URL = "rest_framework:login"
LOGIN_REDIRECT_URL = "api-root"
LOGOUT_REDIRECT_URL = "rest_framework:login"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": HOME / "artifacts"}},
    "bundles": {
        "BACKEND": "ml_pipeline.apps.endpoints.storages.DurableFileSystemStorage",
        "OPTIONS": {"location": HOME / "artifacts", "allow_overwrite": True},
    },
    "batches": {
        "BACKEND": "ml_pipeline.apps.endpoints.storages.DurableFileSystemStorage",
        "OPTIONS": {"location": HOME / "batches", "allow_overwrite": True},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# The doors bound every body before Django sees it. An upload may be larger, but only its files, which never lie in
# memory; this is for the rest of its form.
DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000_000
FILE_UPLOAD_HANDLERS = ["ml_pipeline.apps.endpoints.storages.BoundedNamesHandler"]
FILE_UPLOAD_TEMP_DIR = WORK_DIR
FILE_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"
# Served straight from the installed packages: nothing to collect before the first start.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": (
        "ml_pipeline.apps.accounts.authentication.KeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ),
    "DEFAULT_PERMISSION_CLASSES": ("ml_pipeline.apps.accounts.authentication.HasScope",),
    "DEFAULT_PARSER_CLASSES": (
        "ml_pipeline.rest.parsers.StrictJSONParser",
        "ml_pipeline.rest.parsers.StrictFormParser",
    ),
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "ml_pipeline.rest.exceptions.JSONUnlessAsked",
    "DEFAULT_METADATA_CLASS": "ml_pipeline.rest.metadata.FieldsOnly",
    "DEFAULT_PAGINATION_CLASS": "ml_pipeline.rest.lists.KeysetPagination",
    "DEFAULT_FILTER_BACKENDS": ("ml_pipeline.rest.lists.AllowListedFilters",),
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "ml_pipeline.rest.exceptions.handle",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "ML_Pipeline",
    "DESCRIPTION": "Registry, predictions, feedback and history. Every error has the shape of the schema Error.",
    "VERSION": __version__,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["ml_pipeline.apps.accounts.authentication.HasScope"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    # What PATCH of one route may leave out, PUT may too; on the other both ask for the same.
    "COMPONENT_SPLIT_PATCH": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "ml_pipeline.server.schema.add_data_plane",
    ],
    "ENUM_NAME_OVERRIDES": {
        "AlgorithmStatusEnum": "ml_pipeline.apps.endpoints.models.Status",
        "StateEnum": "ml_pipeline.apps.abtests.models.State",
        "BatchStateEnum": "ml_pipeline.apps.batches.models.State",
        "DeliveryStateEnum": "ml_pipeline.apps.events.models.DeliveryState",
        "ReceiverKindEnum": "ml_pipeline.apps.events.models.Kind",
        "FileFormatEnum": "ml_pipeline.apps.batches.models.Format",
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "ml_pipeline.wire.log_lines.formatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "skl2onnx": {"level": "WARNING"},
        # Django would write what its own handlers write in forms of theirs.
        "django": {"handlers": [], "level": "INFO"},
        "django.server": {"handlers": [], "propagate": True},
        # What fails is logged once, under its request id, by `rest.exceptions`.
        "django.request": {"level": "CRITICAL"},
        # The client is told; a form with too many parts is no failure of ours.
        "django.security.TooManyFieldsSent": {"level": "CRITICAL"},
        "django.security.TooManyFilesSent": {"level": "CRITICAL"},
    },
}
