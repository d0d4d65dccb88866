# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What asgi.production.tls_health asks, and what it makes of the answer. Private to this collection."""

from __future__ import annotations

import ssl
import time
import typing as t

from ansible_collections.asgi.production.plugins.module_utils import _wire, _x509, health
from ansible_collections.asgi.production.plugins.module_utils.health import Check, Trouble

LIMITS = health.limits(days=(21, 7))
DAY = 86400
EXPIRED = (9, 10)  # OpenSSL: not yet valid, expired; told by the dates


class Served(t.NamedTuple):
    der: bytes
    protocol: str
    cipher: str
    distrust: str  # why the chain is not trusted; nothing when it is


def handshake(params: dict, seconds: float, verify: bool) -> Served:
    context = _wire.tls_context(verify, params["ca_path"])
    context.check_hostname = False  # names are compared apart
    with _wire.reach(params, seconds) as wire:
        wire.start_tls(context, params["server_name"] or params["host"])
        sock = t.cast(ssl.SSLSocket, wire.sock)
        cipher = sock.cipher()
        return Served(sock.getpeercert(True) or b"", sock.version() or "", cipher[0] if cipher else "", "")


def served(params: dict, seconds: float) -> Served:
    """Ask as a client does; where that distrusts the server, look at its certificate all the same."""
    end = time.monotonic() + seconds
    try:
        return handshake(params, seconds, verify=True)
    except ssl.SSLCertVerificationError as error:
        distrust = "" if error.verify_code in EXPIRED else health.words(error.verify_message)
        return handshake(params, _wire.left(end), verify=False)._replace(distrust=distrust)


def on_disk(path: str) -> bytes:
    """The first certificate in a PEM file, as DER."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            text = file.read()
    except OSError as error:
        raise Trouble(f"the file {path} can't be read: {error.strerror}") from error
    begin, end = text.find(ssl.PEM_HEADER), text.find(ssl.PEM_FOOTER)
    if begin < 0 or end < begin:
        raise Trouble(f"the file {path} holds no certificate")
    return ssl.PEM_cert_to_DER_cert(text[begin : end + len(ssl.PEM_FOOTER)])


def day(moment: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(moment))


def dates(found: _x509.Certificate, params: dict, now: float) -> t.Iterator[Check]:
    days = round((found.ends - now) / DAY, 1)
    if now < found.begins:
        yield Check("days", "failed", days, "days", {}, f"its certificate is valid only from {day(found.begins)} on")
    elif now >= found.ends:
        yield Check("days", "failed", days, "days", {}, f"its certificate has expired on {day(found.ends)}")
    else:
        words = f"its certificate expires in {days:.0f} days, on {day(found.ends)}, and was not renewed"
        yield health.measured("days", days, params, words, "days", low=True)


def judge(answer: Served, params: dict, now: float) -> list[Check]:
    try:
        found = _x509.read(answer.der)
    except ValueError as error:
        raise Trouble(str(error)) from error
    checks = list(dates(found, params, now))
    wanted = params["names"] or [params["server_name"] or params["host"]]
    missing = [name for name in wanted if not _x509.covers(found.names, name)]
    words = (
        f"its certificate is for {health.words(', '.join(found.names) or found.subject)}, not for {', '.join(missing)}"
    )
    checks.append(health.expected("names", not missing, found.names, wanted, words, params["untrusted"]))
    issuer = health.words(found.issuer)
    words = f"its certificate, issued by {issuer}, is not trusted: {answer.distrust}"
    checks.append(health.expected("chain", not answer.distrust, issuer, "trusted", words, params["untrusted"]))
    weak = 0 < found.bits < 2048
    checks.append(health.expected("key", not weak, found.key, "RSA 2048", f"its key is weak: {found.key}", "degraded"))
    checks += [Check("protocol", "ok", answer.protocol), Check("cipher", "ok", answer.cipher)]
    if params["file"]:
        same = on_disk(params["file"]) == answer.der
        words = f"it serves another certificate than the one in {params['file']}: reload the server"
        checks.append(health.expected("file", same, same, True, words, "degraded"))
    return checks


def probe(params: dict, seconds: float) -> list[Check]:
    return judge(served(params, seconds), params, time.time())
