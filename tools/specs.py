#!/usr/bin/env python3
# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write each role's defaults/main.yml and README.md from its meta/argument_specs.yml.

    tools/specs.py [ROLE ...]            write
    tools/specs.py --check [ROLE ...]    write nothing, print what differs, fail

In a README only what stands between the markers is generated; the rest is written by hand, once by this tool.

Why not aar-doc: it invents a default for an option that has none but nested options, puts whole descriptions above
the variables, leaves `|` unescaped in tables, and cannot check.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
SPDX = "# SPDX-License-Identifier: GPL-3.0-or-later\n"
SOURCE = "Generated from meta/argument_specs.yml by tools/specs.py; change it there."
WIDTH = 118
Spec = dict[str, Any]


class Unsafe(str):
    """A default that Ansible does not render when it checks the spec: its error would show what a secret one holds."""

    __slots__ = ()


class Loader(yaml.SafeLoader):
    """Knows Ansible's tag !unsafe."""


Loader.add_constructor("!unsafe", lambda loader, node: Unsafe(loader.construct_scalar(node)))


def plain(value: Any) -> Any:
    """The same without the tag, for defaults/main.yml, where it would stop a default from being rendered at all."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Unsafe) else value


def rendered(value: Any) -> bool:
    """Does Ansible render any part of a default when it checks the spec?"""
    if isinstance(value, (dict, list)):
        return any(rendered(item) for item in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and not isinstance(value, Unsafe) and "{{" in value


class Dumper(yaml.SafeDumper):
    """Block style with indented lists, long and multi-line text folded, no aliases: what yamllint and people want."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None
    if "\n" in value:
        style = "|"
    elif len(value) > WIDTH - 48 and " " in value and value == value.strip() and "  " not in value:
        style = ">"
    elif "{{" in value or "{%" in value:
        style = '"' if '"' not in value and "\\" not in value else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


Dumper.add_representer(str, _text)


def to_yaml(value: Any) -> str:
    """Return YAML for people; what it means is unchanged."""
    text = yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=WIDTH - 8)
    if yaml.safe_load(text) != value:
        raise ValueError(f"cannot write {value!r} as YAML")
    return text


def paragraphs(description: Any) -> list[str]:
    """Return a description, a string or a list of strings, as stripped paragraphs."""
    items = description if isinstance(description, list) else [description or ""]
    return [" ".join(str(item).split()) for item in items]


def first_sentence(description: Any) -> str:
    """Return the first sentence; a full stop inside a word, a number or an abbreviation ends none."""
    text = paragraphs(description)[0]
    match = re.match(r"(.*?(?<!e\.g)(?<!i\.e)(?<!etc)[.!?])(?= [A-Z0-9`C(]|$)", text)
    return match.group(1) if match else text


def markdown(text: str) -> str:
    """Turn Ansible's semantic markup into Markdown."""
    text = re.sub(r"\b[COVER]\(([^)]*)\)", r"`\1`", text)
    text = re.sub(r"\bB\(([^)]*)\)", r"**\1**", text)
    text = re.sub(r"\bI\(([^)]*)\)", r"*\1*", text)
    text = re.sub(r"\bL\(([^,)]*), *([^)]*)\)", r"[\1](\2)", text)
    return re.sub(r"\bU\(([^)]*)\)", r"<\1>", text)


def cell(text: str) -> str:
    """Escape what would end a table cell, also inside a code span, and the angle brackets of prose."""
    parts = re.split(r"(`[^`]*`)", text.replace("|", "\\|"))
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in parts)


def walk(options: Spec, prefix: str = "") -> Iterator[tuple[str, Spec]]:
    """Yield (dotted name, spec) of each option and suboption, in the order of the file."""
    for name, option in options.items():
        yield prefix + name, option
        suffix = "[]." if option.get("type") == "list" else "."
        yield from walk(option.get("options") or {}, prefix + name + suffix)


def defaults_text(entry: Spec) -> str:
    """Return defaults/main.yml."""
    parts = [f"---\n{SPDX}# {SOURCE}\n"]
    for name, option in entry.get("options", {}).items():
        if "default" in option:
            comment = textwrap.fill(
                markdown(first_sentence(option["description"])).replace("`", ""),
                WIDTH,
                initial_indent="# ",
                subsequent_indent="# ",
                break_long_words=False,
                break_on_hyphens=False,
            )
            parts.append(f"\n{comment}\n{to_yaml({name: option['default']})}")
    return "".join(parts)


def type_text(option: Spec) -> str:
    """Return the type as people say it."""
    kind = option.get("type", "str")
    return f"list of {option.get('elements', 'raw')}" if kind == "list" else kind


def default_text(name: str, option: Spec) -> str:
    """Return the default's cell."""
    if option.get("required"):
        return "**required**"
    if "default" not in option:
        return ""
    value = option["default"]
    text = value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True, width=10**6)
    text = text.removesuffix("\n...\n").strip()
    if (len(text) > 80 or "\n" in text or "`" in text) and "." not in name:
        return "see [defaults](defaults/main.yml)"
    return f"`{text}`" if text else '`""`'


def table(entry: Spec) -> str:
    """Return the table of variables."""
    options = entry.get("options") or {}
    if not options:
        return "This role has no variables.\n"
    rows = ["| Variable | Type | Default | Meaning |", "|---|---|---|---|"]
    for name, option in walk(options):
        meaning = [markdown(text) for text in paragraphs(option.get("description"))]
        if option.get("choices"):
            meaning.append("One of " + ", ".join(f"`{choice}`" for choice in option["choices"]) + ".")
        if option.get("no_log"):
            meaning.append("Secret.")
        columns = [f"`{name}`", type_text(option), default_text(name, option), " ".join(meaning)]
        rows.append("| " + " | ".join(cell(column) for column in columns) + " |")
    return "\n".join(rows) + "\n"


def example(role: str, entry: Spec) -> str:
    """Return the spec's own example, else the least that works."""
    if entry.get("examples"):
        text = entry["examples"] if isinstance(entry["examples"], str) else to_yaml(entry["examples"])
    else:
        required = {
            name: f"{{{{ vault_{name} }}}}" if option.get("no_log") else f"<{name}>"
            for name, option in entry.get("options", {}).items()
            if option.get("required")
        }
        play: Spec = {"name": f"Set up {role}", "hosts": "all", "become": True, "gather_facts": False}
        play["roles"] = [{"role": f"asgi.production.{role}", **({"vars": required} if required else {})}]
        text = to_yaml([play])
    return f"```yaml\n{text.strip()}\n```\n"


def converge_units(tasks: Any) -> Iterator[Spec]:
    """Yield each unit that a converge call among these tasks (and their blocks) names."""
    for task in tasks if isinstance(tasks, list) else []:
        for block in ("block", "rescue", "always"):
            yield from converge_units(task.get(block))
        units = (task.get("asgi.production.converge") or {}).get("units")
        yield from (unit for unit in units or [] if isinstance(unit, dict))


def restarts(role_path: Path) -> str:
    """Return what the role restarts or reloads, read from its converge calls."""
    rows = []
    for path in sorted(role_path.glob("tasks/*.yml")):
        for unit in converge_units(yaml.safe_load(path.read_text(encoding="utf-8"))):
            patterns = [
                "" if not unit.get(key) else unit[key] if isinstance(unit[key], str) else "`, `".join(unit[key])
                for key in ("restart_on", "reload_on")
            ]
            columns = [f"`{unit['name']}`", *(f"`{text}`" if text else "never" for text in patterns)]
            rows.append("| " + " | ".join(cell(column) for column in columns) + " |")
    if not rows:
        return "No unit by a list of files.\n"
    return "\n".join(["| Unit | Restarted when one of these changes | Reloaded |", "|---|---|---|", *rows]) + "\n"


def readme_parts(role: str, entry: Spec, role_path: Path) -> dict[str, str]:
    """Return the generated parts of a README by the name in their markers."""
    text = "\n\n".join(textwrap.fill(markdown(item), WIDTH) for item in paragraphs(entry.get("description")))
    return {
        "purpose": f"{markdown(entry['short_description'].rstrip('.'))}.\n\n{text}\n",
        "example": example(role, entry),
        "variables": table(entry),
        "restarts": restarts(role_path),
    }


def skeleton(role: str) -> str:
    """Return a README with empty markers and the statements that hold for a role made of converge calls."""
    return f"""<!-- SPDX-License-Identifier: GPL-3.0-or-later -->
# asgi.production.{role}

<!-- begin purpose -->
<!-- end purpose -->

## Example

<!-- begin example -->
<!-- end example -->

## Variables

The role checks them before it changes anything. {SOURCE}

<!-- begin variables -->
<!-- end variables -->

## Restarts and reloads

<!-- begin restarts -->
<!-- end restarts -->

## Running it again, check mode, going back

- A second run changes nothing.
- `--check --diff` shows what would change, also on a fresh host.
- A configuration that its own program refuses never replaces a working one.
"""


def readme_text(old: str, parts: dict[str, str]) -> str:
    """Return a README with its generated parts renewed."""
    for name, text in parts.items():
        pattern = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        old, count = pattern.subn(lambda match, text=text: match.group(1) + text + match.group(2), old)
        if count != 1:
            raise ValueError(f"README.md must have the markers `begin {name}` and `end {name}` once")
    return old


def problems(role: str, entry: Spec) -> list[str]:
    """Return what a spec must not have, as sentences."""
    found = [f"main has no {field}" for field in ("short_description", "description") if not entry.get(field)]
    for name, option in walk(entry.get("options") or {}):
        stops = (text.endswith((".", "!", "?")) for text in paragraphs(option.get("description")))
        faults = {
            "has no description": not option.get("description"),
            "has a description without a full stop at its end": option.get("description") and not all(stops),
            "has no type": "type" not in option,
            "is a list without `elements`": option.get("type") == "list" and "elements" not in option,
            "is required and has a default": option.get("required") and "default" in option,
            "is a secret whose default is shown by errors: tag it with !unsafe": option.get("no_log")
            and rendered(option.get("default")),
            "is a secret and has a default": option.get("no_log") and "{{" not in str(option.get("default", "{{")),
            f"does not start with {role}_": "." not in name and not name.startswith(f"{role}_"),
        }
        found += [f"{name} {fault}" for fault, is_true in faults.items() if is_true]
    return found


def generate(role_path: Path) -> dict[Path, str]:
    """Return the generated files of a role; raise ValueError with every reason why not."""
    role = role_path.name
    spec_path = role_path / "meta" / "argument_specs.yml"
    if not spec_path.is_file():
        raise ValueError("there is no meta/argument_specs.yml")
    try:
        entry = Loader(spec_path.read_text(encoding="utf-8")).get_single_data()["argument_specs"]["main"]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise ValueError(f"meta/argument_specs.yml has no argument_specs.main: {error}") from error
    found = problems(role, entry)
    if found:
        raise ValueError("; ".join(found))
    entry = plain(entry)
    readme = role_path / "README.md"
    old = readme.read_text(encoding="utf-8") if readme.is_file() else skeleton(role)
    return {
        role_path / "defaults" / "main.yml": defaults_text(entry),
        readme: readme_text(old, readme_parts(role, entry, role_path)),
    }


def run(root: Path, roles: list[str], check: bool) -> int:
    """Generate or check; return the exit code."""
    failed = False
    for role_path in sorted(path for path in (root / "roles").glob("*") if path.is_dir()):
        if roles and role_path.name not in roles:
            continue
        try:
            files = generate(role_path)
        except ValueError as error:
            print(f"roles/{role_path.name}: {error}", file=sys.stderr)
            failed = True
            continue
        for path, text in files.items():
            old = path.read_text(encoding="utf-8") if path.is_file() else ""
            if old == text:
                continue
            name = path.relative_to(root).as_posix()
            if check:
                failed = True
                sys.stdout.writelines(
                    difflib.unified_diff(old.splitlines(True), text.splitlines(True), name, f"{name} from its spec")
                )
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
                print(f"wrote {name}")
    return int(failed)


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Generate roles' defaults and READMEs from their argument specs.")
    parser.add_argument("roles", nargs="*", metavar="ROLE", help="role's name (default: all)")
    parser.add_argument("--check", action="store_true", help="write nothing, print the difference and fail")
    options = parser.parse_args(arguments)
    return run(root, options.roles, options.check)


if __name__ == "__main__":
    sys.exit(main())
