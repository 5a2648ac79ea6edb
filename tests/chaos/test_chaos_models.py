# SPDX-License-Identifier: Apache-2.0
"""Models that are replaced, torn and killed while requests for them go on."""

import os
import random
import signal
import time

import chaos_models
import pytest
from chaos import FULL, ROUNDS, Client, Load, children, refusal_fault, unharmed, wait_until
from server import Server

RELOADS = 300 if FULL else 15


def load(client, model):
    """Loads a model again; its status. A refusal says why."""
    status, headers, body = client.request("POST", f"/v2/repository/models/{model}/load")
    if status != 200:
        fault = refusal_fault(status, headers, body)
        assert not fault, fault
    return status


@pytest.mark.parametrize("kind", ["forest", "network", "worker"])
def test_no_request_fails_while_a_model_is_reloaded(tmp_path, kind):
    question = getattr(chaos_models, kind)(tmp_path / kind)
    with Server(tmp_path / kind, "--threads", "2") as server:
        question.learn(server)
        with unharmed(server, question):
            with Load(server, question, keeps=False) as asked, Client(server.port) as client:
                for _ in range(RELOADS if kind != "worker" else RELOADS // 5):
                    assert load(client, kind) == 200
                    asked.wait_for(5)


def test_everything_is_reloaded_every_second(tmp_path):
    """Models of every kind and the settings, once a second, while all of them are asked over connections that stay and that do not."""
    questions = [chaos_models.forest(tmp_path / "near"), chaos_models.network(tmp_path / "net"),
                 chaos_models.worker(tmp_path / "echo", "instances: 2\n", engine=", workers: 2")]
    models = [tmp_path / name for name in ("near", "net", "echo")]
    config = tmp_path / "phoenix.yaml"
    config.write_text("")
    with Server(*models, "--config", config, "--threads", "2") as server:
        questions[1].learn(server)
        with unharmed(server, *questions):
            with Load(server, *questions, clients=6, keeps=False) as asked, Client(server.port) as client:
                started = time.monotonic()
                for turn in range(30 if FULL else 3):
                    time.sleep(max(0, started + turn - time.monotonic()))
                    config.write_text(f"serving:\n  request_rows_max: {50_000 + turn}\n")
                    server.signal(signal.SIGHUP)
                    for model in ("near", "net", "echo"):
                        assert load(client, model) == 200
                    asked.wait_for(5)
                wait_until(lambda: server.log().count("event=config.reloaded") > turn, server.log)
            assert asked.tally[200] > 0 and set(asked.tally) <= {200, "closed"}, asked.tally
            assert server.metric("phoenix_request_failures_total") == 0


def tear(path, whole, length):
    """The file as one who copies it has it for a while: shorter, in place."""
    with open(path, "r+b") as file:
        file.truncate(length)
    assert os.path.getsize(path) == min(length, len(whole))


@pytest.mark.parametrize("kind, name", [("forest", "model.json"), ("forest", "model.yaml"), ("network", "model.onnx")])
def test_a_file_that_is_cut_anywhere_leaves_the_old_model(tmp_path, kind, name):
    question = getattr(chaos_models, kind)(tmp_path / kind)
    path = tmp_path / kind / name
    whole = path.read_bytes()
    chance = random.Random(2)
    with Server(tmp_path / kind, "--threads", "2") as server:
        question.learn(server)
        with unharmed(server, question):
            with Load(server, question) as asked, Client(server.port) as client:
                lengths = [0, 1, len(whole) // 2, *(chance.randrange(len(whole)) for _ in range(10 * ROUNDS))]
                for length in lengths:
                    tear(path, whole, length)
                    status = load(client, kind)
                    # What is left of a text may be a whole one; then it stands for what it says.
                    assert status != 200 or name == "model.yaml", f"{name} of {length} bytes was loaded"
                    path.write_bytes(whole)
                assert load(client, kind) == 200
                asked.wait_for(50)


@pytest.mark.parametrize("kind, name", [("forest", "model.json"), ("network", "model.onnx")])
def test_a_file_is_cut_while_it_is_read(tmp_path, kind, name):
    """Loads go on while the file is cut and made whole, whenever that is: in place, as careless copying does it."""
    question = (chaos_models.forest(tmp_path / kind, rounds=300) if kind == "forest"
                else chaos_models.network(tmp_path / kind))
    path = tmp_path / kind / name
    whole = path.read_bytes()
    chance = random.Random(3)
    with Server(tmp_path / kind, "--threads", "2") as server:
        question.learn(server)
        with unharmed(server, question):
            with Load(server, question, clients=2) as asked, Loads(server, kind) as loads:
                while sum(loads.tally.values()) < 20 * ROUNDS:
                    tear(path, whole, chance.randrange(len(whole)))
                    with open(path, "r+b") as file:
                        file.write(whole)
                asked.wait_for(20)
            with Client(server.port) as client:
                assert load(client, kind) == 200


class Loads(Load):
    """One thread that loads a model again and again."""

    def __init__(self, server, model):
        super().__init__(server, model, clients=1)

    def _run(self, i):
        with self.clients[i] as client:
            while not self._stopping.is_set() and not client.faults:
                try:
                    client.tally[load(client, self._questions[0])] += 1
                except Exception as error:  # the thread has nobody else to tell
                    client.faults.append(repr(error))


def test_workers_are_killed(tmp_path):
    """What the process was at is answered with how it ended; the next one goes on. Without a breaker, whose pauses grow."""
    question = chaos_models.worker(tmp_path / "echo", "instances: 2\nbreaker: off\n", engine=", workers: 2")
    near = chaos_models.forest(tmp_path / "near")
    with Server(tmp_path / "echo", tmp_path / "near", "--threads", "2") as server:
        with unharmed(server, question, near):
            with Load(server, question, allowed=(200, 503)) as asked, Load(server, near, clients=2) as others:
                for _ in range(6 * ROUNDS):
                    asked.wait_for(20)
                    for pid in children(server.process.pid):
                        os.kill(pid, signal.SIGKILL)
                    others.wait_for(20)
                asked.wait_for(20)
        assert "plugin.ended" in server.log()


def test_a_worker_is_stopped(tmp_path):
    """One that says nothing any more is ended after timeout_ms, and its request answered."""
    question = chaos_models.worker(tmp_path / "echo", "breaker: off\n", engine=", timeout_ms: 300")
    with Server(tmp_path / "echo", "--threads", "2") as server:
        with unharmed(server, question):
            for _ in range(2 * ROUNDS):
                before = children(server.process.pid)
                with Load(server, question, allowed=(200, 503, 504)) as asked:
                    asked.wait_for(20)
                    for pid in before:
                        os.kill(pid, signal.SIGSTOP)
                    asked.wait_for(1, 503, 504)
                    wait_until(lambda: not set(before) & set(children(server.process.pid)), lambda: "it was not ended")
                    asked.wait_for(20)
