# SPDX-License-Identifier: Apache-2.0
"""Ray Serve: two replicas behind its HTTP proxy. MODEL and PORT come from the environment."""
import os
import signal

import numpy
import ray
import xgboost
from ray import serve


@serve.deployment(num_replicas=2, ray_actor_options={"num_cpus": 0.5}, max_ongoing_requests=100)
class Predictor:
    def __init__(self, model):
        self.booster = xgboost.Booster(params={"nthread": 1}, model_file=model)

    async def __call__(self, request):
        rows = numpy.asarray((await request.json())["instances"], dtype=numpy.float32)
        return {"predictions": self.booster.inplace_predict(rows).tolist()}


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])})
    serve.run(Predictor.bind(os.environ["MODEL"]), route_prefix="/predict")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
