# Copyright: asgi.production contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is open, who is answered, and how it is encrypted."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import time
import warnings
from collections.abc import Callable

import httpx
import pytest

from .conftest import Host, tls_context

EXPECTED_PORTS = {22, 80, 443}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_modern_tls_is_spoken(host: Host, version: ssl.TLSVersion, figure: Callable[[str], None]) -> None:
    context = tls_context()
    context.minimum_version = context.maximum_version = version
    with host.tls(context) as tls:
        name = (tls.cipher() or ("",))[0]
        figure(f"{tls.version()}: {name}")
        assert "GCM" in name or "CHACHA20" in name
        assert version is ssl.TLSVersion.TLSv1_3 or name.startswith("ECDHE-")


def test_old_tls_is_refused_by_the_server(host: Host) -> None:
    context = tls_context()
    context.set_ciphers("ALL:@SECLEVEL=0")  # else our own library refuses before the server can
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError) as refused:
        host.tls(context)
    assert refused.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_sessions_are_resumed(host: Host, version: ssl.TLSVersion) -> None:
    context = tls_context()
    context.minimum_version = context.maximum_version = version
    request = f"HEAD /version HTTP/1.1\r\nHost: {host.domain}\r\nConnection: close\r\n\r\n".encode()
    with host.tls(context) as first:
        first.sendall(request)
        assert first.recv(4096)  # TLS 1.3 hands the session over after the handshake
        session = first.session
    with host.tls(context, session=session) as second:
        assert second.session_reused


def test_http2_is_negotiated(host: Host) -> None:
    with host.tls(tls_context("h2", "http/1.1")) as tls:
        assert tls.selected_alpn_protocol() == "h2"
    with host.client(http2=True) as client:
        answer = client.get("/version")
    assert (answer.status_code, answer.http_version) == (200, "HTTP/2")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_plain_http_redirects_and_keeps_path_and_query(host: Host, method: str) -> None:
    with host.client(scheme="http") as client:
        answer = client.request(method, "/products/1%2F2?x=1&y=%20z")
    assert answer.status_code == (301 if method == "GET" else 308)
    assert answer.headers["location"] == f"https://{host.domain}/products/1%2F2?x=1&y=%20z"
    assert "strict-transport-security" not in answer.headers  # means nothing where anybody could have written it


def test_unknown_name_gets_no_certificate(host: Host) -> None:
    for name in ("unknown.example.org", ""):
        with pytest.raises(ssl.SSLError) as refused:
            host.tls(tls_context(), name)
        assert refused.value.reason == "TLSV1_UNRECOGNIZED_NAME"


def said(connection: socket.socket, name: str) -> bytes:
    """All that comes back for a request with this Host."""
    with connection, contextlib.suppress(ConnectionResetError, ssl.SSLEOFError):
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
        return connection.recv(4096)
    return b""


def test_unknown_host_gets_no_answer(host: Host) -> None:
    assert said(host.connect(80), host.domain) != b""
    assert said(host.connect(80), "unknown.example.org") == b""
    assert said(host.connect(80), host.address) == b""
    assert said(host.tls(tls_context()), "unknown.example.org") == b""


def test_only_expected_ports_are_open(host: Host, figure: Callable[[str], None]) -> None:
    """Every TCP port, asked from outside."""
    begin, found, silent = time.monotonic(), set(), 0
    for port in range(1, 65536):
        with socket.socket() as probe:
            probe.settimeout(0.5)
            code = probe.connect_ex((host.address, port))
        if code == 0:
            found.add(port)
        elif code in (errno.EAGAIN, errno.ETIMEDOUT):
            silent += 1
            assert silent < 100, "a firewall drops packets: this test would take hours"
    figure(f"open ports: {sorted(found)}, asked in {time.monotonic() - begin:.1f} s")
    assert {80, 443} <= found <= EXPECTED_PORTS


def test_answers_carry_each_header_once(each_client: httpx.Client) -> None:
    for path, status in (("/version", 200), ("/no-such-page", 404), ("/fail", 500)):
        answer = each_client.get(path)
        assert answer.status_code == status
        for name, value in {
            "strict-transport-security": "max-age=31536000",
            "x-content-type-options": "nosniff",
            "x-frame-options": "SAMEORIGIN",
            "referrer-policy": "strict-origin-when-cross-origin",
        }.items():
            assert answer.headers.get_list(name) == [value], (path, name)
        assert len(answer.headers.get_list("x-request-id")) == 1
        assert answer.headers["server"] == "nginx"  # without its version
