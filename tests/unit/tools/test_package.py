# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of what tools/checks/package lets into the tarball."""

from __future__ import annotations

import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[3] / "tools" / "checks" / "package"
_loader = SourceFileLoader("tool_package", str(TOOL))
package = importlib.util.module_from_spec(importlib.util.spec_from_loader("tool_package", _loader))
_loader.exec_module(package)

WHOLE = [name.replace("*", "nginx", 1) for name in package.REQUIRED]


def test_a_whole_package_has_no_fault() -> None:
    assert package.faults([*WHOLE, "MANIFEST.json", "FILES.json"], WHOLE, ["nginx"]) == []


@pytest.mark.parametrize(
    "name",
    [
        ".demo/secrets/x",
        ".github/workflows/ci.yml",
        "Makefile",
        "benchmarks/run",
        "examples/app/pyproject.toml",
        "inventory/hosts.yml",
        "molecule/default/molecule.yml",
        "roles/nginx/tests/test.yml",
        "tests/unit/conftest.py",
        "tools/specs.py",
    ],
)
def test_what_must_not_be_packed(name: str) -> None:
    assert package.faults([*WHOLE, name], [*WHOLE, name], ["nginx"]) == [f"{name} must not be in the package"]


def test_a_file_that_git_does_not_know() -> None:
    name = "playbooks/vault.yml"
    assert package.faults([*WHOLE, name], WHOLE, ["nginx"]) == [f"{name} is packed, but git does not know it"]


def test_each_role_must_be_whole() -> None:
    found = package.faults(WHOLE, WHOLE, ["nginx", "redis"])
    assert "roles/redis/README.md is missing from the package" in found
    assert not [fault for fault in found if "nginx" in fault]
