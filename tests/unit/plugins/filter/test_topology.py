# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.asgi.production.plugins.filter import topology as module

ONE = {"all": ["a"], **{part: ["a"] for part in module.PARTS}}
SPLIT = {"web": ["a"], "app": ["a"], "postgres": ["b"], "redis": ["c"], "memcached": []}
ADDRESSES = {name: {"stack_address": f"192.0.2.{n}"} for n, name in enumerate("abc", 1)}


def test_one_host_needs_no_address_and_has_every_part_here():
    found = module.topology(ONE, {"a": {}}, "a")
    assert found["hosts"] == {"a": {"address": "127.0.0.1", "parts": list(module.PARTS)}}
    assert all(found[part] == {"hosts": ["a"], "here": True, "enabled": True} for part in module.PARTS)


def test_a_part_without_hosts_is_not_enabled_and_cannot_be_reached():
    found = module.topology(SPLIT, ADDRESSES, "a")
    assert found["memcached"] == {"hosts": [], "here": False, "enabled": False}
    assert module.reach(found, "memcached", "127.0.0.1") == ""


def test_what_is_here_is_reached_locally_and_what_is_elsewhere_by_its_address():
    found = module.topology(SPLIT, ADDRESSES, "a")
    assert module.reach(found, "app", "/socket") == "/socket"
    assert module.reach(found, "postgres", "/socket") == "192.0.2.2"


def test_only_hosts_elsewhere_are_let_in_over_the_network():
    assert module.other_addresses(module.topology(SPLIT, ADDRESSES, "b"), "app", "postgres") == ["192.0.2.1"]
    assert module.other_addresses(module.topology(ONE, {"a": {}}, "a"), "app", "postgres") == []


@pytest.mark.parametrize(
    ("groups", "variables", "sentences"),
    [
        (
            SPLIT,
            {"a": {}, "b": ADDRESSES["b"], "c": ADDRESSES["c"]},
            ["a has no stack_address: give it the IP address"],
        ),
        (
            SPLIT,
            {**ADDRESSES, "b": {"stack_address": "db.example"}},
            ["stack_address of b is 'db.example': give an IP"],
        ),
        ({**SPLIT, "postgres": ["b", "c"]}, ADDRESSES, ["The group postgres has 2 hosts (b, c): leave one of them."]),
        ({**SPLIT, "app": ["b"]}, ADDRESSES, ["a, b: web and app must be the same hosts"]),
        ({**SPLIT, "app": []}, ADDRESSES, ["the group app is empty: put a host in it."]),
        (
            {**SPLIT, "app": ["b"]},
            {**ADDRESSES, "c": {}},
            ["web and app must be the same hosts", "c has no stack_address"],
        ),
    ],
)
def test_each_mistake_is_named_with_its_cure(groups, variables, sentences):
    with pytest.raises(AnsibleFilterError) as error:
        module.topology(groups, variables, "a")
    assert all(sentence in str(error.value) for sentence in sentences)


def test_urls_quote_credentials_and_know_sockets():
    url = module.connection_url
    assert url("/run/postgresql", "postgresql+asyncpg", "u", "p/@", 5432, "d") == (
        "postgresql+asyncpg://u:p%2F%40@/d?host=/run/postgresql&port=5432"
    )
    assert (
        url("192.0.2.1", "postgresql", "u", "p", 5432, "d", "ssl=require")
        == "postgresql://u:p@192.0.2.1:5432/d?ssl=require"
    )
    assert url("2001:db8::1", "redis", "u", "p", 6379, "0") == "redis://u:p@[2001:db8::1]:6379/0"
    assert url("/run/redis.sock", "redis", "u", "p", 6379, "0") == "unix://u:p@/run/redis.sock?db=0"


def test_connections_count_two_releases_and_the_cores_or_workers_of_each_host():
    found = module.topology({**SPLIT, "web": ["a", "b"], "app": ["a", "b"]}, ADDRESSES, "a")
    variables = {"a": {"app_workers": 3}, "b": {"ansible_facts": {"asgi": {"cores": 8}}}}
    assert module.app_connections(found, variables, 10) == 3 * 10 * 2 + 8 * 10 * 2
    variables["a"]["app_keep_warm"] = "yes"
    assert module.app_connections(found, variables, 10) == 3 * 10 * 3 + 8 * 10 * 2


def test_every_filter_is_registered():
    assert set(module.FilterModule().filters()) == {
        "topology",
        "other_addresses",
        "reach",
        "connection_url",
        "app_connections",
    }
