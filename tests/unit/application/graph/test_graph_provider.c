/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs as packages: the examples, and files that are not what they should be. */
#include "application/graph/graph_engine.h"
#include "application/graph/graph_provider.h"
#include "application/graph/graph_run.h"
#include "application/graph/graph_tree.h"
#include "application/lifecycle/tensor_engine.h"
#include "harness.h"
#include "shared/file.h"
#include "waited_run.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXAMPLES PX_TEST_DATA "/../../examples/graphs"

enum { ROWS = 64 };

static const struct px_engine_provider *const providers[] = {&px_graph_provider};
static const struct px_engines engines = {providers, 1};
static const struct px_package_options options = {.engines = &engines};
static struct px_err err;

static float rows[ROWS][3];

static void make_rows(void)
{
    for (size_t i = 0; i < ROWS; i++) {
        rows[i][0] = 3.5F * (float)((i * 37) % 101);
        rows[i][1] = (float)(i % 24);
        rows[i][2] = (float)((i * 53) % 900);
    }
}

/* Runs `n` rows from the `first` on; `ret` gets the scores. */
static void score(struct px_engine *engine, const char *output, size_t first, size_t n, float *ret)
{
    static float moments[ROWS][2];
    struct waited_run wait;
    struct px_tensor inputs[] = {
        {.name = engine->takes.list[0].name, .type = PX_TYPE_FP32, .shape = {n, 3}, .n_dims = 2},
        {.name = px_str("moment"), .type = PX_TYPE_FP32, .shape = {n, 2}, .n_dims = 2}};
    struct px_tensor result = {.name = px_str(output)};
    for (size_t i = 0; i < n; i++)
        memcpy(moments[i], rows[first + i], sizeof moments[i]);
    inputs[0].bytes = px_str_n((const char *)rows[first], n * sizeof rows[0]);
    inputs[1].bytes = px_str_n((const char *)moments, n * sizeof moments[0]);
    bool is_late = true;
    while (
        is_late) { /* a busy machine may take longer than a step's timeout, and gets the fallback's answer */
        waited_run_init(&wait);
        wait.run.inputs = inputs;
        wait.run.n_inputs = px_tensor_specs_find(&engine->takes, inputs[1].name) ? 2 : 1;
        wait.run.outputs = &result;
        wait.run.n_outputs = 1;
        CHECK_OK(px_engine_check_run(engine, &wait.run, &err));
        px_engine_start(engine, &wait.run);
        CHECK_OK(waited_run_wait(&wait));
        CHECK_INT(result.bytes.len, n * sizeof *ret);
        memcpy(ret, result.bytes.ptr, n * sizeof *ret);
        is_late = wait.run.degraded.len > 0;
        waited_run_deinit(&wait);
    }
}

static struct px_package *open_package(const char *path)
{
    struct px_package *package = NULL;
    enum px_code code = px_package_open(path, &options, &package, &err);
    if (code != PX_OK)
        fprintf(stderr, "%s\n", err.message);
    CHECK_OK(code);
    return package;
}

/* Scores of one model of the example. */
static void score_model(const char *path, float *ret)
{
    struct px_package *package = open_package(path);
    struct px_engine *engine;
    CHECK_OK(px_package_tensor_engine(package, &engine, &err));
    score(engine, "predictions", 0, ROWS, ret);
    px_package_close(package);
}

PX_TEST(the_cascade_scores_as_its_models_do_row_by_row)
{
    float quick[ROWS], deep[ROWS], batch[ROWS], alone;
    size_t n_deep = 0;
    make_rows();
    score_model(EXAMPLES "/fraud/models/quick.json", quick);
    score_model(EXAMPLES "/fraud/models/deep.json", deep);
    struct px_package *package = open_package(EXAMPLES "/fraud/graph.yaml");
    CHECK(px_engine_has(package->engine, PX_ENGINE_BATCHES));
    score(package->engine, "score", 0, ROWS, batch);
    for (size_t i = 0; i < ROWS; i++) {
        bool chosen = (double)quick[i] >= 0.2 && (double)quick[i] <= 0.8;
        n_deep += chosen;
        CHECK_DOUBLE(batch[i], chosen ? deep[i] : quick[i]);
        score(package->engine, "score", i, 1, &alone);
        CHECK_DOUBLE(alone, batch[i]);
    }
    CHECK(n_deep > 0 && n_deep < ROWS);
    px_package_close(package);
}

PX_TEST(stacking_feeds_the_scores_to_the_meta_model)
{
    float first[ROWS], mean[ROWS], meta[ROWS];
    make_rows();
    score_model(EXAMPLES "/stacking/models/first.json", first);
    struct px_package *package = open_package(EXAMPLES "/stacking/graph.yaml");
    score(package->engine, "mean", 0, ROWS, mean);
    score(package->engine, "score", 0, ROWS, meta);
    for (size_t i = 0; i < ROWS; i++) {
        CHECK(mean[i] > 0 && mean[i] < 1 && meta[i] > 0 && meta[i] < 1);
        CHECK((double)mean[i] >= (double)first[i] * 2 / 3); /* its weight is 2 of 3 */
    }
    px_package_close(package);
}

/* Texts one behind the other, each with its length. */
static size_t put_texts(const char *const *texts, size_t n, char *out)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t len = (uint32_t)strlen(texts[i]);
        memcpy(out + at, &len, sizeof len);
        memcpy(out + at + sizeof len, texts[i], len);
        at += sizeof len + len;
    }
    return at;
}

PX_TEST(texts_go_through_their_pipeline_as_in_python)
{
    /* scikit-learn's TfidfVectorizer and xgboost.Booster.predict; the empty text takes the exit */
    static const char *const texts[] = {"Claim your FREE prize now", "",
                                        "Lunch meeting tomorrow, thanks", "please call me later"};
    static const float want[] = {0.9512974F, 0, 0.03864112F, 0.14539486F};
    char bytes[256];
    float got[4];
    struct px_package *package = open_package(EXAMPLES "/text/graph.yaml");
    struct px_tensor input = {.name = px_str("text"),
                              .type = PX_TYPE_BYTES,
                              .shape = {4},
                              .n_dims = 1,
                              .bytes = px_str_n(bytes, put_texts(texts, 4, bytes))};
    struct px_tensor result = {.name = px_str("score")};
    struct waited_run wait;
    waited_run_init(&wait);
    wait.run.inputs = &input;
    wait.run.outputs = &result;
    wait.run.n_inputs = wait.run.n_outputs = 1;
    px_engine_start(package->engine, &wait.run);
    CHECK_OK(waited_run_wait(&wait));
    CHECK_INT(result.bytes.len, sizeof got);
    memcpy(got, result.bytes.ptr, sizeof got);
    for (size_t i = 0; i < 4; i++)
        CHECK_NEAR(got[i], want[i], 1e-6);
    waited_run_deinit(&wait);
    px_package_close(package);
}

/* ---- files of strangers ---- */

#define GRAPH_OF(path)                                                                             \
    "phoenix_graph: 1\ninputs: [{name: payment, type: FP32, shape: [-1, 3]}]\n"                    \
    "outputs: [{name: score, from: m}]\nsteps:\n"                                                  \
    "  - {name: m, model: " path ", inputs: payment, outputs: {score: predictions}}\n"

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static const char *in_inner(const char *name)
{
    static char path[192];
    snprintf(path, sizeof path, "%s/inner/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    CHECK_OK(px_file_write(in_folder(name), px_str(text), &err));
}

static void make_folder(void)
{
    struct px_file file = {0};
    snprintf(folder, sizeof folder, "/tmp/px-graph-XXXXXX");
    CHECK(mkdtemp(folder));
    CHECK_OK(px_file_load(&file, EXAMPLES "/fraud/models/quick.json", 1 << 20, &err));
    CHECK_OK(px_file_write(in_folder("m.json"), file.bytes, &err));
    px_file_unload(&file);
}

static void remove_folder(void)
{
    static const char *const names[] = {"m.json", "graph.yaml", "outer.yaml", "model.yaml", "link"};
    for (size_t i = 0; i < PX_ARRAY_LEN(names); i++)
        unlink(in_folder(names[i]));
    rmdir(folder);
}

static void check_refused(const char *yaml, enum px_code want, const char *message)
{
    struct px_package *package = NULL;
    write_file("graph.yaml", yaml);
    CHECK_INT(px_package_open(in_folder("graph.yaml"), &options, &package, &err), want);
    CHECK_CONTAINS(err.message, message);
}

PX_TEST(paths_do_not_leave_the_folder)
{
    make_folder();
    check_refused(GRAPH_OF("../m.json"), PX_E_INVALID, "inside the folder");
    check_refused(GRAPH_OF("/etc/passwd"), PX_E_INVALID, "inside the folder");
    check_refused(GRAPH_OF("gone.json"), PX_E_NOT_FOUND, "step 'm'");
    CHECK(symlink("/etc/passwd", in_folder("link")) == 0);
    check_refused(GRAPH_OF("link"), PX_E_INVALID, "outside the folder");
    remove_folder();
}

#define HEAD                                                                                       \
    "phoenix_graph: 1\ninputs: [{name: payment, type: FP32, shape: [-1, 3]}]\n"                    \
    "outputs: [{name: score, from: m}]\nsteps:\n"

PX_TEST(a_graph_inside_itself_is_a_circle)
{
    make_folder();
    check_refused(HEAD "  - {name: m, model: graph.yaml, inputs: payment}\n", PX_E_INVALID,
                  "/graph.yaml: graphs in a circle: graph.yaml -> graph.yaml");
    CHECK_CONTAINS(err.hint, "a step of itself");
    write_file("outer.yaml", HEAD "  - {name: m, model: ./graph.yaml, inputs: payment}\n");
    check_refused(HEAD "  - {name: m, model: outer.yaml, inputs: payment}\n", PX_E_INVALID,
                  "/graph.yaml: graphs in a circle: graph.yaml -> outer.yaml -> graph.yaml");
    remove_folder();
}

static const struct px_engine *engine_of_step(const struct px_engine *engine, size_t step)
{
    return ((const struct px_graph_engine *)(const void *)engine)->parts[step].model.engine;
}

PX_TEST(a_file_is_opened_once_however_its_path_is_spelt)
{
    float inner[ROWS], outer[ROWS];
    make_folder();
    make_rows();
    score_model(in_folder("m.json"), inner);
    CHECK(symlink("m.json", in_folder("link")) == 0);
    write_file("outer.yaml", GRAPH_OF(".//m.json"));
    write_file("graph.yaml",
               "phoenix_graph: 1\ninputs: [{name: payment, type: FP32, shape: [-1, 3]}]\n"
               "outputs: [{name: score, from: all}]\nsteps:\n"
               "  - {name: a, model: m.json, inputs: payment, outputs: {score: predictions}}\n"
               "  - {name: b, model: ./link, inputs: payment, outputs: {score: predictions}}\n"
               "  - {name: c, model: outer.yaml, inputs: payment}\n"
               "  - {name: d, model: ./outer.yaml, inputs: payment}\n"
               "  - {name: all, combine: mean, inputs: [a, b, c, d]}\n");
    struct px_package *package = open_package(in_folder("graph.yaml"));
    const struct px_engine *m = engine_of_step(package->engine, 0);
    const struct px_engine *c = engine_of_step(package->engine, 2);
    CHECK(engine_of_step(package->engine, 1) == m);
    CHECK(engine_of_step(package->engine, 3) == c);
    CHECK(engine_of_step(c, 0) == m);
    score(package->engine, "score", 0, ROWS, outer);
    CHECK(memcmp(inner, outer, sizeof inner) == 0);
    px_package_close(package);
    remove_folder();
}

enum { LEVELS = 6, STEPS = 8 };

/* Graph `level` names the next one eight times, each time spelt in another way; the last has the model. */
static void write_level(unsigned level)
{
    char name[16];
    struct px_buf yaml = px_buf(1 << 16);
    px_buf_text(&yaml, "phoenix_graph: 1\ninputs: [{name: payment, type: FP32, shape: [-1, 3]}]\n"
                       "outputs: [{name: predictions, from: all}]\nsteps:\n"
                       "  - {name: all, combine: mean, inputs: [");
    for (unsigned i = 0; i < STEPS; i++)
        px_buf_printf(&yaml, "%ss%u.predictions", i ? ", " : "", i);
    px_buf_text(&yaml, "]}\n");
    for (unsigned i = 0; i < STEPS; i++) {
        px_buf_printf(&yaml, "  - {name: s%u, inputs: payment, model: ", i);
        for (unsigned k = 0; k < i; k++)
            px_buf_text(&yaml, "./");
        if (level + 1 < LEVELS)
            px_buf_printf(&yaml, "l%u.yaml}\n", level + 1);
        else
            px_buf_text(&yaml, "m.json}\n");
    }
    snprintf(name, sizeof name, "l%u.yaml", level);
    px_buf_byte(&yaml, '\0');
    write_file(name, yaml.ptr);
    px_buf_deinit(&yaml);
}

PX_TEST(graphs_that_multiply_are_refused_before_they_do)
{
    struct px_package *package = NULL;
    float inner[ROWS], outer[ROWS];
    make_folder();
    make_rows();
    score_model(in_folder("m.json"), inner);
    for (unsigned level = 0; level < LEVELS; level++)
        write_level(level);
    CHECK_INT(px_package_open(in_folder("l0.yaml"), &options, &package, &err), PX_E_TOO_LARGE);
    CHECK_CONTAINS(err.message,
                   "/l0.yaml: graph l2.yaml: the graphs inside it come to more than 4096 steps");
    package = open_package(in_folder("l3.yaml"));
    score(package->engine, "predictions", 0, ROWS, outer);
    CHECK(memcmp(inner, outer, sizeof inner) == 0);
    px_package_close(package);
    for (unsigned level = 0; level < LEVELS; level++) {
        char name[16];
        snprintf(name, sizeof name, "l%u.yaml", level);
        unlink(in_folder(name));
    }
    remove_folder();
}

PX_TEST(a_graph_is_a_package_and_a_step_of_another)
{
    float inner[ROWS], outer[ROWS];
    make_folder();
    make_rows();
    write_file("graph.yaml", GRAPH_OF("m.json"));
    write_file("outer.yaml",
               "phoenix_graph: 1\ninputs: [{name: payment, type: FP32, shape: [-1, 3]}]\n"
               "outputs: [{name: score, from: twice}]\nsteps:\n"
               "  - {name: g, model: graph.yaml, inputs: payment}\n"
               "  - {name: twice, combine: mean, inputs: [g, g]}\n");
    write_file("model.yaml", "phoenix: 1\nname: payments\nengine: graph\nmodel: graph.yaml\n");
    struct px_package *package = open_package(folder);
    CHECK_STR(package->name, "payments");
    CHECK(px_graph_of_engine(package->engine) != NULL);
    score(package->engine, "score", 0, ROWS, inner);
    px_package_close(package);
    package = open_package(in_folder("outer.yaml"));
    score(package->engine, "score", 0, ROWS, outer);
    CHECK(memcmp(inner, outer, sizeof inner) == 0);
    px_package_close(package);
    write_file("model.yaml", "phoenix: 1\nengine: {name: graph, threads: 2}\nmodel: graph.yaml\n");
    package = NULL;
    CHECK_INT(px_package_open(folder, &options, &package, &err), PX_E_UNKNOWN_OPTION);
    CHECK_CONTAINS(err.message, "unknown key 'threads'");
    remove_folder();
}

/* The file of the step is a package of its own: the folder "step". */
static void write_step(const char *settings)
{
    struct px_file file = {0};
    char yaml[512];
    CHECK(mkdir(in_folder("step"), 0755) == 0 || errno == EEXIST);
    CHECK_OK(px_file_load(&file, in_folder("m.json"), 1 << 20, &err));
    CHECK_OK(px_file_write(in_folder("step/m.json"), file.bytes, &err));
    px_file_unload(&file);
    snprintf(yaml, sizeof yaml, "phoenix: 1\nmodel: m.json\n%s", settings);
    write_file("step/model.yaml", yaml);
}

PX_TEST(what_only_clients_get_is_refused_of_a_step)
{
    static const char *const settings[][2] = {
        {"cache: true\n", "line 3: 'cache' is for models that clients ask"},
        {"fallback: [previous_version]\n", "line 3: 'fallback'"},
        {"residency: pinned\n", "line 3: 'residency'"},
    };
    struct px_package *package = NULL;
    make_folder();
    for (size_t i = 0; i < PX_ARRAY_LEN(settings); i++) {
        write_step(settings[i][0]);
        check_refused(GRAPH_OF("step"), PX_E_CONFLICT, settings[i][1]);
        CHECK_CONTAINS(err.message, "step/model.yaml");
        CHECK_CONTAINS(err.hint, "a model.yaml beside graph.yaml");
        package = open_package(in_folder("step")); /* by itself it is right */
        px_package_close(package);
    }
    write_step("cache: false\nresidency: on_demand\n");
    package = open_package(in_folder("graph.yaml"));
    px_package_close(package);
    unlink(in_folder("step/m.json"));
    unlink(in_folder("step/model.yaml"));
    rmdir(in_folder("step"));
    remove_folder();
}

PX_TEST(settings_of_a_graph_are_in_a_model_yaml_beside_it)
{
    make_folder();
    write_file("graph.yaml", GRAPH_OF("m.json"));
    write_file("model.yaml", "phoenix: 1\nmodel: graph.yaml\ncache: {ttl: 60s}\nlimits: auto\n"
                             "breaker: on\nfallback: [previous_version]\nwarm_up: 2\n");
    struct px_package *package = open_package(folder);
    CHECK(package->cache.is_on && package->limits.is_on && package->breaker.is_on);
    CHECK_INT(package->fallback.n_rungs, 1);
    CHECK_INT(package->warm_up.runs, 2);
    px_package_close(package);
    unlink(in_folder("model.yaml"));
    check_refused("cache: true\n" GRAPH_OF("m.json"), PX_E_UNKNOWN_OPTION, "unknown key 'cache'");
    CHECK_CONTAINS(err.hint, "a model.yaml beside it takes 'cache'");
    remove_folder();
}

PX_TEST(a_folder_with_nothing_but_a_graph_is_a_package)
{
    struct px_model_name name;
    struct px_package *package = open_package(EXAMPLES "/fraud/");
    CHECK_STR(package->name, "fraud");
    CHECK(px_graph_of_engine(package->engine) != NULL);
    px_package_close(package);
    CHECK_OK(px_package_name(EXAMPLES "/fraud", &name, &err));
    CHECK_STR(px_str(name.text), "fraud");
    make_folder();
    CHECK_INT(px_package_open(folder, &options, &package, &err), PX_E_NOT_FOUND);
    CHECK_CONTAINS(err.message, "no model.yaml and no graph.yaml");
    remove_folder();
}

static void check_name(const char *file, const char *want)
{
    struct px_model_name name;
    CHECK_OK(px_package_name(in_folder(file), &name, &err));
    CHECK_STR(px_str(name.text), want);
    struct px_package *package = open_package(in_folder(file));
    CHECK_STR(package->name, want);
    px_package_close(package);
}

PX_TEST(a_graph_is_called_what_it_calls_itself)
{
    make_folder();
    const char *own = strrchr(folder, '/') + 1;
    write_file("graph.yaml", GRAPH_OF("m.json") "name: fraud\n");
    check_name("graph.yaml", "fraud");
    check_name("", "fraud");
    write_file("graph.yaml", GRAPH_OF("m.json") "name: 'card fraud'\n");
    check_name("graph.yaml", "card_fraud");
    write_file("graph.yaml", GRAPH_OF("m.json"));
    check_name("graph.yaml", own);
    check_name("", own);
    write_file("outer.yaml", GRAPH_OF("m.json"));
    check_name("outer.yaml", "outer");
    write_file("outer.yaml", "name: second\n" GRAPH_OF("m.json"));
    check_name("outer.yaml", "second");
    remove_folder();
}

PX_TEST(a_graph_yaml_is_a_graph_whatever_it_begins_with)
{
    make_folder();
    write_file(
        "graph.yaml",
        "{\"name\": \"j\", \"inputs\": [{\"name\": \"payment\", \"type\": \"FP32\","
        "\"shape\": [-1, 3]}], \"outputs\": [{\"name\": \"s\", \"from\": \"m.predictions\"}],\n"
        "\"steps\": [{\"name\": \"m\", \"model\": \"m.json\", \"inputs\": \"payment\"}],\n"
        "\"phoenix_graph\": 1}");
    check_name("graph.yaml", "j");
    check_refused("inputs: []\n", PX_E_INVALID,
                  "the key 'phoenix_graph' (layout version) is missing");
    remove_folder();
}

PX_TEST(a_step_may_name_the_folder_of_a_graph)
{
    float inner[ROWS], outer[ROWS];
    make_folder();
    make_rows();
    score_model(in_folder("m.json"), inner);
    CHECK(mkdir(in_folder("inner"), 0700) == 0);
    write_file("inner/graph.yaml", GRAPH_OF("m.json"));
    CHECK(link(in_folder("m.json"), in_inner("m.json")) == 0);
    write_file("graph.yaml",
               "phoenix_graph: 1\ninputs: [{name: payment, type: FP32, shape: [-1, 3]}]\n"
               "outputs: [{name: score, from: m}]\nsteps:\n"
               "  - {name: m, model: inner, inputs: payment}\n");
    struct px_package *package = open_package(folder);
    score(package->engine, "score", 0, ROWS, outer);
    CHECK(memcmp(inner, outer, sizeof inner) == 0);
    px_package_close(package);
    CHECK(unlink(in_inner("m.json")) == 0 && unlink(in_inner("graph.yaml")) == 0);
    CHECK(rmdir(in_folder("inner")) == 0);
    remove_folder();
}

PX_TEST_MAIN(
    T(the_cascade_scores_as_its_models_do_row_by_row) T(stacking_feeds_the_scores_to_the_meta_model)
        T(texts_go_through_their_pipeline_as_in_python) T(paths_do_not_leave_the_folder)
            T(a_graph_inside_itself_is_a_circle) T(a_file_is_opened_once_however_its_path_is_spelt)
                T(graphs_that_multiply_are_refused_before_they_do)
                    T(a_graph_is_a_package_and_a_step_of_another)
                        T(what_only_clients_get_is_refused_of_a_step)
                            T(settings_of_a_graph_are_in_a_model_yaml_beside_it)
                                T(a_folder_with_nothing_but_a_graph_is_a_package)
                                    T(a_graph_is_called_what_it_calls_itself)
                                        T(a_graph_yaml_is_a_graph_whatever_it_begins_with)
                                            T(a_step_may_name_the_folder_of_a_graph))
