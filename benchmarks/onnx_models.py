# SPDX-License-Identifier: Apache-2.0
"""The ONNX models of the benchmarks: small networks with seeded weights, input "x", output "y", any number of rows."""
import dataclasses

import common
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


@dataclasses.dataclass
class Model:
    name: str
    title: str
    shape: tuple  # of a row of the input
    n_outputs: int


TINY = Model("tiny", "MLP 10 → 1", (10,), 1)
MLP = Model("mlp", "MLP 64 → 256 → 256 → 10", (64,), 10)
CNN = Model("cnn", "CNN 1×28×28 → 10", (1, 28, 28), 10)


def weights(random, *shape):
    return (random.normal(size=shape) / np.sqrt(np.prod(shape[1:] or shape))).astype(np.float32)


def dense(random, at, source, width_in, width_out, activation):
    """Nodes and constants of one layer, whose output is named h{at}."""
    constants = {f"w{at}": weights(random, width_out, width_in), f"b{at}": weights(random, width_out)}
    nodes = [helper.make_node("Gemm", [source, f"w{at}", f"b{at}"], [f"g{at}"], transB=1),
             helper.make_node(activation, [f"g{at}"], [f"h{at}"])]
    return nodes, constants


def perceptron(random, widths, last):
    nodes, constants = [], {}
    for at, (width_in, width_out) in enumerate(zip(widths, widths[1:])):
        activation = last if at == len(widths) - 2 else "Relu"
        more, values = dense(random, at, f"h{at - 1}" if at else "x", width_in, width_out, activation)
        nodes, constants = nodes + more, constants | values
    return nodes, constants


def convolutions(random):
    nodes, constants, source = [], {}, "x"
    for at, (channels_in, channels_out) in enumerate(((1, 8), (8, 16))):
        constants[f"k{at}"] = weights(random, channels_out, channels_in, 3, 3)
        nodes += [helper.make_node("Conv", [source, f"k{at}"], [f"c{at}"], pads=[1, 1, 1, 1]),
                  helper.make_node("Relu", [f"c{at}"], [f"r{at}"]),
                  helper.make_node("MaxPool", [f"r{at}"], [f"p{at}"], kernel_shape=[2, 2], strides=[2, 2])]
        source = f"p{at}"
    nodes.append(helper.make_node("Flatten", [source], ["flat"]))
    more, values = dense(random, 0, "flat", 16 * 7 * 7, 10, "Softmax")
    return nodes + more, constants | values


def write(model, path):
    random = np.random.default_rng(3)
    if model is CNN:
        nodes, constants = convolutions(random)
    else:
        widths = (10, 1) if model is TINY else (64, 256, 256, 10)
        nodes, constants = perceptron(random, widths, "Sigmoid" if model is TINY else "Softmax")
    nodes[-1].output[0] = "y"
    graph = helper.make_graph(
        nodes, model.name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *model.shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", model.n_outputs])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()])
    onnx.save_model(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)]), path)
    return path


def make_rows(model, n, seed=11):
    return np.random.default_rng(seed).normal(size=(n, *model.shape)).astype(np.float32)


def environment():
    """What a process of build/ needs to find ONNX Runtime."""
    folder = common.PHOENIX.parent / "engines"
    if "PHOENIX_ONNXRUNTIME" not in common.os.environ and not (folder / "libonnxruntime.so").exists():
        raise SystemExit("ONNX Runtime is not there: tools/fetch-engines fetches it")
    return {"PHOENIX_ONNXRUNTIME": common.os.environ.get("PHOENIX_ONNXRUNTIME", str(folder))}
