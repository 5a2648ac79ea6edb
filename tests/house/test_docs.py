# SPDX-License-Identifier: Apache-2.0
"""The documentation: generated pages are what the binary says, and every link leads somewhere."""
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PHOENIX = os.environ.get("PHOENIX", str(ROOT / "build" / "phoenix"))


def test_pages_and_links_are_current():
    done = subprocess.run([ROOT / "tools" / "docs", PHOENIX], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
