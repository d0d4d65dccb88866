# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of what the role postgres computes and renders."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLE = Path(__file__).resolve().parents[3] / "roles" / "postgres"
FOLDER = "etc/postgresql/main"
DATABASE = {"name": "my-shop", "owner": "my-shop_owner", "user": "my-shop"}


def known(memory_mb: int = 4096, cores: int = 2, **own: object) -> dict:
    """Return the role's variables on a host, as Ansible would have them."""
    loader = DataLoader()
    found: dict = {"ansible_managed": "managed", "stack_postgres_clients": [], "postgres_databases": [DATABASE]}
    for part in ("defaults", "vars"):
        found = {**loader.load_from_file(str(ROLE / part / "main.yml"), trusted_as_template=True), **found}
    facts = {"memory_mb": memory_mb, "cores": cores, "release": "trixie", "architecture": "amd64"}
    return {**found, "ansible_facts": {"asgi": facts}, **own}


def render(name: str, variables: dict) -> str:
    templar = Templar(DataLoader(), variables).copy_with_new_env(searchpath=[str(ROLE / "templates")])
    source = (ROLE / "templates" / name).read_text(encoding="utf-8")
    return str(templar.template(trust_as_template(source), escape_backslashes=False))


def settings(name: str, variables: dict) -> dict[str, str]:
    lines = render(f"{FOLDER}/conf.d/60-asgi-{name}.conf.j2", variables).splitlines()
    return dict(line.split(" = ", 1) for line in lines if line and not line.startswith("#"))


def fingerprint(armoured: str) -> str:
    """Return the fingerprint of the first key, version 4, of an armoured block (RFC 4880, section 12.2)."""
    body = armoured.split("\n\n", 1)[1].split("\n=", 1)[0]
    data = base64.b64decode(body)
    assert data[0] == 0x99  # a public key packet with a length of two octets
    packet = data[3 : 3 + int.from_bytes(data[1:3], "big")]
    assert packet[0] == 4
    return hashlib.sha1(data[:3] + packet, usedforsecurity=False).hexdigest().upper()


def test_the_repository_key_is_the_postgresql_projects() -> None:
    key = known()["__postgres_repository_key"]
    assert fingerprint(key) == "B97B0AFCAA1A47F044F244A07FCC7D46ACCC4CF8"


def test_the_repository_is_one_file_with_its_key() -> None:
    text = render("etc/apt/sources.list.d/asgi-pgdg.sources.j2", known())
    assert "\nSuites: trixie-pgdg\n" in text
    assert text.endswith(" -----END PGP PUBLIC KEY BLOCK-----\n")
    after = text.split("Signed-By:\n")[1]
    assert all(line.startswith(" ") and line.strip() for line in after.splitlines())


SMALL = {"shared_buffers": "64MB", "work_mem": "4MB", "maintenance_work_mem": "64MB", "max_wal_size": "1024MB"}
LARGE = {"shared_buffers": "32768MB", "work_mem": "64MB", "maintenance_work_mem": "1024MB", "max_wal_size": "4096MB"}


@pytest.mark.parametrize(
    ("memory_mb", "expected"),
    [
        (512, SMALL),
        (4096, {"shared_buffers": "512MB", "effective_cache_size": "1536MB", "work_mem": "5MB"}),
        (262144, LARGE),
    ],
)
def test_memory_of_a_host_that_is_shared_with_the_app(memory_mb: int, expected: dict) -> None:
    variables = known(memory_mb)
    found = {**settings("restart", variables), **settings("reload", variables)}
    assert {name: found[name].strip("'") for name in expected} == expected


def test_a_host_of_its_own_gives_more() -> None:
    variables = known(4096, stack_topology={"app": {"here": False}})
    assert settings("restart", variables)["shared_buffers"] == "'921MB'"


@pytest.mark.parametrize(("cores", "per_gather", "workers"), [(1, 0, 8), (2, 1, 8), (32, 4, 32)])
def test_cores(cores: int, per_gather: int, workers: int) -> None:
    variables = known(cores=cores)
    assert settings("reload", variables)["max_parallel_workers_per_gather"] == f"'{per_gather}'"
    assert settings("restart", variables)["max_worker_processes"] == f"'{workers}'"


def test_connections_follow_the_apps() -> None:
    assert settings("restart", known())["max_connections"] == "'100'"
    assert settings("restart", known(postgres_app_connections=240))["max_connections"] == "'250'"


def test_each_setting_goes_to_the_file_that_fits() -> None:
    own = {
        "Wal_Level": "logical",
        "work_mem": "1GB",
        "max_connections": 300,
        "log_line_prefix": "it's \\ %m",
        "jit": False,
    }
    variables = known(postgres_settings=own)
    restart, reload = settings("restart", variables), settings("reload", variables)
    assert restart["Wal_Level"] == "'logical'"
    assert restart["max_connections"] == "'300'"
    assert (reload["work_mem"], reload["jit"]) == ("'1GB'", "'off'")
    assert reload["log_line_prefix"] == "'it''s \\\\ %m'"
    assert not set(restart) & set(reload)


def test_the_server_listens_nowhere_without_clients() -> None:
    assert settings("restart", known())["listen_addresses"] == "''"


def test_who_may_connect_on_one_host() -> None:
    lines = [line for line in render(f"{FOLDER}/pg_hba.conf.j2", known()).splitlines() if line and line[0] != "#"]
    assert lines == [
        "local all postgres peer",
        'local "my-shop" "my-shop_owner" scram-sha-256',
        'local "my-shop" "my-shop" scram-sha-256',
    ]


def test_who_may_connect_from_other_hosts() -> None:
    clients = {"postgres_clients": ["10.0.0.2", "fd00::2"], "stack_address": "10.0.0.1"}
    variables = known(**clients, postgres_extra_hba_lines=["local all nagios peer"])
    text = render(f"{FOLDER}/pg_hba.conf.j2", variables)
    assert 'hostssl "my-shop" "my-shop" 10.0.0.2/32 scram-sha-256\n' in text
    assert 'hostssl "my-shop" "my-shop_owner" fd00::2/128 scram-sha-256\n' in text
    assert text.endswith("local all nagios peer\n")
    assert "\nhost " not in text
    assert settings("restart", variables)["listen_addresses"] == "'localhost, 10.0.0.1'"
