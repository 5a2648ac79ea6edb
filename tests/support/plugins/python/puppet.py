# SPDX-License-Identifier: Apache-2.0
"""A Python model that does what its settings say: settings.mode; without one, output i is input i."""
import os
import signal
import sys
import time

try:
    import numpy
except ImportError:
    numpy = None

mode, value = "", 0


def load(settings):
    global mode, value
    mode = settings.get("mode", "")
    text = settings.get("value", "0")
    value = float(text) if "." in text or "e" in text else int(text)
    if settings.get("load") == "fails":
        raise RuntimeError("the weights are missing")
    if settings.get("load") == "exits":
        print("no licence found", file=sys.stderr)
        sys.exit(7)


def echo(inputs):
    return {name.replace("in", "out"): value for name, value in inputs.items()}


def predict(inputs):
    if mode == "crashes":
        print("about to fail")
        os.kill(os.getpid(), signal.SIGSEGV)
    if mode == "hangs":
        time.sleep(60)
    if mode == "fails":
        raise ValueError("row 3 has no currency")
    if mode == "has_a_bug":
        return {"out0": inputs["absent"]}
    if mode == "no_dict":
        return [1]
    if mode == "lacks_an_output":
        return {}
    if mode == "wrong_type":
        return {"out0": ["text"]}
    if mode == "wrong_shape":
        return {"out0": [[1.0]]}
    if mode == "double":
        return {"out0": [2 * float(x) for x in inputs["in0"]]}
    if mode == "gives":
        return {"out0": numpy.array([value]) if numpy else [value]}
    if mode == "adds":
        return {"out0": inputs["in0"] + inputs["in1"]}
    return echo(inputs)
