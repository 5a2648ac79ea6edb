# SPDX-License-Identifier: Apache-2.0
"""phoenix engine: what is there, and installing it, also without network and with the wrong file."""

import hashlib
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from command import PHOENIX

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "build" / "engines" / "libonnxruntime.so"

needs_library = pytest.mark.skipif(not LIBRARY.exists(), reason="no ONNX Runtime (tools/fetch-engines fetches it)")


def phoenix(*arguments, **environment):
    clean = {k: v for k, v in os.environ.items() if k not in ("PHOENIX_ONNXRUNTIME", "XDG_DATA_HOME")}
    return subprocess.run([PHOENIX, "engine", *map(str, arguments)], capture_output=True, text=True, timeout=120,
                          env=clean | environment)


def onnxruntime(*arguments, **environment):
    result = phoenix("list", "--json", *arguments, **environment)
    assert result.returncode == 0, result.stderr
    return next(engine for engine in json.loads(result.stdout) if engine["name"] == "onnxruntime")


@needs_library
def test_the_library_that_the_environment_names_is_used_and_described():
    engine = onnxruntime(PHOENIX_ONNXRUNTIME=str(LIBRARY))
    assert engine["available"] and engine["installable"]
    assert engine["place"] == str(LIBRARY)
    assert engine["version"].startswith("1.")
    assert "CPUExecutionProvider" in engine["details"]
    assert onnxruntime(PHOENIX_ONNXRUNTIME=str(LIBRARY.parent))["place"] == str(LIBRARY)


def test_the_engine_of_trees_is_listed_too():
    engines = json.loads(phoenix("list", "--json").stdout)
    assert engines[0]["name"] == "forest" and engines[0]["available"] and engines[0].keys() == engines[1].keys()


def test_a_named_library_that_is_not_there_is_a_reason_not_a_crash(tmp_path):
    engine = onnxruntime(PHOENIX_ONNXRUNTIME=str(tmp_path))
    assert not engine["available"]
    assert "has no libonnxruntime.so" in engine["details"]
    other = tmp_path / "libonnxruntime.so"
    other.write_bytes(b"no library")
    assert "cannot load ONNX Runtime" in onnxruntime(PHOENIX_ONNXRUNTIME=str(other))["details"]
    assert "not available" in phoenix("list", PHOENIX_ONNXRUNTIME=str(other)).stdout


def test_another_library_is_refused_by_name():
    engine = onnxruntime(PHOENIX_ONNXRUNTIME="libm.so.6")
    assert "OrtGetApiBase" in engine["details"]


@needs_library
@pytest.mark.parametrize("form", ["library", "package"])
def test_installs_without_network_from_a_file(tmp_path, form):
    source = LIBRARY
    if form == "package":
        source = tmp_path / "package.tgz"
        with tarfile.open(source, "w:gz", compresslevel=1) as archive:
            archive.add(LIBRARY, "package/libonnxruntime.so")
    home = tmp_path / "home"
    result = phoenix("install", "onnxruntime", "--from", source, "--json", XDG_DATA_HOME=str(home))
    assert result.returncode == 0, result.stderr
    placed = home / "phoenix" / "engines" / "libonnxruntime.so"
    assert json.loads(result.stdout)["place"] == str(placed)
    digest = hashlib.sha256(placed.read_bytes()).hexdigest()
    assert digest == hashlib.sha256(LIBRARY.read_bytes()).hexdigest()
    assert [path.name for path in placed.parent.iterdir()] == ["libonnxruntime.so"]


@needs_library
def test_another_folder_is_told_and_whether_it_is_in_use(tmp_path):
    folder = tmp_path / "engines"
    arguments = ("install", "onnxruntime", "--from", LIBRARY, "--into", folder)
    result = phoenix(*arguments, PHOENIX_ONNXRUNTIME=str(LIBRARY))
    placed = folder / "libonnxruntime.so"
    assert result.returncode == 0 and placed.exists(), result.stderr
    assert f"installed {placed}\n" in result.stdout
    assert f"not in use: this program has found {LIBRARY}\n" in result.stdout
    assert f"to use it: PHOENIX_ONNXRUNTIME={placed}\n" in result.stdout
    said = json.loads(phoenix(*arguments, "--json", PHOENIX_ONNXRUNTIME=str(LIBRARY)).stdout)
    assert said["installed"] == str(placed) and said["place"] == str(LIBRARY)


def test_a_file_with_another_checksum_is_not_installed(tmp_path):
    other = tmp_path / "libonnxruntime.so"
    other.write_bytes(b"something else")
    result = phoenix("install", "onnxruntime", "--from", other, "--into", tmp_path / "engines")
    assert result.returncode == 1
    assert "expected SHA-256" in result.stderr and "PHOENIX_ONNXRUNTIME" in result.stderr
    assert list((tmp_path / "engines").iterdir()) == []


def test_a_package_that_is_none_is_an_error(tmp_path):
    other = tmp_path / "other.tgz"
    other.write_bytes(b"no archive")
    result = phoenix("install", "onnxruntime", "--from", other, "--into", tmp_path / "engines")
    assert result.returncode == 1
    assert "cannot unpack" in result.stderr


def test_without_npm_the_message_says_what_to_do(tmp_path):
    result = phoenix("install", "onnxruntime", "--into", tmp_path / "engines", PATH=str(tmp_path))
    assert result.returncode == 1
    assert "cannot start npm" in result.stderr and "--from" in result.stderr


@pytest.mark.parametrize(("words", "message"), [
    (["install"], "install needs a name"),
    (["install", "onnxruntme"], "did you mean 'onnxruntime'?"),
    (["lst"], "did you mean 'list'?"),
])
def test_wrong_words_are_told(words, message):
    result = phoenix(*words)
    assert result.returncode in (1, 2)
    assert message in result.stderr
