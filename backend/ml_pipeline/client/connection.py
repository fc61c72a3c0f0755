"""One connection to a server: requests out, JSON or an error back. The only module that knows httpx."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import uuid4

import httpx

from ml_pipeline.errors import Complaint, ForeignReply, InvalidInput, NotReachable, Refused

DEFAULT_URL = "http://127.0.0.1:8000"
PAGE_ROWS = 1_000
_OK = 200
_URL = re.compile(r"https?://([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?(/[\w.~/-]*)?", re.ASCII)


class Answer(NamedTuple):
    """A reply that is no error: HTTP's status, the JSON value (None for an empty body), and the next page's query.

    `serving` is how many processes serve a change that was waited for, such as 2/3.
    """

    status: int
    value: Any
    next_page: Mapping[str, str] | None = None
    serving: str | None = None


def path(*segments: object) -> str:
    """The address under `/api/v1` that `segments` name. Raises InvalidInput for one that would lead elsewhere."""
    for segment in segments:
        # httpx resolves dots as a browser does, and the request would go to another route.
        if str(segment) in {"", ".", ".."}:
            raise InvalidInput([Complaint(None, None, "a name or an id", repr(str(segment)))])
    return "/api/v1/" + "/".join(quote(str(segment), safe="@") for segment in segments)


class Connection:
    """Requests to the server at `url`, each with the API key; opened with the first one, kept until `close`."""

    def __init__(self, url: str | None, api_key: str | None, timeout_s: float) -> None:
        """Raises InvalidInput for what is no address or cannot be a key; the key itself is never shown."""
        self.url = (url or os.environ.get("ML_PIPELINE_URL") or DEFAULT_URL).rstrip("/")
        if not _URL.fullmatch(self.url):
            got = "one with a password in it" if "@" in self.url else repr(self.url[:100])
            raise InvalidInput([Complaint(None, "url", f"an address such as {DEFAULT_URL}", got)])
        key = (api_key or os.environ.get("ML_PIPELINE_API_KEY") or "").strip()
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise InvalidInput([Complaint(None, "api_key", "an API key", "text that holds other characters")])
        self.timeout_s = timeout_s
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout_s)

    def close(self) -> None:
        """No request after this one."""
        self._http.close()

    def ask(
        self,
        method: str,
        address: str,
        *,
        answers: tuple[int, ...] = (),
        timeout_s: float | None = None,
        **content: Any,
    ) -> Answer:
        """The answer to one request, sent once. `answers` are error statuses to be taken for answers all the same.

        `content` is what httpx takes: `json`, `content`, `params`, `data`, `files`, `headers`. Raises Refused,
        NotReachable and ForeignReply.
        """
        return self._answer(self._reply(method, address, timeout_s, **content), answers)

    def _reply(self, method: str, address: str, timeout_s: float | None, **content: Any) -> httpx.Response:
        limit_s = timeout_s or self.timeout_s
        try:
            return self._http.request(
                method, address, timeout=httpx.Timeout(limit_s, connect=self.timeout_s), **content
            )
        except httpx.TimeoutException:
            raise NotReachable(
                f"{self.url} gave no answer within {limit_s:g} s. It may have done what was asked all the same."
            ) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise NotReachable(f"{self.url} is not reachable: {error}. ML_PIPELINE_URL names the server.") from None

    def change(
        self, method: str, address: str, wait_s: float | None = None, timeout_s: float | None = None, **content: Any
    ) -> Answer:
        """The answer to a change; with `wait_s` when every live serving process serves it, or that time is over."""
        if wait_s is not None:
            content["params"] = {"wait": f"{wait_s:g}"}
            timeout_s = (timeout_s or self.timeout_s) + wait_s
        return self.ask(method, address, timeout_s=timeout_s, **content)

    def text(self, address: str, params: Mapping[str, str] | None = None) -> str:
        """The page at `address`, as it is. Raises as `ask` does."""
        reply = self._reply("GET", address, None, params=params)
        kind = reply.headers.get("Content-Type", "")
        if reply.status_code == _OK and kind.startswith("text/html"):
            return reply.text
        # An error, or somebody else's reply.
        self._answer(reply, ())
        raise self._foreign(reply)

    def fetch(self, address: str, target: Path, params: Mapping[str, str] | None = None) -> None:
        """Writes the file at `address` to `target`, which appears, or is replaced, once it is whole.

        Raises as `ask` does, and OSError where it cannot be written.
        """
        # Where a link leads, so that it stays one.
        target = target.resolve()
        staged = target.with_name(f".{target.name}.{uuid4().hex}.part")
        # A proxy that packed it would leave no length to check.
        asked = self._http.stream("GET", address, params=params, headers={"Accept-Encoding": "identity"})
        try:
            with asked as reply, staged.open("xb") as file:
                if not reply.is_success:
                    reply.read()
                    self._answer(reply, ())
                if "Content-Disposition" not in reply.headers:
                    raise self._foreign(reply)
                for piece in reply.iter_raw():
                    file.write(piece)
                announced = reply.headers.get("Content-Length")
                if announced is not None and file.tell() != int(announced):
                    raise NotReachable(f"{self.url} sent {file.tell():,} of {announced} bytes.")
            staged.replace(target)
        except httpx.TransportError as error:
            raise NotReachable(f"{self.url} did not send the whole file: {error}.") from None
        finally:
            staged.unlink(missing_ok=True)

    def pages(self, address: str, params: Mapping[str, Any], limit: int | None = None) -> list[Any]:
        """The items of a list, page after page, at most `limit` of them."""
        return list(self._items(address, params, limit))

    def _items(self, address: str, params: Mapping[str, Any], limit: int | None) -> Iterator[Any]:
        query: Mapping[str, Any] | None = {"limit": str(min(limit or PAGE_ROWS, PAGE_ROWS)), **params}
        left = limit
        while query:
            answer = self.ask("GET", address, params=query)
            for item in answer.value:
                if left == 0:
                    return
                yield item
                left = None if left is None else left - 1
            # Only the query: behind a proxy the address itself may name a host that must not see the key.
            query = answer.next_page if left != 0 else None

    def _answer(self, reply: httpx.Response, answers: tuple[int, ...]) -> Answer:
        if reply.status_code == 204:
            return Answer(204, None)
        try:
            value = reply.json()
        except ValueError:
            raise self._foreign(reply) from None
        if reply.is_success or reply.status_code in answers:
            link = reply.links.get("next", {}).get("url")
            next_page = dict(httpx.URL(link).params) if link else None
            return Answer(reply.status_code, value, next_page, reply.headers.get("Serving"))
        error = value.get("error") if isinstance(value, dict) else None
        if not (isinstance(error, dict) and {"code", "message"} <= set(error)):
            raise self._foreign(reply)
        after = reply.headers.get("Retry-After", "")
        raise Refused(
            reply.status_code,
            str(error["code"]),
            str(error["message"]),
            error.get("details"),
            int(after) if after.isascii() and after.isdigit() else None,
        )

    def _foreign(self, reply: httpx.Response) -> ForeignReply:
        kind = reply.headers.get("Content-Type", "").partition(";")[0] or "no type"
        moved = f" and points to {reply.headers['Location']}" if reply.has_redirect_location else ""
        return ForeignReply(
            f"{self.url} answered {reply.status_code} with {kind}{moved}, which is no reply of ML_Pipeline: "
            "a proxy or another server stands there. ML_PIPELINE_URL names the server."
        )


def told(answer: Answer, made: str | None = None) -> dict[str, Any]:
    """The record, and what only the reply's status and headers say; `made` names the fact that 201 stands for."""
    record: dict[str, Any] = dict(answer.value)
    if made:
        record[made] = None if answer.status == 202 else answer.status == 201
    if answer.serving is not None or answer.status == 202:
        record |= {"served": answer.status != 202, "serving": answer.serving}
    return record
