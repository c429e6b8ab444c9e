"""Proves that each feature of `larder` compiles alone: none of them leans on what another brings."""

from __future__ import annotations

import json

from project import output, run

FACADE = "larder"


def check_features() -> list[str]:
    """Name every feature that does not compile without the others."""
    found: list[str] = []
    for chosen in ("", *features()):
        command = ["cargo", "check", "-q", "-p", FACADE, "--no-default-features"]
        if run([*command, "--features", chosen]):
            found.append(f"{FACADE} does not compile with {chosen or 'no feature'} alone")
    return found


def features() -> list[str]:
    """The features of the facade, as its manifest has them, and its defaults."""
    metadata = json.loads(output(["cargo", "metadata", "--no-deps", "--format-version", "1"]))
    (facade,) = (package for package in metadata["packages"] if package["name"] == FACADE)
    return sorted(facade["features"])
