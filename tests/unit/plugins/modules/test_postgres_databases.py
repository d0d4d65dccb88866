# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the module postgres_databases with a psql that answers from a list."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.asgi.production.plugins.module_utils import _postgres as postgres
from ansible_collections.asgi.production.plugins.modules import postgres_databases

EMPTY = json.dumps(postgres.NOTHING)
SHOP = {"name": "shop", "owner": "shop_owner", "owner_password": "owner secret", "user": "shop", "password": "a secret"}


class Ended(Exception):
    """The module has said its last word."""


class Host:
    """A host on which psql says what is in `answers`, and remembers what it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: list[tuple[int, str, str]] = []
        self.calls: list[dict] = []
        self.warnings: list[str] = []
        self.monkeypatch = monkeypatch
        self.has_psql(True)
        monkeypatch.setattr(AnsibleModule, "run_command", self._run)
        monkeypatch.setattr(AnsibleModule, "exit_json", lambda _module, **result: self._end(result))
        monkeypatch.setattr(AnsibleModule, "fail_json", lambda _module, **result: self._end({"failed": True, **result}))
        monkeypatch.setattr(AnsibleModule, "warn", lambda _module, text, **_rest: self.warnings.append(text))

    def has_psql(self, present: bool) -> None:
        found = "/usr/bin/psql" if present else None
        self.monkeypatch.setattr(postgres_databases.shutil, "which", lambda _name: found)

    def _run(self, argv: list[str], **rest: object) -> tuple[int, str, str]:
        self.calls.append({"argv": argv, **rest})
        return self.answers.pop(0)

    @staticmethod
    def _end(result: dict) -> None:
        raise Ended(json.dumps(result))

    def run(self, **changes: object) -> dict:
        """Run the module and return its result."""
        arguments = {"databases": [SHOP], **changes}
        with patch_module_args(arguments), pytest.raises(Ended) as ended:
            postgres_databases.main()
        return json.loads(str(ended.value))


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    return Host(monkeypatch)


def test_makes_what_is_missing(host: Host) -> None:
    host.answers = [(0, EMPTY, ""), (0, "", "")]
    result = host.run()
    assert result["changed"]
    assert "database shop: absent -> present, UTF8, C.UTF-8" in result["changes"]
    assert len(host.calls) == 2
    assert 'CREATE DATABASE "shop"' in host.calls[1]["data"]
    assert "diff" not in result


def test_asks_once_when_nothing_differs(host: Host) -> None:
    owner_only = [{"name": "shop", "owner": "shop_owner"}]
    role = {**postgres.ROLE_ATTRIBUTES, "connection_limit": -1, "verifier": None}
    database = {"owner": "shop_owner", "public": [], "connect": []}
    inside = {"schema_owner": "shop_owner", "public_create": False, "extensions": []}
    state = {"version": 150000, "roles": {"shop_owner": role}, "databases": {"shop": database}}
    said = f"{json.dumps(state)}\n{json.dumps({'name': 'shop', 'inside': inside})}\n"
    host.answers = [(0, said, "")]
    assert host.run(databases=owner_only) == {"changed": False, "changes": []}


def test_check_mode_changes_nothing_and_shows_the_difference(host: Host) -> None:
    host.answers = [(0, EMPTY, "")]
    result = host.run(_ansible_check_mode=True, _ansible_diff=True)
    assert result["changed"]
    assert result["diff"]["after"].startswith("role shop_owner: present\n")
    assert len(host.calls) == 1


def test_no_secret_is_in_a_result_or_an_argument(host: Host) -> None:
    host.answers = [(0, EMPTY, ""), (1, "", "psql:<stdin>:9: ERROR:  no")]
    result = host.run(_ansible_diff=True)
    seen = json.dumps(result) + json.dumps([{**call, "data": ""} for call in host.calls])
    assert "secret" not in seen
    assert "SCRAM" not in seen
    assert "a secret" not in host.calls[1]["data"]


def test_check_mode_on_a_host_without_postgresql(host: Host) -> None:
    host.has_psql(False)
    result = host.run(_ansible_check_mode=True)
    assert result["changed"]
    assert host.calls == []


def test_without_postgresql_it_says_so(host: Host) -> None:
    host.has_psql(False)
    assert "install PostgreSQL" in host.run()["msg"]


def test_check_mode_where_no_server_answers(host: Host) -> None:
    host.answers = [(2, "", "psql: error: connection to server failed")]
    assert host.run(_ansible_check_mode=True)["changed"]
    assert "does not answer at /run/postgresql, port 5432" in host.warnings[0]


def test_a_server_that_does_not_answer_is_a_failure(host: Host) -> None:
    host.answers = [(2, "", "psql: error: no such socket\n")]
    result = host.run(port=5433)
    assert result["failed"]
    assert result["msg"] == (
        "PostgreSQL at /run/postgresql, port 5433 did not say what is there: psql: error: no such socket"
    )


def test_a_refused_change_is_a_failure_with_the_servers_words(host: Host) -> None:
    host.answers = [(0, EMPTY, ""), (3, "", 'psql:<stdin>:7: ERROR:  extension "x" is not available\n')]
    result = host.run()
    assert result["failed"]
    assert result["msg"].endswith('ERROR:  extension "x" is not available')


def test_a_wrong_declaration_is_refused_before_anything_is_asked(host: Host) -> None:
    assert "belongs to PostgreSQL itself" in host.run(databases=[{**SHOP, "owner": "postgres"}])["msg"]
    assert host.calls == []


@pytest.mark.parametrize(("uid", "program"), [(0, "setpriv"), (107, "psql")])
def test_runs_as_the_servers_superuser(host: Host, monkeypatch: pytest.MonkeyPatch, uid: int, program: str) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    host.answers = [(0, EMPTY, ""), (0, "", "")]
    host.run(os_user="pgsql", socket_folder="/run/other")
    call = host.calls[0]
    assert call["argv"][0] == program
    assert "--no-password" in call["argv"]
    assert call["cwd"] == "/"
    assert (call["environ_update"]["PGUSER"], call["environ_update"]["PGHOST"]) == ("pgsql", "/run/other")


def test_a_database_that_lets_nobody_connect_is_named_with_the_cure(host: Host) -> None:
    database = {"owner": "shop_owner", "public": [], "connect": []}
    host.answers = [(0, json.dumps({"version": 150000, "roles": {}, "databases": {"shop": database}}), "")]
    result = host.run()
    assert result["failed"]
    assert result["msg"] == 'The database shop lets nobody connect: ALTER DATABASE "shop" ALLOW_CONNECTIONS true.'
    assert len(host.calls) == 1
