# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What asgi.production.nginx_health looks at, and what it makes of it. Private to this collection."""

from __future__ import annotations

import os
import re
import time
import typing as t

from ansible_collections.asgi.production.plugins.module_utils import _http, _wire, health
from ansible_collections.asgi.production.plugins.module_utils.health import Check

LIMITS = health.limits(connections=(80, 95))


def text(path: str) -> str:
    """A file's text; nothing where there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def processes(master: str, root: str = "") -> list[str]:
    """The titles of a process's children; nginx writes there what each of them is for."""
    found = []
    for name in os.listdir(f"{root}/proc"):
        parent = (
            re.search(r"^PPid:\t(\d+)$", text(f"{root}/proc/{name}/status"), re.MULTILINE) if name.isdigit() else None
        )
        if parent and parent.group(1) == master:
            found.append(text(f"{root}/proc/{name}/cmdline").strip("\0 "))
    return found


def workers(pid_file: str, root: str = "") -> t.Iterator[Check]:
    master = text(root + pid_file).strip()
    running = master.isdigit() and os.path.isdir(f"{root}/proc/{master}")
    yield health.expected("running", running, running, True, f"it does not run: no process is named in {pid_file}")
    if running:
        titles = [title for title in processes(master, root) if "worker process" in title]
        leaving = sum("shutting down" in title for title in titles)
        count = len(titles) - leaving
        yield health.expected("workers", count > 0, count, "at least 1", "it has no worker that takes connections")
        yield Check("old workers", "ok", leaving, "finish their last connections")


def configuration(seconds: float) -> Check:
    """What nginx itself says of its files. A running one serves on with what it read before."""
    said = health.command(["nginx", "-t", "-q"], seconds)
    lines = [line for line in said.stderr.splitlines() if "[emerg]" in line] or said.stderr.splitlines()
    words = "its configuration is not valid, so the next start or reload fails: "
    words += health.words(lines[0].replace("nginx: ", "") if lines else f"exit code {said.returncode}")
    return health.expected("configuration", said.returncode == 0, said.returncode == 0, True, words)


def opens(name: str, place: tuple[str, int, str], seconds: float, words: str, user: str = "") -> Check:
    """Can somebody connect there? A connection without a request harms nobody."""
    try:
        with _wire.acting_as(user):
            _wire.connect(*place, time.monotonic() + seconds).close()
    except OSError as error:
        return Check(name, "failed", False, "", True, f"{words}: {health.reason(error, round(seconds, 1))}")
    return Check(name, "ok", True, "", True)


def upstream(name: str, seconds: float, user: str) -> Check:
    """Can nginx's user reach what nginx passes requests to? Root could open any socket."""
    host, _colon, port = name.rpartition(":")
    place = ("", 0, name[len("unix:") :]) if name.startswith("unix:") else (host.strip("[]"), int(port or 80), "")
    return opens(f"upstream {name}", place, seconds, f"the app at {name} can't be reached by {user}", user)


def figures(url: str, params: dict, seconds: float) -> t.Iterator[Check]:
    """What the page of stub_status says."""
    try:
        said = _http.get(url, timeout=seconds).body.decode("utf-8", "replace")
    except _http.http.client.HTTPException as error:
        raise _http.no_http(error) from error
    numbers = re.search(r"Active connections: (\d+)\s+server accepts handled requests\s+(\d+) (\d+) (\d+)", said)
    if not numbers:
        yield Check("figures", "failed", message=f"{url} does not give the figures of stub_status")
        return
    active, accepted, handled, requests = (int(number) for number in numbers.groups())
    words = f"{accepted - handled} connections were dropped since its start: raise worker_connections"
    yield health.expected("dropped", accepted == handled, accepted - handled, 0, words, "degraded")
    yield Check("active", "ok", active, "connections")
    yield Check("requests", "ok", requests, "since its start")
    if params["worker_connections"] > 0:
        most = params["worker_connections"] * (os.cpu_count() or 1)
        words = f"{active} of {most} connections are open"
        yield health.measured("connections", health.percent(active, most), params, words, "%")


def probe(params: dict, seconds: float) -> list[Check]:
    end = time.monotonic() + seconds
    checks = list(workers(params["pid_file"]))
    if params["configuration"]:
        checks.append(configuration(_wire.left(end)))
    for port in params["ports"]:
        words = f"port {port} is not served"
        checks.append(opens(f"port {port}", (params["host"], port, ""), min(5, _wire.left(end)), words))
    for name in params["upstreams"]:
        checks.append(upstream(name, min(5, _wire.left(end)), params["user"]))
    if params["status_url"]:
        checks += figures(params["status_url"], params, _wire.left(end))
    return checks
