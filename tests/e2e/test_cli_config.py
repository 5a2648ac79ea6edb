# SPDX-License-Identifier: Apache-2.0
"""phoenix config: explain, defaults, check, reference."""

import json

import pytest
from command import ROOT, fail, succeed


def test_explain_one_setting():
    text = succeed("config", "explain", "server.port")
    assert "8080" in text
    assert "0 to 65535" in text
    about = json.loads(succeed("config", "explain", "server.port", "--json"))
    assert about[0]["name"] == "server.port"
    assert about[0]["max"] == 65535


def test_explain_all_settings():
    names = [key["name"] for key in json.loads(succeed("config", "explain", "--json"))]
    assert "server.host" in names and "log.level" in names
    text = succeed("config", "explain")
    assert all(name in text for name in names)


def test_explain_an_unknown_setting_names_the_nearest():
    message = fail("config", "explain", "server.prot")
    assert "unknown setting 'server.prot'" in message
    assert "did you mean 'server.port'?" in message


def test_the_defaults_are_a_valid_file(tmp_path):
    path = tmp_path / "phoenix.yaml"
    path.write_text(succeed("config", "defaults"))
    assert "ok" in succeed("config", "check", path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("server:\n  port: 99999\n", "line 2: server.port must be from 0 to 65535"),
        ("server:\n  prot: 1\n", "did you mean 'server.port'?"),
        ("log:\n  level: loud\n", "one of debug|info|warn|error"),
        ("server: [1\n", "line"),
        ("server:\n  port: 1\n  port: 2\n", "port"),
        ("a: &x 1\nb: *x\n", "line 1"),
        ("\x00\x01", "phoenix.yaml"),
        ("- 1\n", "phoenix.yaml"),
    ],
)
def test_a_wrong_file_says_where(tmp_path, text, expected):
    path = tmp_path / "phoenix.yaml"
    path.write_text(text)
    message = fail("config", "check", path)
    assert expected in message
    assert str(path) in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("server:\n  cors_origins: '*'\n  cors_credentials: true\n", "server.cors_credentials"),
        ("server:\n  cors_origins: https://*.example.com\n", "server.cors_origins"),
        ("server:\n  listen: 127.0.0.1\n", "expected a host and a port"),
        ("server:\n  listen: https://127.0.0.1:0\n", "certificate"),
        ("tls:\n  certificate_file: /nowhere/a.pem\n  key_file: /nowhere/a.key\n", "/nowhere/a.pem"),
        ("tls:\n  clients: required\n", "no endpoint speaks https"),
        ("vertex:\n  predict_route: x\n", "vertex.predict_route"),
        ("vertex:\n  predict_route: /a\n  health_route: /a\n", "vertex.health_route"),
        ("vertex:\n  predict_route: /a/../b\n", "vertex.predict_route"),
        ("vertex:\n  predict_route: /a//b\n", "vertex.predict_route"),
        ("vertex:\n  health_route: //\n", "vertex.health_route"),
        (f"vertex:\n  predict_route: /{'a' * 1000}\nserver:\n  header_bytes_max: 1024\n", "server.header_bytes_max"),
        ("serving:\n  version_labels: '::::'\n", "serving.version_labels"),
        ("serving:\n  version_labels: bank:x=1, bank:y=1, bank:x=2\n", "bank:x is there twice"),
        ("serving:\n  version_labels: bank:x=-1\n", "got '-1'"),
        ("server:\n  cors_headers: 'a b, X-Foo'\n", "got 'a b'"),
        ("server:\n  cors_headers: 'X-Foo: evil'\n", "server.cors_headers"),
        ("server:\n  cors_headers: 'A,,B'\n", "server.cors_headers"),
        ("server:\n  host: no-such-host.invalid\n", "no-such-host.invalid"),
        ("server:\n  listen: 0.0.0.0:9140, 127.0.0.1:9140\n", "port 9140"),
        ("server:\n  listen: '[::]:9140, 127.0.0.1:9140'\n", "port 9140"),
        ("server:\n  listen: localhost:9140, 127.0.0.1:9140\n", "port 9140"),
        ("server:\n  listen: unix:/nowhere/a.sock\n", "no folder /nowhere"),
        ("server:\n  listen: unix:/tmp/a.sock, unix:/tmp/../tmp/a.sock\n", "both are one file"),
        ("server:\n  listen: unix:/dev/null\n", "no socket"),
        ("trace:\n  file: /nowhere/trace.json\n", "no folder /nowhere"),
        ("trace:\n  file: /tmp\n", "/tmp is a folder"),
    ],
)
def test_check_refuses_what_serve_refuses(tmp_path, text, expected):
    path = tmp_path / "phoenix.yaml"
    path.write_text(text)
    assert expected in fail("config", "check", path)
    # before any model is looked for
    assert expected in fail("serve", "/nowhere/model.json", "--config", path)


@pytest.mark.parametrize(
    "text",
    [
        "server:\n  listen: 127.0.0.1:9140, 127.0.0.2:9140, 127.0.0.1:0, 0.0.0.0:0, unix:/tmp/phoenix-a.sock\n",
        "serving:\n  version_labels: bank:x=1, bank:y=1, plain:x=v2,\n",
        "vertex:\n  predict_route: /a/b/\n  health_route: /\n",
        "trace:\n  file: trace.json\n",
    ],
)
def test_check_takes_what_serve_takes(tmp_path, text):
    path = tmp_path / "phoenix.yaml"
    path.write_text(text)
    assert "ok" in succeed("config", "check", path)
    assert "/nowhere/model.json" in fail("serve", "/nowhere/model.json", "--config", path), "no setting"


def test_check_of_an_absent_file():
    assert "/nowhere/phoenix.yaml" in fail("config", "check", "/nowhere/phoenix.yaml")


def test_an_unknown_action_names_the_nearest():
    assert "did you mean 'explain'?" in fail("config", "expalin", status=2)
    assert "check needs a file" in fail("config", "check", status=2)


def test_the_reference_of_settings_is_current():
    current = (ROOT / "docs/api/configuration.md").read_text()
    assert current.endswith(succeed("config", "reference")), "run: make docs"
