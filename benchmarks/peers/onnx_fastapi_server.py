# SPDX-License-Identifier: Apache-2.0
"""FastAPI: started by uvicorn with two workers. Nested lists in JSON, or the bare bytes of the rows; see onnx_session.py."""
import numpy
from fastapi import FastAPI, Request, Response
from onnx_session import score, session
from pydantic import BaseModel

app = FastAPI()
shape = [-1, *session.get_inputs()[0].shape[1:]]


class Rows(BaseModel):
    instances: list


@app.get("/ready")
async def ready():
    return {}


@app.post("/predict")
async def predict(request: Rows):
    return {"predictions": score(numpy.asarray(request.instances, dtype=numpy.float32)).tolist()}


@app.post("/bytes")
async def predict_bytes(request: Request):
    rows = numpy.frombuffer(await request.body(), dtype=numpy.float32).reshape(shape)
    return Response(score(rows).tobytes(), media_type="application/octet-stream")
