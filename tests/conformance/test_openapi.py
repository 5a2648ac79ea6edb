# SPDX-License-Identifier: Apache-2.0
"""The description of the API: schemathesis holds the server to it, with data it allows and data it does not.

Bounded and seeded, so a run is repeatable; raise EXAMPLES in the environment to look longer.
"""

import os
import re
import shutil
import subprocess
import sys

import jsonschema_rs
import pytest
import requests
from command import ROOT
from models import NAMES, xgboost_model
from rest_models import make_models
from server import Server

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "negative_data_rejection",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server whose models all load: schemathesis takes every 5xx for a finding."""
    arguments, _ = make_models(tmp_path_factory.mktemp("openapi"))
    env = {"AIP_PREDICT_ROUTE": "/v1/endpoints/e/deployedModels/d:predict", "AIP_HEALTH_ROUTE": "/alive"}
    with Server(*[a for a in arguments if not str(a).endswith("broken.json")], env=env) as one:
        yield one


def schemathesis():
    beside = os.path.join(os.path.dirname(sys.executable), "schemathesis")
    found = beside if os.path.exists(beside) else shutil.which("schemathesis")
    if not found:
        pytest.skip("schemathesis is not installed (tests/requirements.txt)")
    return found


@pytest.mark.timeout(300)
def test_the_server_keeps_to_its_description(server, tmp_path):
    command = [schemathesis(), "run", server.url + "/openapi.json", "--seed", "20", "--no-color"]
    command += ["--max-examples", os.environ.get("EXAMPLES", "10")]
    command += ["--phases", "examples,coverage,fuzzing", "--checks", ",".join(CHECKS)]
    command += ["--generation-database", "none"]
    # Refused with 501 and 503 whatever is asked, as Triton does; every 5xx would be a finding.
    command += ["--exclude-path-regex", "/v2/repository/.repository.|/cudasharedmemory/.*/register"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert re.search(r"\d{3,} generated", done.stdout), done.stdout[-2000:]


def test_every_route_is_described_once(server):
    api = requests.get(server.url + "/openapi.json", timeout=60).json()
    table = (ROOT / "src/interfaces/rest/routes.def").read_text()
    routes = re.findall(r'^PX_(?:ROUTE|CONTROL)\((?:\w+, )?(\w+), "([^"]+)"', table, re.M)
    described = [(method.upper(), path) for path, some in api["paths"].items() for method in some]
    routes += [("POST", "/v1/endpoints/e/deployedModels/d:predict"), ("GET", "/alive")]
    assert sorted(routes) == sorted(described)
    ids = [one["operationId"] for some in api["paths"].values() for one in some.values()]
    assert len(ids) == len(set(ids))


def test_every_reference_leads_somewhere(server):
    text = requests.get(server.url + "/openapi.json", timeout=60).text
    api = requests.get(server.url + "/openapi.json", timeout=60).json()
    used = set(re.findall(r'"#/components/(\w+)/(\w+)"', text))
    for kind, name in used:
        assert name in api["components"][kind], f"{kind} {name}"
    for kind, some in api["components"].items():
        assert {(kind, name) for name in some} <= used, f"unused {kind}"


def test_the_page_and_its_files_are_served(server):
    page = requests.get(server.url + "/docs", timeout=60)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    for name in re.findall(r'(?:href|src)="(/[\w.]*)"', page.text):
        assert requests.get(server.url + name, timeout=60).status_code == 200, name


FALLBACKS = [  # path of the document, path, body, schema of the reply
    ("/v2/models/{model}/infer", "/v2/models/forest/infer",
     {"inputs": [{"name": n, "shape": [1, 1], "datatype": "FP32", "data": [1]} for n in NAMES]}, "InferenceResponse"),
    ("/v1/models/{model}:predict", "/v1/models/forest:predict", {"instances": [[1, 2, 3, 4]]}, "Predictions"),
    ("/v1/models/{model}:explain", "/v1/models/forest:explain", {"instances": [[1, 2, 3, 4]]}, "Explanations"),
    ("/v1/models/{model}:classify", "/v1/models/forest:classify", {"examples": [dict.fromkeys(NAMES, 1)]}, "ClassifyResults"),
    ("/v1/models/{model}:regress", "/v1/models/forest:regress", {"examples": [dict.fromkeys(NAMES, 1)]}, "RegressResults"),
    ("/invocations", "/invocations", {"instances": [[1, 2, 3, 4]]}, "InvocationsReply"),
]


@pytest.fixture(scope="module")
def fallen(tmp_path_factory):
    """A server whose only model has a version that cannot be loaded, above one that answers instead."""
    root = tmp_path_factory.mktemp("fallen") / "forest"
    for version, more in (("1", ""), ("2", "fallback: [previous_version]\n")):
        (root / version).mkdir(parents=True)
        xgboost_model(root / version / "model.json")
        (root / version / "model.yaml").write_text(f"phoenix: 1\nname: forest\nmodel: model.json\n{more}")
    (root / "2" / "model.json").write_text("{")
    with Server(root.parent) as one:
        yield one


@pytest.mark.parametrize("path, url, body, schema", FALLBACKS, ids=[row[0] for row in FALLBACKS])
def test_a_reply_that_a_fallback_gave_says_so_and_is_described(fallen, path, url, body, schema):
    api = requests.get(fallen.url + "/openapi.json", timeout=60).json()
    reply = requests.post(fallen.url + url, json=body, timeout=60)
    assert reply.status_code == 200, reply.text
    headers = api["paths"][path]["post"]["responses"]["200"]["headers"]
    assert headers["Phoenix-Fallback"]["$ref"] == "#/components/headers/fallback"
    described = api["components"]["headers"]["fallback"]["schema"]
    assert reply.headers["Phoenix-Fallback"] == 'previous_version; reason=failure; name="forest"; version="1"'
    assert re.match(described["pattern"], reply.headers["Phoenix-Fallback"])
    got = reply.json()
    marks = got["parameters"] if schema == "InferenceResponse" else got
    assert (marks["fallback"], marks["fallback_reason"]) == ("previous_version", "failure")
    assert (marks["fallback_model"], marks["fallback_version"]) == ("forest", "1")
    keeps = jsonschema_rs.validator_for({"$ref": f"#/components/schemas/{schema}", "components": api["components"]})
    assert keeps.is_valid(got), [str(error) for error in keeps.iter_errors(got)]
    marks["fallback"] = "nobody"
    assert not keeps.is_valid(got)
    marks["fallback"] = "default"
    del marks["fallback_reason"]
    assert not keeps.is_valid(got)
