# SPDX-License-Identifier: Apache-2.0
"""Models computed by libphoenix, with numpy arrays.

    from phoenix import Model

    model = Model("model.json")
    model.predict(X)                 # (rows,) or (rows, outputs)
    model.predict(X, margin=True)    # before the objective's transform

The scores are those of the library that trained the model, bit for bit. X is anything that numpy takes as a table
of numbers; NaN is missing. A data frame's columns are matched by name. One model may be used by any number of
threads: calls do not hold Python's lock.

    from phoenix import Session

    session = Session("graph.yaml")             # a graph, an ONNX model, a plug-in's package; a tree model as well
    session.run({"payment": X})                 # {"score": array}

The outputs are those of `phoenix predict` and `phoenix serve`, bit for bit.
"""
import ctypes
import ctypes.util
import json
import os

import numpy as np

MARGIN, PARALLEL = 1, 2
OPTIONAL, ANY_RANK = 1, 2  # flags of a spec

# By number. Brain floats have no type in numpy: their bits are shown. An element of BYTES is a bytes object.
DATATYPES = ["", "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64",
             "FP16", "BF16", "FP32", "FP64", "BYTES"]
_DTYPES = dict(zip(DATATYPES[1:], "? u1 u2 u4 u8 i1 i2 i4 i8 f2 u2 f4 f8 O".split(), strict=True))


class _Tensor(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("datatype", ctypes.c_uint32), ("n_dims", ctypes.c_uint32),
                ("dims", ctypes.c_int64 * 8), ("data", ctypes.c_void_p), ("size", ctypes.c_uint64)]


class _Spec(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("datatype", ctypes.c_uint32), ("n_dims", ctypes.c_uint32),
                ("dims", ctypes.c_int64 * 8), ("flags", ctypes.c_uint32), ("reserved", ctypes.c_uint32)]


class _Specs(ctypes.Structure):
    _fields_ = [("inputs", ctypes.POINTER(_Spec)), ("outputs", ctypes.POINTER(_Spec)),
                ("n_inputs", ctypes.c_uint32), ("n_outputs", ctypes.c_uint32)]


def _load():
    path = os.environ.get("PHOENIX_LIBRARY") or ctypes.util.find_library("phoenix") or "libphoenix.so.0"
    library = ctypes.CDLL(path)
    size, pointer, text = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_char_p
    predict = [pointer, pointer, size, size, pointer, ctypes.c_uint]
    for name, result, arguments in [
        ("phx_model_open", pointer, [text, ctypes.c_char_p, size]),
        ("phx_model_close", None, [pointer]),
        ("phx_model_features", size, [pointer]),
        ("phx_model_outputs", size, [pointer]),
        ("phx_model_margins", size, [pointer]),
        ("phx_model_feature_name", text, [pointer, size]),
        ("phx_model_info", text, [pointer]),
        ("phx_model_predict_f32", ctypes.c_int, predict),
        ("phx_model_predict_f64", ctypes.c_int, predict),
        ("phx_model_set_threads", ctypes.c_int, [pointer, ctypes.c_uint]),
        ("phx_session_open", pointer, [text, ctypes.c_char_p, size]),
        ("phx_session_close", None, [pointer]),
        ("phx_session_specs", ctypes.POINTER(_Specs), [pointer]),
        ("phx_session_run", pointer, [pointer, ctypes.POINTER(_Tensor), size, ctypes.POINTER(text), size]),
        ("phx_result_code", ctypes.c_int, [pointer]),
        ("phx_result_error", text, [pointer]),
        ("phx_result_outputs", ctypes.POINTER(_Tensor), [pointer, ctypes.POINTER(size)]),
        ("phx_result_degraded", text, [pointer]),
        ("phx_result_free", None, [pointer]),
        ("phx_error_text", text, [ctypes.c_int]),
        ("phx_version", text, []),
    ]:
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


_library = _load()


class Model:
    """A model file or package in memory.

    features, outputs, margins   numbers per row, scores per row, margins per row
    feature_names                in the order of the columns
    info                         facts: format, objective, categories, kernels...
    """

    def __init__(self, path, threads=None):
        self._handle = None
        error = ctypes.create_string_buffer(512)
        self._handle = _library.phx_model_open(os.fsencode(path), error, len(error))
        if not self._handle:
            raise ValueError(error.value.decode(errors="replace"))
        self.features = _library.phx_model_features(self._handle)
        self.outputs = _library.phx_model_outputs(self._handle)
        self.margins = _library.phx_model_margins(self._handle)
        self.info = json.loads(_library.phx_model_info(self._handle))
        self.feature_names = [feature["name"] for feature in self.info["features"]]
        if threads is not None:
            self._check(_library.phx_model_set_threads(self._handle, threads))

    def predict(self, X, margin=False, parallel=False):
        """Scores (rows, features); a single row of (features,) is taken as a table of one."""
        if not self._handle:
            raise ValueError("the model is closed")
        rows = self._rows(X)
        width = self.margins if margin else self.outputs
        single = rows.dtype == np.float32
        out = np.empty((len(rows), width), rows.dtype)
        predict = _library.phx_model_predict_f32 if single else _library.phx_model_predict_f64
        stride = rows.strides[0] // rows.itemsize if len(rows) > 1 else self.features
        flags = MARGIN * bool(margin) | PARALLEL * bool(parallel)
        self._check(predict(self._handle, rows.ctypes.data, len(rows), stride, out.ctypes.data, flags))
        return out[:, 0] if width == 1 else out

    def _rows(self, X):
        """A float32 or float64 array whose rows lie in one piece; views with a longer stride are not copied."""
        if hasattr(X, "columns"):
            X = X[self.feature_names]  # by name; a column that is not there is an error
        rows = np.asarray(X)
        if rows.dtype not in (np.float32, np.float64):
            rows = rows.astype(np.float64)
        rows = np.atleast_2d(rows)
        if rows.ndim != 2 or rows.shape[1] != self.features:
            raise ValueError(f"expected rows of {self.features} features, got an array of {np.shape(X)}")
        gap, whole = rows.strides[0], self.features * rows.itemsize
        in_pieces = rows.strides[1] == rows.itemsize or self.features == 1
        if not in_pieces or (len(rows) > 1 and (gap < whole or gap % rows.itemsize)) or not rows.flags.aligned:
            rows = np.ascontiguousarray(rows)
        return rows

    @staticmethod
    def _check(code):
        if code:
            raise RuntimeError(_library.phx_error_text(code).decode())

    def close(self):
        """Frees the model; nobody may be inside predict."""
        handle, self._handle = self._handle, None
        if handle:
            _library.phx_model_close(handle)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        self.close()


class Spec:
    """What a model says of a tensor: name, datatype ("FP32"), shape (-1: any; None: any number of dimensions), optional."""

    def __init__(self, spec):
        self.name, self.datatype = spec.name.decode(), DATATYPES[spec.datatype]
        self.shape = None if spec.flags & ANY_RANK else tuple(spec.dims[:spec.n_dims])
        self.optional = bool(spec.flags & OPTIONAL)


class Session:
    """A model of tensors in memory.

    inputs, outputs   what it takes and gives: {name: Spec}
    """

    def __init__(self, path):
        self._handle = None
        error = ctypes.create_string_buffer(512)
        self._handle = _library.phx_session_open(os.fsencode(path), error, len(error))
        if not self._handle:
            raise ValueError(error.value.decode(errors="replace"))
        specs = _library.phx_session_specs(self._handle).contents
        self.inputs = {spec.name: spec for spec in map(Spec, specs.inputs[:specs.n_inputs])}
        self.outputs = {spec.name: spec for spec in map(Spec, specs.outputs[:specs.n_outputs])}

    def run(self, inputs, outputs=None, degraded=None):
        """{name: array} of the outputs that are named, or of all. `degraded`, a list, gets the steps that failed
        and were answered by their fallback."""
        if not self._handle:
            raise ValueError("the session is closed")
        arrays = [self._encode(name, value) for name, value in inputs.items()]
        tensors = (_Tensor * (len(arrays) + 1))(*(tensor for tensor, _ in arrays))
        names = outputs and (ctypes.c_char_p * len(outputs))(*(name.encode() for name in outputs))
        result = _library.phx_session_run(self._handle, tensors, len(arrays), names, len(outputs or ()))
        try:
            if _library.phx_result_code(result):
                raise RuntimeError(_library.phx_result_error(result).decode(errors="replace"))
            if degraded is not None:
                degraded += filter(None, _library.phx_result_degraded(result).decode().split(","))
            n = ctypes.c_size_t()
            found = _library.phx_result_outputs(result, ctypes.byref(n))
            return {tensor.name.decode(): self._decode(tensor) for tensor in found[:n.value]}
        finally:
            _library.phx_result_free(result)

    def _encode(self, name, value):
        """The tensor, and the memory that it points to."""
        spec = self.inputs.get(name)
        datatype = spec.datatype if spec else "FP32"  # an unknown name is the library's to refuse
        array = np.asarray(value)
        shape = array.shape
        if datatype == "BYTES":
            texts = [text.encode() if isinstance(text, str) else bytes(text) for text in array.ravel().tolist()]
            array = np.frombuffer(b"".join(len(text).to_bytes(4, "little") + text for text in texts), np.uint8)
        else:
            array = np.ascontiguousarray(array, _DTYPES[datatype])
        dims = (ctypes.c_int64 * 8)(*shape[:8])
        return _Tensor(name.encode(), DATATYPES.index(datatype), len(shape), dims, array.ctypes.data,
                       array.nbytes), array

    @staticmethod
    def _decode(tensor):
        """A copy, which outlives the result."""
        shape, datatype = tuple(tensor.dims[:tensor.n_dims]), DATATYPES[tensor.datatype]
        data = ctypes.string_at(tensor.data, tensor.size) if tensor.size else b""
        if datatype != "BYTES":
            return np.frombuffer(bytearray(data), _DTYPES[datatype]).reshape(shape)
        texts, at = [], 0
        while at < len(data):
            end = at + 4 + int.from_bytes(data[at:at + 4], "little")
            texts.append(data[at + 4:end])
            at = end
        array = np.empty(len(texts), object)
        array[:] = texts
        return array.reshape(shape)

    def close(self):
        """Frees the model; nobody may be inside run."""
        handle, self._handle = self._handle, None
        if handle:
            _library.phx_session_close(handle)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        self.close()


def version():
    return _library.phx_version().decode()
