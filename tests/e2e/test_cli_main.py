# SPDX-License-Identifier: Apache-2.0
"""The frame of the command line: help, mistakes, exit status, completion, generated reference."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from command import PHOENIX, ROOT, fail, phoenix, succeed


def verbs():
    text = succeed("help").split("Verbs:\n")[1]
    return re.findall(r"^  ([a-z]+) ", text, re.MULTILINE)


def test_no_words_prints_help_and_is_a_usage_error():
    done = phoenix()
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Usage: phoenix VERB" in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"]])
def test_help_lists_the_verbs(words):
    text = succeed(*words)
    for verb in ("check", "predict", "config", "version", "completion"):
        assert re.search(rf"^  {verb} ", text, re.MULTILINE)


def test_every_verb_explains_itself():
    for verb in verbs():
        text = succeed(verb, "--help")
        assert f"Usage: phoenix {verb} [options]" in text
        assert "-h, --help" in text
        assert succeed("help", verb) == text


def test_an_unknown_verb_names_the_nearest():
    message = fail("pedict", status=2)
    assert "unknown verb 'pedict'" in message
    assert "did you mean 'predict'?" in message


def test_an_unknown_option_names_the_nearest():
    for verb in verbs():
        message = fail(verb, "--hlep", status=2)
        assert "did you mean '--help'?" in message
    assert "did you mean '--input'?" in fail("predict", "m", "--inptu", "x", status=2)


def test_missing_and_surplus_arguments_are_usage_errors():
    assert "missing argument: phoenix check [" not in fail("check", status=2)
    assert "missing argument: phoenix check MODEL" in fail("check", status=2)
    assert "unexpected argument 'b'" in fail("check", "a", "b", status=2)


def test_lost_output_is_a_failure():
    with open("/dev/full", "w") as full:
        done = subprocess.run([PHOENIX, "help"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    done = subprocess.run(["sh", "-c", f"'{PHOENIX}' help >&-"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "writing standard output failed" in done.stderr


def test_version():
    text = succeed("version")
    assert re.search(r"^phoenix +\d+\.\d+\.\d+$", text, re.MULTILINE)
    assert succeed("--version") == text
    about = json.loads(succeed("version", "--json"))
    assert about["version"] in text
    assert about["compiler"] in text
    assert isinstance(about["cpu_features"], list)
    flags = Path("/proc/cpuinfo").read_text().split()
    for needed in ("avx512bw", "avx512dq", "avx512vbmi", "gfni", "popcnt"):  # by the AVX-512 kernels
        assert (needed in about["cpu_features"]) == (needed in flags)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_verb(shell):
    script = succeed("completion", shell)
    for verb in verbs():
        assert verb in script
    assert "by-position" in script


def test_completion_of_bash_completes():
    script = succeed("completion", "bash")
    for words, expected in [(["phoenix", "pre"], "predict"), (["phoenix", "predict", "--inp"], "--input")]:
        line = " ".join(words)
        probe = (
            f"{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _phoenix;"
            ' echo "${COMPREPLY[@]}"'
        )
        done = subprocess.run(["bash", "-c", probe], capture_output=True, text=True)
        assert done.stdout.split() == [expected], done.stderr


def test_completion_of_an_unknown_shell():
    assert "expected bash, zsh or fish" in fail("completion", "tcsh", status=2)


def test_the_reference_of_verbs_is_current():
    current = (ROOT / "docs/api/cli.md").read_text()
    assert current.endswith(succeed("help", "--markdown")), "run: make docs"
