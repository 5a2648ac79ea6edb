# SPDX-License-Identifier: Apache-2.0
"""tools/layers itself: a good tree passes, and each kind of bad line is found, with its place."""
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

GOOD = {
    "main.c": '#include "interfaces/cli/cli.h"\n#include "infrastructure/net/server.h"\n',
    "shared/alloc.c": "void *px_alloc(unsigned long n) { return malloc(n); }\n",
    "shared/err.h": "/* errors */\n",
    "shared/file.h": "",
    "shared/log.h": "",
    "shared/hash.c": "#include <xxhash.h>\n",
    "shared/yaml.c": "#include <yaml.h>\n",
    "domain/inference/tensor.h": "",
    "domain/forest/forest.h": '#include "shared/err.h"\n#include <math.h>\n',
    "domain/forest/tree.h": "",
    "domain/forest/tree.c": '#include "domain/forest/tree.h"\n',
    "domain/training/training.c": '#include "domain/forest/forest.h"\n'
                                  '#include "domain/inference/tensor.h"\n'
                                  '/* free(x), #include "shared/log.h" */\n'
                                  'static const char *text = "malloc(";\n'
                                  "void f(void) { ops->free(1); }\n",
    "application/ports/engine.h": '#include "domain/inference/tensor.h"\n',
    "infrastructure/net/server.h": "#include <sys/epoll.h>\n#include <vendor/thing.h>\n",
    "interfaces/library/model.h": "#include <phoenix/phoenix.h>\n#include <phoenix/tensor.h>\n",
    "library/engines.c": '#include "interfaces/library/model.h"\n#include "infrastructure/net/server.h"\n',
    "interfaces/cli/cli.h": '#include "application/ports/engine.h"\n#include <unistd.h>\n',
}

# (file, its text, the rule it breaks, a part of the message)
BAD = [
    ("shared/a.c", '#include "domain/forest/forest.h"', "edges", "shared may include shared"),
    ("domain/forest/a.c", '#include "application/ports/engine.h"', "edges", "domain may include"),
    ("application/ports/a.c", '#include "infrastructure/net/server.h"', "edges", "application"),
    ("application/ports/a.c", '#include "interfaces/cli/cli.h"', "edges", "application"),
    ("interfaces/cli/a.c", '#include "infrastructure/net/server.h"', "edges", "interfaces"),
    ("infrastructure/net/a.c", '#include "interfaces/cli/cli.h"', "edges", "infrastructure"),
    ("interfaces/cli/a.c", '#include "cli.h"', "edges", "rooted at src/"),
    ("plumbing/a.c", "", "edges", "no layer is called plumbing"),
    ("domain/training/a.c", '#include "domain/forest/tree.h"', "rooms", "domain/forest/forest.h"),
    ("domain/forest/a.c", '#include "shared/log.h"', "purity", "shared/log.h"),
    ("domain/forest/a.c", '#include "shared/file.h"', "purity", "shared/file.h"),
    ("domain/forest/a.c", "#include <pthread.h>", "purity", "<pthread.h>"),
    ("domain/forest/a.c", "#include <time.h>", "purity", "<time.h>"),
    ("domain/forest/a.c", "#include <unistd.h>", "purity", "<unistd.h>"),
    ("domain/forest/a.c", "#include <sys/stat.h>", "purity", "<sys/stat.h>"),
    ("domain/forest/a.c", 'void f(void) { fopen("a", "r"); }', "purity", "fopen"),
    ("domain/forest/a.c", 'void f(void) { printf("a"); }', "purity", "printf"),
    ("domain/forest/a.c", "#include <xgboost/c_api.h>", "third party", "<xgboost/c_api.h>"),
    ("shared/json.c", "#include <yaml.h>", "third party", "<yaml.h>"),
    ("interfaces/cli/a.c", "#include <curl/curl.h>", "third party", "<curl/curl.h>"),
    ("main.c", "#include <curl/curl.h>", "third party", "<curl/curl.h>"),
    ("interfaces/cli/a.c", "#include <phoenix/phoenix.h>", "public", "interfaces/library/"),
    ("main.c", "#include <phoenix/phoenix.h>", "public", "interfaces/library/"),
    ("library/a.c", "#include <phoenix/phoenix.h>", "public", "interfaces/library/"),
    ("application/ports/a.c", "#include <phoenix/tensor.h>", "public", "interfaces/library/ and infrastructure/"),
    ("interfaces/library/a.c", '#include "library/engines.c"', "edges", "interfaces"),
    ("shared/buf.c", "void *f(void) { return malloc(1); }", "memory", "malloc()"),
    ("application/ports/a.c", "void f(void *p) { free (p); }", "memory", "free()"),
    ("interfaces/cli/a.c", "char *f(char *s) { return strdup(s); }", "memory", "strdup()"),
]


def write_tree(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    for folder in [root, *root.rglob("*")]:
        if folder.is_dir():
            (folder / "README.md").write_text("# A folder\n")


def run_layers(root):
    done = subprocess.run([ROOT / "tools" / "layers", root], capture_output=True, text=True,
                          check=False)
    return done.returncode, done.stdout


def test_good_tree_passes(tmp_path):
    write_tree(tmp_path, GOOD)
    status, output = run_layers(tmp_path)
    assert (status, output) == (0, f"layers: {len(GOOD)} files, 0 findings\n")


@pytest.mark.parametrize("name,text,rule,part", BAD, ids=lambda value: str(value)[:40])
def test_bad_line_is_found_with_its_place(tmp_path, name, text, rule, part):
    write_tree(tmp_path, {**GOOD, name: "/* the line below is wrong */\n" + text})
    status, output = run_layers(tmp_path)
    assert status == 1
    findings = output.splitlines()[:-1]
    assert len(findings) == 1, output
    line = 1 if rule == "edges" and not text else 2
    assert f"{name}:{line}: {rule}: " in findings[0]
    assert part in findings[0]


def test_folder_without_page_is_found(tmp_path):
    write_tree(tmp_path, GOOD)
    (tmp_path / "shared" / "README.md").unlink()
    status, output = run_layers(tmp_path)
    assert status == 1
    assert "shared:1: pages: " in output


def test_folder_without_sources_is_an_error(tmp_path):
    write_tree(tmp_path, {})
    status, output = run_layers(tmp_path)
    assert status == 1
    assert "no sources here" in output

