# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make `ansible_collections.asgi.production` importable, whatever the checkout's folder is called."""

from __future__ import annotations

from pathlib import Path

from hypothesis import settings

ROOT = Path(__file__).resolve().parents[2]


def _collections_folder() -> Path:
    """Return a folder in which this checkout stands under the collection's name."""
    if ROOT.parts[-3:] == ("ansible_collections", "asgi", "production"):
        return ROOT.parents[2]
    link = ROOT / ".cache" / "collections" / "ansible_collections" / "asgi" / "production"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to("../../../..", target_is_directory=True)
    return link.parents[2]


def _install_loader() -> None:
    """Give Ansible's own import machinery that folder, once; ansible-test has done so already."""
    from ansible.plugins.loader import init_plugin_loader
    from ansible.utils.collection_loader import AnsibleCollectionConfig

    if AnsibleCollectionConfig.collection_finder is None:
        init_plugin_loader([str(_collections_folder())])


_install_loader()

# The same examples in each run, and nothing kept in the checkout.
settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
settings.load_profile("repeatable")
