"""E-mails through a real mail server: what they say, and what becomes of them when it takes them not."""

from __future__ import annotations

import email
from collections.abc import Iterator
from email.message import Message
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from pytest_django import Settings
from told import Clock, Worker, happen, receiver, states

from ml_pipeline.apps.events import letters
from ml_pipeline.apps.events.models import Delivery, Kind
from ml_pipeline.errors import InvalidInput
from ml_pipeline.server import readers

pytestmark = pytest.mark.django_db
TO = "ops@example.org"


class Mailbox:
    """Takes letters; `answer` is what it says to each."""

    def __init__(self) -> None:
        self.letters: list[Envelope] = []
        self.answer = "250 OK"
        self.recipient = "250 OK"
        self.farewell = "221 Bye"

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]) -> str:  # noqa: N802
        if self.recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient

    async def handle_QUIT(self, _: SMTP, __: Session, ___: Envelope) -> str:  # noqa: N802
        return self.farewell

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802
        self.letters.append(envelope)
        return self.answer

    def last(self) -> Message:
        content = self.letters[-1].content
        assert isinstance(content, bytes)
        return email.message_from_bytes(content, policy=default)


class MailServer(Controller):
    """Listens on a port of loopback that is free."""

    def __init__(self, box: Mailbox, **options: Any) -> None:
        super().__init__(box, hostname="127.0.0.1", port=0, **options)

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def mailbox(settings: Settings) -> Iterator[Mailbox]:
    """It listens on loopback, and is what the settings name."""
    box = Mailbox()
    controller = MailServer(box)
    controller.start()
    settings.EMAIL_SERVER = readers.mail_server(f"smtp://127.0.0.1:{controller.port}?tls=0")
    settings.DEFAULT_FROM_EMAIL = "ML_Pipeline <ml@example.org>"
    yield box
    controller.stop()


def test_a_letter_says_what_happened_where_who_did_it_and_when(mailbox: Mailbox) -> None:
    one, secret = receiver(TO, "algorithm.*", kind=Kind.EMAIL)
    assert secret == ""
    details = {"endpoint": "income_classifier", "status": "production", "reason": "better", "before": None}
    happen(subject="Bäume 1", **details)
    Worker(Clock()).step(one)
    assert states(one) == ["delivered"]
    letter = mailbox.last()
    assert letter["Subject"].strip() == "[ML_Pipeline] Algorithm moved into another status: Bäume 1 (income_classifier)"
    assert (letter["From"], letter["To"]) == ("ML_Pipeline <ml@example.org>", TO)
    assert letter["Message-ID"] == f"<{Delivery.objects.get().uid}@example.org>"
    assert mailbox.letters[-1].rcpt_tos == [TO]
    assert letter.get_content_type() == "text/plain"
    lines = str(letter.get_payload(decode=True).decode()).splitlines()  # type: ignore[union-attr]
    assert lines[0] == "Algorithm moved into another status."
    assert "Of what:  Bäume 1" in lines
    assert "Endpoint: income_classifier" in lines
    assert "Who:      user:ann" in lines
    assert "  reason: better" in lines
    assert "None" not in "".join(lines)
    assert "null" not in "".join(lines)


@pytest.mark.parametrize(
    "text", ["x\r\nBcc: victim@example.org", "x\nBcc: victim@example.org", "x\rBcc: y", "x\x0bBcc: y", "x\u2028Bcc: y"]
)
def test_no_name_adds_a_line_to_the_head_or_the_text(mailbox: Mailbox, text: str) -> None:
    one, _ = receiver(TO, kind=Kind.EMAIL)
    happen(subject=text, actor=text, endpoint=text, reason=text)
    Worker(Clock()).step(one)
    letter = mailbox.last()
    assert letter["Bcc"] is None
    assert mailbox.letters[-1].rcpt_tos == [TO]
    body = str(letter.get_payload(decode=True).decode())  # type: ignore[union-attr]
    assert not any(line.startswith("Bcc") for line in body.splitlines())


@pytest.mark.parametrize(
    "address", ["nobody", "a@b\nBcc: c@example.org", "a@b.org,c@d.org", "a@b.org c@d.org", "<a@b.org>", "ä@b.org", ""]
)
def test_what_is_no_address_is_refused(mailbox: Mailbox, address: str) -> None:
    with pytest.raises(InvalidInput, match="address"):
        receiver(address, kind=Kind.EMAIL)


def test_a_server_that_has_no_time_is_tried_again(mailbox: Mailbox) -> None:
    mailbox.answer = "451 later"
    one, _ = receiver(TO, kind=Kind.EMAIL)
    happen(subject="first")
    happen(subject="second")
    worker = Worker(Clock())
    worker.step(one)
    assert states(one) == ["queued", "queued"]
    delivery = Delivery.objects.order_by("pk")[0]
    assert (delivery.last_status, delivery.last_error) == (451, "The mail server refused it (451).")
    mailbox.answer = "250 OK"
    worker.run(one, 3_600)
    assert states(one) == ["delivered", "delivered"]


def test_what_goes_wrong_at_the_farewell_sends_no_letter_twice(mailbox: Mailbox) -> None:
    mailbox.farewell = "221 " + "x" * 10_000
    one, _ = receiver(TO, kind=Kind.EMAIL)
    happen()
    Worker(Clock()).run(one, 60)
    assert (states(one), len(mailbox.letters)) == (["delivered"], 1)


@pytest.mark.parametrize("part", ["answer", "recipient"])
def test_what_is_refused_for_good_holds_up_no_other(mailbox: Mailbox, part: str) -> None:
    one, _ = receiver(TO, kind=Kind.EMAIL)
    setattr(mailbox, part, "550 no such person: secret words of a server")
    happen(subject="first")
    worker = Worker(Clock())
    worker.step(one)
    setattr(mailbox, part, "250 OK")
    happen(subject="second")
    worker.step(one)
    assert states(one) == ["queued", "delivered"]
    assert Delivery.objects.order_by("pk")[0].last_error == "The mail server refused it (550)."


def test_a_server_that_is_not_there_is_away(mailbox: Mailbox, settings: Settings) -> None:
    one, _ = receiver(TO, kind=Kind.EMAIL)
    happen()
    settings.EMAIL_SERVER = readers.mail_server("smtp://127.0.0.1:9?tls=0")
    worker = Worker(Clock())
    worker.step(one)
    assert Delivery.objects.get().last_error == "The mail server does not answer, or not as it should."
    settings.EMAIL_SERVER = None
    worker.run(one, 60)
    assert Delivery.objects.get().last_error == "No mail server is set: ML_PIPELINE_EMAIL_URL."
    with pytest.raises(InvalidInput, match="ML_PIPELINE_EMAIL_URL"):
        receiver(TO, kind=Kind.EMAIL)


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_name_and_password_are_given_to_the_server_and_in_no_error(settings: Settings) -> None:
    seen: list[tuple[Any, Any]] = []

    def know(_: SMTP, __: Session, ___: Envelope, mechanism: str, data: Any) -> AuthResult:
        seen.append((data.login, data.password))
        return AuthResult(success=data.password == b"p@ss/word", handled=False)

    box = Mailbox()
    controller = MailServer(box, authenticator=know, auth_required=True, auth_require_tls=False)
    controller.start()
    port = controller.port
    settings.DEFAULT_FROM_EMAIL = "ml@example.org"
    settings.EMAIL_SERVER = readers.mail_server(f"smtp://ann:p%40ss%2Fword@127.0.0.1:{port}?tls=0")
    one, _ = receiver(TO, kind=Kind.EMAIL)
    happen()
    worker = Worker(Clock())
    worker.step(one)
    assert (states(one), seen) == (["delivered"], [(b"ann", b"p@ss/word")])
    settings.EMAIL_SERVER = readers.mail_server(f"smtp://ann:wrong-one@127.0.0.1:{port}?tls=0")
    happen()
    worker.step(one)
    failed = Delivery.objects.order_by("-pk")[0]
    assert (failed.state, failed.last_status) == ("queued", 535)
    assert "wrong-one" not in failed.last_error
    controller.stop()


def test_long_values_are_cut() -> None:
    payload = {
        **{"id": 1, "type": "abtest.ended", "timestamp": "2026-01-31T12:00:00.763658Z", "team": "default"},
        **{"endpoint": "e", "subject": "s" * 10_000, "actor": "a", "details": {"plan": {"x": ["y" * 10_000]}}},
    }
    assert len(letters.subject(payload)) == letters.MAX_SUBJECT
    assert max(map(len, letters.text(payload).splitlines())) < 2 * letters.MAX_VALUE
    assert "When:     2026-01-31 12:00:00 UTC" in letters.text(payload)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("", None),
        ("smtp://mail.example.org", ("mail.example.org", 587, "", "", True, False)),
        ("smtp://ann:p%40w@mail.example.org:25", ("mail.example.org", 25, "ann", "p@w", True, False)),
        ("smtps://ann:pw@mail.example.org", ("mail.example.org", 465, "ann", "pw", False, True)),
        ("smtp://mail.example.org:25?tls=0", ("mail.example.org", 25, "", "", False, False)),
    ],
)
def test_a_mail_server_is_named_by_a_url(text: str, server: tuple[object, ...] | None) -> None:
    assert readers.mail_server(text) == server


@pytest.mark.parametrize(
    "text",
    [
        *("mail.example.org", "http://mail.example.org", "smtp://", "smtp://x:99999", "smtp://x/path", "smtp://x#y"),
        *(
            "smtps://x?tls=0",
            "smtp://x?tls=1",
            "smtp://x?tls=",
            "smtp://x?other=1",
            "smtp://a:pw@mail.example.org?tls=0",
        ),
    ],
)
def test_a_url_that_names_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="smtp"):
        readers.mail_server(text)


@pytest.mark.parametrize("text", ["nobody", "a@b.org\nX: y", "Ann <nobody>", "@", "a@"])
def test_whom_letters_are_from_is_a_mailbox(text: str) -> None:
    assert readers.mailbox("ML_Pipeline <ml@example.org>") == "ML_Pipeline <ml@example.org>"
    with pytest.raises(ValueError, match="e-mail"):
        readers.mailbox(text)
