# SPDX-License-Identifier: Apache-2.0
"""Models of tensors in libphoenix: what they compute is what `phoenix predict` and HTTP give, to the bit."""

import ctypes
import json
import shutil
import subprocess
import sys
import threading

import library
import ml_dtypes
import numpy as np
import pytest
import tritonclient.http as triton
from command import PHOENIX, ROOT, SANITIZED
from server import Server

pytestmark = pytest.mark.skipif(
    SANITIZED, reason="a sanitized library needs its run-time preloaded; unit tests cover it"
)

GRAPHS = ROOT / "examples" / "graphs"
ONNX = ROOT / "tests" / "golden" / "onnxruntime"
RULES = ROOT / "examples" / "plugins" / "rules"
WORDS = ["free", "money", "meeting", "at", "noon", "hello", "é", "prize", "report", "42"]
RANDOM = np.random.default_rng(5)


def numbers(*shape, dtype=np.float32):
    """Of every size and sign, so that a digit that is lost shows."""
    return (RANDOM.normal(size=shape) * 10.0 ** RANDOM.integers(-6, 6, shape)).astype(dtype)


def payments(n, columns):
    return np.stack([RANDOM.uniform(0, high, n) for high in (300, 24, 900)[:columns]], 1).astype(np.float32)


def texts(n):
    return np.array([" ".join(RANDOM.choice(WORDS, i % 9)) for i in range(n)], object)


def every_type(n):
    """Inputs of types.onnx, which gives back what it gets: whole ranges, and floats as their bits are."""
    made = {}
    for bits in (8, 16, 32, 64):
        made[f"in_UINT{bits}"] = RANDOM.integers(0, 2**bits, n, f"u{bits // 8}")
        made[f"in_INT{bits}"] = RANDOM.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), n, f"i{bits // 8}")
    made["in_BOOL"] = RANDOM.integers(0, 2, n).astype(bool)
    made["in_FLOAT16"] = RANDOM.normal(size=n).astype(np.float16)
    made["in_BFLOAT16"] = RANDOM.integers(0, 0x7F80, n).astype(np.uint16)
    made["in_FLOAT"], made["in_DOUBLE"] = numbers(n), numbers(n, dtype=np.float64)
    made["in_STRING"] = texts(n)
    return made


CASES = {
    "fraud": (GRAPHS / "fraud" / "graph.yaml", lambda: {"payment": payments(300, 3)}),
    "stacking": (GRAPHS / "stacking" / "graph.yaml",
                 lambda: {"payment": payments(300, 3), "moment": payments(300, 2)}),
    "text": (GRAPHS / "text" / "graph.yaml", lambda: {"text": texts(300)}),
    "affine": (ONNX / "affine.onnx", lambda: {"x": numbers(700, 3)}),
    "add": (ONNX / "add.onnx", lambda: {"x": numbers(50, 2), "y": numbers(50, 2)}),
    "doubles": (ONNX / "doubles.onnx", lambda: {"x": numbers(90, 3, dtype=np.float64)}),
    "outside": (ONNX / "outside.onnx", lambda: {"x": numbers(40, 64)}),
    "types": (ONNX / "types.onnx", lambda: every_type(200)),
    "zipmap_texts": (ONNX / "zipmap_texts.onnx", lambda: {"x": numbers(1, 2)}),
    "zipmap_numbers": (ONNX / "zipmap_numbers.onnx", lambda: {"x": numbers(1, 2)}),
    "rules": ("rules", lambda: {"amount": RANDOM.uniform(0, 2000, 100), "age": RANDOM.uniform(18, 90, 100)}),
}


def rules_package(folder):
    """examples/plugins/rules, built."""
    if not shutil.which("make") or not shutil.which("cc"):
        pytest.skip("there is no compiler")
    shutil.copytree(RULES, folder, ignore=shutil.ignore_patterns("*.so"))
    library.run("make", "-C", folder, f"INCLUDE={ROOT / 'include'}")
    return folder


def open_session(path):
    try:
        return library.module().Session(path)
    except ValueError as why:
        if "its library was not found" in str(why):
            pytest.skip("there is no ONNX Runtime here")
        raise


@pytest.fixture(params=CASES)
def case(request, tmp_path):
    """(path, inputs, session)"""
    path, make = CASES[request.param]
    path = rules_package(tmp_path / path) if isinstance(path, str) else path
    with open_session(path) as session:
        yield path, make(), session


def widen(bits):
    """Brain floats as floats."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def plain(array, datatype):
    """As JSON has it."""
    if datatype == "BF16":
        return widen(array).tolist()
    if datatype == "BYTES":
        return [text.decode() if isinstance(text, bytes) else text for text in array.tolist()]
    return array.astype(np.float64).tolist() if datatype.startswith("FP") else array.tolist()


def predicted(path, session, inputs):
    """What `phoenix predict` writes for each row."""
    columns = [plain(array, session.inputs[name].datatype) for name, array in inputs.items()]
    rows = [dict(zip(inputs, row, strict=True)) for row in zip(*columns, strict=True)]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    done = subprocess.run([PHOENIX, "predict", str(path), "-"], input=text, capture_output=True, text=True,
                          timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["line"] for answer in answers] == list(range(1, len(rows) + 1))
    return [answer["prediction"] for answer in answers]


def same_bits(array, values, datatype):
    if datatype == "BYTES":
        return [text.decode() for text in array.ravel()] == np.array(values, object).ravel().tolist()
    if datatype == "BF16":
        array = widen(array)
    return array.tobytes() == np.array(values, array.dtype).tobytes()


def test_predict_gives_the_same_bits(case):
    path, inputs, session = case
    got = session.run(inputs)
    predictions = predicted(path, session, inputs)
    n = len(predictions)
    if {len(array) for array in got.values()} != {n}:  # no row for each line: whole columns
        assert n == 1
        columns = predictions[0]
    elif len(got) == 1:
        columns = {next(iter(got)): predictions}
    else:
        columns = {name: [row[name] for row in predictions] for name in got}
    assert list(columns) == list(session.outputs) == list(got)
    for name, array in got.items():
        assert same_bits(array, columns[name], session.outputs[name].datatype), name


def over_http(url, session, inputs):
    """The outputs as the binary extension of Open Inference carries them."""
    client = triton.InferenceServerClient(url.removeprefix("http://"), network_timeout=60)
    asked = []
    for name, array in inputs.items():
        datatype = session.inputs[name].datatype
        asked.append(triton.InferInput(name, array.shape, datatype))
        array = array.view(ml_dtypes.bfloat16) if datatype == "BF16" else array
        asked[-1].set_data_from_numpy(array, binary_data=True)
    wanted = [triton.InferRequestedOutput(name, binary_data=True) for name in session.outputs]
    reply = client.infer("m", asked, outputs=wanted)
    client.close()
    return {name: reply.as_numpy(name) for name in session.outputs}


def test_http_gives_the_same_bits(case):
    path, inputs, session = case
    got = session.run(inputs)
    with Server(f"m={path}") as server:
        replied = over_http(server.url, session, inputs)
    for name, array in got.items():
        array = array.view(ml_dtypes.bfloat16) if session.outputs[name].datatype == "BF16" else array
        assert array.dtype == replied[name].dtype and array.shape == replied[name].shape
        if array.dtype == object:
            assert array.tolist() == replied[name].tolist()
        else:
            assert array.tobytes() == replied[name].tobytes(), name


def test_a_tree_model_is_a_session_too():
    path = ROOT / "examples" / "model.json"
    x = payments(500, 3)
    with library.module().Session(path) as session, library.module().Model(path) as model:
        got = session.run({"input": x})
        assert got["predictions"].tobytes() == model.predict(x).tobytes()
        assert got["margins"].tobytes() == model.predict(x, margin=True).tobytes()
        by_name = dict(zip(model.feature_names, x.T, strict=True))
        assert session.run(by_name, ["predictions"])["predictions"].tobytes() == got["predictions"].tobytes()
        with Server(f"m={path}") as server:
            client = triton.InferenceServerClient(server.url.removeprefix("http://"))
            asked = triton.InferInput("input", x.shape, "FP32")
            asked.set_data_from_numpy(x)
            reply = client.infer("m", [asked]).as_numpy("predictions")
            client.close()
        assert reply.tobytes() == got["predictions"].tobytes()


def test_threads_share_a_session(case):
    _, inputs, session = case
    expected = session.run(inputs)
    wrong = []

    def ask():
        for _ in range(15):
            got = session.run(inputs)
            if any(got[name].tolist() != expected[name].tolist() for name in expected):
                wrong.append(got)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_outputs_are_chosen_by_name():
    with library.module().Session(GRAPHS / "stacking" / "graph.yaml") as session:
        inputs = {"moment": payments(3, 2), "payment": payments(3, 3)}
        assert list(session.run(inputs, ["mean"])) == ["mean"]
        assert list(session.run(inputs, ["mean", "score"])) == ["mean", "score"]
        with pytest.raises(RuntimeError, match="unknown output 'median'"):
            session.run(inputs, ["median"])
        with pytest.raises(RuntimeError, match="asked for twice"):
            session.run(inputs, ["mean", "mean"])


def test_wrong_inputs_are_errors_with_names():
    with library.module().Session(GRAPHS / "fraud" / "graph.yaml") as session:
        for inputs, message in [({}, "input 'payment' is missing"),
                                ({"payment": np.zeros((2, 4))}, r"expected shape \[-1,3\], got \[2,4\]"),
                                ({"payment": np.zeros((1,) * 9)}, "at most 8 dimensions, got 9"),
                                ({"payment": np.zeros((1, 3)), "x": 1}, "unknown input 'x'")]:
            with pytest.raises(RuntimeError, match=message):
                session.run(inputs)
        session.close()
        with pytest.raises(ValueError, match="closed"):
            session.run({})


def test_a_fallback_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOENIX_PLUGIN_PATH", str(library.BUILD / "tests" / "plugins"))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.yaml").write_text(
        "phoenix: 1\nengine: {name: plugin, library: puppet, settings: {mode: fails}}\n"
        "inputs: [{name: x, type: FP32, shape: [-1]}]\noutputs: [{name: y, type: FP32, shape: [-1]}]\n")
    (tmp_path / "graph.yaml").write_text(
        "phoenix_graph: 1\ninputs: [{name: x, type: FP32, shape: [-1]}]\noutputs: [{name: y, from: deep.y}]\n"
        "steps: [{name: deep, model: broken, inputs: x, fallback: {y: 0.5}}]\n")
    with library.module().Session(tmp_path / "graph.yaml") as session:
        told = []
        got = session.run({"x": np.float32([3, 4])}, degraded=told)
        assert told == ["deep"] and got["y"].tolist() == [0.5, 0.5]
    with library.module().Session(tmp_path / "broken") as session, pytest.raises(RuntimeError):
        session.run({"x": np.float32([3, 4])})


def test_each_function_names_the_other_where_it_is_the_right_one(tmp_path):
    module = library.module()
    (tmp_path / "model.yaml").write_text("phoenix: 1\nengine: {name: plugin, library: absent.so}\n")
    for path in (GRAPHS / "fraud" / "graph.yaml", ONNX / "affine.onnx", tmp_path):
        with pytest.raises(ValueError, match="model of tensors.*phx_session_open"):
            module.Model(path)


def test_engines_that_a_library_has_not_are_refused(tmp_path):
    rules = rules_package(tmp_path / "rules")
    text = (rules / "model.yaml").read_text()
    (rules / "model.yaml").write_text(text.replace("settings:", "isolated: true\n  settings:"))
    with pytest.raises(ValueError, match="starts no processes"):
        library.module().Session(rules)
    for engine in ("{name: remote, url: http://127.0.0.1:1}", "{name: python, file: m.py}"):
        (rules / "model.yaml").write_text(f"phoenix: 1\nengine: {engine}\n")
        with pytest.raises(ValueError, match="there is no engine"):
            library.module().Session(rules)


def test_a_missing_model_and_a_golden_request_that_differs(tmp_path):
    with pytest.raises(ValueError, match="there is no file or folder"):
        library.module().Session(tmp_path / "absent.yaml")
    rules = rules_package(tmp_path / "rules")
    with (rules / "model.yaml").open("a") as file:
        file.write("golden: golden.json\n")
    one = {"shape": [1], "datatype": "FP64"}
    (rules / "golden.json").write_text(json.dumps({
        "inputs": [{"name": "amount", **one, "data": [100]}, {"name": "age", **one, "data": [30]}],
        "outputs": [{"name": "decision", "shape": [1], "datatype": "BYTES", "data": ["BLOCK"]}]}))
    with pytest.raises(ValueError, match="golden requests are answered differently"):
        library.module().Session(rules)


def test_a_forked_child_is_told_and_may_close():
    code = (
        "import os, numpy as np\nfrom phoenix import Session\n"
        f"session = Session({str(GRAPHS / 'fraud' / 'graph.yaml')!r})\n"
        "x = {'payment': np.zeros((9, 3), np.float32)}\nsession.run(x)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    try:\n        session.run(x)\n        os._exit(1)\n"
        "    except RuntimeError as why:\n        session.close()\n        os._exit(0 if 'forked' in str(why) else 2)\n"
        "assert os.waitpid(child, 0)[1] == 0\nsession.run(x)\nsession.close()\n"
    )
    env = {"PHOENIX_LIBRARY": str(library.SHARED), "PYTHONPATH": str(ROOT / "examples" / "python")}
    library.run(sys.executable, "-c", code, env=env)


def test_nothing_is_printed(tmp_path):
    """What an engine would log in a server is nobody's business in another's process."""
    code = (
        "import sys, numpy as np\nfrom phoenix import Session\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n        session = Session(path)\n"
        "        session.run({'payment': np.zeros((1, 3)), 'x': np.zeros((1, 3))})\n"
        "    except (ValueError, RuntimeError):\n        pass\n"
    )
    env = {"PHOENIX_LIBRARY": str(library.SHARED), "PYTHONPATH": str(ROOT / "examples" / "python")}
    if library.ENGINES.is_dir():
        env["PHOENIX_ONNXRUNTIME"] = str(library.ENGINES)
    (tmp_path / "broken.onnx").write_bytes(b"\x08\x07broken")
    words = [sys.executable, "-c", code, GRAPHS / "fraud" / "graph.yaml", ONNX / "affine.onnx", ONNX / "custom.onnx",
             ONNX / "liar.onnx", tmp_path / "broken.onnx"]
    done = subprocess.run(list(map(str, words)), env=env, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_null_is_an_error_and_no_crash():
    raw = library.raw()
    for name in ("phx_session_open", "phx_session_run", "phx_result_error", "phx_result_outputs"):
        getattr(raw, name).restype = ctypes.c_void_p
    result = ctypes.c_void_p(raw.phx_session_run(None, None, 0, None, 0))
    assert raw.phx_result_code(result) == 10 and not raw.phx_result_outputs(result, None)
    raw.phx_result_free(result)
    raw.phx_result_free(None)
    raw.phx_session_close(None)
    assert raw.phx_result_code(None) == 72 and not raw.phx_session_open(None, None, 0)
