# SPDX-License-Identifier: Apache-2.0
"""Where Phoenix answers otherwise than Triton, and why: the table in docs/api/triton.md, read.

A row names one call or several, separated by semicolons, and gives the reason.
"""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "api" / "triton.md"


def read():
    differences = {}
    for line in PAGE.read_text().splitlines():
        row = re.fullmatch(r"\| (HTTP|gRPC) \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|", line)
        if row:
            protocol, calls, _, _, reason = row.groups()
            differences |= {f"{protocol}: {call.strip()}": reason for call in calls.split(";")}
    return differences


DIFFERENCES = read()
