# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an app is told reaches it unchanged, and nobody else. Last: it looks at what all other tests have left."""

from __future__ import annotations

import json

AWKWARD = {
    "NEWLINES": "one\ntwo\n",
    "WINDOWS": "one\r\ntwo",
    "QUOTES": """say "hi", it's 'fine'""",
    "BACKSLASHES": "c:\\dir\\",
    "BACKSLASH_NEWLINE": "a\\\nb",
    "DOLLARS": "$HOME ${PATH} $$ $(id)",
    "BACKTICKS": "`id`",
    "SPACES": "  both ends  ",
    "HASH": "# no comment ; no end",
    "PERCENT": "%i %% %h",
    "TABS_AND_ESC": "a\tb\x1b[0m",
    "UNICODE": "grün 🎉",
    "EMPTY": "",
    "JSON": '{"a": ["b"]}',
}


def test_awkward_values_reach_the_app_and_its_migration(machine, good):
    plain = {**AWKWARD, "NUMBER": 7, "FLAG": True, "NOTHING": None, "LIST": ["a", 1], "DATABASE_POOL_SIZE": 9}
    told = "python3 -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    machine.play(app_environment=plain, app_migrate_command=told)
    wanted = {
        **AWKWARD,
        **{f"SECRET_{key}": value for key, value in {"KEY": "canary-key-5d1c7a0b9e2f4688"}.items()},
        "API_TOKEN": "canary-token-77e0c1",
        "PEM": "-----\ncanary-pem-line-1\ncanary-pem-line-2\n",
        "NUMBER": "7",
        "FLAG": "true",
        "LIST": '["a", 1]',
        "DATABASE_POOL_SIZE": "9",
        "DATABASE_POOL_OVERFLOW": "5",
        "DATABASE_URL": "postgresql://tiny:canary-db%2F8c1d@192.0.2.7/tiny",
        "REDIS_URL": "redis://app:canary-redis-31ab@192.0.2.7:6379/0",
    }
    found = machine.answer("/environment")
    assert {key: found.get(key) for key in wanted} == wanted
    assert "NOTHING" not in found and "MEMCACHED_SERVERS" not in found
    migrated = json.loads(machine.run("journalctl", "-t", "tiny-migrate", "-o", "cat", "-n", "1", "--no-pager"))
    wanted["DATABASE_URL"] = "postgresql://tiny_owner:canary-owner-aa02@192.0.2.7/tiny"
    assert {key: migrated.get(key) for key in wanted} == wanted


def test_nobody_else_reads_the_code_the_settings_or_the_socket(machine, serving):
    folder = f"/srv/tiny/releases/{serving.release}"
    for user in ("nobody", "tiny", "www-data", "tiny_build"):
        assert machine.shell(f"cat {folder}/environment", check=False, user=user) == ""
        assert machine.shell(f"cat {folder}/release.json", check=False, user=user) == ""
    for path in (folder, f"{folder}/app/main.py", f"{folder}/run/app.sock"):
        assert machine.shell(f"test -r {path} && echo readable", check=False, user="nobody") == ""
    ask = (
        f"curl -s -o /dev/null -w '%{{http_code}}' --unix-socket {folder}/run/app.sock http://tiny.example/health/ready"
    )
    assert machine.shell(ask, check=False, user="nobody") == "000"
    assert machine.shell(ask, check=False, user="www-data") == "200"
    writable = f"find {folder} -maxdepth 4 -writable -not -type l"
    assert machine.shell(writable, check=False, user="tiny") == ""
    assert machine.shell(f"find {folder}/ -user tiny", check=False) == ""
    assert machine.shell(f"find {folder}/ -perm /022 -type f", check=False) == ""
    assert machine.shell("find /run /srv/tiny -maxdepth 2 -name '*.env'") == ""


def test_a_readiness_gate_does_not_know_the_secrets(machine, serving):
    """It runs as nginx's user, whose other processes could read its environment."""
    spy = "/srv/tiny/releases/" + serving.release + "/gate"
    machine.shell(f'cp {spy} /var/tmp/gate; sed -i \'2i tr "\\\\0" "\\\\n" </proc/self/environ >/var/tmp/told\' {spy}')
    machine.shell(f"systemctl restart tiny@{serving.release}")
    told = machine.run("cat", "/var/tmp/told")
    machine.shell(f"cp /var/tmp/gate {spy}")
    assert "MAINPID=" in told and "canary" not in told and "DATABASE" not in told


def test_no_secret_is_in_the_journal_or_in_any_process_list(machine, serving):
    """Apart from what the apps of these tests and their migrations have printed themselves."""
    own = "grep -vE '^[^ ]+ [^ ]+ (tiny|other|alone)(-migrate)?\\['"
    journal = machine.shell(f"journalctl --no-pager -o short-iso | {own} | grep -a canar[y]- | head -5", check=False)
    assert journal == ""
    assert machine.shell("systemctl is-active watch") == "active"
    assert machine.shell("sort -u /var/tmp/seen | head -5") == ""
    units = machine.shell("systemctl show 'tiny*' --all | grep canar[y]-", check=False)
    assert units == ""
    assert len(machine.plays) > 3, "no play has been looked at"
