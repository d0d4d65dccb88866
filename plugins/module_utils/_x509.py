# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of a certificate. Python's own library reads only those that it trusts. Private to this collection."""

from __future__ import annotations

import calendar
import ipaddress
import time
import typing as t

COMMON_NAME, ALTERNATIVE_NAMES = b"\x55\x04\x03", b"\x55\x1d\x11"
RSA = bytes.fromhex("2a864886f70d010101")
KEYS = {
    bytes.fromhex("2a8648ce3d030107"): "EC P-256",
    bytes.fromhex("2b81040022"): "EC P-384",
    bytes.fromhex("2b81040023"): "EC P-521",
    bytes.fromhex("2b6570"): "Ed25519",
    bytes.fromhex("2b6571"): "Ed448",
}


class Certificate(t.NamedTuple):
    """Moments are seconds since 1970; bits is the size of an RSA key, else 0."""

    subject: str
    issuer: str
    begins: int
    ends: int
    names: list[str]
    key: str
    bits: int


class Part(t.NamedTuple):
    tag: int
    body: bytes


def parts(data: bytes) -> list[Part]:
    """The parts of a piece of DER; ValueError where it is none."""
    found, place = [], 0
    while place < len(data):
        if place + 2 > len(data):
            raise ValueError("a part has no length")
        tag, length = data[place], data[place + 1]
        place += 2
        if length & 0x80:
            count = length & 0x7F
            if not 1 <= count <= 4 or place + count > len(data):
                raise ValueError("a length is not as it should be")
            length = int.from_bytes(data[place : place + count], "big")
            place += count
        if place + length > len(data):
            raise ValueError("a part ends too early")
        found.append(Part(tag, data[place : place + length]))
        place += length
    return found


def moment(part: Part) -> int:
    """Seconds since 1970 of a UTCTime or a GeneralizedTime."""
    text = part.body.decode("ascii")
    if part.tag == 0x17:  # two digits of the year, which mean 1950 to 2049
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    return calendar.timegm(time.strptime(text, "%Y%m%d%H%M%SZ"))


def name_of(data: bytes) -> str:
    """The common name in a distinguished name, else its last value."""
    found = ""
    for group in parts(data):
        for pair in parts(group.body):
            kind, value = parts(pair.body)[:2]
            found = value.body.decode("utf-8", "replace")
            if kind.body == COMMON_NAME:
                return found
    return found


def names_in(extensions: bytes) -> list[str]:
    found = []
    for extension in parts(parts(extensions)[0].body):
        inside = parts(extension.body)
        if inside[0].body == ALTERNATIVE_NAMES:
            for name in parts(parts(inside[-1].body)[0].body):
                if name.tag == 0x82:
                    found.append(name.body.decode("ascii", "replace").lower())
                elif name.tag == 0x87 and len(name.body) in (4, 16):
                    found.append(str(ipaddress.ip_address(name.body)))
    return found


def key_of(data: bytes) -> tuple[str, int]:
    algorithm, bits = parts(data)[:2]
    kind, *more = parts(algorithm.body)
    if kind.body == RSA:
        size = len(parts(parts(bits.body[1:])[0].body)[0].body.lstrip(b"\0")) * 8
        return f"RSA {size}", size
    return KEYS.get(kind.body) or KEYS.get(more[0].body if more else b"", "of another kind"), 0


def read(der: bytes) -> Certificate:
    """Read a certificate. Raises ValueError where it is none."""
    try:
        body = parts(parts(parts(der)[0].body)[0].body)
        if body[0].tag == 0xA0:  # the version
            body = body[1:]
        _serial, _algorithm, issuer, validity, subject, key, *more = body
        begins, ends = (moment(part) for part in parts(validity.body)[:2])
        extensions = [part.body for part in more if part.tag == 0xA3]
        names = names_in(extensions[0]) if extensions else []
        return Certificate(name_of(subject.body), name_of(issuer.body), begins, ends, names, *key_of(key.body))
    except (IndexError, ValueError, OverflowError) as error:
        raise ValueError(f"this is no certificate that can be read: {error}") from error


def covers(names: list[str], host: str) -> bool:
    """Is a certificate with these names good for this host? A star stands for one label."""
    host = host.lower().rstrip(".")
    _label, _dot, domain = host.partition(".")
    return host in names or (bool(domain) and f"*.{domain}" in names)
