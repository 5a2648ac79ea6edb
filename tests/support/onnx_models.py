# SPDX-License-Identifier: Apache-2.0
"""Neural networks of the common kinds as ONNX files, with seeded weights: what they compute matters, not what they know.

Each function writes one model to `path`. Rows are the first dimension of every tensor, named "n", except in lstm_series, which takes
a whole series at once.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
FEATURES, HIDDEN = 4, 8


class Graph:
    """Collects the nodes and weights of a model; `add` returns the name of a node's first output."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.weights = [], []

    def weight(self, *shape):
        return self.constant(self.random.normal(0, 0.5, shape).astype(np.float32))

    def constant(self, array):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def add(self, kind, *inputs, outputs=None, **attributes):
        outputs = outputs or [f"v{len(self.nodes)}"]
        self.nodes.append(helper.make_node(kind, list(inputs), outputs, **attributes))
        return outputs[0]

    def dense(self, x, n_in, n_out, activation=None, output=None):
        y = self.add("Gemm", x, self.weight(n_in, n_out), self.weight(n_out),
                     outputs=[output] if output and not activation else None)
        return self.add(activation, y, outputs=[output] if output else None) if activation else y

    def save(self, path, inputs, outputs):
        def info(tensors):
            return [helper.make_tensor_value_info(n, t, s) for n, (t, s) in tensors.items()]

        graph = helper.make_graph(self.nodes, "test", info(inputs), info(outputs), self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, path)


def lstm_weights(g):
    """W, R and B of one layer in one direction."""
    return (g.weight(1, 4 * HIDDEN, FEATURES), g.weight(1, 4 * HIDDEN, HIDDEN), g.weight(1, 8 * HIDDEN))


def lstm_step(path, seed=1):
    """One step of an LSTM: x, h and c go in; y (a dense layer over h), h_out and c_out come out."""
    g = Graph(seed)
    w, r, b = lstm_weights(g)
    zero = g.constant(np.array([0], np.int64))
    x, h, c = (g.add("Unsqueeze", name, zero) for name in ("x", "h_in", "c_in"))
    g.add("LSTM", x, w, r, b, "", h, c, outputs=["", "h1", "c1"], hidden_size=HIDDEN)
    g.add("Squeeze", "h1", zero, outputs=["h_out"])
    g.add("Squeeze", "c1", zero, outputs=["c_out"])
    g.dense("h_out", HIDDEN, 2, output="y")
    g.save(path, {"x": (FLOAT, ["n", FEATURES]), "h_in": (FLOAT, ["n", HIDDEN]), "c_in": (FLOAT, ["n", HIDDEN])},
           {"y": (FLOAT, ["n", 2]), "h_out": (FLOAT, ["n", HIDDEN]), "c_out": (FLOAT, ["n", HIDDEN])})


def lstm_series(path, seed=1):
    """The same LSTM over a whole series x [steps, 1, features] from zeros: y [steps, 2]."""
    g = Graph(seed)
    w, r, b = lstm_weights(g)
    g.add("LSTM", "x", w, r, b, outputs=["all", "h1", "c1"], hidden_size=HIDDEN)
    flat = g.add("Reshape", "all", g.constant(np.array([-1, HIDDEN], np.int64)))
    g.dense(flat, HIDDEN, 2, output="y")
    g.save(path, {"x": (FLOAT, ["steps", 1, FEATURES])}, {"y": (FLOAT, ["steps", 2])})


def gru_step(path, seed=2):
    """One step of a GRU with its state as [1, n, hidden], as the operator has it: the first dimension counts no rows."""
    g = Graph(seed)
    w, r = g.weight(1, 3 * HIDDEN, FEATURES), g.weight(1, 3 * HIDDEN, HIDDEN)
    g.add("GRU", "x", w, r, "", "", "h_in", outputs=["", "h_out"], hidden_size=HIDDEN)
    g.add("ReduceSum", "h_out", g.constant(np.array([2], np.int64)), outputs=["y"], keepdims=0)
    g.save(path, {"x": (FLOAT, [1, 1, FEATURES]), "h_in": (FLOAT, [1, 1, HIDDEN])},
           {"y": (FLOAT, [1, 1]), "h_out": (FLOAT, [1, 1, HIDDEN])})


def running_sum(path):
    """sum = total_in + x where ready, with a start that forgets: what the controls of a sequence say, as a model sees it."""
    g = Graph(0)
    keep = g.add("Sub", g.constant(np.array(1, np.float32)), "START")
    kept = g.add("Mul", "total_in", keep)
    g.add("Add", kept, "x", outputs=["total"])
    g.add("Add", "total", g.constant(np.array(0, np.float32)), outputs=["sum"])
    g.add("Identity", "CORRID", outputs=["id"])
    g.add("Identity", "READY", outputs=["ready"])
    g.add("Identity", "END", outputs=["end"])
    one = ["n", 1]
    g.save(path, {"x": (FLOAT, one), "total_in": (FLOAT, one), "START": (FLOAT, one), "READY": (FLOAT, one),
                  "END": (FLOAT, one), "CORRID": (INT64, one)},
           {"sum": (FLOAT, one), "total": (FLOAT, one), "id": (INT64, one), "ready": (FLOAT, one), "end": (FLOAT, one)})


def mlp(path, seed=3):
    g = Graph(seed)
    x = g.dense("x", FEATURES, 16, "Relu")
    x = g.dense(x, 16, 16, "Tanh")
    g.add("Softmax", g.dense(x, 16, 3), outputs=["probabilities"], axis=1)
    g.save(path, {"x": (FLOAT, ["n", FEATURES])}, {"probabilities": (FLOAT, ["n", 3])})


def cnn(path, seed=4):
    """Two convolutions over images of 1x12x12."""
    g = Graph(seed)
    x = g.add("Relu", g.add("Conv", "image", g.weight(4, 1, 3, 3), g.weight(4), kernel_shape=[3, 3], pads=[1, 1, 1, 1]))
    x = g.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = g.add("Relu", g.add("Conv", x, g.weight(8, 4, 3, 3), g.weight(8), kernel_shape=[3, 3]))
    x = g.add("Flatten", g.add("GlobalAveragePool", x))
    g.add("Softmax", g.dense(x, 8, 5), outputs=["classes"], axis=1)
    g.save(path, {"image": (FLOAT, ["n", 1, 12, 12])}, {"classes": (FLOAT, ["n", 5])})


def transformer(path, seed=5, words=50, width=16):
    """A classifier of texts: word numbers, one layer of attention with a mask of padding (word 0), mean of the words."""
    g = Graph(seed)
    zero = g.constant(np.array(0, np.int64))
    mask = g.add("Cast", g.add("Not", g.add("Equal", "words", zero)), to=FLOAT)  # [n, length]
    x = g.add("Gather", g.weight(words, width), "words")
    q, k, v = (g.add("MatMul", x, g.weight(width, width)) for _ in range(3))
    scores = g.add("MatMul", q, g.add("Transpose", k, perm=[0, 2, 1]))
    scores = g.add("Div", scores, g.constant(np.array(width**0.5, np.float32)))
    away = g.add("Mul", g.add("Sub", mask, g.constant(np.array(1, np.float32))), g.constant(np.array(1e9, np.float32)))
    scores = g.add("Add", scores, g.add("Unsqueeze", away, g.constant(np.array([1], np.int64))))
    x = g.add("Add", x, g.add("MatMul", g.add("Softmax", scores, axis=2), v))
    x = g.add("LayerNormalization", x, g.weight(width), g.weight(width), axis=-1)
    hidden = g.add("Relu", g.add("MatMul", x, g.weight(width, 2 * width)))
    x = g.add("Add", x, g.add("MatMul", hidden, g.weight(2 * width, width)))
    column = g.add("Unsqueeze", mask, g.constant(np.array([2], np.int64)))
    one = g.constant(np.array([1], np.int64))
    total = g.add("ReduceSum", g.add("Mul", x, column), one, keepdims=0)
    x = g.add("Div", total, g.add("ReduceSum", column, one, keepdims=0))
    g.add("Softmax", g.dense(x, width, 2), outputs=["probabilities"], axis=1)
    g.save(path, {"words": (INT64, ["n", "length"])}, {"probabilities": (FLOAT, ["n", 2])})


def two_tower(path, seed=6, users=20, items=30, width=8):
    """Users and items each through a tower of their own; the score is the cosine of the two."""
    g = Graph(seed)

    def tower(numbers, n):
        flat = g.add("Squeeze", numbers, g.constant(np.array([1], np.int64)))
        x = g.dense(g.add("Gather", g.weight(n, width), flat), width, width, "Relu")
        x = g.dense(x, width, width)
        return g.add("LpNormalization", x, axis=1, p=2)

    both = g.add("Mul", tower("user", users), tower("item", items))
    g.add("ReduceSum", both, g.constant(np.array([1], np.int64)), outputs=["score"], keepdims=1)
    g.save(path, {"user": (INT64, ["n", 1]), "item": (INT64, ["n", 1])}, {"score": (FLOAT, ["n", 1])})
