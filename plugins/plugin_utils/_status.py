# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the answers of health modules are shown together. Private to this collection."""

from __future__ import annotations

import html
import json
import typing as t

WORSE = ("ok", "degraded", "failed")
COLORS = {"ok": "#1a7f37", "degraded": "#9a6700", "failed": "#cf222e"}
CELLS = ("status", "name", "value", "unit", "message")
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1f2328;background:#fff}
main{display:flex;flex-wrap:wrap;gap:1rem}
section{border:1px solid #888;border-radius:.5rem;padding:1rem;flex:1 1 20rem}
h2{margin:0 0 .5rem;font-size:1.1rem}details{border-left:.5rem solid;padding:.2rem .7rem;margin:.4rem 0}
summary{cursor:pointer}
table{border-collapse:collapse;font-size:.85rem}td{padding:.1rem .6rem .1rem 0;vertical-align:top}
"""


class Row(t.NamedTuple):
    host: str
    part: str
    status: str
    message: str
    checks: list[dict]
    elapsed: float


def rows(hosts: list[str], parts: list[str], results: t.Callable[[str, str], t.Any]) -> list[Row]:
    """One row for each part that was asked on a host; a host that can't be reached has one alone."""
    found = []
    for host in hosts:
        for part in parts:
            result = results(host, part)
            if not isinstance(result, dict) or result.get("skipped"):
                continue
            words = " ".join(str(result.get("msg", "")).split())
            if result.get("unreachable"):
                found.append(Row(host, "host", "failed", f"it can't be reached: {words}", [], 0))
                break
            if result.get("status") not in WORSE:
                found.append(Row(host, part, "failed", f"it could not be asked: {words}", [], 0))
                continue
            shown = "" if result["status"] == "ok" else words
            found.append(Row(host, part, result["status"], shown, result["checks"], result["elapsed"]))
    return found


def worst(found: list[Row]) -> str:
    return max((row.status for row in found), key=WORSE.index, default="failed")


def table(found: list[Row]) -> list[tuple[str, str]]:
    """Lines for a terminal, each with its status."""
    widths = [max(len(row[column]) for row in found) for column in range(3)] if found else []
    lines = []
    for row in found:
        cells = [row[column].ljust(width) for column, width in enumerate(widths)]
        lines.append((row.status, "  ".join([*cells, row.message]).rstrip()))
    return lines


def summary(found: list[Row]) -> str:
    counts = [f"{sum(row.status == status for row in found)} {status}" for status in WORSE]
    return f"{len(found)} parts on {len({row.host for row in found})} hosts: {', '.join(counts)}"


def as_json(found: list[Row]) -> str:
    return json.dumps({"status": worst(found), "parts": [row._asdict() for row in found]}, ensure_ascii=False)


def page(found: list[Row], title: str, when: str) -> str:
    """One page that needs no network: a box for each host, in it its parts, in them their checks."""
    boxes = ""
    for host in dict.fromkeys(row.host for row in found):
        boxes += f"<section><h2>{html.escape(host)}</h2>"
        for row in (row for row in found if row.host == host):
            checks = "".join(
                "<tr>" + "".join(f"<td>{html.escape(str(check.get(key, '')))}</td>" for key in CELLS) + "</tr>"
                for check in row.checks
            )
            is_open = "" if row.status == "ok" else " open"
            boxes += (
                f'<details{is_open} style="border-color:{COLORS[row.status]}"><summary><b>{html.escape(row.part)}</b> '
            )
            boxes += f"{row.status}</summary>{html.escape(row.message)}<table>{checks}</table></details>"
        boxes += "</section>"
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
    head += f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
    words = f"{html.escape(summary(found))}, {html.escape(when)}"
    return f"{head}<body><h1>{html.escape(title)}</h1><p>{words}</p><main>{boxes}</main></body></html>\n"
