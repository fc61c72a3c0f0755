"""E-mails to receivers: plain text that says what happened, where, who did it and when."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from email.utils import parseaddr
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from ml_pipeline.apps.events import catalogue
from ml_pipeline.apps.events.outcomes import Outcome, Verdict

TIMEOUT_S: Final = 10
MAX_SUBJECT, MAX_VALUE = 150, 500
_BACKEND: Final = "django.core.mail.backends.smtp.EmailBackend"


def is_set_up() -> bool:
    """Whether there is a server to send by."""
    return settings.EMAIL_SERVER is not None


def send(address: str, delivery: UUID, payload: Mapping[str, Any]) -> Outcome:
    """What became of the letter about the event that `payload` describes."""
    server = settings.EMAIL_SERVER
    if server is None:
        return Outcome(Verdict.AWAY, error="No mail server is set: ML_PIPELINE_EMAIL_URL.")
    connection = get_connection(_BACKEND, timeout=TIMEOUT_S, **server._asdict())
    sender = settings.DEFAULT_FROM_EMAIL
    domain = parseaddr(sender)[1].rpartition("@")[2]
    # The same however often it is sent, so that a mailbox shows it once; no robot answers it.
    headers = {"Message-ID": f"<{delivery}@{domain}>", "Auto-Submitted": "auto-generated"}
    letter = EmailMessage(subject(payload), text(payload), sender, [address], connection=connection, headers=headers)
    try:
        # Opened here it is closed below: what goes wrong at the farewell, of a letter that was taken, is nothing.
        connection.open()
        letter.send()
    except smtplib.SMTPRecipientsRefused as error:
        return _refused(next((code for code, _ in error.recipients.values()), None))
    except smtplib.SMTPAuthenticationError as error:
        return Outcome(Verdict.AWAY, error.smtp_code, "The mail server does not know this server's name and password.")
    except smtplib.SMTPResponseException as error:
        return _refused(error.smtp_code)
    except OSError:
        return Outcome(Verdict.AWAY, error="The mail server does not answer, or not as it should.")
    finally:
        # Django leaves it open where the server does not know us.
        with suppress(OSError):
            connection.close()
    return Outcome(Verdict.DELIVERED)


def _refused(code: int | None) -> Outcome:
    is_final = code is not None and code >= 500
    told = "The mail server refused it" + ("." if code is None else f" ({code}).")
    return Outcome(Verdict.REFUSED if is_final else Verdict.AWAY, code, told)


def subject(payload: Mapping[str, Any]) -> str:
    """One line: what happened to what, and under which endpoint."""
    place = f" ({payload['endpoint']})" if payload["endpoint"] else ""
    return _line(f"[ML_Pipeline] {_happened(payload)}: {payload['subject']}{place}", MAX_SUBJECT)


def text(payload: Mapping[str, Any]) -> str:
    """What the letter says."""
    when = str(payload["timestamp"]).replace("T", " ").partition(".")[0].rstrip("Z")
    about = {
        "Of what": payload["subject"],
        "Endpoint": payload["endpoint"],
        "Team": payload["team"],
        "Who": payload["actor"],
        "When": f"{when} UTC",
        "Event": f"{payload['type']}, number {payload['id']}",
    }
    lines = [f"{_happened(payload)}.", "", *_listed({name: one for name, one in about.items() if one})]
    details = {name: one for name, one in payload["details"].items() if name != "endpoint" and one not in (None, "")}
    if details:
        lines += ["", "Details:", *(f"  {one}" for one in _listed(details))]
    return "\n".join([*lines, "", "Sent by ML_Pipeline to whom a receiver of events there names.", ""])


def _happened(payload: Mapping[str, Any]) -> str:
    return catalogue.ACTIONS.get(payload["type"], str(payload["type"]))


def _listed(values: Mapping[str, Any]) -> Iterator[str]:
    width = max(len(name) for name in values)
    for name, value in values.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield f"{_line(name, MAX_VALUE)}:".ljust(width + 2) + _line(shown, MAX_VALUE)


def _line(text: str, size: int) -> str:
    # Names and reasons are other people's: a line stays one line.
    plain = "".join(one if one.isprintable() else " " for one in text)
    return plain if len(plain) <= size else f"{plain[: size - 1]}…"
