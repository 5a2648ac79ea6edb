# SPDX-License-Identifier: Apache-2.0
"""One server with every model of the REST tests, shared by a run."""

import pytest
from rest_models import make_models
from server import Server


@pytest.fixture(scope="session")
def rest(tmp_path_factory):
    """(server, boosters by model name)"""
    arguments, boosters = make_models(tmp_path_factory.mktemp("models"))
    with Server(*arguments) as server:
        yield server, boosters
