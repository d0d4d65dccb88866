# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What asgi.production.redis_health asks, and what it makes of the answer. Private to this collection."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.asgi.production.plugins.module_utils import _wire, health
from ansible_collections.asgi.production.plugins.module_utils.health import Check, Trouble

LIMITS = health.limits(memory=(80, 95), clients=(80, 100), lag=(30, 300), unsaved=(-1, -1))
STRANGE = "what answers there does not speak the protocol of Redis"

# What a person must do is another thing for each of these.
REFUSALS = {
    "NOAUTH": "it wants a user and a password, and none were given",
    "WRONGPASS": "it refuses the password of {user}, or does not know this user",
    "LOADING": "it is still reading its data from the disk",
    "NOPERM": "it does not allow {user} to run this command: {words}",
    "DENIED": "it lets nobody in from another host, because it is in protected mode",
    "MISCONF": "it refuses writes: {words}",
}


class Error(str):
    """An answer that is an error."""

    __slots__ = ()


def command(*words: str) -> bytes:
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)


def answer(wire: _wire.Wire) -> t.Union[str, Error]:
    """One answer, of the kinds that come back to what is asked here."""
    line = wire.line()
    kind, rest = line[:1], line[1:]
    if kind == b"-":
        return Error(health.words(rest))
    if kind == b"+":
        return rest.decode("utf-8", "replace")
    if kind != b"$" or not rest.isdigit() or len(rest) > 9:
        raise Trouble(STRANGE)
    body = wire.exactly(int(rest))
    if wire.exactly(2) != b"\r\n":
        raise Trouble(STRANGE)
    return body.decode("utf-8", "replace")


def refusal(error: Error, params: dict) -> Trouble:
    code, _space, words = error.partition(" ")
    sentence = REFUSALS.get(code, "it refuses: {error}")
    if "max number of clients" in error:
        sentence = "it refuses connections: its maxclients are connected already"
    return Trouble(sentence.format(user=params["user"] or "default", words=words, error=error))


def read(params: dict, seconds: float) -> dict[str, str]:
    """Log in and ask for what the server knows of itself."""
    with _wire.reach(params, seconds) as wire:
        if params["tls"]:
            wire.start_tls(_wire.tls_context(params["validate_certs"], params["ca_path"]), params["host"])
        login = [word for word in (params["user"], params["password"]) if word]
        commands = [("AUTH", *login)] if params["password"] else []
        said: t.Union[str, Error] = ""
        for words in [*commands, ("PING",), ("INFO",)]:
            wire.sendall(command(*words))
            said = answer(wire)
            if isinstance(said, Error):
                raise refusal(said, params)
        wire.sendall(command("QUIT"))
    pairs = (line.partition(":") for line in said.splitlines() if ":" in line)
    info = {key: value for key, _colon, value in pairs}
    if "redis_version" not in info:
        raise Trouble(STRANGE)
    return info


def number(info: dict[str, str], key: str) -> float:
    try:
        return float(info.get(key, 0))
    except ValueError:
        return 0


def memory(info: dict[str, str], params: dict) -> Check:
    """A full cache is as it should be; a store that evicts nothing refuses writes when it is full."""
    used, most = number(info, "used_memory"), number(info, "maxmemory")
    policy = info.get("maxmemory_policy", "noeviction")
    share = health.percent(used, most)
    if policy != "noeviction" or not most:
        return Check("memory", "ok", share, "%", {}, "")
    words = f"it uses {share:g} % of {health.size(most)} and evicts nothing: when that is full it refuses writes"
    if used >= most:
        words = f"it refuses writes: its {health.size(most)} are full, and it evicts nothing"
    return health.measured("memory", share, params, words, "%")


def replication(info: dict[str, str], params: dict) -> t.Iterator[Check]:
    role = "replica" if info.get("role") == "slave" else "primary"
    wanted = params["role"]
    yield health.expected("role", wanted in ("any", role), role, wanted, f"it is a {role} and should be a {wanted}")
    if role == "replica":
        up = info.get("master_link_status") == "up"
        words = f"its link to its primary {info.get('master_host', '')} is down"
        since = number(info, "master_link_down_since_seconds")
        words += f" for {health.duration(since)}" if since > 0 else ""
        yield health.expected("link", up, "up" if up else "down", "up", health.words(words))
        lag = number(info, "master_last_io_seconds_ago")
        yield health.measured("lag", lag, params, f"it heard its primary {health.duration(lag)} ago", "s")
    if params["replicas"] >= 0:
        count = int(number(info, "connected_slaves"))
        words = f"{count} of {params['replicas']} replicas follow it"
        yield health.expected("replicas", count >= params["replicas"], count, params["replicas"], words)


def judge(info: dict[str, str], params: dict, now: float) -> list[Check]:
    checks = [Check("version", "ok", info["redis_version"]), *replication(info, params), memory(info, params)]
    used, most = number(info, "connected_clients"), number(info, "maxclients")
    words = f"{used:g} of {most:g} clients are connected"
    checks.append(health.measured("clients", health.percent(used, most), params, words, "%"))
    loading = info.get("loading") == "1"
    words = f"it is still reading its data from the disk ({number(info, 'loading_loaded_perc'):g} %)"
    checks.append(health.expected("loaded", not loading, not loading, True, words))
    for name, key, words in (
        ("snapshot", "rdb_last_bgsave_status", "its last snapshot failed, so it may refuse writes: is the disk full?"),
        ("log", "aof_last_write_status", "it can't write its log, so it refuses writes: is the disk full?"),
    ):
        said = health.words(info.get(key, "ok"))
        checks.append(health.expected(name, said == "ok", said, "ok", words))
    age = now - number(info, "rdb_last_save_time") if number(info, "rdb_changes_since_last_save") else 0
    words = f"its last snapshot is {health.duration(age)} old, and much has changed since"
    checks.append(health.measured("unsaved", round(age), params, words, "s"))
    for name in ("evicted_keys", "rejected_connections"):
        checks.append(Check(name, "ok", int(number(info, name)), "since its start"))
    return checks


def probe(params: dict, seconds: float) -> list[Check]:
    return judge(read(params, seconds), params, time.time())
