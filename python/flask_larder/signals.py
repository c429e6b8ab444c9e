"""Signals of Flask-Caching, sent when `CACHE_ENABLE_SIGNALS` is set."""

from __future__ import annotations

from blinker import Namespace

_signals = Namespace()

cache_view_hit = _signals.signal("cache-view-hit")
cache_view_miss = _signals.signal("cache-view-miss")
cache_memoize_hit = _signals.signal("cache-memoize-hit")
cache_memoize_miss = _signals.signal("cache-memoize-miss")
