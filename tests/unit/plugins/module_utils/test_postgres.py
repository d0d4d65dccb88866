# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of what postgres_databases knows of PostgreSQL."""

from __future__ import annotations

import base64
import copy
import json

import pytest
from ansible_collections.asgi.production.plugins.module_utils import _postgres as postgres

SHOP = {
    "name": "shop",
    "owner": "shop_owner",
    "owner_password": "owner secret",
    "user": "shop",
    "password": "app secret",
    "connection_limit": 20,
    "extensions": ["pg_trgm"],
    "locale": "C.UTF-8",
}
SALT = bytes(range(16))
# The exchange of RFC 7677, section 3: password "pencil". Its proofs follow from these two keys.
PENCIL = (
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)


def settled() -> dict:
    """Return the state of a server on which the shop is as declared."""
    role = {**postgres.ROLE_ATTRIBUTES, "connection_limit": -1}
    defaults = [[kind, privilege] for kind, names in postgres.PRIVILEGES.items() for privilege in names]
    return {
        "version": 170000,
        "roles": {
            "shop_owner": {**role, "verifier": postgres.verifier("owner secret", SALT)},
            "shop": {**role, "connection_limit": 20, "verifier": postgres.verifier("app secret", SALT, 10000)},
        },
        "databases": {
            "shop": {
                "owner": "shop_owner",
                "public": [],
                "connect": ["shop", "shop_owner"],
                "inside": {
                    "schema_owner": "shop_owner",
                    "extensions": ["plpgsql", "pg_trgm"],
                    "public_create": False,
                    "usage": ["shop", "shop_owner"],
                    "defaults": defaults,
                    "unreachable": [],
                },
            }
        },
    }


def plan(state: dict, **changes: object) -> list[postgres.Step]:
    return postgres.plan([{**SHOP, **changes}], state, salt=lambda length: SALT[:length])


def things(steps: list[postgres.Step]) -> list[str]:
    return [step.thing for step in steps]


class TestVerifier:
    def test_is_what_the_standard_says(self) -> None:
        assert postgres.verifier("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")) == PENCIL

    def test_keeps_the_salt_and_the_iterations_of_what_is_stored(self) -> None:
        assert postgres.verifies(PENCIL, "pencil")
        assert postgres.verifies(postgres.verifier("x", b"another salt", 99), "x")

    @pytest.mark.parametrize("stored", [None, "", "md5900150983cd24fb0d6963f7d28e17f72", PENCIL[:-1], "pencil"])
    def test_nothing_else_verifies(self, stored: str | None) -> None:
        assert not postgres.verifies(stored, "pencil")

    def test_another_password_does_not_verify(self) -> None:
        assert not postgres.verifies(PENCIL, "Pencil")


class TestQuoting:
    @pytest.mark.parametrize(
        ("text", "quoted"),
        [("a", "'a'"), ("o'neill", "'o''neill'"), ("a\\b", " E'a\\\\b'"), ("a'\\", " E'a''\\\\'"), ("", "''")],
    )
    def test_literal(self, text: str, quoted: str) -> None:
        assert postgres.literal(text) == quoted

    def test_identifier(self) -> None:
        assert postgres.identifier('my-"shop"') == '"my-""shop"""'


class TestFaults:
    def test_a_good_declaration_has_none(self) -> None:
        assert postgres.faults([SHOP, {"name": "My-other", "owner": "_o", "extensions": None}]) == []

    @pytest.mark.parametrize(
        ("changes", "word"),
        [
            ({"name": "1shop"}, "The name '1shop'"),
            ({"name": "-shop"}, "begin with a letter"),
            ({"name": "a" * 64}, "at most 63"),
            ({"name": 'shop"; DROP'}, "must be letters"),
            ({"name": "dbname=x"}, "must be letters"),
            ({"name": "template1"}, "belongs to PostgreSQL"),
            ({"owner": "postgres"}, "belongs to PostgreSQL"),
            ({"user": "pg_monitor"}, "belongs to PostgreSQL"),
            ({"user": "shop_owner"}, "are one role"),
            ({"extensions": ["uuid;ossp"]}, "The extension 'uuid;ossp'"),
            ({"password": "pässword"}, "The password of database shop must be printable ASCII"),
            ({"owner_password": ""}, "The owner_password of database shop must be"),
            ({"locale": "C'UTF"}, "is no locale"),
        ],
    )
    def test_names_what_is_wrong(self, changes: dict, word: str) -> None:
        found = postgres.faults([{**SHOP, **changes}])
        assert any(word in sentence for sentence in found), found
        assert all(sentence.endswith((".", "out.", "C.UTF-8.")) for sentence in found)

    def test_no_password_is_in_a_sentence(self) -> None:
        assert "pässword" not in " ".join(postgres.faults([{**SHOP, "password": "pässword"}]))

    def test_two_declarations_that_contradict_each_other(self) -> None:
        found = postgres.faults([SHOP, {**SHOP, "password": "b"}])
        assert found == [
            "The database shop is declared twice: declare it once.",
            "The role shop is declared with two different passwords: give it one.",
        ]

    def test_two_databases_may_share_their_roles(self) -> None:
        assert postgres.faults([SHOP, {**SHOP, "name": "two"}]) == []


class TestRoles:
    def test_a_limit_is_kept_whatever_the_order(self) -> None:
        other = {"name": "b", "owner": "shop", "owner_password": "app secret"}
        for databases in ([SHOP, other], [other, SHOP]):
            assert postgres.roles_of(databases)["shop"] == {"password": "app secret", "connection_limit": 20}

    def test_without_a_user_there_is_only_the_owner(self) -> None:
        assert list(postgres.roles_of([{"name": "a", "owner": "o"}])) == ["o"]


class TestReading:
    def test_asks_for_every_database_in_one_script(self) -> None:
        script = postgres.read_script([SHOP, {"name": "my-Two", "owner": "two"}])
        assert "rolname IN ('shop_owner', 'shop', 'two')" in script
        assert "datname IN ('shop', 'my-Two')" in script
        assert '\\connect "my-Two"' in script
        assert script.count("\\if :found") == script.count("\\endif") == 2
        assert "secret" not in script

    def test_puts_the_answers_together(self) -> None:
        state = settled()
        inside = state["databases"]["shop"].pop("inside")
        said = f"{json.dumps(state)}\n\n{json.dumps({'name': 'shop', 'inside': inside})}\n"
        assert postgres.parse(said) == settled()

    def test_nothing_is_not_changed_by_reading(self) -> None:
        before = copy.deepcopy(postgres.NOTHING)
        postgres.parse(json.dumps({"version": 1, "roles": {"a": {}}, "databases": {}}))
        assert before == postgres.NOTHING


class TestPlan:
    def test_a_settled_server_needs_nothing(self) -> None:
        assert plan(settled()) == []

    def test_what_is_not_declared_is_left_alone(self) -> None:
        state = settled()
        state["roles"]["shop"].update(connection_limit=7, verifier="md5abc")
        state["databases"]["shop"]["inside"]["extensions"].append("postgis")
        assert plan(state, connection_limit=None, password=None, extensions=[]) == []

    def test_an_empty_server_gets_everything(self) -> None:
        steps = plan(postgres.NOTHING)
        assert things(steps) == [
            "role shop_owner",
            "role shop_owner: password",
            "role shop",
            "role shop: connection limit",
            "role shop: password",
            "database shop",
            "database shop: privileges of everybody",
            "database shop: shop may connect",
            "database shop: owner of schema public",
            "database shop: extension pg_trgm",
            "database shop: shop may use schema public",
            "database shop: shop on future schemas of shop_owner",
            "database shop: shop on future tables of shop_owner",
            "database shop: shop on future sequences of shop_owner",
        ]

    def test_before_version_15_everybody_may_create(self) -> None:
        steps = plan({**postgres.NOTHING, "version": 140010})
        assert "REVOKE CREATE ON SCHEMA public FROM PUBLIC" in [step.sql for step in steps]

    def test_a_database_is_made_with_its_own_encoding(self) -> None:
        made = next(step for step in plan(postgres.NOTHING, locale=None) if step.alone)
        assert made.sql == (
            "CREATE DATABASE \"shop\" OWNER \"shop_owner\" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'"
        )

    def test_only_an_owner(self) -> None:
        steps = postgres.plan([{"name": "shop", "owner": "shop_owner"}], postgres.NOTHING)
        assert not any("may" in step.thing or "future" in step.thing for step in steps)

    @pytest.mark.parametrize("attribute", ["superuser", "createdb", "createrole", "replication", "bypassrls"])
    def test_a_role_that_is_too_strong_is_weakened(self, attribute: str) -> None:
        state = settled()
        state["roles"]["shop"][attribute] = True
        (step,) = plan(state)
        assert (step.before, step.after, step.sql) == ("yes", "no", f'ALTER ROLE "shop" NO{attribute.upper()}')

    def test_a_role_that_may_not_log_in_may(self) -> None:
        state = settled()
        state["roles"]["shop_owner"]["login"] = False
        (step,) = plan(state)
        assert step.sql == 'ALTER ROLE "shop_owner" LOGIN'

    def test_a_new_password_is_sent_as_its_verifier(self) -> None:
        (step,) = plan(settled(), password="new secret")
        assert step.thing == "role shop: password"
        assert "new secret" not in step.sql
        assert postgres.verifies(step.sql.split("'")[1], "new secret")

    def test_a_role_without_a_password_gets_one(self) -> None:
        state = settled()
        state["roles"]["shop"]["verifier"] = None
        assert [(step.before, step.after) for step in plan(state)] == [("none", "as declared")]

    @pytest.mark.parametrize(
        ("path", "value", "sql"),
        [
            (("owner",), "postgres", 'ALTER DATABASE "shop" OWNER TO "shop_owner"'),
            (("public",), ["TEMPORARY", "CONNECT"], 'REVOKE ALL ON DATABASE "shop" FROM PUBLIC'),
            (("connect",), ["shop_owner"], 'GRANT CONNECT ON DATABASE "shop" TO "shop"'),
            (("inside", "schema_owner"), "pg_database_owner", 'ALTER SCHEMA public OWNER TO "shop_owner"'),
            (("inside", "schema_owner"), None, 'ALTER SCHEMA public OWNER TO "shop_owner"'),
            (("inside", "public_create"), True, "REVOKE CREATE ON SCHEMA public FROM PUBLIC"),
            (("inside", "extensions"), ["plpgsql"], 'CREATE EXTENSION "pg_trgm"'),
            (("inside", "usage"), [], 'GRANT USAGE ON SCHEMA public TO "shop"'),
            (("inside", "unreachable"), [["SCHEMAS", "s2"]], 'GRANT USAGE ON SCHEMA s2 TO "shop"'),
            (
                ("inside", "unreachable"),
                [["TABLES", 'public."T"']],
                'GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public."T" TO "shop"',
            ),
            (
                ("inside", "unreachable"),
                [["SEQUENCES", "public.s"]],
                'GRANT USAGE, SELECT ON SEQUENCE public.s TO "shop"',
            ),
        ],
    )
    def test_one_difference_is_one_change(self, path: tuple, value: object, sql: str) -> None:
        state = settled()
        place = state["databases"]["shop"]
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        assert [step.sql for step in plan(state)] == [sql]

    def test_a_missing_default_privilege(self) -> None:
        state = settled()
        state["databases"]["shop"]["inside"]["defaults"].remove(["TABLES", "DELETE"])
        (step,) = plan(state)
        assert step.before == "INSERT, SELECT, UPDATE"
        assert step.sql == (
            'ALTER DEFAULT PRIVILEGES FOR ROLE "shop_owner" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "shop"'
        )


class TestScript:
    def test_one_transaction_in_each_place_and_databases_between_them(self) -> None:
        two = {"name": "two", "owner": "two_owner"}
        script = postgres.change_script(postgres.plan([SHOP, two], postgres.NOTHING))
        inside = False
        for line in script.splitlines():
            if line in ("BEGIN;", "COMMIT;"):
                assert inside is (line == "COMMIT;")
                inside = line == "BEGIN;"
            elif line.startswith(("CREATE DATABASE", "\\connect")):
                assert not inside
            elif not line.startswith(("SET ", "\\set ")):
                assert inside, line
        assert not inside

    def test_nothing_that_is_logged_comes_before_it_is_turned_off(self) -> None:
        script = postgres.change_script(plan(postgres.NOTHING))
        assert script.startswith(postgres.QUIET)
        assert f'\\connect "shop"\n{postgres.QUIET}' in script

    def test_no_password_is_in_a_script_or_a_difference(self) -> None:
        steps = plan(postgres.NOTHING)
        assert "secret" not in postgres.change_script(steps) + str(postgres.diff(steps))
        assert "SCRAM" not in str(postgres.diff(steps))

    def test_without_changes_it_changes_nothing(self) -> None:
        assert postgres.change_script([]) == postgres.QUIET

    def test_a_difference_has_a_line_for_each_change(self) -> None:
        assert postgres.diff(plan(settled(), connection_limit=5)) == {
            "before": "role shop: connection limit: 20\n",
            "after": "role shop: connection limit: 5\n",
        }
