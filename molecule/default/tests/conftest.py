# Copyright: asgi.production contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host seen from outside: whatever these tests know of it came over the network, except for its logs.

ASGI_HOST       address of the host
ASGI_DOMAIN     the site's domain; it needs no DNS
ASGI_CONTAINER  name of the container, to read logs
ASGI_APP        name of the app (shop)
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest


def tls_context(*alpn: str) -> ssl.SSLContext:
    """Accepts any certificate: the placeholder is signed by itself."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([*alpn] or ["http/1.1"])
    return context


class ToHost(httpx.HTTPTransport):
    """Asks for the domain, with its name in TLS and Host, but connects to the host's address."""

    def __init__(self, address: str, http2: bool) -> None:
        super().__init__(verify=tls_context(*(["h2"] if http2 else ["http/1.1"])), http1=not http2, http2=http2)
        self.address = address

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions = {**request.extensions, "sni_hostname": request.url.host}
        request.url = request.url.copy_with(host=self.address)
        return super().handle_request(request)


@dataclass(frozen=True)
class Host:
    address: str
    domain: str
    container: str
    app: str

    def client(self, http2: bool = False, scheme: str = "https") -> httpx.Client:
        return httpx.Client(transport=ToHost(self.address, http2), base_url=f"{scheme}://{self.domain}", timeout=30)

    def connect(self, port: int) -> socket.socket:
        return socket.create_connection((self.address, port), timeout=10)

    def tls(
        self, context: ssl.SSLContext, name: str | None = None, session: ssl.SSLSession | None = None
    ) -> ssl.SSLSocket:
        """A TLS connection with a name in SNI (the domain unless given; empty: none)."""
        name = self.domain if name is None else name
        return context.wrap_socket(self.connect(443), server_hostname=name or None, session=session)

    def read(self, *command: str) -> list[str]:
        """Lines that a command prints on the host. For logs only."""
        argv = [shutil.which("docker") or "docker", "exec", self.container, *command]
        done = subprocess.run(argv, check=True, capture_output=True, timeout=60)
        return done.stdout.decode("utf-8", "replace").splitlines()

    def nginx_log(self) -> list[str]:
        return self.read("tail", "-n", "500", "/var/log/nginx/access.log")

    def app_log(self) -> list[str]:
        return self.read("journalctl", "--unit", f"{self.app}@*", "--output", "cat", "--no-pager", "--lines", "500")


@pytest.fixture(scope="session")
def host() -> Host:
    missing = [name for name in ("ASGI_HOST", "ASGI_DOMAIN", "ASGI_CONTAINER") if not os.environ.get(name)]
    if missing:
        pytest.fail(f"set {', '.join(missing)} to say which host to look at")
    env = os.environ
    return Host(env["ASGI_HOST"], env["ASGI_DOMAIN"], env["ASGI_CONTAINER"], env.get("ASGI_APP", "shop"))


@pytest.fixture
def client(host: Host) -> Iterator[httpx.Client]:
    with host.client() as client:
        yield client


@pytest.fixture(params=[False, True], ids=["http1", "http2"])
def each_client(host: Host, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    with host.client(http2=request.param) as client:
        yield client


@pytest.fixture
def figure(capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a measured figure, also when the test passes."""

    def show(text: str) -> None:
        with capfd.disabled():
            print(f"\n    {text}", flush=True)

    return show


def eventually(find: Callable[[], list[str]], seconds: float = 10) -> list[str]:
    """What find returns as soon as that is not empty; logs are written with a delay."""
    end = time.monotonic() + seconds
    while not (found := find()) and time.monotonic() < end:
        time.sleep(0.2)
    return found
