"""Tries to log in: counted in the database before a password is looked at, for the name and for the address apart.

Whoever makes many at once, in however many processes, gets no more of them than one after the other. What is stored is
a keyed hash: people type passwords where names belong.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from ml_pipeline.apps.accounts import digests
from ml_pipeline.apps.accounts.models import LoginTries
from ml_pipeline.errors import TooManyTries
from ml_pipeline.rest import addresses

MAX_TRIES: Final = 8
# From the first of them. Tries that are refused do not make it longer, or a stranger could lock somebody out for ever.
PERIOD_S: Final = 600
# IPv6 gives whoever has one address so many of them.
IPV6_PREFIX = 64
SWEPT_ROWS = 100
_hidden = digests.Digest(b"ml_pipeline.accounts.login_tries")


class CountedTries(ModelBackend):
    """Names and passwords, each try counted: whichever page asks for them, it asks here."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """The person, or None for a wrong name or password. Raises TooManyTries, whatever the password is."""
        if username is None or password is None:
            return None
        name, address = _digest("name", _folded(username)), _digest("address", _network(request))
        count((address, name))
        user = super().authenticate(request, username=username, password=password, **kwargs)
        if user is not None:
            forgive(name, address)
        return user


def count(digests: Iterable[str]) -> None:
    """Counts a try for each of `digests`. Raises TooManyTries when one of them has had all that it gets."""
    now = timezone.now()
    spent = LoginTries.objects.filter(digest__in=digests, until_at__gt=now, tries__gte=MAX_TRIES)
    _refuse(spent.values_list("until_at", flat=True), now)
    for digest in digests:
        while not _counted(digest, now):
            pass


def forgive(name: str, address: str) -> None:
    """The name has all its tries again; the address gets back the one that succeeded, and no other."""
    LoginTries.objects.filter(digest=name).delete()
    LoginTries.objects.filter(digest=address, tries__gt=0).update(tries=F("tries") - 1)


def _counted(digest: str, now: datetime) -> bool:
    # False where somebody else was quicker. Each step is one statement, true on any database without a lock.
    rows = LoginTries.objects.filter(digest=digest)
    if rows.filter(until_at__gt=now, tries__lt=MAX_TRIES).update(tries=F("tries") + 1):
        return True
    until_at = now + timedelta(seconds=PERIOD_S)
    if rows.filter(until_at__lte=now).update(tries=1, until_at=until_at):
        return True
    _refuse(rows.filter(until_at__gt=now, tries__gte=MAX_TRIES).values_list("until_at", flat=True), now)
    try:
        with transaction.atomic():
            LoginTries.objects.create(digest=digest, tries=1, until_at=until_at)
    except IntegrityError:
        return False
    _sweep(now)
    return True


def _refuse(until: Iterable[datetime], now: datetime) -> None:
    if ends := list(until):
        wait_s = max(1, round((max(ends) - now).total_seconds()))
        minutes = -(-wait_s // 60)
        raise TooManyTries(
            f"Too many tries to log in. Wait {minutes} minute{'s' if minutes > 1 else ''}, then try again.",
            retry_after_s=wait_s,
        )


def _sweep(now: datetime) -> None:
    # Names are made up; what is over is of no use.
    over = list(LoginTries.objects.filter(until_at__lte=now).values_list("digest", flat=True)[:SWEPT_ROWS])
    LoginTries.objects.filter(digest__in=over, until_at__lte=now).delete()


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _network(request: HttpRequest | None) -> str:
    text = addresses.client_address(request) if request is not None else ""
    if ":" not in text:
        return text
    return str(ipaddress.ip_network((text.partition("%")[0], IPV6_PREFIX), strict=False))


def _digest(kind: str, text: str) -> str:
    return _hidden(f"{kind}:{text}".encode("utf-8", "surrogatepass"))
