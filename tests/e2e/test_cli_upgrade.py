# SPDX-License-Identifier: Apache-2.0
"""phoenix upgrade: another process takes over, and the command says which one, or why not."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time

import chaos
import models
import pytest
from command import PHOENIX, fail, phoenix, succeed
from server import Server


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "risk.json"
    models.xgboost_model(path)
    return path


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A copy of the program, which a server runs and the test may replace."""
    path = tmp_path / "bin" / "phoenix"
    path.parent.mkdir()
    shutil.copy(PHOENIX, path)
    monkeypatch.setattr("server.PHOENIX", str(path))
    return path


@contextlib.contextmanager
def ending(pid):
    """Ends the process that took over."""
    try:
        yield
    finally:
        os.kill(pid, signal.SIGTERM)
        chaos.wait_until(lambda: not is_running(pid), lambda: f"{pid} does not end")


def is_running(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def numbers(said):
    """(the new process, the old one) of what the command printed."""
    found = re.fullmatch(r"process (\d+) serves; process (\d+) answers what it has begun, and ends\n", said)
    assert found, said
    return int(found[1]), int(found[2])


def still_serves(server):
    assert server.process.poll() is None, server.log()
    assert server.request("/readyz")[0] == 200


def test_the_new_process_is_told(model):
    with Server(model, "--threads", "1") as server:
        done = phoenix("upgrade", "--pid", server.process.pid)
        assert done.returncode == 0, done.stderr
        new, old = numbers(done.stdout)
        with ending(new):
            assert old == server.process.pid and new != old
            assert f"process {new} is loading its models: {PHOENIX}" in done.stderr
            assert f"event=upgrade.done pid={new}" in server.log()
            assert server.request("/readyz")[0] == 200
            assert server.wait() == 0


def test_upgrades_in_a_row_by_command(model):
    with Server(model, "--threads", "1") as server:
        pid = server.process.pid
        for _ in range(3):
            new, old = numbers(succeed("upgrade", "-p", pid))
            assert old == pid
            pid = new
        with ending(pid):
            assert server.request("/readyz")[0] == 200


def servers_of_this_machine():
    """As the command finds them."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
            if os.path.basename(words[0]).startswith(b"phoenix") and words[1:2] == [b"serve"]:
                found.append(int(name))
    return found


def test_of_several_servers_one_must_be_named(model):
    with Server(model, "--threads", "1") as one, Server(model, "--threads", "1") as other:
        said = fail("upgrade", status=2)
        assert "processes serve: which one?" in said and "--pid" in said
        if len(servers_of_this_machine()) <= 8:
            assert str(one.process.pid) in said and str(other.process.pid) in said
        still_serves(one)
        still_serves(other)


ALONE = ["unshare", "--pid", "--fork", "--mount-proc"]
SCRIPT = """
program=$1 model=$2 log=$3
"$program" upgrade; echo "status $?"
"$program" serve "$model" --port 0 --threads 1 --drain-delay-ms 0 >"$log" 2>&1 &
for i in $(seq 600); do grep -q Dashboard "$log" && break; sleep 0.1; done
"$program" upgrade; echo "status $?"
"""


def test_without_a_number_the_only_server_is_found(model, tmp_path):
    """Among processes of its own: others may serve on this machine."""
    if subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("may not make a namespace of processes (needs CAP_SYS_ADMIN)")
    done = subprocess.run([*ALONE, "sh", "-c", SCRIPT, "sh", PHOENIX, model, tmp_path / "log"], capture_output=True, text=True,
                          timeout=120, check=False)
    assert "no process on this machine is a 'phoenix serve'" in done.stderr
    first, said, second = done.stdout.splitlines()
    assert (first, second) == ("status 1", "status 0"), done.stdout + done.stderr
    numbers(said + "\n")


def test_a_process_that_is_no_server_lives_on():
    """The signal would end it."""
    with subprocess.Popen(["sleep", "1000"]) as other:
        try:
            said = fail("upgrade", "--pid", other.pid)
            assert f"process {other.pid} is no phoenix that serves" in said
            assert other.poll() is None
        finally:
            other.kill()
    assert "No such process" in fail("upgrade", "--pid", other.pid)


@pytest.mark.parametrize("words", [["--pid", "0"], ["--pid", "-5"], ["--pid", "99999999"], ["--pid", "x"], ["--timeout", "0"],
                                   ["--timeout", "-1"], ["1234"]])
def test_a_wrong_command_line_is_told(words):
    assert "phoenix upgrade" in fail("upgrade", *words, status=2)


def test_wrong_settings_are_told(model, tmp_path):
    config = tmp_path / "phoenix.yaml"
    config.write_text("")
    with Server(model, "--config", config, "--threads", "1") as server:
        config.write_text("server:\n  prot: 1\n")
        said = fail("upgrade", "--pid", server.process.pid)
        assert "server.prot" in said and "serves as before" in said, said
        assert re.search(r"event=upgrade.failed reason=.*server.prot", server.log()), server.log()
        still_serves(server)


def test_a_model_that_the_new_process_lacks_is_told(model, tmp_path):
    path = tmp_path / "risk.json"
    shutil.copy(model, path)
    with Server(path, "--threads", "1") as server:
        path.write_text("{")
        assert "risk" in fail("upgrade", "--pid", server.process.pid)
        still_serves(server)


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_new_program_is_put_in_its_place(model, program, tmp_path):
    new = tmp_path / "new"
    new.write_bytes(program.read_bytes() + b"\0")  # another file, which runs the same
    new.chmod(0o755)
    old = program.read_bytes()
    with Server(model, "--threads", "1") as server:
        pid, _ = numbers(succeed("upgrade", "--pid", server.process.pid, "--program", new))
        with ending(pid):
            assert program.read_bytes() == new.read_bytes()
            previous = program.with_name("phoenix.previous")
            assert previous.read_bytes() == old
            # And back: the file before is a program as any other.
            again, _ = numbers(succeed("upgrade", "--pid", pid, "--program", previous))
            pid = again
            assert program.read_bytes() == old
            assert sorted(path.name for path in program.parent.iterdir()) == ["phoenix", "phoenix.previous"]
            assert server.request("/readyz")[0] == 200
        os.kill(again, signal.SIGTERM)


@pytest.mark.parametrize("text, told", [("exit 3", "ended with status 3"), ("exec sleep 1000", "server.upgrade_timeout_ms")])
def test_a_new_program_that_does_not_serve_is_taken_away(model, program, tmp_path, text, told):
    config = tmp_path / "phoenix.yaml"
    config.write_text("server:\n  upgrade_timeout_ms: 500\n")
    old = program.read_bytes()
    with Server(model, "--config", config, "--threads", "1") as server:
        said = fail("upgrade", "--pid", server.process.pid, "--program", script(tmp_path / "none", text))
        assert told in said, said
        assert program.read_bytes() == old
        assert [path.name for path in program.parent.iterdir()] == ["phoenix"]
        still_serves(server)
        pid, _ = numbers(succeed("upgrade", "--pid", server.process.pid))  # what lies there is a whole program
        os.kill(pid, signal.SIGTERM)


def test_a_file_that_is_no_program_is_not_put_anywhere(model, program, tmp_path):
    old = program.read_bytes()
    text = tmp_path / "text"
    text.write_text("no program")
    with Server(model, "--threads", "1") as server:
        for path, told in ((text, "is no program"), (tmp_path / "absent", "No such file"), (tmp_path, "is no program")):
            assert told in fail("upgrade", "--pid", server.process.pid, "--program", path)
            assert program.read_bytes() == old
        assert "upgrade.started" not in server.log()


def test_an_upgrade_that_goes_on_already_is_told(model, program, tmp_path):
    config = tmp_path / "phoenix.yaml"
    config.write_text("server:\n  upgrade_timeout_ms: 3000\n")
    with Server(model, "--config", config, "--threads", "1") as server:
        program.unlink()
        script(program, "exec sleep 1000")
        first = []
        thread = threading.Thread(target=lambda: first.append(fail("upgrade", "--pid", server.process.pid)))
        thread.start()
        chaos.wait_until(lambda: "upgrade.started" in server.log(), server.log)
        assert "is being started already" in fail("upgrade", "--pid", server.process.pid)
        thread.join(60)
        assert "server.upgrade_timeout_ms" in first[0]
        still_serves(server)


def test_a_server_that_stops_meanwhile_is_told(model, program):
    with Server(model, "--threads", "1") as server:
        program.unlink()
        script(program, "exec sleep 1000")
        asking = subprocess.Popen([PHOENIX, "upgrade", "--pid", str(server.process.pid)], stderr=subprocess.PIPE, text=True)
        chaos.wait_until(lambda: "upgrade.started" in server.log(), server.log)
        server.signal()
        assert "the server stops" in asking.communicate(timeout=60)[1] and asking.returncode == 1
        assert server.wait() == 0


def test_a_server_that_does_not_answer_is_not_waited_for_for_ever(model):
    with Server(model, "--threads", "1") as server:
        server.signal(signal.SIGSTOP)
        try:
            said = fail("upgrade", "--pid", server.process.pid, "--timeout", "1")
            assert "has not said in time" in said
        finally:
            server.signal(signal.SIGCONT)
        server.wait()  # it goes on with it
        os.kill(int(re.findall(r"upgrade.done pid=(\d+)", server.log())[-1]), signal.SIGTERM)


def test_news_of_another_process_do_not_count(model):
    """Anybody may write to the socket of the command; the kernel says who it was."""
    import socket

    with Server(model, "--threads", "1") as server:
        server.signal(signal.SIGSTOP)
        try:
            asking = subprocess.Popen([PHOENIX, "upgrade", "--pid", str(server.process.pid), "--timeout", "2"],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as liar:
                until, told = time.monotonic() + 60, False
                while not told and time.monotonic() < until:
                    with contextlib.suppress(OSError):
                        told = liar.sendto(b"d4242", f"\0phoenix-upgrade-{asking.pid}") > 0
            assert told
            said = asking.communicate(timeout=60)
            assert asking.returncode == 1 and "has not said in time" in said[1], said
        finally:
            server.signal(signal.SIGCONT)
        server.wait()
        os.kill(int(re.findall(r"upgrade.done pid=(\d+)", server.log())[-1]), signal.SIGTERM)
