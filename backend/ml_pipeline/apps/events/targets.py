"""Targets of webhooks: which URLs may be asked for, and which addresses connected to. Knows no Django, and asks no DNS.

A URL is judged twice: when it is told, as far as its text says, and by the address that is really connected to. What is
refused is what only this machine or its network should reach: loopback, private, link-local and reserved networks, the
metadata services of clouds, and IPv6 addresses that stand for one of IPv4 (IANA's special-purpose registries).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from ml_pipeline.errors import Complaint, InvalidInput

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# Below it are services that a stranger's request could be taken for one of: mail, name servers, and so on.
LEAST_PORT: Final = 1_024
MAX_URL: Final = 2_000
_IPV4: Final = [
    ipaddress.ip_network(one)
    for one in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        # Azure's machines reach its platform there.
        "168.63.129.16/32",
    )
]
# The only ones that are given out. So mapped, translated (NAT64), unique local, link-local and multicast ones are not.
_IPV6_GLOBAL: Final = ipaddress.ip_network("2000::/3")
_IPV6: Final = [
    ipaddress.ip_network(one)
    # Teredo and others of the IETF, documentation, 6to4.
    for one in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
]


class Allowed(NamedTuple):
    """What is allowed although it is not public."""

    networks: tuple[Network, ...] = ()
    names: frozenset[str] = frozenset()

    def has(self, address: Address) -> bool:
        """Whether `address` is in one of the networks."""
        return any(address in network for network in self.networks)


class Target(NamedTuple):
    """Where a webhook goes; `path` with its query, `host` without the brackets of IPv6."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The host as the header names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def shown(self) -> str:
        """Without the path, in which some put secrets."""
        return f"{self.scheme}://{self.authority}/"


def is_public(address: Address) -> bool:
    """Whether `address` is one that the internet knows."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _IPV4)
    # One with a scope is of a link.
    is_given_out = address.scope_id is None and address in _IPV6_GLOBAL
    return is_given_out and not any(address in network for network in _IPV6)


def may_reach(target: Target, address: Address, allowed: Allowed) -> bool:
    """Whether `address` may be connected to for `target`: named in the setting, or public, by TLS, at a fit port."""
    if target.host in allowed.names or allowed.has(address):
        return True
    return is_public(address) and target.scheme == "https" and _is_fit(target.port)


def read(url: str, allowed: Allowed) -> Target:
    """Where `url` leads. Raises InvalidInput where its text says already that it is not allowed."""
    target = parsed(url)
    literal = _literal(target.host)
    if literal is not None:
        if not may_reach(target, literal, allowed):
            raise _refused("https:// and a public address, or one that ML_PIPELINE_WEBHOOK_ALLOW names", url)
    elif target.host not in allowed.names and not allowed.networks:
        if target.scheme != "https":
            raise _refused("https://; plain http is for what ML_PIPELINE_WEBHOOK_ALLOW names", url)
        if not _is_fit(target.port):
            raise _refused(f"port 80, 443 or one from {LEAST_PORT:,} on", url)
    return target


def parsed(url: str) -> Target:
    """The parts of `url`. Raises InvalidInput where it is none."""
    expected = f"https://HOST/PATH, at most {MAX_URL:,} plain characters, without name, password and fragment"
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url or len(url) > MAX_URL:
        raise _refused(expected, url)
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise _refused(expected, url) from None
    if parts.scheme not in DEFAULT_PORTS or not host or "@" in parts.netloc or parts.fragment or port == 0:
        raise _refused(expected, url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or DEFAULT_PORTS[parts.scheme], path)


def names_and_networks(texts: Collection[str]) -> Allowed:
    """What the setting allows. Raises ValueError for what is neither a network nor a host's name."""
    networks, names = [], set()
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError:
            if not all(one.isascii() and (one.isalnum() or one in "-._") for one in text) or text[-1:].isdigit():
                raise
            names.add(text.lower().rstrip("."))
    return Allowed(tuple(networks), frozenset(names))


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_fit(port: int) -> bool:
    return port in DEFAULT_PORTS.values() or port >= LEAST_PORT


def _refused(expected: str, url: str) -> InvalidInput:
    return InvalidInput([Complaint(None, "address", expected, repr(url[:80]))])
