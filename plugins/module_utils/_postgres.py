# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What asgi.production.postgres_databases knows of PostgreSQL. Private to this collection.

One script for psql reads the whole state, ``plan`` compares it with what is wanted, a second script changes what
differs. Passwords never reach the server as text: what travels is the SCRAM verifier that is stored.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import typing as t

# What an app may do with what its owner makes.
PRIVILEGES = {
    "SCHEMAS": ("USAGE",),
    "TABLES": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "SEQUENCES": ("USAGE", "SELECT"),
}

# What the roles of an app are, and what they must never be.
ROLE_ATTRIBUTES = {
    "login": True,
    "superuser": False,
    "createdb": False,
    "createrole": False,
    "replication": False,
    "bypassrls": False,
}

# A plain identifier of at most 63 bytes; a hyphen is allowed because names of apps have it.
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
LOCALE = re.compile(r"[A-Za-z0-9_.@-]+")
VERIFIER = re.compile(r"SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)")
ITERATIONS = 4096
RESERVED = ("postgres", "template0", "template1")

# Sent before anything that could be logged, or printed with an error, with a verifier in it.
QUIET = (
    "\\set VERBOSITY terse\n"
    "SET log_statement = 'none';\n"
    "SET log_min_duration_statement = -1;\n"
    "SET log_min_error_statement = 'panic';\n"
    "SET client_min_messages = 'warning';\n"
)

ROLES_AND_DATABASES = """\
SELECT jsonb_build_object(
  'version', pg_catalog.current_setting('server_version_num')::int,
  'roles', (
    SELECT coalesce(jsonb_object_agg(rolname, jsonb_build_object(
      'login', rolcanlogin, 'superuser', rolsuper, 'createdb', rolcreatedb, 'createrole', rolcreaterole,
      'replication', rolreplication, 'bypassrls', rolbypassrls, 'connection_limit', rolconnlimit,
      'verifier', rolpassword)), '{{}}')
    FROM pg_catalog.pg_authid WHERE rolname IN ({roles})),
  'databases', (
    SELECT coalesce(jsonb_object_agg(datname, jsonb_build_object(
      'owner', pg_catalog.pg_get_userbyid(datdba),
      'public', (
        SELECT coalesce(jsonb_agg(privilege_type), '[]')
        FROM pg_catalog.aclexplode(coalesce(datacl, pg_catalog.acldefault('d', datdba))) WHERE grantee = 0),
      'connect', (
        SELECT coalesce(jsonb_agg(pg_catalog.pg_get_userbyid(grantee)), '[]')
        FROM pg_catalog.aclexplode(coalesce(datacl, pg_catalog.acldefault('d', datdba)))
        WHERE grantee <> 0 AND privilege_type = 'CONNECT'))), '{{}}')
    FROM pg_catalog.pg_database WHERE datname IN ({databases})));
"""

# For each database. A thing is unreachable when the app has no privilege on it at all: what a migration has narrowed
# (an audit table without UPDATE) stays as the migration left it.
INSIDE = """\
SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = {name} AND datallowconn) AS found \\gset
\\if :found
\\connect "{identifier}"
SELECT jsonb_build_object('name', pg_catalog.current_database(), 'inside', jsonb_build_object(
  'schema_owner', (SELECT pg_catalog.pg_get_userbyid(nspowner) FROM pg_catalog.pg_namespace WHERE nspname = 'public'),
  'extensions', (SELECT coalesce(jsonb_agg(extname), '[]') FROM pg_catalog.pg_extension),
  'public_create', (
    SELECT coalesce(bool_or(grantee = 0 AND privilege_type = 'CREATE'), false)
    FROM pg_catalog.pg_namespace, pg_catalog.aclexplode(coalesce(nspacl, pg_catalog.acldefault('n', nspowner)))
    WHERE nspname = 'public'),
  'usage', (
    SELECT coalesce(jsonb_agg(DISTINCT pg_catalog.pg_get_userbyid(grantee)), '[]')
    FROM pg_catalog.pg_namespace, pg_catalog.aclexplode(coalesce(nspacl, pg_catalog.acldefault('n', nspowner)))
    WHERE nspname = 'public' AND grantee <> 0 AND privilege_type = 'USAGE'),
  'defaults', (
    SELECT coalesce(jsonb_agg(jsonb_build_array(
      CASE defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'n' THEN 'SCHEMAS' END,
      privilege_type)), '[]')
    FROM pg_catalog.pg_default_acl, pg_catalog.aclexplode(defaclacl)
    WHERE defaclnamespace = 0 AND pg_catalog.pg_get_userbyid(defaclrole) = {owner}
      AND grantee <> 0 AND pg_catalog.pg_get_userbyid(grantee) = {user}),
  'unreachable', (
    SELECT coalesce(jsonb_agg(jsonb_build_array(kind, name) ORDER BY kind, name), '[]') FROM (
      SELECT 'SCHEMAS' AS kind, pg_catalog.quote_ident(nspname) AS name, nspacl AS acl
      FROM pg_catalog.pg_namespace
      WHERE nspname <> 'public' AND pg_catalog.pg_get_userbyid(nspowner) = {owner}
      UNION ALL
      SELECT
        CASE relkind WHEN 'S' THEN 'SEQUENCES' ELSE 'TABLES' END, pg_catalog.format('%I.%I', nspname, relname), relacl
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace
      WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        AND (nspname = 'public' OR pg_catalog.pg_get_userbyid(nspowner) = {owner})
        AND pg_catalog.pg_get_userbyid(relowner) <> {user}
        AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_depend
          WHERE classid = 'pg_catalog.pg_class'::regclass AND objid = c.oid AND deptype = 'e')
      ) AS things
    WHERE NOT EXISTS (
      SELECT FROM pg_catalog.aclexplode(acl) WHERE grantee <> 0 AND pg_catalog.pg_get_userbyid(grantee) = {user}))));
\\endif
"""


# A server on which nothing was made yet: what check mode compares with where no server answers.
NOTHING: dict = {"version": 150000, "roles": {}, "databases": {}}


class Step(t.NamedTuple):
    """One change: where (None: the server as a whole), what a person reads of before and after, and the SQL."""

    database: str | None
    thing: str
    before: str
    after: str
    sql: str
    alone: bool = False  # CREATE DATABASE stands in no transaction


def identifier(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text for SQL, whatever standard_conforming_strings says."""
    quoted = text.replace("'", "''")
    return " E'" + quoted.replace("\\", "\\\\") + "'" if "\\" in text else f"'{quoted}'"


def verifier(password: str, salt: bytes, iterations: int = ITERATIONS) -> str:
    """Return what the server stores for a password under SCRAM-SHA-256 (RFC 5803)."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, iterations)
    stored = hashlib.sha256(hmac.new(salted, b"Client Key", hashlib.sha256).digest()).digest()
    server = hmac.new(salted, b"Server Key", hashlib.sha256).digest()
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${iterations}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def verifies(stored: str | None, password: str) -> bool:
    """Is this the verifier of this password? One that is no SCRAM verifier (md5, none) is not."""
    match = VERIFIER.fullmatch(stored or "")
    if not match:
        return False
    salt = base64.b64decode(match.group(2))
    return hmac.compare_digest(verifier(password, salt, int(match.group(1))), match.group(0))


def roles_of(databases: list[dict]) -> dict[str, dict]:
    """Role -> what is wanted of it: password and connection limit (None: left alone)."""
    roles: dict[str, dict] = {}
    for database in databases:
        for role, password, limit in (
            (database["owner"], database.get("owner_password"), None),
            (database.get("user"), database.get("password"), database.get("connection_limit")),
        ):
            if role:
                wanted = roles.setdefault(role, {"password": password, "connection_limit": limit})
                wanted["connection_limit"] = limit if limit is not None else wanted["connection_limit"]
    return roles


def faults(databases: list[dict]) -> list[str]:
    """Return what is wrong with the declaration, as sentences."""
    found = []
    for database in databases:
        found += _bad_names(database)
        found += _bad_passwords(database)
        if not LOCALE.fullmatch(database.get("locale") or "C.UTF-8"):
            found.append(f"{database['locale']!r} of database {database['name']} is no locale: try C.UTF-8.")
    return [*found, *_conflicts(databases)]


def _bad_names(database: dict) -> t.Iterator[str]:
    place = f"of database {database['name']}"
    names = [("name", database["name"]), ("owner", database["owner"]), ("user", database.get("user"))]
    for option, name in [*names, *(("extension", extension) for extension in database.get("extensions") or [])]:
        if name is not None and not NAME.fullmatch(name):
            yield (
                f"The {option} {name!r} {place} must be letters, digits, _ and -, at most 63 of them, "
                "and begin with a letter or _."
            )
    for option, name in names:
        if name in RESERVED or str(name).startswith("pg_"):
            yield f"The {option} {name} {place} belongs to PostgreSQL itself: choose another name."
    if database.get("user") == database["owner"]:
        yield f"The owner and the user {place} are one role: name a second role as user, or leave it out."


def _bad_passwords(database: dict) -> t.Iterator[str]:
    for option in ("owner_password", "password"):
        password = database.get(option)
        if password is not None and not re.fullmatch(r"[ -~]+", password):
            yield (
                f"The {option} of database {database['name']} must be printable ASCII and not empty: "
                "drivers disagree about all other characters."
            )


def _conflicts(databases: list[dict]) -> t.Iterator[str]:
    """Yield where two declarations want different things of one name."""
    names = [database["name"] for database in databases]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"The database {name} is declared twice: declare it once."
    passwords: dict[str, str] = {}
    for database in databases:
        for role, password in (
            (database["owner"], database.get("owner_password")),
            (database.get("user"), database.get("password")),
        ):
            if role and passwords.setdefault(role, password) != password:
                yield f"The role {role} is declared with two different passwords: give it one."


def read_script(databases: list[dict]) -> str:
    """Return the psql script that prints the whole state, one line of JSON for the server and one for each database."""
    roles = ", ".join(literal(name) for name in roles_of(databases))
    names = ", ".join(literal(database["name"]) for database in databases)
    script = ROLES_AND_DATABASES.format(roles=roles, databases=names)
    for database in databases:
        name, owner, user = database["name"], database["owner"], database.get("user") or database["owner"]
        script += INSIDE.format(name=literal(name), identifier=name, owner=literal(owner), user=literal(user))
    return script


def parse(said: str) -> dict:
    """Return the state that the script of read_script printed."""
    state = dict(NOTHING)
    for line in filter(None, said.splitlines()):
        found = json.loads(line)
        if "roles" in found:
            state.update(found)
        else:
            state["databases"][found["name"]]["inside"] = found["inside"]
    return state


def plan(databases: list[dict], state: dict, salt: t.Callable[[int], bytes] = os.urandom) -> list[Step]:
    """Return the changes that lead from the state to what is wanted, in an order in which they can be made."""
    steps = []
    for name, wanted in roles_of(databases).items():
        steps += _role_steps(name, wanted, state["roles"].get(name), salt)
    for database in databases:
        steps += _database_steps(database, state["databases"].get(database["name"]))
    for database in databases:
        found = state["databases"].get(database["name"])
        steps += _inside_steps(database, found["inside"] if found else _new_database(state["version"]))
    return steps


def _role_steps(name: str, wanted: dict, found: dict | None, salt: t.Callable[[int], bytes]) -> t.Iterator[Step]:
    role = identifier(name)
    if found is None:
        yield Step(None, f"role {name}", "absent", "present", f"CREATE ROLE {role} LOGIN")
        found = dict(ROLE_ATTRIBUTES, connection_limit=-1, verifier=None)
    for attribute, value in ROLE_ATTRIBUTES.items():
        if found[attribute] is not value:
            word = ("" if value else "NO") + attribute.upper()
            thing, sql = f"role {name}: {attribute}", f"ALTER ROLE {role} {word}"
            yield Step(None, thing, _yes(found[attribute]), _yes(value), sql)
    limit = wanted["connection_limit"]
    if limit is not None and found["connection_limit"] != limit:
        sql = f"ALTER ROLE {role} CONNECTION LIMIT {int(limit)}"
        yield Step(None, f"role {name}: connection limit", str(found["connection_limit"]), str(limit), sql)
    password = wanted["password"]
    if password is not None and not verifies(found["verifier"], password):
        sql = f"ALTER ROLE {role} PASSWORD {literal(verifier(password, salt(16)))}"
        yield Step(None, f"role {name}: password", "another" if found["verifier"] else "none", "as declared", sql)


def _database_steps(wanted: dict, found: dict | None) -> t.Iterator[Step]:
    name, database, user = wanted["name"], identifier(wanted["name"]), wanted.get("user")
    if found is None:
        locale = wanted.get("locale") or "C.UTF-8"
        # template0, because the cluster's own encoding may be SQL_ASCII: initdb takes it from a bare environment.
        sql = (
            f"CREATE DATABASE {database} OWNER {identifier(wanted['owner'])} TEMPLATE template0 "
            f"ENCODING 'UTF8' LOCALE {literal(locale)}"
        )
        yield Step(None, f"database {name}", "absent", f"present, UTF8, {locale}", sql, alone=True)
        found = {"owner": wanted["owner"], "public": ["CONNECT", "TEMPORARY"], "connect": []}
    if found["owner"] != wanted["owner"]:
        sql = f"ALTER DATABASE {database} OWNER TO {identifier(wanted['owner'])}"
        yield Step(None, f"database {name}: owner", found["owner"], wanted["owner"], sql)
    if found["public"]:
        before = ", ".join(sorted(found["public"]))
        sql = f"REVOKE ALL ON DATABASE {database} FROM PUBLIC"
        yield Step(None, f"database {name}: privileges of everybody", before, "none", sql)
    if user and user not in found["connect"]:
        sql = f"GRANT CONNECT ON DATABASE {database} TO {identifier(user)}"
        yield Step(None, f"database {name}: {user} may connect", "no", "yes", sql)


def _new_database(version: int) -> dict:
    """Return the inside of a database that was just made."""
    modern = version >= 150000
    return {
        "schema_owner": "pg_database_owner" if modern else "postgres",
        "public_create": not modern,
        "extensions": ["plpgsql"],
        "usage": [],
        "defaults": [],
        "unreachable": [],
    }


def _inside_steps(wanted: dict, found: dict) -> t.Iterator[Step]:
    name, owner, user = wanted["name"], wanted["owner"], wanted.get("user")
    if found["schema_owner"] != owner:
        sql = f"ALTER SCHEMA public OWNER TO {identifier(owner)}"
        yield Step(name, f"database {name}: owner of schema public", str(found["schema_owner"]), owner, sql)
    if found["public_create"]:
        sql = "REVOKE CREATE ON SCHEMA public FROM PUBLIC"
        yield Step(name, f"database {name}: everybody may create in schema public", "yes", "no", sql)
    for extension in wanted.get("extensions") or []:
        if extension not in found["extensions"]:
            thing, sql = f"database {name}: extension {extension}", f"CREATE EXTENSION {identifier(extension)}"
            yield Step(name, thing, "absent", "present", sql)
    if user:
        yield from _user_steps(name, owner, user, found)


def _user_steps(name: str, owner: str, user: str, found: dict) -> t.Iterator[Step]:
    role = identifier(user)
    if user not in found["usage"]:
        sql = f"GRANT USAGE ON SCHEMA public TO {role}"
        yield Step(name, f"database {name}: {user} may use schema public", "no", "yes", sql)
    for kind, privileges in PRIVILEGES.items():
        has = {privilege for what, privilege in found["defaults"] if what == kind}
        if not has.issuperset(privileges):
            wanted = ", ".join(privileges)
            sql = f"ALTER DEFAULT PRIVILEGES FOR ROLE {identifier(owner)} GRANT {wanted} ON {kind} TO {role}"
            before = ", ".join(sorted(has)) or "none"
            yield Step(name, f"database {name}: {user} on future {kind.lower()} of {owner}", before, wanted, sql)
    for kind, thing in found["unreachable"]:
        wanted = ", ".join(PRIVILEGES[kind])
        sql = f"GRANT {wanted} ON {kind[:-1]} {thing} TO {role}"
        yield Step(name, f"database {name}: {user} on {thing}", "none", wanted, sql)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def change_script(steps: list[Step]) -> str:
    """Return the psql script that makes the changes: one transaction for each place, CREATE DATABASE between them."""
    script, place = QUIET, None
    open_transaction = False
    for step in steps:
        if open_transaction and (step.alone or step.database != place):
            script, open_transaction = script + "COMMIT;\n", False
        if step.database != place:
            script += f'\\connect "{step.database}"\n' + QUIET
            place = step.database
        if not step.alone and not open_transaction:
            script, open_transaction = script + "BEGIN;\n", True
        script += step.sql + ";\n"
    return script + ("COMMIT;\n" if open_transaction else "")


def diff(steps: list[Step]) -> dict[str, str]:
    """Return what differs, for --diff. Nothing of it is a secret."""
    return {
        "before": "".join(f"{step.thing}: {step.before}\n" for step in steps),
        "after": "".join(f"{step.thing}: {step.after}\n" for step in steps),
    }
