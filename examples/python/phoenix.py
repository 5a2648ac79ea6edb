# SPDX-License-Identifier: Apache-2.0
"""Tree models scored by libphoenix, with numpy arrays.

    from phoenix import Model

    model = Model("model.json")
    model.predict(X)                 # (rows,) or (rows, outputs)
    model.predict(X, margin=True)    # before the objective's transform

The scores are those of the library that trained the model, bit for bit. X is anything that numpy takes as a table
of numbers; NaN is missing. A data frame's columns are matched by name. One model may be used by any number of
threads: calls do not hold Python's lock.
"""
import ctypes
import ctypes.util
import json
import os

import numpy as np

MARGIN, PARALLEL = 1, 2


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


def version():
    return _library.phx_version().decode()
