# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the parts of a stack know each other: groups and addresses of the inventory become one structure."""

from __future__ import annotations

import ipaddress
import typing as t
import urllib.parse

from ansible.errors import AnsibleFilterError
from ansible.module_utils.parsing.convert_bool import boolean

PARTS = ("web", "app", "postgres", "redis", "memcached")


def topology(groups: t.Mapping, hostvars: t.Mapping, host: str) -> dict[str, t.Any]:
    """Who is where, as seen from one host. Raises one error that lists everything that is wrong with the inventory."""
    members = {part: [str(name) for name in groups.get(part, [])] for part in PARTS}
    names = list(dict.fromkeys(name for part in PARTS for name in members[part]))
    mistakes = layout_mistakes(members)
    hosts = {}
    for name in names:
        address = address_of(name, hostvars, alone=len(names) == 1, mistakes=mistakes)
        hosts[name] = {"address": address, "parts": [part for part in PARTS if name in members[part]]}
    if mistakes:
        raise AnsibleFilterError(
            "The inventory can't be used as it is:\n" + "\n".join(f"- {line}" for line in mistakes)
        )
    parts = {
        part: {"hosts": members[part], "here": host in members[part], "enabled": bool(members[part])} for part in PARTS
    }
    return {"self": host, "hosts": hosts, **parts}


def layout_mistakes(members: dict[str, list[str]]) -> list[str]:
    """What this version of the collection can't build out of these groups."""
    mistakes = []
    for part in ("postgres", "redis", "memcached"):
        if len(members[part]) > 1:
            mistakes.append(
                f"The group {part} has {len(members[part])} hosts ({', '.join(members[part])}): leave one of them."
            )
    apart = sorted({*members["web"]} ^ {*members["app"]})
    if members["web"] and members["app"] and apart:
        mistakes.append(f"{', '.join(apart)}: web and app must be the same hosts: put each of them in both groups.")
    if members["web"] and not members["app"]:
        mistakes.append(f"The group web has {', '.join(members['web'])}, but the group app is empty: put a host in it.")
    return mistakes


def address_of(name: str, hostvars: t.Mapping, alone: bool, mistakes: list[str]) -> str:
    """The address by which other hosts reach this one. A host that is alone needs none."""
    given = str(hostvars[name].get("stack_address") or "")
    if not given:
        if not alone:
            mistakes.append(f"{name} has no stack_address: give it the IP address by which the other hosts reach it.")
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(given))
    except ValueError:
        mistakes.append(f"stack_address of {name} is {given!r}: give an IP address, not a name.")
        return given


def other_addresses(found: dict, part: str, than: str) -> list[str]:
    """Addresses of the hosts of a part, less those that are hosts of another part too."""
    return [found["hosts"][name]["address"] for name in found[part]["hosts"] if name not in found[than]["hosts"]]


def reach(found: dict, part: str, local: str) -> str:
    """How this host reaches a part: locally when it is here, else by its address. Nothing where there is none."""
    if not found[part]["enabled"]:
        return ""
    return local if found[part]["here"] else found["hosts"][found[part]["hosts"][0]]["address"]


def connection_url(host: str, scheme: str, user: str, password: str, port: int, path: str, query: str = "") -> str:
    """A URL with credentials. A host that begins with / is a unix socket (or its folder, for PostgreSQL)."""
    login = f"{urllib.parse.quote(user, safe='')}:{urllib.parse.quote(password, safe='')}@"
    if not host.startswith("/"):
        where = f"[{host}]" if ":" in host else host
        return f"{scheme}://{login}{where}:{port}/{path}" + (f"?{query}" if query else "")
    if scheme.startswith("postgresql"):
        return f"{scheme}://{login}/{path}?host={host}&port={port}"
    return f"unix://{login}{host}?db={path}"


def app_connections(found: dict, hostvars: t.Mapping, per_worker: int) -> int:
    """Database connections when every app host runs two releases for the time of a deploy, or three with a warm one."""
    total = 0
    for name in found["app"]["hosts"]:
        own = hostvars[name]
        cores = ((own.get("ansible_facts") or {}).get("asgi") or {}).get("cores", 2)
        total += (
            int(own.get("app_workers") or max(2, int(cores)))
            * per_worker
            * (3 if boolean(own.get("app_keep_warm", False)) else 2)
        )
    return total


class FilterModule:
    def filters(self) -> dict[str, t.Callable]:
        return {
            "topology": topology,
            "other_addresses": other_addresses,
            "reach": reach,
            "connection_url": connection_url,
            "app_connections": app_connections,
        }
