# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What asgi.production.postgres_health asks, and what it makes of the answer. Private to this collection."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.asgi.production.plugins.module_utils import _postgres_wire, health
from ansible_collections.asgi.production.plugins.module_utils.health import Check, Trouble

LIMITS = health.limits(
    connections=(80, 100),
    transaction=(3600, -1),
    blocked=(1, -1),
    lag=(30, 300),
    wraparound=(1000, 1800),
    size=(-1, -1),
)

# One row of JSON. What a role may not see is null and then not judged; pg_monitor sees all.
STATE = """\
SELECT pg_catalog.json_build_object(
  'version', pg_catalog.current_setting('server_version'),
  'standby', pg_catalog.pg_is_in_recovery(),
  'read_only', pg_catalog.current_setting('transaction_read_only') = 'on',
  'slots', pg_catalog.current_setting('max_connections')::int
    - pg_catalog.current_setting('superuser_reserved_connections')::int
    - coalesce(pg_catalog.current_setting('reserved_connections', true)::int, 0),
  'used', (SELECT count(*) FROM sessions),
  'idle', (SELECT count(*) FROM sessions WHERE state LIKE 'idle in transaction%'),
  'oldest_idle', (
    SELECT max(extract(epoch FROM now - xact_start)) FROM sessions WHERE state LIKE 'idle in transaction%'),
  'oldest', (SELECT max(extract(epoch FROM now - xact_start)) FROM sessions),
  'oldest_user', (SELECT usename FROM sessions WHERE xact_start IS NOT NULL ORDER BY xact_start LIMIT 1),
  'blocked', (SELECT count(*) FROM sessions WHERE wait_event_type = 'Lock' AND now - query_start > '10 s'),
  'size', pg_catalog.pg_database_size(pg_catalog.current_database()),
  'wraparound', (SELECT max(pg_catalog.age(datfrozenxid)) FROM pg_catalog.pg_database),
  'lag', CASE
    WHEN NOT pg_catalog.pg_is_in_recovery() THEN NULL
    WHEN pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn() THEN 0
    ELSE extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()) END,
  'receiving', EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver),
  'standbys', (
    SELECT coalesce(json_agg(json_build_object(
      'name', coalesce(nullif(application_name, ''), host(client_addr), 'local'), 'state', state,
      'lag', extract(epoch FROM replay_lag))), '[]')
    FROM pg_catalog.pg_stat_replication WHERE state IS DISTINCT FROM 'backup'),
  'lost_slots', (
    SELECT coalesce(json_agg(slot_name), '[]') FROM pg_catalog.pg_replication_slots
    WHERE NOT active AND NOT temporary),
  'archiving_fails', (
    SELECT pg_catalog.current_setting('archive_mode') <> 'off' AND last_failed_time IS NOT NULL
      AND (last_archived_time IS NULL OR last_failed_time > last_archived_time)
    FROM pg_catalog.pg_stat_archiver))
FROM (SELECT pg_catalog.clock_timestamp() AS now) AS moment
"""
SESSIONS = """\
WITH sessions AS (
  SELECT pg_catalog.clock_timestamp() AS now, state, xact_start, query_start, wait_event_type, usename
  FROM pg_catalog.pg_stat_activity
  WHERE pid <> pg_catalog.pg_backend_pid() AND backend_type = 'client backend')
"""
QUERY = SESSIONS + STATE

# What a person must do is another thing for each of these.
REFUSALS = {
    "53300": "it refuses connections: {message}",
    "57P03": "it does not accept connections yet: {message}",
    "28P01": "it refuses the password of {user}",
    "28000": "it does not let {user} in: {message}",
    "3D000": "it has no database {database}",
    "42501": "{user} may not ask for its state: {message}",
}


def read(params: dict, seconds: float) -> dict[str, t.Any]:
    """Ask the server for its state."""
    try:
        rows = _postgres_wire.ask(params, seconds, QUERY)
    except _postgres_wire.Refused as error:
        sentence = REFUSALS.get(error.code, "it refuses: {message} ({code})")
        raise Trouble(sentence.format(message=error.message, code=error.code, **params)) from error
    try:
        state = json.loads(rows[0][0] or "")
    except (IndexError, ValueError) as error:
        raise Trouble("it answers the question for its state with something else") from error
    if not isinstance(state, dict) or not isinstance(state.get("used"), int):
        raise Trouble("it answers the question for its state with something else")
    return state


def connections(state: dict, params: dict) -> Check:
    """Those of ordinary roles; the ones that are reserved for superusers are how this module still gets in."""
    used, slots = state["used"], state["slots"]
    words = f"{used} of {slots} connections are in use"
    if state["idle"]:
        oldest = f", the oldest for {health.duration(state['oldest_idle'])}" if state["oldest_idle"] else ""
        words += f", {state['idle']} of them idle in transaction{oldest}"
    if used >= slots:
        words = f"it refuses connections: {words}"
    return health.measured("connections", health.percent(used, slots), params, words, "%")


def replication(state: dict, params: dict) -> t.Iterator[Check]:
    role = "standby" if state["standby"] else "primary"
    wanted = params["role"]
    yield health.expected("role", wanted in ("any", role), role, wanted, f"it is a {role} and should be a {wanted}")
    if state["standby"]:
        words = "it does not receive anything from its primary"
        yield health.expected("receiving", state["receiving"], state["receiving"], True, words, "degraded")
    if state["lag"] is not None:
        words = f"it is {health.duration(state['lag'])} behind its primary"
        yield health.measured("lag", round(state["lag"], 1), params, words, "s")
    for standby in state["standbys"]:
        lag = standby["lag"] or 0
        words = f"its standby {standby['name']} is {health.duration(lag)} behind"
        yield health.measured("lag", round(lag, 1), params, words, "s")._replace(name=f"standby {standby['name']}")
    if params["standbys"] >= 0:
        count = sum(standby["state"] == "streaming" for standby in state["standbys"])
        words = f"{count} of {params['standbys']} standbys follow it"
        yield health.expected("standbys", count >= params["standbys"], count, params["standbys"], words)
    lost = state["lost_slots"]
    words = f"nobody reads the replication slot {', '.join(lost)}: its log is kept until the disk is full"
    yield health.expected("replication slots", not lost, lost, [], words, "degraded")


def judge(state: dict, params: dict) -> list[Check]:
    checks = [Check("version", "ok", state["version"]), connections(state, params), *replication(state, params)]
    refuses = state["read_only"] and not state["standby"]
    words = "it accepts no changes: default_transaction_read_only is on"
    checks.append(health.expected("writable", not refuses, not refuses, True, words))
    if state["oldest"] is not None:
        words = f"a transaction of {state['oldest_user']} is open for {health.duration(state['oldest'])}"
        checks.append(health.measured("transaction", round(state["oldest"], 1), params, words, "s"))
    blocked = state["blocked"]
    words = f"{blocked} session{'s wait' if blocked != 1 else ' waits'} for a lock for more than 10 s"
    checks.append(health.measured("blocked", blocked, params, words, "sessions"))
    age = round(state["wraparound"] / 1e6, 1)
    words = f"no vacuum since {age:g} of 2147 million transactions: at the end it accepts no changes any more"
    checks.append(health.measured("wraparound", age, params, words, "million transactions"))
    words = f"the database {params['database']} has {health.size(state['size'])}"
    checks.append(health.measured("size", round(state["size"] / 2**20, 1), params, words, "MiB"))
    if state["archiving_fails"] is not None:
        words = "archiving its log fails: a backup could not be restored to this day (see archive_command)"
        good = not state["archiving_fails"]
        checks.append(health.expected("archiving", good, good, True, words, "degraded"))
    return checks


def probe(params: dict, seconds: float) -> list[Check]:
    return judge(read(params, seconds), params)
