"""Targets of webhooks: judged by their text, and by the address that is connected to, whatever a name server says."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from listeners import Answer, Listener, listening
from told import LOOPBACK, NOTHING, sent

from ml_pipeline.apps.events import targets
from ml_pipeline.apps.events.outcomes import Outcome, Verdict
from ml_pipeline.apps.events.webhooks import Sender
from ml_pipeline.errors import InvalidInput

REFUSED = "Its address is not one that may be connected to."
PRIVATE = (
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "192.0.2.1"),
    *("198.18.0.1", "198.51.100.7", "203.0.113.7", "192.88.99.1", "224.0.0.1", "239.255.255.250", "240.0.0.1"),
    *(
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:8.8.8.8",
        "::ffff:169.254.169.254",
    ),
    *("::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1"),
    *("2001::1", "2001:0:7f00:1::", "2001:db8::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1"),
    *("ff02::1", "100::1", "3fff::1", "5f00::1", "4000::1"),
)
PUBLIC = ("8.8.8.8", "1.1.1.1", "93.184.215.14", "172.32.0.1", "2606:2800:21f:cb07::1", "2a00:1450:4001::200e")


@pytest.mark.parametrize("address", PRIVATE)
def test_no_private_address_is_public(address: str) -> None:
    assert not targets.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert targets.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_a_url_with_a_private_address_is_refused_when_it_is_told(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(InvalidInput):
        targets.read(f"https://{host}/", NOTHING)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://hooks.example.org/",
            "ftp://hooks.example.org/",
            "file:///etc/passwd",
            "gopher://x/",
            "//x/",
            "x",
            "",
        ),
        *("https://", "https:///x", "https://user@x/", "https://user:password@x/", "https://x/#part", "https://x:0/"),
        *(
            "https://x:99999/",
            "https://x:22/",
            "https://x:25/",
            "https://x:6x/",
            "https://x y/",
            "https://x/\n",
            "https://ä/",
        ),
        *(
            "https://x\\@127.0.0.1/",
            "https://[::1/",
            "https://[::ffff:7f00:1]/",
            "http://8.8.8.8/",
            "https://8.8.8.8:25/",
        ),
        "https://x/" + "a" * 2_000,
    ],
)
def test_a_url_that_is_none_of_the_internet_is_refused_when_it_is_told(url: str) -> None:
    with pytest.raises(InvalidInput, match="address"):
        targets.read(url, NOTHING)


@pytest.mark.parametrize(
    "url", ["https://hooks.example.org/a?b=c", "https://x:8443/", "https://8.8.8.8/", "https://[2a00:1450:4001::1]/"]
)
def test_a_url_of_the_internet_is_taken(url: str) -> None:
    assert targets.read(url, NOTHING).scheme == "https"


def test_what_is_allowed_is_taken_by_network_or_name() -> None:
    allowed = targets.names_and_networks(["10.0.0.0/8", "fd00::/8", "Hooks.internal"])
    for url in ("http://10.1.2.3:25/", "https://[fd00::1]/", "http://hooks.internal:22/", "http://HOOKS.internal./"):
        targets.read(url, allowed)
    for url in ("http://192.168.1.1/", "https://[fc00::1]/", "https://127.0.0.1/"):
        with pytest.raises(InvalidInput):
            targets.read(url, allowed)
    for text in ("10.0.0.1/8", "10.0.0", "a b", "https://x", "x/y"):
        with pytest.raises(ValueError, match=r"does not appear to be an IPv4 or IPv6 network|has host bits set"):
            targets.names_and_networks([text])


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_leads_to_a_private_address_is_not_connected_to(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[object] = []
    monkeypatch.setattr(socket, "create_connection", lambda *given, **_: tried.append(given))
    assert sent("https://rebind.example.org/", addresses=(address,)) == Outcome(Verdict.AWAY, error=REFUSED)
    assert tried == []


def test_plain_http_goes_to_no_public_address(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []
    monkeypatch.setattr(socket, "create_connection", lambda *given, **_: tried.append(given))
    assert sent("http://hooks.example.org/", LOOPBACK, ("8.8.8.8",)).error == REFUSED
    assert sent("https://hooks.example.org:25/", LOOPBACK, ("8.8.8.8",)).error == REFUSED
    assert tried == []


def test_a_name_server_that_answers_differently_the_next_moment_changes_nothing() -> None:
    """It says something public first, and loopback as soon as that has been looked at."""
    asked: list[str] = []
    connected: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["8.8.8.8" if len(asked) == 1 else "127.0.0.1"]

    connect = socket.create_connection

    def watched(address: tuple[str, int], *rest: object, **more: object) -> socket.socket:
        connected.append(address[0])
        if ipaddress.ip_address(address[0]).is_loopback:
            return connect(address, *rest, **more)  # type: ignore[arg-type]
        raise ConnectionRefusedError

    with listening() as listener, pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "create_connection", watched)
        sender = Sender(NOTHING, resolve=rebinding, total_s=5)
        url = f"https://rebind.example.org:{listener.port}/"
        first = sender.send(url, {}, b"{}")
        second = sender.send(url, {}, b"{}")
    # Looked up once for each; what was judged, a number, is what was connected to.
    assert asked == ["rebind.example.org"] * 2
    assert connected == ["8.8.8.8"]
    assert first.error.startswith("No connection was made")
    assert second.error == REFUSED
    assert listener.received == []


def test_of_several_addresses_only_public_ones_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def refused(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        tried.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refused)
    sent("https://x.example.org/", addresses=("10.0.0.1", "8.8.8.8", "::1", "1.1.1.1", "9.9.9.9", "8.8.4.4"))
    assert tried == ["8.8.8.8", "1.1.1.1", "9.9.9.9"]


def test_a_socket_that_is_connected_elsewhere_is_closed(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever came between: what counts is where the socket has its other end."""
    connect = socket.create_connection

    def elsewhere(address: tuple[str, int], *rest: object, **more: object) -> socket.socket:
        return connect(("127.0.0.1", listener.port), *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "create_connection", elsewhere)
    assert sent("https://x.example.org/", addresses=("8.8.8.8",)).error == REFUSED
    assert listener.received == []


def test_a_redirect_is_not_followed(listener: Listener) -> None:
    with listening() as other:
        listener.answers = lambda _: Answer(307, (("Location", other.url),))
        outcome = sent(listener.url, LOOPBACK, ("127.0.0.1",))
    assert (outcome.verdict, outcome.status) == (Verdict.REFUSED, 307)
    assert other.received == []


def test_proxies_of_the_environment_are_not_asked(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert sent(listener.url, LOOPBACK, ("127.0.0.1",)).verdict is Verdict.DELIVERED
    assert (len(listener.received), proxy.received) == (1, [])


def test_the_request_is_what_was_asked_for(listener: Listener) -> None:
    sender = Sender(LOOPBACK, resolve=lambda *_: ["127.0.0.1"])
    sender.send(f"http://hooks.internal:{listener.port}/a/b?c=d", {"webhook-id": "x"}, b'{"a":1}')
    (one,) = listener.received
    assert (one.path, one.body) == ("/a/b?c=d", b'{"a":1}')
    assert one.headers["host"] == f"hooks.internal:{listener.port}"
    assert one.headers["content-type"] == "application/json"
    assert one.headers["user-agent"].startswith("ML_Pipeline/")
    assert one.headers["webhook-id"] == "x"


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of `hooks.example.org`, signed by itself, and its key, in one file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example.org")]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def test_tls_is_for_the_name_that_was_asked_for(certificate: Path, listener: Listener) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    listener.server.socket = server.wrap_socket(listener.server.socket, server_side=True)
    ours = ssl.create_default_context(cafile=str(certificate))

    def asked(name: str, tls: ssl.SSLContext | None) -> Outcome:
        sender = Sender(LOOPBACK, resolve=lambda *_: ["127.0.0.1"], tls=tls, total_s=20)
        return sender.send(f"https://{name}:{listener.port}/", {}, b"{}")

    assert asked("hooks.example.org", ours).verdict is Verdict.DELIVERED
    for name, tls in (("other.example.org", ours), ("hooks.example.org", None)):
        outcome = asked(name, tls)
        assert outcome.verdict is Verdict.AWAY
        assert outcome.error.startswith("TLS failed")
    assert len(listener.received) == 1
