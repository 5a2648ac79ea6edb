# SPDX-License-Identifier: Apache-2.0
"""Triton through pytriton: its own HTTP front end, a Python model with batching on. MODEL and PORT: environment."""
import os

import numpy
import xgboost
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

booster = xgboost.Booster(params={"nthread": 1}, model_file=os.environ["MODEL"])


@batch
def predict(input):
    return [booster.inplace_predict(input).reshape(-1, 1)]


if __name__ == "__main__":
    port = int(os.environ["PORT"])
    config = TritonConfig(http_port=port, grpc_port=port + 1, metrics_port=port + 2,
                          http_address="127.0.0.1", grpc_address="127.0.0.1")
    with Triton(config=config) as triton:
        triton.bind("m", predict,
                    inputs=[Tensor(name="input", dtype=numpy.float32, shape=(booster.num_features(),))],
                    outputs=[Tensor(name="predictions", dtype=numpy.float32, shape=(1,))],
                    config=ModelConfig(max_batch_size=4096))
        triton.serve()
