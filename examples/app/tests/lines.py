# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests share."""

import json
from typing import Any


def log_lines(text: str) -> list[dict[str, Any]]:
    """Every line must be a JSON object: a plain line is a failure."""
    return [json.loads(line) for line in text.splitlines()]
