# SPDX-License-Identifier: Apache-2.0
"""FastAPI: started by uvicorn with two workers. MODEL is the path of the model."""
import os

import numpy
import xgboost
from fastapi import FastAPI
from pydantic import BaseModel

booster = xgboost.Booster(params={"nthread": 1}, model_file=os.environ["MODEL"])
app = FastAPI()


class Request(BaseModel):
    instances: list[list[float]]


@app.get("/ready")
async def ready():
    return {}


@app.post("/predict")
async def predict(request: Request):
    rows = numpy.asarray(request.instances, dtype=numpy.float32)
    return {"predictions": booster.inplace_predict(rows).tolist()}
