# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime as each peer uses it: one thread per run, as Phoenix has it. MODEL is the path of the model."""
import os

import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])


def score(rows):
    return session.run(["y"], {"x": rows})[0]
