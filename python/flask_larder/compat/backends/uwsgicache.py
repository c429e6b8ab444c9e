"""uWSGI's cache under the path that it had in Flask-Caching 2.4."""

from __future__ import annotations

from ..contrib.uwsgicache import UWSGICache

__all__ = ["UWSGICache"]
