"""How the property tests run: the same examples each time, and none of them is too slow."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "larder",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("larder")
