# SPDX-License-Identifier: Apache-2.0
"""A model of MLServer, which has no runtime for ONNX of its own; see onnx_session.py."""
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse
from onnx_session import score


class Network(MLModel):
    async def predict(self, payload):
        rows = NumpyCodec.decode_input(payload.inputs[0])
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("y", score(rows))])
