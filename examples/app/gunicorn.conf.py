# SPDX-License-Identifier: GPL-3.0-or-later
"""Gunicorn reads this file by itself where it is started in this folder."""

import gunicorn.config
import gunicorn.glogging

from shop.logs import configure


class JsonLogger(gunicorn.glogging.Logger):
    """The master process never imports the application, and should log JSON too."""

    def setup(self, cfg: gunicorn.config.Config) -> None:
        super().setup(cfg)
        configure(cfg.loglevel.upper())


logger_class = JsonLogger
