"""The signals, under the names that Flask-Caching has for them."""

from __future__ import annotations

from ..signals import cache_memoize_hit, cache_memoize_miss, cache_view_hit, cache_view_miss

__all__ = ["cache_memoize_hit", "cache_memoize_miss", "cache_view_hit", "cache_view_miss"]
