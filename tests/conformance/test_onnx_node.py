# SPDX-License-Identifier: Apache-2.0
"""The backend tests of the ONNX project pass as docs/api/onnx_node_tests.md says."""

import onnx_nodes
import pytest


@pytest.fixture(scope="module")
def results():
    if not onnx_nodes.DATA.exists():
        pytest.skip("no backend tests of ONNX (Debian package libonnx-testdata)")
    if not onnx_nodes.LIBRARY.exists() and not onnx_nodes.os.environ.get("PHOENIX_ONNXRUNTIME"):
        pytest.skip("no ONNX Runtime (tools/fetch-engines fetches it)")
    return onnx_nodes.run_all()


def test_what_passes_is_what_the_page_says(results):
    published = onnx_nodes.PAGE.read_text()
    if f"Runtime {onnx_nodes.version()}," not in published:
        pytest.skip(f"the page is for another version than {onnx_nodes.version()}")
    assert onnx_nodes.page(results) == published, "tests/conformance/onnx_nodes.py --write rewrites the page"


def test_most_of_them_pass(results):
    verdicts = [verdict for tests in results.values() for verdict, _ in tests.values()]
    assert verdicts.count("pass") > 900
    assert verdicts.count("not run") <= 1
