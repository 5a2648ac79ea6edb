#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the models in tests/golden/onnxruntime: tests/golden/make_onnxruntime.py [FOLDER]

They are small enough to lie in the repository. The unit tests of the ONNX Runtime engine and of the diagnosis
of ONNX files read them; each model is there for one behaviour, which its function says.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper


def save(folder, name, nodes, inputs, outputs, constants=(), opsets=(("", 13),), **options):
    graph = h.make_graph(nodes, name, inputs, outputs, [numpy_helper.from_array(v, k) for k, v in constants])
    model = h.make_model(
        graph,
        producer_name="phoenix tests",
        ir_version=options.pop("ir_version", 8),
        opset_imports=[h.make_opsetid(domain, version) for domain, version in opsets],
    )
    onnx.save_model(model, folder / f"{name}.onnx", **options)


def tensor(name, kind, shape):
    return h.make_tensor_value_info(name, kind, shape)


def affine(folder):
    """y = 2x + 1; the output's shape is known from the input's."""
    save(folder, "affine", [h.make_node("Mul", ["x", "two"], ["m"]), h.make_node("Add", ["m", "one"], ["y"])],
         [tensor("x", T.FLOAT, ["batch", 3])], [tensor("y", T.FLOAT, ["batch", 3])],
         [("two", np.float32(2)), ("one", np.float32(1))])


def add(folder):
    """What the contract of the engine port asks of every engine."""
    save(folder, "add", [h.make_node("Add", ["x", "y"], ["sum"])],
         [tensor("x", T.FLOAT, ["batch", 2]), tensor("y", T.FLOAT, ["batch", 2])], [tensor("sum", T.FLOAT, ["batch", 2])])


def fixed(folder):
    """A shape without any freedom."""
    save(folder, "fixed", [h.make_node("Neg", ["x"], ["y"])],
         [tensor("x", T.FLOAT, [2, 3])], [tensor("y", T.FLOAT, [2, 3])])


def types(folder):
    """Every type in, the same out."""
    kinds = ["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FLOAT16",
             "BFLOAT16", "FLOAT", "DOUBLE", "STRING"]
    save(folder, "types", [h.make_node("Identity", [f"in_{k}"], [f"out_{k}"]) for k in kinds],
         [tensor(f"in_{k}", getattr(T, k), ["n"]) for k in kinds],
         [tensor(f"out_{k}", getattr(T, k), ["n"]) for k in kinds])


def zipmap(folder, name, key, labels):
    """A classifier as scikit-learn exports it: the label, and a list of mappings."""
    classifier = h.make_node("LinearClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml",
                             coefficients=[1.0, 0.0, 0.0, 1.0, -1.0, -1.0], intercepts=[0.0, 0.0, 0.0],
                             post_transform="SOFTMAX", **{f"classlabels_{'ints' if key == T.INT64 else 'strings'}": labels})
    node = h.make_node("ZipMap", ["scores"], ["probabilities"], domain="ai.onnx.ml",
                       **{f"classlabels_{'int64s' if key == T.INT64 else 'strings'}": labels})
    value = h.make_tensor_type_proto(T.FLOAT, [])
    output = h.make_value_info("probabilities", h.make_sequence_type_proto(h.make_map_type_proto(key, value)))
    save(folder, name, [classifier, node], [tensor("x", T.FLOAT, ["batch", 2])],
         [tensor("label", key, ["batch"]), output], opsets=(("", 13), ("ai.onnx.ml", 1)))


def pieces(folder):
    """A list of tensors, all of one shape when x has an even length."""
    save(folder, "pieces", [h.make_node("SplitToSequence", ["x", "two"], ["y"], axis=0)],
         [tensor("x", T.FLOAT, ["n"])], [h.make_tensor_sequence_value_info("y", T.FLOAT, None)],
         [("two", np.int64(2))])


def liar(folder):
    """The output is twice as long as the graph says."""
    save(folder, "liar", [h.make_node("Concat", ["x", "x"], ["y"], axis=0)],
         [tensor("x", T.FLOAT, ["batch"])], [tensor("y", T.FLOAT, ["batch"])])


def reshaped(folder):
    """Fails in the middle of a run when the shape does not suit x."""
    save(folder, "reshaped", [h.make_node("Reshape", ["x", "shape"], ["y"])],
         [tensor("x", T.FLOAT, ["n"]), tensor("shape", T.INT64, [2])], [tensor("y", T.FLOAT, [None, None])])


def loop(folder):
    """As slow as its input says: so many rounds over a matrix."""
    body = h.make_graph(
        [h.make_node("Identity", ["condition"], ["condition_out"]),
         h.make_node("MatMul", ["state", "state"], ["product"]), h.make_node("Tanh", ["product"], ["state_out"])],
        "body",
        [tensor("round", T.INT64, []), tensor("condition", T.BOOL, []), tensor("state", T.FLOAT, [64, 64])],
        [tensor("condition_out", T.BOOL, []), tensor("state_out", T.FLOAT, [64, 64])])
    save(folder, "loop",
         [h.make_node("Squeeze", ["rounds", "axis"], ["n"]),
          h.make_node("Loop", ["n", "", "start"], ["y"], body=body)],
         [tensor("rounds", T.INT64, [1])], [tensor("y", T.FLOAT, [64, 64])],
         [("start", np.full((64, 64), 0.01, np.float32)), ("axis", np.array([0]))])


def outside(folder):
    """Weights in a file beside it, which onnx would append to."""
    (folder / "outside.bin").unlink(missing_ok=True)
    save(folder, "outside", [h.make_node("Add", ["x", "weights"], ["y"])],
         [tensor("x", T.FLOAT, ["batch", 64])], [tensor("y", T.FLOAT, ["batch", 64])],
         [("weights", np.arange(64, dtype=np.float32))],
         save_as_external_data=True, location="outside.bin", size_threshold=0, convert_attribute=False)


def escaping(folder):
    """Weights in a file that is there, above the model's folder."""
    weights = T(name="weights", data_type=T.FLOAT, dims=[64], data_location=T.EXTERNAL)
    for key, value in (("location", "../make_onnxruntime.py"), ("offset", "0"), ("length", "256")):
        weights.external_data.add(key=key, value=value)
    graph = h.make_graph([h.make_node("Add", ["x", "weights"], ["y"])], "escaping",
                         [tensor("x", T.FLOAT, ["batch", 64])], [tensor("y", T.FLOAT, ["batch", 64])], [weights])
    model = h.make_model(graph, producer_name="phoenix tests", ir_version=8, opset_imports=[h.make_opsetid("", 13)])
    (folder / "escaping.onnx").write_bytes(model.SerializeToString())


def optional(folder):
    """One output is optional, which is not offered."""
    value = h.make_optional_type_proto(h.make_tensor_type_proto(T.FLOAT, ["n"]))
    save(folder, "optional", [h.make_node("Optional", ["x"], ["maybe"]), h.make_node("Neg", ["x"], ["y"])],
         [tensor("x", T.FLOAT, ["n"])], [h.make_value_info("maybe", value), tensor("y", T.FLOAT, ["n"])],
         opsets=(("", 15),))


def listed(folder):
    """Takes a list, which is no tensor."""
    save(folder, "listed", [h.make_node("ConcatFromSequence", ["x"], ["y"], axis=0)],
         [h.make_tensor_sequence_value_info("x", T.FLOAT, None)], [tensor("y", T.FLOAT, [None])])


def wrong(folder):
    """What exports get wrong, for the diagnosis."""
    x, y = [tensor("x", T.FLOAT, [1, 3])], [tensor("y", T.FLOAT, [1, 3])]
    save(folder, "opset6", [h.make_node("Neg", ["x"], ["y"])], x, y, opsets=(("", 6),), ir_version=3)
    save(folder, "custom", [h.make_node("Magic", ["x"], ["y"], domain="com.example")], x, y,
         opsets=(("", 13), ("com.example", 1)))
    save(folder, "new_format", [h.make_node("Neg", ["x"], ["y"])], x, y, ir_version=99)
    save(folder, "doubles", [h.make_node("Neg", ["x"], ["y"])],
         [tensor("x", T.DOUBLE, ["n", 3])], [tensor("y", T.DOUBLE, ["n", 3])])


def dropouts(folder):
    """A dropout as exporters write it: the mode of training as a weight, as a constant, and off."""
    for name, trains, as_node in (("dropout_weight", True, False), ("dropout_constant", True, True), ("dropout_off", False, True)):
        mode = np.array(trains)
        node = h.make_node("Constant", [], ["mode"], value=numpy_helper.from_array(mode))
        save(folder, name, [*([node] if as_node else []), h.make_node("Dropout", ["x", "half", "mode"], ["y"])],
             [tensor("x", T.FLOAT, ["n", 3])], [tensor("y", T.FLOAT, ["n", 3])],
             [("half", np.float32(0.5)), *([] if as_node else [("mode", mode)])])


def pytorch(folder):
    """Operators of PyTorch itself, as operator_export_type=ONNX_ATEN_FALLBACK and ONNX_FALLTHROUGH leave them."""
    x, y = [tensor("x", T.FLOAT, ["n", 3])], [tensor("y", T.FLOAT, ["n", 3])]
    save(folder, "fell_back", [h.make_node("ATen", ["x"], ["y"], domain="org.pytorch.aten", operator="erfinv")], x, y,
         opsets=(("", 13), ("org.pytorch.aten", 1)))
    save(folder, "fell_through", [h.make_node("aten::erfinv", ["x"], ["y"])], x, y)
    save(folder, "unknown", [h.make_node("Nonesuch", ["x"], ["y"])], x, y)


def scalars(folder):
    """sum = a + b of scalars; y is x as it is, of any rank."""
    save(folder, "scalars", [h.make_node("Add", ["a", "b"], ["sum"]), h.make_node("Identity", ["x"], ["y"])],
         [tensor("a", T.FLOAT, []), tensor("b", T.FLOAT, []), tensor("x", T.FLOAT, None)],
         [tensor("sum", T.FLOAT, []), tensor("y", T.FLOAT, None)])


def no_inputs(folder):
    """A table of constants, which takes nothing."""
    save(folder, "no_inputs", [h.make_node("Identity", ["weights"], ["y"])], [], [tensor("y", T.FLOAT, [3])],
         [("weights", np.array([1, 2, 3], np.float32))])


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "onnxruntime")
    folder.mkdir(parents=True, exist_ok=True)
    for make in (add, affine, fixed, types, pieces, liar, reshaped, loop, outside, escaping, optional, listed, wrong,
                 dropouts, pytorch, scalars, no_inputs):
        make(folder)
    zipmap(folder, "zipmap_texts", T.STRING, ["spam", "ham", "other"])
    zipmap(folder, "zipmap_numbers", T.INT64, [10, 20, 30])


if __name__ == "__main__":
    main()
