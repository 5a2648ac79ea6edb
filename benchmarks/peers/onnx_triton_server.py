# SPDX-License-Identifier: Apache-2.0
"""Triton through pytriton: its own HTTP front end, a Python model with batching on. PORT: environment; see onnx_session.py."""
import os

import numpy
from onnx_session import score, session
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig


@batch
def predict(x):
    return [score(x)]


def tensor(of):
    return Tensor(name=of.name, dtype=numpy.float32, shape=tuple(of.shape[1:]))


if __name__ == "__main__":
    port = int(os.environ["PORT"])
    config = TritonConfig(http_port=port, grpc_port=port + 1, metrics_port=port + 2,
                          http_address="127.0.0.1", grpc_address="127.0.0.1")
    with Triton(config=config) as triton:
        triton.bind("m", predict, inputs=[tensor(each) for each in session.get_inputs()],
                    outputs=[tensor(each) for each in session.get_outputs()],
                    config=ModelConfig(max_batch_size=4096))
        triton.serve()
