# Copyright: asgi.production contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients without retries, each request on a connection of its own; what they saw goes into a file.

usage: traffic.py ADDRESS DOMAIN REPORT      ends when REPORT.stop appears, at the latest after ten minutes
"""

from __future__ import annotations

import collections
import json
import socket
import ssl
import sys
import threading
import time
from pathlib import Path

LIMIT_SECONDS = 600
PAUSE_SECONDS = 0.05
BODY = "\r\n".join(
    ["--x", 'Content-Disposition: form-data; name="file"; filename="a.bin"', "", "a" * 50_000, "--x--", ""]
)
REQUESTS = {
    "page": "GET /products HTTP/1.1\r\n",
    "stores": "GET /health/ready HTTP/1.1\r\n",
    "slow": "GET /slow?seconds=1 HTTP/1.1\r\n",
    "upload": (
        f"POST /upload HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(BODY)}\r\n"
    ),
}


def ask(address: str, domain: str, kind: str) -> str:
    """Send one request; return how it ended: its status line, or the error."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    body = BODY if kind == "upload" else ""
    try:
        with (
            socket.create_connection((address, 443), timeout=30) as raw,
            context.wrap_socket(raw, server_hostname=domain) as tls,
        ):
            tls.sendall(f"{REQUESTS[kind]}Host: {domain}\r\nConnection: close\r\n\r\n{body}".encode())
            answer = b"".join(iter(lambda: tls.recv(65536), b""))
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    return answer.split(b"\r\n", 1)[0].decode("ascii", "replace") or "closed without an answer"


def main(address: str, domain: str, report: Path) -> None:
    """Ask until told to stop, one thread for each kind; write the counts."""
    stop = report.with_name(f"{report.name}.stop")
    stop.unlink(missing_ok=True)
    report.unlink(missing_ok=True)
    end = time.monotonic() + LIMIT_SECONDS
    seen: dict[str, collections.Counter[str]] = {kind: collections.Counter() for kind in REQUESTS}

    def client(kind: str) -> None:
        while not stop.exists() and time.monotonic() < end:
            seen[kind][ask(address, domain, kind)] += 1
            time.sleep(PAUSE_SECONDS)

    threads = [threading.Thread(target=client, args=(kind,)) for kind in REQUESTS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report.write_text(json.dumps(seen))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
