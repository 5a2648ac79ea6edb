/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "manual_loops.h"

#include "application/config/live.h"
#include "shared/alloc.h"

#include <unistd.h>

static char path[] = "/tmp/px-live-XXXXXX";
static struct px_config_sources sources;
static struct px_config config;
static struct px_arena arena;
static struct manual_loops loops;
static struct px_live_config *live;

/* What the hooks saw. */
static struct {
    unsigned n_applied, n_reloading;
    int64_t rows_max;
    enum px_code verdict; /* of prepare */
    uint64_t fail_at;     /* the allocation of a reload that fails */
} seen;

/* What the last request was answered with. */
static struct {
    enum px_code code;
    struct px_err err;
    size_t n_changes, n_settings;
    char text[256]; /* of the first change: "key from to" */
    bool is_there;
} answer;

static enum px_code check(const struct px_config *to, struct px_err *err)
{
    if (to->server_port == 13)
        return px_err_set(err, PX_E_INVALID, "port 13 is no good");
    return PX_OK;
}

static enum px_code prepare(void *context, const struct px_config *to, struct px_err *err)
{
    (void)context;
    (void)to;
    return seen.verdict == PX_OK ? PX_OK : px_err_set(err, seen.verdict, "not now");
}

static void apply(void *context, const struct px_config *from, const struct px_config *to)
{
    (void)context;
    CHECK_INT(from->server_port, to->server_port);
    seen.n_applied++;
    seen.rows_max = to->serving_request_rows_max;
}

static void reloading(void *context, bool begins)
{
    (void)context;
    seen.n_reloading += begins;
    px_alloc_fail_at(begins ? seen.fail_at : 0);
}

static void write_file(const char *yaml)
{
    FILE *file = fopen(path, "w");
    fputs(yaml, file);
    fclose(file);
}

static void begin(const char *yaml)
{
    struct px_err err;
    static const struct px_live_hooks hooks = {
        .check = check, .prepare = prepare, .apply = apply, .reloading = reloading};
    snprintf(path, sizeof path, "/tmp/px-live-XXXXXX");
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    write_file(yaml);
    memset(&seen, 0, sizeof seen);
    sources = (struct px_config_sources){.path = path};
    px_config_sources_add(&sources, (struct px_config_override){PX_CONFIG_OPTION, "server.threads",
                                                                px_str("2"), "--threads"});
    arena = px_arena(1 << 20);
    CHECK_OK(px_config_read(&sources, &config, &arena, &err));
    manual_loops_init(&loops, 1);
    CHECK_OK(px_live_config_create(&sources, &config, &hooks, &live, &err));
    px_live_config_use_loops(live, &loops.port);
}

static void end(void)
{
    px_live_config_destroy(live);
    px_arena_deinit(&arena);
    unlink(path);
}

static void note(struct px_live_request *request)
{
    memset(&answer, 0, sizeof answer);
    answer.code = request->code;
    answer.err = request->err;
    answer.n_changes = request->n_changes;
    answer.n_settings = request->n_settings;
    answer.is_there = true;
    if (request->n_changes)
        snprintf(answer.text, sizeof answer.text, "%s %.*s %.*s", request->changes[0].key->name,
                 PX_STR_ARG(request->changes[0].from), PX_STR_ARG(request->changes[0].to));
    if (request->n_settings)
        snprintf(answer.text, sizeof answer.text, "%s %.*s %s",
                 request->settings[PX_CONFIG_AT_server_threads].key->name,
                 PX_STR_ARG(request->settings[PX_CONFIG_AT_server_threads].value),
                 px_config_origin_name(request->settings[PX_CONFIG_AT_server_threads].origin));
}

static enum px_code ask(enum px_live_action action)
{
    struct px_err err;
    struct px_live_request *request = px_live_request_create(action);
    request->done = note;
    answer.is_there = false;
    CHECK_OK(px_live_config_submit(live, request, &err));
    manual_loops_wait(&loops, 0);
    manual_loops_run(&loops, 0);
    CHECK(answer.is_there);
    return answer.code;
}

PX_TEST(a_live_setting_is_taken_over_and_the_difference_told)
{
    begin("serving: {request_rows_max: 10}\n");
    write_file("serving: {request_rows_max: 20}\n");
    CHECK_OK(ask(PX_LIVE_RELOAD));
    CHECK_INT(answer.n_changes, 1);
    CHECK_STR(px_str(answer.text), "serving.request_rows_max 10 20");
    CHECK_INT(seen.rows_max, 20);
    CHECK_OK(ask(PX_LIVE_RELOAD)); /* the same file again */
    CHECK_INT(answer.n_changes, 0);
    write_file("");
    CHECK_OK(ask(PX_LIVE_RELOAD));
    CHECK_STR(px_str(answer.text), "serving.request_rows_max 20 100000");
    CHECK_INT(px_live_config_current(live)->serving_request_rows_max, 100000);
    end();
}

PX_TEST(a_setting_that_needs_a_restart_refuses_the_whole_file)
{
    begin("");
    write_file("server: {port: 9000, threads: 7}\nserving: {request_rows_max: 20}\n");
    CHECK_INT(ask(PX_LIVE_RELOAD), PX_E_CONFLICT);
    CHECK_CONTAINS(answer.err.message, "server.port"); /* the option hides the file's threads */
    CHECK(!strstr(answer.err.message, "threads"));
    CHECK(!strstr(answer.err.message, "request_rows_max"));
    CHECK_INT(seen.n_applied, 0);
    CHECK_INT(px_live_config_current(live)->serving_request_rows_max, 100000);
    end();
}

PX_TEST(a_file_that_is_wrong_changes_nothing)
{
    static const char *const wrong[] = {"serving: {request_rows_max: many}\n", "server: [\n",
                                        "serving: {request_rows: 1}\n", "server: {port: 13}\n"};
    begin("");
    for (size_t i = 0; i < PX_ARRAY_LEN(wrong); i++) {
        write_file(wrong[i]);
        CHECK(ask(PX_LIVE_RELOAD) != PX_OK);
        CHECK(answer.err.message[0]);
    }
    unlink(path);
    CHECK_INT(ask(PX_LIVE_RELOAD), PX_E_NOT_FOUND);
    CHECK_INT(seen.n_applied, 0);
    CHECK_INT(seen.n_reloading, PX_ARRAY_LEN(wrong) + 1);
    end();
}

PX_TEST(what_cannot_be_prepared_is_not_applied)
{
    begin("");
    seen.verdict = PX_E_NOT_FOUND;
    write_file("serving: {default_model: ghost}\n");
    CHECK_INT(ask(PX_LIVE_RELOAD), PX_E_NOT_FOUND);
    CHECK_INT(seen.n_applied, 0);
    end();
}

PX_TEST(without_a_file_a_reload_says_so)
{
    begin("");
    px_live_config_destroy(live);
    live = NULL;
    struct px_err err;
    static const struct px_live_hooks hooks = {
        .check = check, .prepare = prepare, .apply = apply, .reloading = reloading};
    sources.path = NULL;
    CHECK_OK(px_live_config_create(&sources, &config, &hooks, &live, &err));
    px_live_config_use_loops(live, &loops.port);
    CHECK_INT(ask(PX_LIVE_RELOAD), PX_E_CONFLICT);
    CHECK_CONTAINS(answer.err.message, "--config");
    CHECK_OK(ask(PX_LIVE_SHOW));
    end();
}

PX_TEST(a_reload_survives_any_failed_allocation)
{
    begin("serving: {request_rows_max: 10}\n");
    write_file("serving: {request_rows_max: 20, default_model: risk}\nlog: {level: warn}\n");
    for (seen.fail_at = 1; ask(PX_LIVE_RELOAD) != PX_OK; seen.fail_at++) {
        CHECK_INT(answer.code, PX_E_NO_MEMORY);
        CHECK_INT(seen.n_applied, 0);
    }
    CHECK(seen.fail_at > 3);
    CHECK_INT(answer.n_changes, 3);
    CHECK_INT(seen.n_applied, 1);
    CHECK_INT(seen.rows_max, 20);
    end();
}

PX_TEST(every_setting_is_shown_with_its_origin)
{
    begin("server: {port: 9000}\n");
    CHECK_OK(ask(PX_LIVE_SHOW));
    CHECK_INT(answer.n_settings, PX_CONFIG_KEYS);
    CHECK_STR(px_str(answer.text), "server.threads 2 option");
    end();
}

PX_TEST(requests_that_wait_at_the_end_are_freed)
{
    struct px_err err;
    begin("");
    px_live_config_stop(live);
    CHECK_INT(px_live_config_submit(live, px_live_request_create(PX_LIVE_SHOW), &err),
              PX_E_UNAVAILABLE);
    px_live_config_reload(live);
    end();
}

PX_TEST_MAIN(T(a_live_setting_is_taken_over_and_the_difference_told)
                 T(a_setting_that_needs_a_restart_refuses_the_whole_file)
                     T(a_file_that_is_wrong_changes_nothing)
                         T(what_cannot_be_prepared_is_not_applied)
                             T(without_a_file_a_reload_says_so)
                                 T(every_setting_is_shown_with_its_origin)
                                     T(a_reload_survives_any_failed_allocation)
                                         T(requests_that_wait_at_the_end_are_freed))
