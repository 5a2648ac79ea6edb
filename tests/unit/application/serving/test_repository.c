/* SPDX-License-Identifier: Apache-2.0 */
/* The repository: what a load and an unload change, what the index says, what is refused. */
#include "application/serving/repository_impl.h"
#include "manual_loops.h"
#include "shared/alloc.h"
#include "shared/clock.h"
#include "shared/file.h"
#include "tiny_model.h"

#include "harness.h"

#include <ftw.h>
#include <unistd.h>

enum { REPLY_MAX = 4096 };

static char root[64];
static struct px_serving *serving;
static struct manual_loops loops;
static bool is_done;
static size_t n_answers;
static enum px_code code;
static struct px_err err;
static char listing[REPLY_MAX]; /* "name/version STATE reason\n"... */

static const char *at(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void put(const char *folder, const char *file, const char *text)
{
    char path[256];
    CHECK_OK(px_file_mkdirs(at(folder), NULL));
    snprintf(path, sizeof path, "%s/%s/%s", root, folder, file);
    CHECK_OK(px_file_write(path, px_str(text), NULL));
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void drop(const char *folder)
{
    nftw(at(folder), remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void set_up(bool may_load)
{
    const struct px_serving_limits limits = {
        .request_rows_max = 100, .batch_rows_max = 16, .wave_bytes_max = 1 << 26};
    snprintf(root, sizeof root, "/tmp/px-repository-XXXXXX");
    CHECK(mkdtemp(root) != NULL);
    put("repo/a/1", "model.txt", tiny_model);
    put("repo/b/1", "model.txt", tiny_model);
    CHECK_OK(px_serving_create(2, &limits, &serving, NULL));
    CHECK_OK(px_serving_add(serving, at("repo"), NULL));
    manual_loops_init(&loops, 2);
    CHECK_OK(px_serving_manage(serving, &loops.port, may_load, NULL));
    px_repository_of(serving)->patience_ns = PX_NS_PER_MS; /* the loops run only now and then */
}

static void tear_down(void)
{
    manual_loops_stop(&loops, 0);
    manual_loops_stop(&loops, 1);
    px_serving_unmanage(serving);
    px_serving_destroy(serving);
    drop(".");
}

static void keep_answer(struct px_repository_request *request)
{
    is_done = true;
    n_answers++;
    code = request->code;
    err = request->err;
    size_t n = 0;
    listing[0] = '\0';
    for (size_t i = 0; i < request->n_entries; i++) {
        const struct px_repository_entry *e = &request->entries[i];
        n += (size_t)snprintf(listing + n, sizeof listing - n, "%.*s/%.*s %s %.*s\n",
                              PX_STR_ARG(e->name), PX_STR_ARG(e->version), e->state,
                              PX_STR_ARG(e->reason));
        CHECK(n < sizeof listing);
    }
}

static struct px_repository_request *make(enum px_repository_action action, const char *name)
{
    struct px_repository_request *request = px_repository_request_create(action);
    request->name = px_str(name);
    request->done = keep_answer;
    return request;
}

/* Submits and runs both loops until the answer is there; the code of the answer or of the refusal. */
static enum px_code submit(struct px_repository_request *request)
{
    is_done = false;
    code = px_repository_submit(serving, request, &err);
    while (code == PX_OK && !is_done) {
        manual_loops_run(&loops, 1);
        manual_loops_run(&loops, 0);
        usleep(100);
    }
    return code;
}

static enum px_code load(const char *name)
{
    return submit(make(PX_REPOSITORY_LOAD, name));
}

static enum px_code unload(const char *name)
{
    return submit(make(PX_REPOSITORY_UNLOAD, name));
}

static const char *index_text(void)
{
    CHECK_OK(submit(make(PX_REPOSITORY_INDEX, "")));
    return listing;
}

static enum px_code add(struct px_repository_request *request, const char *key, const char *text)
{
    const struct px_repository_value value = {.type = PX_REPOSITORY_BYTES, .text = px_str(text)};
    const struct px_repository_value config = {.type = PX_REPOSITORY_TEXT, .text = px_str(text)};
    return px_repository_add_parameter(request, px_str(key),
                                       strcmp(key, "config") == 0 ? &config : &value, &err);
}

static struct px_model *find(const char *name, const char *version)
{
    return px_serving_find(serving, px_str(name), px_str(version), NULL);
}

PX_TEST(unloaded_models_are_unknown_until_they_are_loaded_again)
{
    set_up(true);
    CHECK(find("a", "") != NULL);
    CHECK_OK(unload("a"));
    CHECK(find("a", "") == NULL);
    CHECK(find("b", "") != NULL);
    CHECK_CONTAINS(index_text(), "b/1 READY \n");
    CHECK_OK(unload("a")); /* the same again changes nothing */
    CHECK_OK(load("a"));
    CHECK(find("a", "") != NULL);
    tear_down();
}

static const char *why_absent(const char *name)
{
    static struct px_err why;
    CHECK(px_serving_find(serving, px_str(name), px_str(""), &why) == NULL);
    CHECK_INT(why.code, PX_E_NOT_FOUND);
    static char line[PX_ERR_MESSAGE_MAX + PX_ERR_HINT_MAX + 8];
    return px_err_text(&why, line, sizeof line);
}

PX_TEST(a_request_for_an_unloaded_model_is_told_how_it_comes_back)
{
    set_up(true);
    CHECK_OK(unload("a"));
    CHECK_CONTAINS(why_absent("a"), "model 'a' was unloaded by a client");
    CHECK_CONTAINS(why_absent("a"), "POST /v2/repository/models/a/load");
    CHECK_CONTAINS(why_absent("aa"), "unknown model 'aa'");
    CHECK_CONTAINS(why_absent(""), "unknown model ''");
    CHECK_OK(unload("a"));
    CHECK_OK(unload("b"));
    CHECK_CONTAINS(why_absent("a"), "was unloaded");
    CHECK_CONTAINS(why_absent("b"), "was unloaded");
    CHECK_OK(load("a"));
    CHECK(find("a", "") != NULL);
    CHECK_CONTAINS(why_absent("b"), "was unloaded");
    struct px_repository_request *own = make(PX_REPOSITORY_UNLOAD, "a"); /* its folder is gone */
    own->is_own = true;
    CHECK_OK(submit(own));
    CHECK_CONTAINS(why_absent("a"), "unknown model 'a'");
    tear_down();
}

PX_TEST(an_unload_without_memory_changes_nothing)
{
    bool is_out = false;
    set_up(true);
    CHECK_OK(unload("b"));
    manual_loops_stop(&loops, 0);
    manual_loops_stop(&loops, 1);
    for (uint64_t n = 1; !is_out; n++) {
        struct px_repository_request *request = make(PX_REPOSITORY_UNLOAD, "a");
        request->serving = serving;
        CHECK(n < 100);
        px_alloc_fail_at(n);
        px_repository_unload(px_repository_of(serving), request);
        px_alloc_fail_at(0);
        is_out = find("a", "") == NULL;
        CHECK_CONTAINS(why_absent(is_out ? "a" : "b"), "was unloaded");
    }
    tear_down();
}

PX_TEST(an_unloaded_model_is_listed_with_its_state)
{
    set_up(true);
    CHECK_OK(unload("a"));
    CHECK_CONTAINS(index_text(), "a/1 UNAVAILABLE unloaded\n");
    tear_down();
}

PX_TEST(a_load_finds_new_models_and_versions_and_drops_those_that_are_gone)
{
    set_up(true);
    put("repo/new/7", "m.txt", tiny_model);
    put("repo/a/2", "m.txt", tiny_model);
    CHECK_CONTAINS(index_text(), "new/7 UNAVAILABLE unloaded\n");
    CHECK_OK(load("new"));
    CHECK(find("new", "7") != NULL);
    drop("repo/a/1");
    CHECK_OK(load("a"));
    CHECK(find("a", "2") != NULL && find("a", "1") == NULL);
    tear_down();
}

PX_TEST(a_failed_load_leaves_the_old_version_serving_and_tells_why)
{
    set_up(true);
    const struct px_model *before = find("a", "1");
    put("repo/a/1", "model.txt", "this is no model");
    CHECK_INT(load("a"), PX_E_CORRUPT);
    CHECK_CONTAINS(err.message, "load model 'a' version 1");
    CHECK(find("a", "1") == before);
    CHECK_CONTAINS(index_text(), "a/1 READY ");
    CHECK_CONTAINS(listing, "no model that is known");
    put("repo/a/1", "model.txt", tiny_model);
    CHECK_OK(load("a"));
    CHECK(find("a", "1") != before);
    CHECK_CONTAINS(index_text(), "a/1 READY \n");
    tear_down();
}

/* On this thread, since loops that have stopped drop the answer, and nothing waits for them. */
static void load_here(const char *model, uint64_t fail_at)
{
    struct px_repository_request *request = make(PX_REPOSITORY_LOAD, "a");
    request->serving = serving;
    put("repo/a/1", "model.txt", model);
    px_alloc_fail_at(fail_at);
    px_repository_load(px_repository_of(serving), request);
    px_alloc_fail_at(0);
}

static bool has_reason(void)
{
    return px_repository_failure(px_repository_of(serving), px_str("a"), px_str("1")) != NULL;
}

PX_TEST(a_load_that_fails_late_keeps_the_reason_of_an_earlier_failure)
{
    enum { N_FIRST = 12, N_LAST = 40 }; /* allocations of finding, and of planning and swapping */
    set_up(true);
    manual_loops_stop(&loops, 0);
    manual_loops_stop(&loops, 1);
    uint64_t before_n = px_alloc_count();
    load_here(tiny_model, 0);
    uint64_t n_allocations = px_alloc_count() - before_n;
    for (uint64_t n = 1; n <= n_allocations; n++) {
        if (n == N_FIRST && n_allocations > N_FIRST + N_LAST)
            n = n_allocations - N_LAST;
        load_here("this is no model", 0);
        CHECK(has_reason());
        const struct px_model *before = find("a", "1");
        load_here(tiny_model, n);
        CHECK(has_reason() == (find("a", "1") == before));
    }
    tear_down();
}

PX_TEST(a_failed_load_keeps_versions_whose_folder_is_gone)
{
    set_up(true);
    put("repo/a/2", "model.txt", "this is no model");
    drop("repo/a/1");
    CHECK_INT(load("a"), PX_E_CORRUPT);
    CHECK(find("a", "1") != NULL);
    CHECK_CONTAINS(index_text(), "a/2 UNAVAILABLE ");
    tear_down();
}

PX_TEST(names_that_are_nowhere_are_not_found)
{
    set_up(true);
    CHECK_INT(load("c"), PX_E_NOT_FOUND);
    CHECK_CONTAINS(err.message, "'c' is not in the repository");
    CHECK_INT(unload("c"), PX_E_NOT_FOUND);
    CHECK_INT(load("../a"), PX_E_INVALID);
    tear_down();
}

PX_TEST(an_unload_forgets_the_trace_settings_of_the_model)
{
    struct px_trace_change change = {0};
    struct px_trace_settings settings;
    struct px_str seven = px_str("7");
    struct px_trace *trace = NULL;
    set_up(true);
    CHECK_OK(px_trace_create(NULL, 2, &trace, NULL));
    px_serving_set_trace(serving, trace);
    CHECK_OK(px_trace_change_add(&change, px_str("trace_rate"), &seven, 1, NULL));
    CHECK_OK(px_trace_update(trace, px_str("a"), &change, NULL));
    CHECK_OK(px_trace_update(trace, px_str("b"), &change, NULL));
    CHECK_OK(load("a"));
    px_trace_read(trace, px_str("a"), &settings);
    CHECK_INT(settings.rate, 7);
    CHECK_OK(unload("a"));
    px_trace_read(trace, px_str("a"), &settings);
    CHECK_INT(settings.rate, 1000);
    px_trace_read(trace, px_str("b"), &settings);
    CHECK_INT(settings.rate, 7);
    tear_down();
    px_trace_destroy(trace);
}

PX_TEST(loading_may_be_turned_off)
{
    set_up(false);
    CHECK_INT(load("a"), PX_E_UNAVAILABLE);
    CHECK_CONTAINS(err.hint, "serving.model_control");
    CHECK_INT(unload("a"), PX_E_UNAVAILABLE);
    CHECK_CONTAINS(index_text(), "a/1 READY \n");
    CHECK_INT(px_serving_check_control(serving, "that", &err), PX_E_UNAVAILABLE);
    CHECK_CONTAINS(err.message, "that is not allowed");
    tear_down();
}

PX_TEST(files_of_a_request_are_served_instead_of_the_repository)
{
    set_up(true);
    struct px_repository_request *request = make(PX_REPOSITORY_LOAD, "a");
    CHECK_OK(add(request, "config", "{\"max_batch_size\": 100}"));
    CHECK_OK(add(request, "file:5/sub/model.txt", tiny_model));
    CHECK_INT(submit(request), PX_E_NOT_FOUND); /* a version is a file or a package, not a folder */
    request = make(PX_REPOSITORY_LOAD, "a");
    CHECK_OK(add(request, "config", "{}"));
    CHECK_OK(add(request, "file:5/one.txt", tiny_model));
    CHECK_OK(add(request, "file:5/two.txt", tiny_model));
    CHECK_INT(submit(request), PX_E_INVALID); /* nothing is missing: they have to choose */
    CHECK_CONTAINS(err.message, "exactly one model file");
    request = make(PX_REPOSITORY_LOAD, "a");
    CHECK_OK(add(request, "config", "{}"));
    CHECK_OK(add(request, "file:5/model.txt", tiny_model));
    CHECK_OK(submit(request));
    CHECK(find("a", "5") != NULL && find("a", "1") == NULL);
    CHECK_OK(load("a")); /* without files the repository counts again */
    CHECK(find("a", "5") == NULL && find("a", "1") != NULL);
    tear_down();
}

PX_TEST(a_folder_for_files_whose_path_is_too_long_is_told_as_such)
{
    char folder[200] = "/tmp/";
    struct px_repository_request *request = make(PX_REPOSITORY_LOAD, "a");
    set_up(true);
    memset(folder + 5, 'x', sizeof folder - 6);
    setenv("TMPDIR", folder, true);
    CHECK_OK(add(request, "config", "{}"));
    CHECK_OK(add(request, "file:1/model.txt", tiny_model));
    CHECK_INT(submit(request), PX_E_IO);
    CHECK_CONTAINS(err.message, "the path is too long");
    unsetenv("TMPDIR");
    tear_down();
}

PX_TEST(files_may_bring_a_model_that_the_repository_has_not)
{
    set_up(true);
    struct px_repository_request *request = make(PX_REPOSITORY_LOAD, "fresh");
    CHECK_OK(add(request, "config", "{}"));
    CHECK_OK(add(request, "file:1/model.txt", "garbage"));
    CHECK(submit(request) != PX_OK);
    CHECK(!strstr(index_text(), "fresh")); /* no mark is left */
    request = make(PX_REPOSITORY_LOAD, "fresh");
    CHECK_OK(add(request, "config", "{}"));
    CHECK_OK(add(request, "file:1/model.txt", tiny_model));
    CHECK_OK(submit(request));
    CHECK_CONTAINS(index_text(), "fresh/1 READY \n");
    CHECK_OK(unload("fresh"));
    CHECK_CONTAINS(why_absent("fresh"), "unknown model 'fresh'"); /* its files are gone */
    tear_down();
}

/* As if its files had so many bytes. */
static struct px_repository_request *make_large(size_t n_bytes)
{
    struct px_repository_request *request = make(PX_REPOSITORY_LOAD, "a");
    request->arena.used += n_bytes;
    return request;
}

PX_TEST(loads_that_wait_hold_only_so_much_together)
{
    const size_t half = PX_REPOSITORY_WAITING_BYTES_MAX / 2;
    set_up(true);
    n_answers = 0;
    CHECK_OK(px_repository_submit(serving, make_large(half), &err));
    CHECK_INT(px_repository_submit(serving, make_large(half), &err), PX_E_OVERLOADED);
    CHECK_CONTAINS(err.message, "hold more than");
    CHECK_OK(px_repository_submit(serving, make_large(half - 4096), &err));
    for (; n_answers < 2; usleep(100)) {
        manual_loops_run(&loops, 1);
        manual_loops_run(&loops, 0);
    }
    CHECK_OK(submit(make_large(half)));
    CHECK_OK(submit(make_large(2 * half - 4096)));
    tear_down();
}

PX_TEST(parameters_that_are_not_known_are_refused)
{
    set_up(true);
    struct px_repository_request *request = make(PX_REPOSITORY_LOAD, "a");
    static const char *const bad[] = {
        "priority",       "file:",         "file:1",      "file:1/",        "file:../x",
        "file:1/../../x", "file:1//etc/x", "file:/etc/x", "file:1/.hidden", "unload_dependents"};
    for (size_t i = 0; i < PX_ARRAY_LEN(bad); i++)
        CHECK_INT(add(request, bad[i], "x"), PX_E_INVALID);
    CHECK_OK(add(request, "file:1/model.txt", tiny_model));
    CHECK_INT(submit(request), PX_E_INVALID); /* files without config */
    CHECK_CONTAINS(err.message, "config");
    request = make(PX_REPOSITORY_UNLOAD, "a");
    const struct px_repository_value yes = {.type = PX_REPOSITORY_BOOL, .boolean = true};
    CHECK_OK(px_repository_add_parameter(request, px_str("unload_dependents"), &yes, &err));
    CHECK_OK(submit(request));
    tear_down();
}

PX_TEST(a_configuration_that_disagrees_changes_nothing)
{
    static const struct {
        const char *config;
        enum px_code code;
        const char *message;
    } cases[] = {
        {"{\"max_batch_size\": 0}", PX_E_INVALID, "max_batch_size"},
        {"{\"max_batch_size\": 101}", PX_E_INVALID, "'101' is not what the model has"},
        {"{\"max_batch_size\": \"many\"}", PX_E_INVALID, "expected an integer, got 'many'"},
        {"{\"instance_group\": [{\"count\": \"two\"}]}", PX_E_INVALID,
         "expected an integer, got 'two'"},
        {"{\"max_batch_size\": 3}", PX_E_INVALID, "max_batch_size"},
        {"{\"name\": \"b\"}", PX_E_INVALID, "'name'"},
        {"{\"backend\": \"onnxruntime\"}", PX_E_INVALID, "'backend'"},
        {"{\"sequence_batching\": {\"x\": 1}}", PX_E_UNSUPPORTED, "sequence_batching"},
        {"{\"version_policy\": {\"newest\": {}}}", PX_E_INVALID, "version_policy"},
        {"{\"version_policy\": {\"latest\": {\"num_versions\": 0}}}", PX_E_INVALID, "at least 1"},
        {"{\"version_policy\": {\"specific\": {\"versions\": []}}}", PX_E_INVALID, "is empty"},
        {"{\"dynamic_batching\": {\"max_queue_delay_microseconds\": 100}}", PX_E_UNSUPPORTED,
         "max_queue_delay"},
        {"{\"instance_group\": [{\"kind\": \"KIND_GPU\"}]}", PX_E_INVALID, "KIND_GPU"},
        {"{\"input\": [{\"name\": \"x\", \"data_type\": \"TYPE_FP64\", \"dims\": [2]}]}",
         PX_E_INVALID, "'input'"},
        {"{\"input\": [{\"name\": \"input\", \"data_type\": \"TYPE_INT8\", \"dims\": [2]}]}",
         PX_E_INVALID, "data_type"},
        {"{\"input\": [{\"name\": \"input\", \"data_type\": \"TYPE_FP64\", \"dims\": [3]}]}",
         PX_E_INVALID, "dims"},
        {"{\"name\": ", PX_E_INVALID, "JSON"},
    };
    set_up(true);
    const struct px_model *before = find("a", "1");
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        struct px_repository_request *request = make(PX_REPOSITORY_LOAD, "a");
        CHECK_OK(add(request, "config", cases[i].config));
        CHECK_INT(submit(request), cases[i].code);
        CHECK_CONTAINS(err.message, cases[i].message);
        CHECK(find("a", "1") == before);
        if (i == 1)
            CHECK_CONTAINS(err.hint, "the model has 100");
    }
    tear_down();
}

PX_TEST(a_configuration_that_agrees_is_taken)
{
    set_up(true);
    struct px_repository_request *request = make(PX_REPOSITORY_LOAD, "a");
    CHECK_OK(add(request, "config",
                 "{\"name\": \"a\", \"backend\": \"forest\", \"max_batch_size\": 100, \"input\": "
                 "[{\"name\": \"input\", \"data_type\": \"TYPE_FP64\", \"dims\": [\"2\"]}], "
                 "\"output\": [{\"name\": \"predictions\", \"data_type\": \"TYPE_FP64\", "
                 "\"dims\": [1], \"label_filename\": \"\"}], \"instance_group\": [{\"kind\": "
                 "\"KIND_CPU\", \"count\": 1}], \"version_policy\": {\"all\": {}}, "
                 "\"dynamic_batching\": {}, \"parameters\": {}, \"model_warmup\": []}"));
    CHECK_OK(submit(request));
    tear_down();
}

static double last_score;

static void keep_score(struct px_call *call)
{
    CHECK_INT(call->code, PX_OK);
    last_score = px_matrix_get(&call->scores, 0, 0);
}

static bool is_known(const char *name, const char *version)
{
    return px_serving_find(serving, px_str(name), px_str(version), NULL) != NULL;
}

PX_TEST(only_the_versions_that_the_policy_takes_serve)
{
    set_up(true);
    put("repo/a/2", "model.txt", tiny_model);
    put("repo/a/10", "model.txt", tiny_model);
    CHECK_OK(load("a"));
    CHECK(is_known("a", "1") && is_known("a", "2") && is_known("a", "10"));
    put("repo/a", "versions.yaml", "latest: 2\n");
    CHECK_OK(load("a"));
    CHECK(!is_known("a", "1") && is_known("a", "2") && is_known("a", "10"));
    put("repo/a", "versions.yaml", "specific: [1, 10]\n");
    CHECK_OK(load("a"));
    CHECK(is_known("a", "1") && !is_known("a", "2") && is_known("a", "10"));
    put("repo/a", "versions.yaml", "all: true\n");
    CHECK_OK(load("a"));
    CHECK(is_known("a", "1") && is_known("a", "2") && is_known("a", "10"));
    tear_down();
}

PX_TEST(a_policy_that_cannot_be_kept_fails_and_changes_nothing)
{
    static const struct {
        const char *file, *said;
    } wrong[] = {{"latest: 0\n", "at least 1"},
                 {"lates: 1\n", "latest"},
                 {"latest: 1\nall: true\n", "expected one of"},
                 {"specific: 1\n", "must be a list"},
                 {"[1]\n", "expected a key"}};
    set_up(true);
    for (size_t i = 0; i < PX_ARRAY_LEN(wrong); i++) {
        put("repo/a", "versions.yaml", wrong[i].file);
        CHECK(load("a") != PX_OK);
        char text[PX_ERR_MESSAGE_MAX + PX_ERR_HINT_MAX + 4];
        CHECK(strstr(px_err_text(&err, text, sizeof text), wrong[i].said) != NULL);
        CHECK(is_known("a", "1"));
    }
    put("repo/a", "versions.yaml", "specific: [1, 7]\n");
    CHECK_INT(load("a"), PX_E_NOT_FOUND);
    CHECK(is_known("a", "1"));
    tear_down();
}

PX_TEST(a_load_may_bring_its_own_policy)
{
    set_up(true);
    put("repo/a/2", "model.txt", tiny_model);
    put("repo/a", "versions.yaml", "latest: 2\n");
    struct px_repository_request *request = make(PX_REPOSITORY_LOAD, "a");
    const struct px_repository_value config = {
        .type = PX_REPOSITORY_TEXT,
        .text = px_str("{\"version_policy\": {\"specific\": {\"versions\": [\"1\"]}}}")};
    CHECK_OK(px_repository_add_parameter(request, px_str("config"), &config, NULL));
    CHECK_OK(submit(request));
    CHECK(is_known("a", "1") && !is_known("a", "2"));
    CHECK_OK(load("a"));
    CHECK(is_known("a", "1") && is_known("a", "2"));
    tear_down();
}

PX_TEST(calls_in_flight_finish_on_the_old_model)
{
    struct px_arena arena = px_arena(1 << 16);
    struct px_call call = {.model_name = px_str("a"), .arena = &arena, .done = keep_score};
    set_up(true);
    CHECK_OK(px_call_open(serving, &call));
    struct px_matrix *rows = px_call_rows(serving, &call, 1);
    px_matrix_set(rows, 0, 0, 20);
    px_matrix_set(rows, 0, 1, 0.1);
    CHECK_OK(px_call_submit(serving, &call));
    CHECK_OK(unload("a")); /* while loop 0 has the call parked */
    usleep(20000);
    manual_loops_run(&loops, 0); /* comes again, as a call is parked */
    px_serving_wave(serving, 0);
    CHECK_DOUBLE(last_score, 11);
    px_arena_deinit(&arena);
    tear_down();
}

PX_TEST(an_answer_for_a_loop_that_has_stopped_is_dropped)
{
    set_up(true);
    manual_loops_stop(&loops, 0);
    is_done = false;
    CHECK_OK(px_repository_submit(serving, make(PX_REPOSITORY_LOAD, "a"), &err));
    tear_down();
    CHECK(!is_done);
}

PX_TEST(a_stop_does_not_wait_for_loops_that_do_not_run)
{
    set_up(true);
    CHECK_OK(px_repository_submit(serving, make(PX_REPOSITORY_UNLOAD, "a"), &err));
    manual_loops_wait(&loops, 0); /* the answer; nobody ever runs it */
    px_serving_unmanage(serving);
    manual_loops_run(&loops, 0); /* so that the answer is not lost */
    px_serving_destroy(serving);
    drop(".");
}

PX_TEST_MAIN(
    T(only_the_versions_that_the_policy_takes_serve) T(
        a_policy_that_cannot_be_kept_fails_and_changes_nothing) T(a_load_may_bring_its_own_policy)
        T(unloaded_models_are_unknown_until_they_are_loaded_again) T(
            a_request_for_an_unloaded_model_is_told_how_it_comes_back)
            T(an_unload_without_memory_changes_nothing) T(
                an_unloaded_model_is_listed_with_its_state)
                T(a_load_finds_new_models_and_versions_and_drops_those_that_are_gone) T(
                    a_failed_load_leaves_the_old_version_serving_and_tells_why)
                    T(a_load_that_fails_late_keeps_the_reason_of_an_earlier_failure) T(
                        a_failed_load_keeps_versions_whose_folder_is_gone)
                        T(names_that_are_nowhere_are_not_found) T(
                            an_unload_forgets_the_trace_settings_of_the_model)
                            T(loading_may_be_turned_off) T(
                                files_of_a_request_are_served_instead_of_the_repository)
                                T(a_folder_for_files_whose_path_is_too_long_is_told_as_such) T(
                                    files_may_bring_a_model_that_the_repository_has_not)
                                    T(loads_that_wait_hold_only_so_much_together) T(
                                        parameters_that_are_not_known_are_refused)
                                        T(a_configuration_that_disagrees_changes_nothing) T(
                                            a_configuration_that_agrees_is_taken)
                                            T(calls_in_flight_finish_on_the_old_model) T(
                                                an_answer_for_a_loop_that_has_stopped_is_dropped)
                                                T(a_stop_does_not_wait_for_loops_that_do_not_run))
