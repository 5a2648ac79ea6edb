# SPDX-License-Identifier: Apache-2.0
"""Who scores a forest: Phoenix and its peers, each through its fastest interface, one thread each.

A scorer is made from the files of a model (forest_models.train) and has `time(n)`: nanoseconds of one call
with `n` rows, and `margins(n)`, to see that all compute the same. Peers that cannot read a model or are not
installed raise Unavailable with the reason.
"""
import ctypes
import json
import pathlib
import subprocess
import time

import common
import numpy as np
from forest_models import N_FEATURES, rows_to_score

BUDGET_NS = 60e6       # of one measurement
ROWS_MAX = 100_000
BATCHES_MAX = 1000
SLOW_CALL_NS = 1e9     # made once
GENERATED_MAX = 5 << 20  # bytes of a model file: more takes a C compiler many minutes
HERE = pathlib.Path(__file__).resolve().parent


class Unavailable(Exception):
    pass


def pointer(array):
    return ctypes.c_void_p(array.ctypes.data)


def address(function):
    return ctypes.cast(function, ctypes.c_void_p)


def build_timer(folder):
    path = folder / "timer.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", HERE / "forest_timer.c", "-o", path], check=True)
    timer = ctypes.CDLL(str(path))
    for name in ("phoenix", "xgboost", "lightgbm", "lightgbm_fast", "lleaves", "tl2cgen"):
        getattr(timer, f"time_{name}").restype = ctypes.c_double
    return timer


class Batches(ctypes.Structure):
    _fields_ = [("rows", ctypes.c_void_p), ("n_rows", ctypes.c_size_t), ("n_features", ctypes.c_size_t),
                ("row_bytes", ctypes.c_size_t), ("n_batches", ctypes.c_size_t),
                ("budget_ns", ctypes.c_double), ("out", ctypes.c_void_p)]


class Rows:
    """The same rows in both widths, and a place for results."""

    def __init__(self, timer):
        self.timer = timer
        self.f32 = rows_to_score(ROWS_MAX)
        self.f64 = self.f32.astype(np.float64)
        self.out32 = np.zeros(ROWS_MAX, np.float32)
        self.out64 = np.zeros(ROWS_MAX, np.float64)

    @staticmethod
    def n_batches(n):
        return min(BATCHES_MAX, ROWS_MAX // n)

    def batches(self, x, n, out):
        return ctypes.byref(Batches(x.ctypes.data, n, N_FEATURES, x.strides[0], self.n_batches(n),
                                    BUDGET_NS, out.ctypes.data))


class Phoenix:
    """libphoenix; doubles for 64-bit models, since that is what they compare."""

    def __init__(self, files, rows, folder):
        if "phoenix" not in files:
            raise Unavailable("no form that it reads")
        path = common.PHOENIX.parent / "libphoenix.so"
        self.library = ctypes.CDLL(str(path))
        self.library.phx_model_open.restype = ctypes.c_void_p
        error = ctypes.create_string_buffer(512)
        self.model = ctypes.c_void_p(
            self.library.phx_model_open(str(files["phoenix"]).encode(), error, 512))
        if not self.model:
            raise Unavailable(error.value.decode())
        wide = files["phoenix"].suffix == ".txt"
        self.rows, self.x, self.out = rows, rows.f64 if wide else rows.f32, rows.out64 if wide else rows.out32
        self.predict = getattr(self.library, f"phx_model_predict_{'f64' if wide else 'f32'}")

    def arguments(self, n):
        return (self.model, pointer(self.x), ctypes.c_size_t(n), ctypes.c_size_t(N_FEATURES),
                pointer(self.out))

    def time(self, n):
        return self.rows.timer.time_phoenix(self.rows.batches(self.x, n, self.out),
                                            address(self.predict), self.model)

    def margins(self, n):
        self.predict(*self.arguments(n), ctypes.c_uint(1))
        return self.out[:n].copy()


class XGBoost:
    """XGBoosterPredictFromDense of a shared library: in-place, margins, no DMatrix is built."""

    def __init__(self, library, files, rows):
        if "xgboost" not in files:
            raise Unavailable("no form that it reads")
        self.library, self.rows = library, rows
        self.booster = ctypes.c_void_p()
        library.XGBoosterCreate(None, ctypes.c_uint64(0), ctypes.byref(self.booster))
        if library.XGBoosterLoadModel(self.booster, str(files["xgboost"]).encode()):
            library.XGBGetLastError.restype = ctypes.c_char_p
            raise Unavailable(library.XGBGetLastError().decode().splitlines()[0])
        library.XGBoosterSetParam(self.booster, b"nthread", b"1")
        self.config = json.dumps({"type": 1, "training": False, "iteration_begin": 0, "iteration_end": 0,
                                  "strict_shape": False, "missing": float("nan"),
                                  "cache_id": 0}).encode()

    def array(self, n, batch=0):
        start = self.rows.f32[batch * n:].ctypes.data
        return json.dumps({"data": [start, True], "shape": [n, N_FEATURES], "typestr": "<f4",
                           "version": 3}).encode()

    def time(self, n):
        arrays = [self.array(n, batch) for batch in range(self.rows.n_batches(n))]
        return self.rows.timer.time_xgboost(
            self.rows.batches(self.rows.f32, n, self.rows.out32),
            address(self.library.XGBoosterPredictFromDense), self.booster,
            (ctypes.c_char_p * len(arrays))(*arrays), self.config)

    def margins(self, n):
        shape, dimensions = ctypes.POINTER(ctypes.c_uint64)(), ctypes.c_uint64()
        result = ctypes.POINTER(ctypes.c_float)()
        self.library.XGBoosterPredictFromDense(self.booster, self.array(n), self.config, None,
                                               ctypes.byref(shape), ctypes.byref(dimensions),
                                               ctypes.byref(result))
        return np.ctypeslib.as_array(result, (n,)).copy()


def xgboost_debian(files, rows, folder):
    try:
        library = ctypes.CDLL("libxgboost.so.0")
    except OSError as error:
        raise Unavailable("libxgboost0 is not installed") from error
    return XGBoost(library, files, rows)


def xgboost_wheel(files, rows, folder):
    import xgboost
    return XGBoost(xgboost.core._LIB, files, rows)


class LightGBM:
    """LGBM_BoosterPredictForMat, and for one row the interface that LightGBM made for it."""

    def __init__(self, files, rows, folder):
        if "lightgbm" not in files:
            raise Unavailable("no form that it reads")
        import lightgbm
        self.library, self.rows = lightgbm.basic._LIB, rows
        self.booster, iterations = ctypes.c_void_p(), ctypes.c_int()
        self.library.LGBM_BoosterCreateFromModelfile(str(files["lightgbm"]).encode(),
                                                     ctypes.byref(iterations), ctypes.byref(self.booster))
        self.parameters = b"num_threads=1"
        self.fast = ctypes.c_void_p()
        self.library.LGBM_BoosterPredictForMatSingleRowFastInit(
            self.booster, 1, 0, -1, 1, N_FEATURES, self.parameters, ctypes.byref(self.fast))

    def time(self, n):
        batches = self.rows.batches(self.rows.f64, n, self.rows.out64)
        if n == 1:
            return self.rows.timer.time_lightgbm_fast(
                batches, address(self.library.LGBM_BoosterPredictForMatSingleRowFast), self.fast)
        return self.rows.timer.time_lightgbm(
            batches, address(self.library.LGBM_BoosterPredictForMat), self.booster, self.parameters)

    def margins(self, n):
        length = ctypes.c_int64()
        self.library.LGBM_BoosterPredictForMat(
            self.booster, pointer(self.rows.f64), 1, n, N_FEATURES, 1, 1, 0, -1, self.parameters,
            ctypes.byref(length), pointer(self.rows.out64))
        return self.rows.out64[:n].copy()


class OnnxRuntime:
    """A session with one thread, called from Python: some microseconds of each call are the binding's."""

    def __init__(self, files, rows, folder):
        if "onnx" not in files:
            raise Unavailable("no form that it reads")
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(files["onnx"]), options,
                                                    providers=["CPUExecutionProvider"])
        self.name, self.rows = self.session.get_inputs()[0].name, rows

    def time(self, n):
        feeds = [{self.name: self.rows.f32[i * n:(i + 1) * n]} for i in range(self.rows.n_batches(n))]
        best, rounds, end = float("inf"), 0, time.perf_counter_ns() + BUDGET_NS
        while (rounds < 3 and best < SLOW_CALL_NS) or time.perf_counter_ns() < end:
            start = time.perf_counter_ns()
            self.session.run(None, feeds[rounds % len(feeds)])
            best, rounds = min(best, time.perf_counter_ns() - start), rounds + 1
        return best

    def margins(self, n):
        return self.session.run(None, {self.name: self.rows.f32[:n]})[0].ravel()


class Lleaves:
    """LightGBM models compiled through LLVM; its entry point is called without Python."""

    def __init__(self, files, rows, folder):
        if "lightgbm" not in files:
            raise Unavailable("no form that it reads")
        size = files["lightgbm"].stat().st_size
        if size > GENERATED_MAX:
            raise Unavailable(f"LLVM takes more than ten minutes for {size >> 20} MB of trees")
        try:
            import lleaves
            self.model = lleaves.Model(model_file=str(files["lightgbm"]))
            self.model.compile(raw_score=True)
        except (ImportError, AttributeError) as error:
            raise Unavailable(str(error)) from error
        self.rows = rows

    def time(self, n):
        return self.rows.timer.time_lleaves(self.rows.batches(self.rows.f64, n, self.rows.out64),
                                            address(self.model._c_entry_func))

    def margins(self, n):
        return self.model.predict(self.rows.f64[:n], n_jobs=1)


class Tl2cgen:
    """Trees as C, compiled with the platform's compiler; its function is called without Python."""

    def __init__(self, files, rows, folder):
        try:
            import tl2cgen
            import treelite
        except ImportError as error:
            raise Unavailable(str(error)) from error
        load = (treelite.frontend.load_lightgbm_model if files["treelite"].suffix == ".txt"
                else treelite.frontend.load_xgboost_model)
        model = load(str(files["treelite"]))
        if files["treelite"].suffix == ".txt":
            raise Unavailable("compares doubles; lleaves stands for compiled LightGBM models")
        size = files["treelite"].stat().st_size
        if size > GENERATED_MAX:
            raise Unavailable(f"a C compiler takes too long for {size >> 20} MB of trees")
        model = load(str(files["treelite"]))
        path = folder / "tl2cgen.so"
        tl2cgen.export_lib(model, toolchain="gcc", libpath=path, params={"parallel_comp": 8}, nthread=2)
        self.library, self.rows = ctypes.CDLL(str(path)), rows

    def time(self, n):
        return self.rows.timer.time_tl2cgen(self.rows.batches(self.rows.f32, n, self.rows.out32),
                                            address(self.library.predict))

    def margins(self, n):
        self.rows.out32[:n] = 0
        for i in range(n):
            self.library.predict(pointer(self.rows.f32[i]), 1, pointer(self.rows.out32[i:]))
        return self.rows.out32[:n].copy()


SCORERS = {
    "phoenix": Phoenix,
    "xgboost 1.7 (Debian)": xgboost_debian,
    "xgboost (wheel)": xgboost_wheel,
    "lightgbm": LightGBM,
    "onnxruntime": OnnxRuntime,
    "tl2cgen": Tl2cgen,
    "lleaves": Lleaves,
}
