# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What asgi.production.memcached_health asks, and what it makes of the answer. Private to this collection."""

from __future__ import annotations

import typing as t

from ansible_collections.asgi.production.plugins.module_utils import _wire, health
from ansible_collections.asgi.production.plugins.module_utils.health import Check, Trouble

LIMITS = health.limits(connections=(80, 100), memory=(-1, -1), evictions=(-1, -1))
STRANGE = "what answers there does not speak the protocol of Memcached"


def read(params: dict, seconds: float) -> dict[str, str]:
    """Ask for all figures."""
    with _wire.reach(params, seconds) as wire:
        if params["tls"]:
            wire.start_tls(_wire.tls_context(params["validate_certs"], params["ca_path"]), params["host"])
        wire.sendall(b"stats\r\n")
        found: dict[str, str] = {}
        while True:
            line = wire.line()
            if line == b"END":
                break
            if b"unauthenticated" in line.lower():
                raise Trouble("it wants a user and a password, which this module does not send")
            if line.startswith(b"ERROR Too many open connections"):
                raise Trouble("it refuses connections: as many as it allows are open already")
            words = line.decode("utf-8", "replace").split(" ", 2)
            if words[0] != "STAT" or len(words) != 3 or len(found) > 1000:
                raise Trouble(STRANGE)
            found[words[1]] = words[2]
        wire.sendall(b"quit\r\n")
    if "version" not in found:
        raise Trouble(STRANGE)
    return found


def number(stats: dict[str, str], key: str) -> float:
    try:
        return float(stats.get(key, 0))
    except ValueError:
        return 0


def judge(stats: dict[str, str], params: dict) -> t.Iterator[Check]:
    yield Check("version", "ok", health.words(stats["version"]))
    open_, most = number(stats, "curr_connections"), number(stats, "max_connections")
    words = f"{open_:g} of {most:g} connections are open"
    yield health.measured("connections", health.percent(open_, most), params, words, "%")
    accepts = stats.get("accepting_conns", "1") == "1"
    words = f"it accepts no new connections: {open_:g} of {most:g} are open"
    yield health.expected("accepting", accepts, accepts, True, words)
    used, limit = number(stats, "bytes"), number(stats, "limit_maxbytes")
    share = health.percent(used, limit)
    yield health.measured("memory", share, params, f"it uses {share:g} % of {health.size(limit)}", "%")
    rate = round(number(stats, "evictions") / max(1, number(stats, "uptime")), 2)
    words = f"it drops {rate:g} entries a second that nobody let expire: give it more memory"
    yield health.measured("evictions", rate, params, words, "per second since its start")
    yield Check("rejected_connections", "ok", int(number(stats, "rejected_connections")), "since its start")


def probe(params: dict, seconds: float) -> list[Check]:
    return list(judge(read(params, seconds), params))
