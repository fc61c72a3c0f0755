"""Where a request comes from: the address of the client, whom proxies stand for only if the operator trusts them.

Every other header that proxies set, and that anybody can send, is judged here too.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

from django.conf import settings

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


class Addressed(Protocol):
    """A request of Django or of DRF."""

    @property
    def META(self) -> Mapping[str, Any]:  # noqa: N802
        """The server's variables and the headers."""


def client_address(request: Addressed) -> str:
    """The client's address; empty where the server does not know its peer.

    It is the peer of the connection. Only where that is one of ML_PIPELINE_TRUSTED_PROXIES it is the rightmost address
    of X-Forwarded-For that is none of them: what stands left of it was written by the client itself.
    """
    hop = _parsed(request.META.get("REMOTE_ADDR", ""))
    if hop is None:
        return ""
    for text in reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        before = _parsed(text)
        if before is None or not is_trusted(hop):
            break
        hop = before
    return str(hop)


def comes_through_proxy(request: Addressed) -> bool:
    """Whether the connection's peer is one of ML_PIPELINE_TRUSTED_PROXIES, whose headers count."""
    peer = _parsed(request.META.get("REMOTE_ADDR", ""))
    return peer is not None and is_trusted(peer)


def is_trusted(address: Address) -> bool:
    """Whether `address` is one of ML_PIPELINE_TRUSTED_PROXIES."""
    return any(address in network for network in settings.TRUSTED_PROXIES)


def _parsed(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    # As a socket for both families has it.
    return getattr(address, "ipv4_mapped", None) or address
