# SPDX-License-Identifier: Apache-2.0
"""What the Python tests stand on: the binary under test from any folder, and tools that may not be built."""

import os
import subprocess
import sys

import pytest
from command import ROOT, built

SUPPORT = ROOT / "tests" / "support"


def test_a_relative_binary_is_found_after_the_folder_has_changed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "phoenix").write_text("#!/bin/sh\necho ran\n")
    (tmp_path / "phoenix").chmod(0o755)
    script = "import os, command; os.chdir('elsewhere'); print(command.phoenix().stdout)"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "PHOENIX": "./phoenix", "PYTHONPATH": str(SUPPORT)})
    assert done.stdout.strip() == "ran", done.stderr


def test_a_tool_that_is_not_built_skips_and_says_how_to_build_it(tmp_path):
    with pytest.raises(pytest.skip.Exception, match="tools/build release"):
        built(tmp_path / "tensor_tool")
    assert built(tmp_path) == tmp_path
