"""The Python snippets of README.md and of the guide in docs: each runs as it stands, in a process of its own.

The Rust snippets are run by `cargo test`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w-]*)[^\n]*\n(?P<code>.*?)^ *```$", re.MULTILINE | re.DOTALL
)


def snippets(text: str) -> list[str]:
    """The Python blocks of a text in Markdown."""
    blocks = FENCE.finditer(text)
    return [textwrap.dedent(b["code"]) for b in blocks if b["language"] in ("python", "py")]


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a snippet in an empty folder, every warning an error."""
    script = folder / "snippet.py"
    script.write_text(code)
    paths = [path for path in sys.path if path]
    return subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": ":".join(paths)},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


README = [
    pytest.param(path, code, id=f"{path.name}-{number}")
    for path in (ROOT / "README.md", ROOT / "python" / "README.md", ROOT / "docs" / "flask.md")
    for number, code in enumerate(snippets(path.read_text("utf-8")), 1)
]


def test_the_readme_shows_the_flask_face() -> None:
    assert snippets((ROOT / "README.md").read_text("utf-8"))


@pytest.mark.parametrize(("path", "code"), README)
def test_snippets_run(path: Path, code: str, tmp_path: Path) -> None:
    if "flask_sqlalchemy" in code:
        pytest.importorskip("flask_sqlalchemy", reason="not for the Flask that is installed here")
    done = run(code, tmp_path)
    assert done.returncode == 0, f"{path.name}:\n{code}\n{done.stderr}"


SAMPLE = """
Text.

```python
assert 1 == 1
```

```sh
exit 1
```

- In a list:

  ```python title="x"
  if True:
      raise SystemExit(3)
  ```
"""


def test_blocks_are_found_and_run(tmp_path: Path) -> None:
    """The test of the test: what is wrong in a snippet is seen."""
    fine, broken = snippets(SAMPLE)
    assert run(fine, tmp_path).returncode == 0
    assert run(broken, tmp_path).returncode == 3
