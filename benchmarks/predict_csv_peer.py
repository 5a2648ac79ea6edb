# SPDX-License-Identifier: Apache-2.0
"""The peer of predict_csv: pandas reads the file, XGBoost scores it, numpy writes the scores.

Prints the seconds that took, without the seconds that Python needs to import the three.
"""
import sys
import time

import numpy as np
import pandas
import xgboost

model, source, target = sys.argv[1:]
started = time.perf_counter()
booster = xgboost.Booster(model_file=model)
rows = pandas.read_csv(source, dtype=np.float32, engine="c")
scores = booster.inplace_predict(rows.to_numpy())
with open(target, "w", encoding="ascii") as file:
    file.write("score\n")
    file.write("\n".join(np.char.mod("%.9g", scores)))
    file.write("\n")
print(time.perf_counter() - started)
