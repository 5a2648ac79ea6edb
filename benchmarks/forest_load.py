# SPDX-License-Identifier: Apache-2.0
"""Opening very large model files, each in a process of its own, against the library that owns the format.

Phoenix is timed through libphoenix: reading, checking, planning and the self-test. The peer is timed from
the call that loads the file to its first prediction of one row, because some libraries put work off until
then; its imports are not counted. Both read the file from the page cache. The files are written without
training (tests/support/large_models.py).
"""
import ctypes
import importlib
import json
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
LIBRARY = HERE.parent / "build" / "libphoenix.so"
DEPTH = 8
ROUNDS = {1500: 5, 3000: 3, 6000: 3}  # by trees: the large files take their time, of the peers above all
PEERS = {"xgboost.json": "xgboost", "xgboost.ubj": "xgboost", "lightgbm.txt": "lightgbm",
         "catboost.json": "catboost"}


def open_with_phoenix(path, row):
    library = ctypes.CDLL(str(LIBRARY))
    library.phx_model_open.restype = ctypes.c_void_p
    message = ctypes.create_string_buffer(500)
    floats = (ctypes.c_float * len(row))(*row)
    score = (ctypes.c_double * 1)()
    started = time.perf_counter()
    model = library.phx_model_open(str(path).encode(), message, ctypes.c_size_t(len(message)))
    if not model:
        raise SystemExit(f"forest_load: {message.value.decode()}")
    library.phx_model_predict_f32(ctypes.c_void_p(model), floats, ctypes.c_size_t(1),
                                  ctypes.c_size_t(len(row)), score, ctypes.c_uint(0))
    return time.perf_counter() - started


def open_with_xgboost(path, row):
    import numpy
    import xgboost
    started = time.perf_counter()
    booster = xgboost.Booster({"nthread": 1}, model_file=path)
    booster.inplace_predict(numpy.array([row], dtype=numpy.float32))
    return time.perf_counter() - started


def open_with_lightgbm(path, row):
    import lightgbm
    started = time.perf_counter()
    lightgbm.Booster(model_file=path).predict([row], num_threads=1)
    return time.perf_counter() - started


def open_with_catboost(path, row):
    import catboost
    started = time.perf_counter()
    catboost.CatBoost().load_model(path, format="json").predict([row], thread_count=1)
    return time.perf_counter() - started


def child(name, path):
    """Opens the file once and prints seconds and the most resident bytes of this process."""
    import common
    sys.path.insert(0, str(HERE.parent / "tests" / "support"))
    row = [0.5] * importlib.import_module("large_models").FEATURES
    before = common.status_bytes("self", "VmHWM")
    seconds = globals()[f"open_with_{name}"](path, row)
    print(json.dumps([seconds, common.status_bytes("self", "VmHWM") - before]))


def open_once(name, path):
    done = subprocess.run([sys.executable, __file__, name, path], check=True, capture_output=True,
                          text=True)
    return json.loads(done.stdout)


def measure(path, peer, rounds):
    import common
    turns = [(open_once(peer, path), open_once("phoenix", path)) for _ in range(rounds)]
    result = {"megabytes": path.stat().st_size / 1e6,
              "ratio": common.spread([theirs[0] / ours[0] for theirs, ours in turns])}
    for at, name in enumerate(("peer", "phoenix")):
        result[name] = {"seconds": common.spread([turn[at][0] for turn in turns]),
                        "peak_bytes": max(turn[at][1] for turn in turns)}
    return result


def run(folder, quick):
    sys.path.insert(0, str(HERE.parent / "tests" / "support"))
    large = importlib.import_module("large_models")
    result = {"depth": DEPTH, "files": []}
    for trees, rounds in ({200: 2} if quick else ROUNDS).items():
        for name, write in large.WRITERS.items():
            path = folder / name
            write(path, trees, DEPTH)
            measured = measure(path, PEERS[name], rounds)
            nodes = large.n_nodes(trees, DEPTH)
            seconds = measured["phoenix"]["seconds"]["median"]
            print(f"  {name}, {nodes / 1e6:.1f} million nodes: {seconds:.2f} s", flush=True)
            result["files"].append({"file": name, "peer_name": PEERS[name], "trees": trees,
                                    "rounds": rounds, "nodes": nodes, **measured})
            path.unlink()
    return result


def report(result):
    import common
    rows = []
    for entry in result["files"]:
        millions = entry["nodes"] / 1e6
        per_million = {key: value / millions for key, value in entry["phoenix"]["seconds"].items()}
        rows.append([entry["file"], f"{entry['trees']:,}", f"{millions:.2f}",
                     f"{entry['megabytes']:.0f}", entry["rounds"], common.show(entry["phoenix"]["seconds"]),
                     common.show(per_million), f"{entry['phoenix']['peak_bytes'] / 2**20:.0f}",
                     common.show(entry["peer"]["seconds"]),
                     f"{entry['peer']['peak_bytes'] / 2**20:.0f}", common.show(entry["ratio"])])
    return (f"Trees of depth {result['depth']}, rounds in turns, a new process for every "
            "opening, one row predicted at the end. Memory is the rise of the process's peak. Phoenix "
            "checks the file and compiles it for the kernels that may win; the peer, which owns the "
            "format, does what it does by itself.\n\n"
            + common.table(["file", "trees", "million nodes", "MB", "rounds", "phoenix, s", "s per million nodes",
                            "MiB", "peer, s", "MiB", "ratio"], rows))


if __name__ == "__main__":
    child(sys.argv[1], sys.argv[2])
