# SPDX-License-Identifier: GPL-3.0-or-later
"""A wrong type makes Ansible print the role's whole spec. No secret may stand in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SECRETS = {
    "stack_postgres_password": "canaryPostgres1",
    "stack_postgres_owner_password": "canaryOwner1234",
    "stack_redis_password": "canaryRedis1234",
    "app_secret_key": "canaryAppKey123456",
}


@pytest.mark.parametrize(
    ("role", "variable"),
    [
        ("stack", "stack_postgres_port"),
        ("app", "app_workers"),
        ("postgres", "postgres_port"),
        ("redis", "redis_port"),
        ("nginx", "nginx_worker_connections"),
    ],
)
def test_a_wrong_type_shows_the_value_and_no_secret(role: str, variable: str, tmp_path: Path) -> None:
    values = {
        "app_name": "shop",
        "app_source": "https://git.example/shop.git",
        "stack_domain": "shop.example",
        "stack_email": "you@shop.example",
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        **SECRETS,
    }
    groups = {part: {"hosts": {"one": None}} for part in ("web", "app", "postgres", "redis", "memcached")}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"vars": values, "children": groups}}))
    stack = {"import_role": {"name": "asgi.production.stack", "rolespec_validate": False}}
    tasks = [{"asgi.production.host_facts": {}}, stack, {"import_role": {"name": f"asgi.production.{role}"}}]
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    argv = ["ansible-playbook", "-vvv", "-i", str(tmp_path / "hosts.json"), str(tmp_path / "play.yml")]
    collections = f"{ROOT}/.cache/collections:{ROOT}/.collections"
    env = dict(os.environ, ANSIBLE_CONFIG=f"{ROOT}/ansible.cfg", ANSIBLE_COLLECTIONS_PATH=collections)
    done = subprocess.run([*argv, "-e", f"{variable}=wrong"], env=env, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode and variable in said and "wrong" in said, said
    assert "canary" not in said
