"""Fails when the documentation and the code disagree; part of `make check`.

    python docs/check.py           prints what is missing, stale or broken, and exits with 1 when anything is
    python docs/check.py --write   rewrites what is generated first: tables in docs/settings.md and docs/webhooks.md,
                                   docs/performance.md

Every setting, route, error code and command has its place in docs/, and nothing is there that the code does not have:

- settings: the table in settings.md, made from `server/configuration.py`; a full name elsewhere must be in the table;
- fixed limits: the second table in settings.md, made from the constants named in `limits.py`;
- events: the table in webhooks.md, made from `events/catalogue.py`;
- routes: a heading a route in api.md, such as `GET /api/v1/endpoints`;
- error codes: a heading a code in errors.md, such as 404 `not_found`;
- commands: a heading each in commands.md; a command named elsewhere must exist;
- performance: performance.md is what benchmarks/data_plane/report.py makes of the committed run;
- relative links and their anchors, in every Markdown file.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import django
from limits import LIMITS

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
PACKAGE = "ml_pipeline."
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
ROUTE = re.compile(r"`([A-Z]+(?:, [A-Z]+)*) (/[^`]*)`")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def main() -> int:
    """0 when documentation and code agree."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="rewrite what is generated first")
    write = parser.parse_args().write
    os.environ["DJANGO_SETTINGS_MODULE"] = "ml_pipeline.server.settings"
    django.setup()
    # The benchmark's reports are made by the benchmark's own code.
    sys.path.append(str(ROOT))
    if write:
        write_tables()
        write_performance()
    complaints = [*tables(), *settings(), *routes(), *error_codes(), *commands(), *performance(), *links()]
    for complaint in complaints:
        print(complaint)
    if complaints:
        print(f"{len(complaints)} complaints about the documentation.")
    return 1 if complaints else 0


def compared(page: str, kind: str, in_code: Iterable[str], in_docs: Iterable[str]) -> Iterator[str]:
    """What only one of the two has."""
    code, docs = set(in_code), set(in_docs)
    yield from (f"docs/{page}: the {kind} {one} is not documented" for one in sorted(code - docs))
    yield from (f"docs/{page}: there is no {kind} {one}" for one in sorted(docs - code))


def headings(text: str) -> list[str]:
    """The headings of a Markdown text, without their marks."""
    return re.findall(r"^#+ (.+?) *$", FENCE.sub("", text), re.MULTILINE)


def pages() -> list[Path]:
    """Every Markdown file, hidden folders left out."""
    files = [path.relative_to(ROOT) for path in ROOT.rglob("*.md")]
    return sorted(path for path in files if not any(part.startswith(".") for part in path.parts))


def living() -> Iterator[tuple[Path, str]]:
    """The pages that speak of the present, and their texts: a change log and decisions may name what is gone."""
    for path in pages():
        if path != Path("CHANGELOG.md") and path.parent != Path("docs/adr"):
            yield path, (ROOT / path).read_text(encoding="utf-8")


# Settings


def settings_table() -> Iterator[str]:
    """The table of settings, line by line."""
    from ml_pipeline.server import configuration

    yield from ("| Variable | Default | Check | What it is |", "|---|---|---|---|")
    for one in configuration.TABLE:
        default = f"`{one.default}`" if one.default else "none"
        yield f"| `{one.variable}` | {default} | `{one.check}` | {one.help.replace('|', chr(92) + '|')} |"


def limits_table() -> Iterator[str]:
    """The table of what is fixed in code, line by line."""
    yield from ("| What | Value | Where |", "|---|---|---|")
    for what, module, constant, unit in LIMITS:
        value = getattr(importlib.import_module(PACKAGE + module), constant)
        yield f"| {what} | {value:,} {unit} | `{module.replace('.', '/')}.py` |"


def events_table() -> Iterator[str]:
    """The table of events, line by line."""
    from ml_pipeline.apps.events import catalogue

    yield from ("| Event | What happened |", "|---|---|")
    yield from (f"| `{action}` | {told} |" for action, told in catalogue.ACTIONS.items())


def generated() -> Iterator[tuple[str, str, str, str]]:
    """Each generated part: its page, the marker it begins with, the one it ends with, and what is between."""
    tables = (
        ("settings.md", "settings", settings_table()),
        ("settings.md", "limits", limits_table()),
        ("webhooks.md", "events", events_table()),
    )
    for page, name, lines in tables:
        content = "\n".join(lines)
        yield page, f"<!-- {name}: made by docs/check.py --write -->", f"<!-- /{name} -->", f"\n\n{content}\n\n"


def write_tables() -> None:
    """Puts the tables of now between their markers."""
    for page, begin, end, content in generated():
        path = DOCS / page
        before, _, rest = path.read_text(encoding="utf-8").partition(begin)
        path.write_text(before + begin + content + end + rest.partition(end)[2], encoding="utf-8")


def tables() -> Iterator[str]:
    """Complaints about generated tables."""
    for page in sorted({page for page, *_ in generated()}):
        text = (DOCS / page).read_text(encoding="utf-8")
        if any(begin + content + end not in text for one, begin, end, content in generated() if one == page):
            yield f"docs/{page}: a generated table is stale; python docs/check.py --write makes it anew"


def settings() -> Iterator[str]:
    """Complaints about settings."""
    from ml_pipeline.server import configuration

    text = (DOCS / "settings.md").read_text(encoding="utf-8")
    for name in sorted(configuration.CLIENT_VARIABLES):
        if f"`{name}`" not in text:
            yield f"docs/settings.md: the variable {name} is not documented"
    known = {one.variable for one in configuration.TABLE} | configuration.CLIENT_VARIABLES
    for path, content in living():
        for name in sorted(set(re.findall(rf"\b{configuration.PREFIX}[A-Z][A-Z_]*\b", content)) - known):
            yield f"{path}: there is no setting {name}"


# Routes


def django_routes(patterns: Iterable[Any], prefix: str = "/") -> Iterator[tuple[str, set[str] | None]]:
    """Each path under `patterns` with the methods of its API view; None for pages, whose methods are Django's own."""
    from django.urls import URLResolver
    from rest_framework.views import APIView

    for pattern in patterns:
        path = prefix + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(pattern.pattern)).replace("{pk}", "{id}")
        view = getattr(pattern.callback, "cls", None)
        if isinstance(pattern, URLResolver) and pattern.app_name != "admin":
            yield from django_routes(pattern.url_patterns, path)
        elif isinstance(view, type) and issubclass(view, APIView):
            yield path, {method for method in METHODS if hasattr(view, method.lower())}
        else:
            yield path, None


def code_routes() -> dict[str, set[str] | None]:
    """Path to methods for all that is served, the data plane's from the OpenAPI document."""
    from django.urls import get_resolver

    from ml_pipeline.server import schema

    found = dict(django_routes(get_resolver().url_patterns))
    document = schema.add_data_plane({"paths": {}}, None, None, True)
    return found | {path: {method.upper() for method in about} for path, about in document["paths"].items()}


def routes() -> Iterator[str]:
    """Complaints about routes."""
    matches = map(ROUTE.fullmatch, headings((DOCS / "api.md").read_text(encoding="utf-8")))
    documented = {(method, match[2]) for match in matches if match for method in match[1].split(", ")}
    served: set[tuple[str, str]] = set()
    for path, methods in code_routes().items():
        own = methods or {method for method, where in documented if where == path} or {"GET"}
        served |= {(method, path) for method in own}
    yield from compared("api.md", "route", map(" ".join, served), map(" ".join, documented))


# Error codes


def error_codes() -> Iterator[str]:
    """Complaints about error codes."""
    from ml_pipeline.wire import replies

    text = (DOCS / "errors.md").read_text(encoding="utf-8")
    documented = [one for one in headings(text) if re.fullmatch(r"\d{3} `\w+`", one)]
    known = {f"{reply.status} `{reply.code}`" for reply in [*replies.TABLE.values(), replies.INTERNAL]}
    yield from compared("errors.md", "error code", known, documented)


# Commands


def typer_commands(command: Any, name: str) -> Iterator[str]:
    """The full names of the commands under a Typer command."""
    below = getattr(command, "commands", None)
    if below is None or getattr(command, "invoke_without_command", False):
        yield name
    for word, one in (below or {}).items():
        yield from typer_commands(one, f"{name} {word}")


def commands() -> Iterator[str]:
    """Complaints about `ml-pipeline` and management commands."""
    import typer
    from django.core.management import get_commands

    from ml_pipeline import cli

    ours = set(typer_commands(typer.main.get_command(cli.app), "ml-pipeline"))
    every = get_commands()
    management = {f"manage.py {name}" for name, app in every.items() if str(app).startswith(PACKAGE)}
    titles = headings((DOCS / "commands.md").read_text(encoding="utf-8"))
    documented = {one.strip("`") for one in titles if re.match(r"`(ml-pipeline|manage\.py) ", one)}
    yield from compared("commands.md", "command", ours | management, documented)
    words = {name.split()[1] for name in ours}
    for path, text in living():
        named = set(re.findall(r"\bml-pipeline ([a-z][a-z-]*)", text))
        yield from (f"{path}: there is no command ml-pipeline {name}" for name in sorted(named - words))
        named = set(re.findall(r"\bmanage\.py ([a-z]\w*)", text))
        yield from (f"{path}: there is no command manage.py {name}" for name in sorted(named - set(every)))


# Performance


def write_performance() -> None:
    """Makes docs/performance.md of the committed run, where there is one."""
    from benchmarks.data_plane import report

    if report.RESULTS.exists():
        report.PAGE.write_text(report.page(json.loads(report.RESULTS.read_text(encoding="utf-8"))), encoding="utf-8")


def performance() -> Iterator[str]:
    """Complaints about docs/performance.md."""
    from benchmarks.data_plane import report

    run = json.loads(report.RESULTS.read_text(encoding="utf-8")) if report.RESULTS.exists() else None
    text = report.PAGE.read_text(encoding="utf-8") if report.PAGE.exists() else None
    if text != (None if run is None else report.page(run)):
        yield "docs/performance.md is not what its run says; python docs/check.py --write makes it anew"


# Links


def anchors(path: Path) -> set[str]:
    """The anchors that the headings of a Markdown file make."""
    kept = (re.sub(r"[^\w\- ]", "", title.lower()) for title in headings(path.read_text(encoding="utf-8")))
    return {title.replace(" ", "-") for title in kept}


def links() -> Iterator[str]:
    """Complaints about relative links whose file or heading is not there."""
    for page in pages():
        text = FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
        for link in LINK.findall(text):
            if re.match(r"[a-z]+:", link):
                continue
            name, _, anchor = link.partition("#")
            target = (ROOT / page).parent / name if name else ROOT / page
            if not target.exists():
                yield f"{page}: the link {link} leads nowhere"
            elif anchor and anchor not in anchors(target):
                yield f"{page}: the link {link} names no heading there"


if __name__ == "__main__":
    sys.exit(main())
