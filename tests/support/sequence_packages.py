# SPDX-License-Identifier: Apache-2.0
"""Packages of models that keep state, for tests."""

import onnx_models

LSTM_STATES = "states: [{input: h_in, output: h_out}, {input: c_in, output: c_out}]"
CONTROLS = "controls: {start: START, end: END, ready: READY, correlation_id: CORRID}"


def write(folder, make, sequence, batches=True):
    """A package of the model that `make` writes, with these settings under `sequence`."""
    folder.mkdir(parents=True)
    make(str(folder / "model.onnx"))
    text = "phoenix: 1\nmodel: model.onnx\nengine: {name: onnxruntime, threads: 1"
    text += ", batches: true}\n" if batches else "}\n"
    text += "sequence:\n" + "".join(f"  {line}\n" for line in sequence)
    (folder / "model.yaml").write_text(text)
    return folder


def lstm(folder, *sequence):
    return write(folder, onnx_models.lstm_step, [LSTM_STATES, *sequence])


def gru(folder, *sequence):
    return write(folder, onnx_models.gru_step, ["states: [{input: h_in, output: h_out}]", *sequence], batches=False)


def running_sum(folder, *sequence):
    states = "states: [{input: total_in, output: total}]"
    return write(folder, onnx_models.running_sum, [states, CONTROLS, *sequence])
