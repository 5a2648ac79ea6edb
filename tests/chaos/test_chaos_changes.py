# SPDX-License-Identifier: Apache-2.0
"""Settings and the binary itself change while requests of every kind go on, more of them than can be answered."""

import contextlib
import os
import re
import signal

import chaos_models
import pytest
from chaos import ROUNDS, Client, Load, descriptors, unharmed, wait_until
from command import succeed
from server import Server


@pytest.fixture
def mixed(tmp_path):
    """(arguments of the server, its questions): a model of every kind of engine."""
    questions = [chaos_models.forest(tmp_path / "near"), chaos_models.network(tmp_path / "net"),
                 chaos_models.worker(tmp_path / "echo")]
    return [tmp_path / "near", tmp_path / "net", tmp_path / "echo", "--threads", "2"], questions


BAD = ["server:\n  prot: 1\n", "server: [\n", "serving:\n  batch_rows_max: 7\n", "\0", "log:\n  level: loud\n", "x" * 100_000]


def test_bad_files_are_read_again_under_load(mixed, tmp_path):
    """Each is refused as a whole; good ones in between hold, and no request notices."""
    arguments, questions = mixed
    config = tmp_path / "phoenix.yaml"
    config.write_text("")
    with Server(*arguments, "--config", config) as server:
        questions[1].learn(server)
        with unharmed(server, *questions):
            with Load(server, *questions, clients=6) as load:
                for turn in range(ROUNDS):
                    for i, text in enumerate(BAD):
                        change(server, config, text, "config.reload_failed")
                        good = f"serving:\n  request_rows_max: {1000 * (turn + 1) + i}\n"
                        change(server, config, good, "config.reloaded")
                        load.wait_for(20)
        assert f'"{1000 * ROUNDS + len(BAD) - 1}"' in str(server.request("/api/v1/config")[1]).replace("'", '"')


def change(server, config, text, event):
    """Writes the settings and has them read; until the log tells what came of it."""
    before = server.log().count(f"event={event}")
    config.write_text(text)
    server.signal(signal.SIGHUP)
    wait_until(lambda: server.log().count(f"event={event}") > before, lambda: f"no {event} for {text[:100]!r}\n{server.log()}")


def upgrades(server):
    return [int(pid) for pid in re.findall(r"event=upgrade.done pid=(\d+)", server.log())]


def test_the_binary_is_upgraded_under_load_of_every_kind(mixed):
    """Twice in a row, with requests in flight in waves, queues and workers: none is lost, and the last process holds what the first did."""
    arguments, questions = mixed
    server = Server(*arguments)
    questions[1].learn(server)
    pids = [server.process.pid]
    at_first = descriptors(pids[0])
    try:
        with Load(server, *questions, clients=6, keeps=False) as load:
            for _ in range(2 * ROUNDS):
                load.wait_for(50)
                succeed("upgrade", "--pid", pids[-1])
                pids.append(upgrades(server)[-1])
                load.wait_for(50)
        assert server.wait() == 0, server.log()
        wait_until(lambda: descriptors(pids[-1]) <= at_first,
                   lambda: f"{at_first} descriptors of the first became {descriptors(pids[-1])}")
        with Client(server.port) as client:
            for question in questions:
                assert client.ask(question) == 200, client.faults
    finally:
        end(server, pids)


def end(server, pids):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pids[-1], signal.SIGTERM)
    wait_until(lambda: not running(pids[-1]), lambda: f"{pids[-1]} does not end")
    server.stop()


def running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_upgrades_fail_under_load(mixed, tmp_path):
    """The new process is refused again and again, for settings that are wrong: the old one keeps nothing of it."""
    arguments, questions = mixed
    config = tmp_path / "phoenix.yaml"
    config.write_text("")
    with Server(*arguments, "--config", config) as server:
        questions[1].learn(server)
        with unharmed(server, *questions):
            with Load(server, *questions, clients=6) as load:
                for turn in range(2 * ROUNDS):
                    config.write_text(BAD[turn % 2])
                    before = server.log().count("event=upgrade.failed")
                    server.signal(signal.SIGUSR2)
                    wait_until(lambda: server.log().count("event=upgrade.failed") > before, server.log)
                    load.wait_for(30)
            config.write_text("")
