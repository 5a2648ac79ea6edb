# SPDX-License-Identifier: Apache-2.0
"""LitServe: one worker process behind its server. MODEL and PORT come from the environment."""
import os

import litserve
import numpy
import xgboost


class Api(litserve.LitAPI):
    def setup(self, device):
        self.booster = xgboost.Booster(params={"nthread": 1}, model_file=os.environ["MODEL"])

    def decode_request(self, request):
        return numpy.asarray(request["instances"], dtype=numpy.float32)

    def predict(self, rows):
        return self.booster.inplace_predict(rows)

    def encode_response(self, scores):
        return {"predictions": scores.tolist()}


if __name__ == "__main__":
    litserve.LitServer(Api(), accelerator="cpu").run(
        host="127.0.0.1", port=int(os.environ["PORT"]), generate_client_file=False)
