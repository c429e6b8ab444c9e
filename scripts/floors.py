"""Proves the floors: what a crate must not depend on, by any path, is not in its tree."""

from __future__ import annotations

import json

from project import output

# A crate of the workspace, and the crates that may never come into it. Build and test
# dependencies do not count: they are not in what a user compiles in.
FORBIDDEN = {
    "larder-core": {"tokio", "http", "hyper", "pyo3"},
    "larder-http": {"tokio", "tower"},
    "larder-net": {"redis", "http", "hyper", "pyo3"},
    "larder-minijinja": {"http", "hyper", "pyo3"},
    "larder-memcached": {"redis", "http", "hyper", "pyo3"},
}


def check_floors() -> list[str]:
    """Name every forbidden dependency of the workspace's crates."""
    present = workspace_crates()
    findings: list[str] = []
    for crate, forbidden in FORBIDDEN.items():
        if crate in present:
            broken = sorted(dependencies(crate) & forbidden)
            findings += [f"{crate} depends on {name}, which its floor forbids" for name in broken]
    if "larder-core" not in present:
        findings.append("larder-core is not in the workspace: nothing was proved")
    return findings


def workspace_crates() -> set[str]:
    """The names of the workspace's own packages."""
    metadata = json.loads(output(["cargo", "metadata", "--no-deps", "--format-version", "1"]))
    return {package["name"] for package in metadata["packages"]}


def dependencies(crate: str) -> set[str]:
    """Everything that a crate compiles in with all of its features on."""
    tree = ["cargo", "tree", "-p", crate, "-e", "normal", "--all-features", "--target", "all"]
    lines = output([*tree, "--prefix", "none", "--format", "{p}"]).splitlines()
    return {line.split()[0] for line in lines if line}
