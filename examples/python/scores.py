# SPDX-License-Identifier: Apache-2.0
"""Scores four payments: scores.py MODEL"""
import sys

import numpy as np
from phoenix import Model

ROWS = np.array(
    [  # amount, hour, account_days; NaN is missing
        [25.0, 14, 800],
        [250.0, 3, 12],
        [np.nan, 23, 400],
        [90.5, 9, np.nan],
    ],
    dtype=np.float32,
)

if len(sys.argv) != 2:
    sys.exit("scores.py: expected the path of a model")
with Model(sys.argv[1]) as model:
    for score in model.predict(ROWS):
        print(f"{score:.9f}")
