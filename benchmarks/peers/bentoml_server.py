# SPDX-License-Identifier: Apache-2.0
"""BentoML: two workers, defaults otherwise. MODEL is the path of the model."""
import os

import bentoml
import numpy
import xgboost


@bentoml.service(workers=2)
class Predictor:
    def __init__(self):
        self.booster = xgboost.Booster(params={"nthread": 1}, model_file=os.environ["MODEL"])

    @bentoml.api
    def predict(self, instances: list[list[float]]) -> dict:
        rows = numpy.asarray(instances, dtype=numpy.float32)
        return {"predictions": self.booster.inplace_predict(rows).tolist()}
