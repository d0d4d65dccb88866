# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every health module shares: options, polling, one shape of the result. A module writes only its probe."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import time
import typing as t

ARGUMENTS: dict[str, t.Any] = {
    "timeout": {"type": "float", "default": 30},
    "retries": {"type": "int", "default": 0},
    "delay": {"type": "float", "default": 1},
    "fail_on": {"type": "str", "choices": ["failed", "degraded", "never"], "default": "failed"},
}
# For what is reached by a socket. A module adds its own port.
SERVER: dict[str, t.Any] = {
    "host": {"type": "str", "default": "127.0.0.1"},
    "unix_socket": {"type": "path", "default": ""},
    "tls": {"type": "bool", "default": False},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path", "default": ""},
}
WORSE = ("ok", "degraded", "failed")


class Trouble(OSError):
    """Why there is no answer, in words that can follow the name of what was asked."""


class Check(t.NamedTuple):
    """One question and its answer. unit and threshold belong to value; message is for a tired person."""

    name: str
    status: str
    value: t.Any = None
    unit: str = ""
    threshold: t.Any = None
    message: str = ""


def worst(checks: t.Iterable[Check]) -> str:
    """The worst status of some checks; nothing asked is nothing known, so that is a failure."""
    return max((check.status for check in checks), key=WORSE.index, default="failed")


def fails(status: str, fail_on: str) -> bool:
    return fail_on != "never" and WORSE.index(status) >= WORSE.index(fail_on)


def limits(**pairs: tuple[float, float]) -> dict[str, t.Any]:
    """Options for thresholds: for each measure one from which it is degraded and one from which it is failed."""
    return {
        f"{name}_{word}": {"type": "float", "default": value}
        for name, pair in pairs.items()
        for word, value in zip(WORSE[1:], pair)
    }


def measured(name: str, value: float, params: dict, message: str, unit: str = "", low: bool = False) -> Check:
    """Compare a value with its two thresholds, which count from themselves on; a negative one is none.

    With ``low`` it is small values that are bad.
    """
    threshold = {word: params[f"{name}_{word}"] for word in WORSE[1:] if params[f"{name}_{word}"] >= 0}
    reached = [word for word, limit in threshold.items() if (value <= limit if low else value >= limit)]
    status = reached[-1] if reached else "ok"
    return Check(name, status, value, unit, threshold, message if reached else "")


def expected(name: str, right: bool, value: t.Any, wanted: t.Any, message: str, worth: str = "failed") -> Check:
    """Compare a value with the only one that is right."""
    return Check(name, "ok" if right else worth, value, "", wanted, "" if right else message)


def percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 1) if whole > 0 else 0.0


def duration(seconds: float) -> str:
    """Seconds as people say them, in the largest unit of which there are at least two."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def size(count: float) -> str:
    """Bytes as people say them."""
    for unit, length in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= length:
            return f"{count / length:.1f} {unit}"
    return f"{count:.0f} bytes"


def words(text: t.Union[bytes, str], longest: int = 300) -> str:
    """What a server said, on one line, without anything that a terminal would obey, and not too long."""
    if isinstance(text, bytes):
        text = text[: 4 * longest].decode("utf-8", "replace")
    line = " ".join("".join(char if char.isprintable() else " " for char in text[: 4 * longest]).split())
    return line if len(line) <= longest else line[: longest - 3] + "..."


def where(params: dict) -> str:
    """Where a server is: this host by its name, another one by its address."""
    if params["unix_socket"] or params["host"] in ("127.0.0.1", "::1", "localhost"):
        return f"on {socket.gethostname()}"
    return f"at {params['host']}:{params['port']}"


REASONS: tuple[tuple[type[OSError], str], ...] = (
    (ssl.SSLEOFError, "it closes the connection where TLS should begin"),
    (ConnectionRefusedError, "nothing listens there"),
    (ConnectionError, "it closed the connection before its answer was whole"),
    (FileNotFoundError, "its socket is not there"),
    (PermissionError, "its socket must not be opened by this user"),
    (BlockingIOError, "its queue of connections is full"),
    (socket.gaierror, "its name has no address"),
    (ssl.SSLError, "it does not speak TLS as it should"),
)


def reason(error: OSError, timeout: float) -> str:
    """Why there is no answer, as a person would say it."""
    if isinstance(error, Trouble):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {words(error.verify_message)}"
    if isinstance(error, socket.timeout):
        return f"it does not answer within {timeout:g} s"
    for kind, sentence in REASONS:
        if isinstance(error, kind):
            detail = words(getattr(error, "reason", None) or "") if kind is ssl.SSLError else ""
            return f"{sentence} ({detail})" if detail else sentence
    return f"it can't be reached ({words(str(error)) or type(error).__name__})"


def command(argv: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
    """Run a program, in English and not for longer than that. Its exit code is the caller's business."""
    env = {**os.environ, "LC_ALL": "C", "LANGUAGE": "C"}
    try:
        return subprocess.run(
            argv, capture_output=True, text=True, errors="replace", check=False, timeout=max(0.1, seconds), env=env
        )
    except FileNotFoundError as error:
        raise Trouble(f"this host has no {argv[0]}") from error
    except subprocess.TimeoutExpired as error:
        raise Trouble(f"{argv[0]} does not end within {max(0.1, seconds):.1f} s") from error


def poll(
    probe: t.Callable[[float], list[Check]],
    params: dict,
    sleep: t.Callable[[float], None] = time.sleep,
    clock: t.Callable[[], float] = time.monotonic,
) -> dict[str, t.Any]:
    """Ask until the answer is good enough, retries or time are used up.

    ``probe`` gets the seconds that are left. An OSError of it, so also Trouble, is an answer: there is none.
    """
    start, attempts = clock(), 0
    while True:
        attempts += 1
        left = max(0.1, params["timeout"] - (clock() - start))
        try:
            checks = probe(left)
        except OSError as error:
            checks = [Check("answer", "failed", message=reason(error, round(left, 1)))]
        status = worst(checks)
        spent = clock() - start
        enough = not fails(status, params["fail_on"]) or attempts > params["retries"]
        if enough or spent + params["delay"] >= params["timeout"]:
            return {
                "healthy": status == "ok",
                "status": status,
                "checks": [check._asdict() for check in checks],
                "attempts": attempts,
                "elapsed": round(spent, 3),
            }
        sleep(params["delay"])


def finish(module: t.Any, target: str, result: dict[str, t.Any]) -> None:
    """End the module with the result; a failure's message names the target and what is wrong with it, worst first."""
    wrong = [check for check in result["checks"] if check["status"] != "ok"]
    wrong.sort(key=lambda check: -WORSE.index(check["status"]))
    verb = "fails" if result["status"] == "failed" else f"is {result['status']}"
    message = f"{target} {verb}"
    if wrong:
        message += ": " + "; ".join(check["message"] or check["name"] for check in wrong)
    if fails(result["status"], module.params["fail_on"]):
        module.fail_json(msg=message, changed=False, **result)
    module.exit_json(msg=message, changed=False, **result)


def run(module: t.Any, target: str, probe: t.Callable[[float], list[Check]]) -> None:
    """All that a module does after it has read its options."""
    finish(module, target, poll(probe, module.params))
