# SPDX-License-Identifier: Apache-2.0
"""Scores three payments with a graph of models: graph.py GRAPH (examples/graphs/fraud/graph.yaml)"""
import sys

import numpy as np
from phoenix import Session

ROWS = np.array(
    [  # amount, hour, account_days
        [25.0, 14, 800],
        [250.0, 3, 12],
        [90.5, 9, 400],
    ],
    dtype=np.float32,
)

if len(sys.argv) != 2:
    sys.exit("graph.py: expected the path of a graph")
with Session(sys.argv[1]) as session:
    degraded = []
    for score in session.run({"payment": ROWS}, degraded=degraded)["score"].ravel():
        print(f"{score:.9f}")
    if degraded:
        print(f"answered by a fallback: {', '.join(degraded)}")
