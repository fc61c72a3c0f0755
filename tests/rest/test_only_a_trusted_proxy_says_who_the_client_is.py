"""The client's address is the connection's peer, or what trusted proxies say, and never what the client writes."""

from __future__ import annotations

import ipaddress
from types import SimpleNamespace

import pytest
from django.test import override_settings

from ml_pipeline.rest import addresses

PROXIES = [ipaddress.ip_network(one) for one in ("10.0.0.0/8", "2001:db8::/32")]


def address(peer: str, forwarded: str | None = None) -> str:
    headers = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    return addresses.client_address(SimpleNamespace(META={"REMOTE_ADDR": peer, **headers}))


def test_without_proxies_it_is_the_peer_whatever_a_header_says() -> None:
    assert address("192.0.2.7", "198.51.100.1") == "192.0.2.7"
    assert address("127.0.0.1", "198.51.100.1") == "127.0.0.1"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        # What the client wrote itself stands left of what the proxy saw.
        ("10.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, nonsense", "10.0.0.1"),
        ("10.0.0.1", "nonsense, 10.0.0.2", "10.0.0.2"),
        ("192.0.2.7", "198.51.100.1", "192.0.2.7"),
        ("2001:db8::1", "2001:DB9:0::7", "2001:db9::7"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("", "198.51.100.1", ""),
    ],
)
@override_settings(TRUSTED_PROXIES=PROXIES)
def test_behind_proxies_it_is_the_rightmost_that_is_none_of_them(peer: str, forwarded: str | None, client: str) -> None:
    assert address(peer, forwarded) == client


@override_settings(TRUSTED_PROXIES=PROXIES)
def test_only_the_peer_decides_whether_headers_of_a_proxy_count() -> None:
    for peer, counts in (("10.9.9.9", True), ("192.0.2.7", False), ("", False)):
        request = SimpleNamespace(META={"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": "10.0.0.1"})
        assert addresses.comes_through_proxy(request) is counts
