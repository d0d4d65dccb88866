# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One HTTP request, to a URL by another address or by a unix socket. Private to this collection."""

from __future__ import annotations

import http.client
import json
import re
import time
import typing as t
import urllib.parse

from ansible_collections.asgi.production.plugins.module_utils import _wire, health

LARGEST = 2**20
URL = re.compile(r"https?://[^/?#]")
EXAMPLE = "https://shop.example.com/health/ready"


class Answer(t.NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Connection(http.client.HTTPConnection):
    """A connection that is made already."""

    def __init__(self, host: str, wire: _wire.Wire) -> None:
        super().__init__(host)
        self.sock = wire  # type: ignore[assignment]

    def close(self) -> None:
        """Let go of the wire, which its owner closes: an answer that ends with the connection is still to be read."""
        self.sock = None
        super().close()


def get(
    url: str,
    address: str = "",
    port: int = 0,
    unix: str = "",
    timeout: float = 10,
    verify: bool = True,
    ca_path: str = "",
    headers: t.Optional[dict[str, str]] = None,
) -> Answer:
    """GET a URL and read its answer, at most 1 MiB. No redirect is followed.

    ``address`` and ``port`` say where to connect instead of the URL's host; ``unix`` is the path of a socket.
    ``timeout`` is in seconds, for all of it. Without ``verify`` any certificate will do.
    Raises OSError or http.client.HTTPException.
    """
    with dial(url, address, port, unix, timeout, verify, ca_path) as wire:
        answer = send(wire, url, headers)
        body = b""
        while len(body) < LARGEST and not answer.isclosed():  # a whole answer has closed its file
            part = answer.read1(LARGEST - len(body))
            if not part:
                break
            body += part
        return Answer(answer.status, lowered(answer), body)


def dial(
    url: str, address: str, port: int, unix: str, timeout: float, verify: bool = True, ca_path: str = ""
) -> _wire.Wire:
    """Connect to where a URL leads."""
    end = time.monotonic() + timeout
    try:
        parts = urllib.parse.urlsplit(url)
        secure = parts.scheme == "https"
        host, number = address or parts.hostname or "", port or parts.port or (443 if secure else 80)
        wire = _wire.connect(host, number, unix, end)
    except OSError:  # some of which are ValueErrors as well
        raise
    except ValueError as error:  # a port or an address that is none
        raise http.client.InvalidURL(str(error)) from error
    try:
        if secure:
            wire.start_tls(_wire.tls_context(verify, ca_path), parts.hostname or "")
    except BaseException:
        wire.close()
        raise
    return wire


def send(wire: _wire.Wire, url: str, headers: t.Optional[dict[str, str]] = None) -> http.client.HTTPResponse:
    """Send the request and read the answer's head."""
    parts = urllib.parse.urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = Connection(parts.netloc.rpartition("@")[2], wire)
    try:
        # HTTPConnection writes the header Host itself, from the name that it was given.
        connection.request(
            "GET", path, headers={"Connection": "close", "User-Agent": "asgi.production", **(headers or {})}
        )
    except UnicodeError as error:  # a path that is no ASCII
        raise http.client.InvalidURL(str(error)) from error
    return connection.getresponse()


def lowered(answer: http.client.HTTPResponse) -> dict[str, str]:
    return {key.lower(): value for key, value in answer.getheaders()}


def follow(redirects: int, url: str, *there: t.Any) -> Answer:
    """GET a URL and what it redirects to, in the time of one. Another host gets neither the address nor the headers."""
    address, port, unix, timeout, verify, ca_path, headers = there
    end, origin = time.monotonic() + timeout, urllib.parse.urlsplit(url)
    for hop in range(redirects + 1):
        answer = get(url, address, port, unix, _wire.left(end), verify, ca_path, headers)
        location = answer.headers.get("location", "")
        if hop == redirects or not (300 < answer.status < 400 and location):
            break
        url = urllib.parse.urljoin(url, location)
        target = urllib.parse.urlsplit(url)
        if target.scheme not in ("http", "https"):
            raise http.client.InvalidURL(f"it redirects to {health.words(url)}")
        if target.hostname != origin.hostname:
            address, port, unix, headers = "", 0, "", {}
        elif target.scheme != origin.scheme:
            port = 0
        if (origin.scheme, target.scheme) == ("https", "http"):
            headers = {}
    return answer


def no_http(error: http.client.HTTPException) -> health.Trouble:
    """Say what is wrong with an answer that is no HTTP."""
    if isinstance(error, http.client.InvalidURL):
        return health.Trouble(f"it can't be asked: {health.words(str(error))}")
    said = health.words(str(error))
    return health.Trouble(f"what answers there does not speak HTTP ({said or type(error).__name__})")


def look_up(data: t.Any, path: str) -> t.Any:
    """The value at a dotted path; None where the path leads nowhere."""
    for key in path.split("."):
        data = data.get(key) if isinstance(data, dict) else None
    return data


def as_object(body: bytes) -> dict:
    """The body as a JSON object; an empty one when it is something else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def judge(answer: Answer, seconds: float, params: dict) -> list[health.Check]:
    """What an answer is worth."""
    right = params["status_code"]
    message = f"it answers {answer.status}: {health.words(answer.body)}".rstrip(": ")
    checks = [health.expected("status", answer.status in right, answer.status, right, message)]
    checks.append(health.measured("seconds", round(seconds, 3), params, f"its answer took {seconds:.2f} s", "s"))
    for name, wanted in params["headers_contain"].items():
        value = answer.headers.get(name.lower())
        said = f"is {health.words(value)!r}, without {wanted!r}" if value is not None else "is missing"
        good = str(wanted) in (value or "") and value is not None
        checks.append(health.expected(f"header {name}", good, value, wanted, f"the header {name} {said}"))
    text = answer.body.decode("utf-8", "replace") if params["text"] else ""
    for wanted in params["text"]:
        found = wanted in text
        checks.append(health.expected(f"text {wanted}", found, found, True, f"its answer does not contain {wanted!r}"))
    found = as_object(answer.body)
    for path, wanted in params["json_equals"].items():
        value = look_up(found, path)
        message = f"{path} is {health.words(repr(value))} instead of {wanted!r}"
        checks.append(health.expected(f"json {path}", value == wanted, value, wanted, message))
    return checks
