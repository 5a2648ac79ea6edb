# SPDX-License-Identifier: Apache-2.0
"""The binary under test keeps its place when a test changes folder."""

import os

if os.environ.get("PHOENIX"):
    os.environ["PHOENIX"] = os.path.abspath(os.environ["PHOENIX"])
