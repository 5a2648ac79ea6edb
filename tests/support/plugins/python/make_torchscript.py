# SPDX-License-Identifier: Apache-2.0
"""Writes TorchScript models, their inputs and what PyTorch answers: make_torchscript.py FOLDER. Needs torch."""
import os
import sys

import torch

torch.manual_seed(7)
torch.set_num_threads(1)


class Mlp(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))

    def forward(self, x):
        y = self.layers(x)
        return torch.softmax(y, dim=1), y.argmax(dim=1)


class Lstm(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(4, 8, batch_first=True)

    def forward(self, series):
        out, _ = self.lstm(series)
        return {"last": out[:, -1, :]}


def write(folder, name, model, x):
    model = torch.jit.script(model.eval())
    model.save(os.path.join(folder, name + ".pt"))
    with torch.no_grad():
        answer = model(x)
    outputs = list(answer.values()) if isinstance(answer, dict) else list(answer)
    for part, tensor in [("in0", x)] + [("out%d" % i, y) for i, y in enumerate(outputs)]:
        tensor.contiguous().numpy().tofile(os.path.join(folder, "%s.%s" % (name, part)))


if __name__ == "__main__":
    write(sys.argv[1], "mlp", Mlp(), torch.randn(5, 4))
    write(sys.argv[1], "lstm", Lstm(), torch.randn(2, 6, 4))
