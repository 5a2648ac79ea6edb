/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients send to change the server: model configurations, and the bodies of repository, trace and log requests,
 * as JSON and as protobuf. The first byte picks which.
 *
 * Whatever the body: one answer, in well-formed JSON or protobuf; a configuration is accepted or refused for a reason; and
 * of a refused change of settings nothing holds. Loads and unloads are read and then refused, as of a stranger.
 */
#include "../support/grpc_fixture.h"
#include "../support/manual_loops.h"

#include "application/serving/model_config.h"
#include "application/serving/model_config_batching.h"
#include "application/serving/repository_impl.h"
#include "fuzz.h"
#include "shared/json.h"
#include "shared/log.h"

static struct grpc_fixture f;
static struct manual_loops loops;

static void set_up(void)
{
    static struct px_trace *trace; /* nothing is traced here: the file stays closed */
    grpc_set_up(&f);
    manual_loops_init(&loops, 2);
    PX_ASSERT(px_trace_create("/dev/null", 2, &trace, NULL) == PX_OK);
    px_serving_set_trace(f.rest.serving, trace);
    PX_ASSERT(px_serving_manage(f.rest.serving, &loops.port, false, NULL) == PX_OK);
}

static void let_control(bool may)
{
    px_repository_of(f.rest.serving)->may_control = may;
}

static void check_json(struct px_str text)
{
    struct px_arena arena = px_arena(1 << 20);
    struct px_json json;
    px_json_init(&json, text, &arena, 0);
    px_json_skip(&json);
    PX_ASSERT(px_json_finish(&json, NULL) == PX_OK);
    px_arena_deinit(&arena);
}

/* What is refused has changed nothing; what is taken is what a queue can be made of. */
static void fuzz_batching(struct px_str text)
{
    struct px_arena arena = px_arena(1 << 20);
    struct px_json json;
    struct px_err err = {0};
    struct px_batching batching, before;
    px_batching_init(&batching);
    before = batching;
    px_json_init(&json, text, &arena, 0);
    enum px_code code = px_config_batching_read(&json, &batching, &err);
    if (code == PX_OK)
        PX_ASSERT(px_batching_check(&batching, NULL) == PX_OK);
    else
        PX_ASSERT(err.code == code && !memcmp(&batching, &before, sizeof before));
    PX_ASSERT(px_json_check(&json, NULL) == PX_OK || !memcmp(&batching, &before, sizeof before));
    px_arena_deinit(&arena);
}

static void fuzz_config(unsigned choice, struct px_str json)
{
    const struct px_model_set *set = px_serving_models(f.rest.serving);
    const struct px_model *model = set->models[choice % set->n_models];
    struct px_err err = {0};
    fuzz_batching(json);
    if (model->state != PX_MODEL_READY)
        return;
    struct px_model_wishes wishes;
    enum px_code code =
        px_model_config_check(json, model, px_serving_limits(f.rest.serving), &wishes, &err);
    PX_ASSERT(code == PX_OK || code == PX_E_INVALID || code == PX_E_UNSUPPORTED);
    PX_ASSERT(code == PX_OK || (err.code == code && err.message[0]));
}

/* An index is answered by the repository's thread. */
static void wait_for_answer(void)
{
    struct px_http_exchange *exchange = &f.rest.exchange;
    if (exchange->deferred && !exchange->finished) {
        manual_loops_wait(&loops, exchange->loop);
        manual_loops_run(&loops, exchange->loop);
    }
    PX_ASSERT(exchange->finished);
}

static void fuzz_repository(const char *path, struct px_str body)
{
    rest_ask_bytes(&f.rest, PX_HTTP_POST, path, body);
    wait_for_answer();
    rest_end(&f.rest);
    int status = f.rest.status;
    PX_ASSERT(status == 200 || status == 400 || status == 413 || status == 503);
    check_json(px_buf_view(&f.rest.buf));
}

static void fuzz_repository_message(const char *path, struct px_str message)
{
    grpc_ask(&f, path, message);
    wait_for_answer();
    grpc_collect(&f);
    PX_ASSERT(f.http_status == 200 && f.status >= 0 && f.status != 13);
}

/* What holds now, at `path`, into `out`. */
static void read_settings(const char *path, struct px_buf *out)
{
    rest_ask_bytes(&f.rest, PX_HTTP_GET, path, (struct px_str){0});
    PX_ASSERT(f.rest.status == 200);
    px_buf_clear(out);
    px_buf_str(out, px_buf_view(&f.rest.buf));
}

static void check_unchanged(const char *path, const struct px_buf *before)
{
    struct px_buf after = px_buf(1 << 16);
    read_settings(path, &after);
    PX_ASSERT(px_str_eq(px_buf_view(before), px_buf_view(&after)));
    px_buf_deinit(&after);
}

static void fuzz_settings(const char *path, struct px_str body, struct px_buf *before)
{
    rest_ask_bytes(&f.rest, PX_HTTP_POST, path, body);
    int status = f.rest.status;
    PX_ASSERT(status == 200 || status == 400 || status == 413 || status == 501);
    check_json(px_buf_view(&f.rest.buf));
    if (status != 200)
        check_unchanged(path, before);
}

static void fuzz_settings_message(const char *method, const char *path, struct px_str message,
                                  struct px_buf *before)
{
    grpc_ask(&f, method, message);
    PX_ASSERT(f.http_status == 200 && f.status >= 0 && f.status != 13);
    if (f.status != 0) {
        check_unchanged(path, before);
        return;
    }
    struct px_protobuf p = px_protobuf(f.reply);
    struct px_protobuf_field field;
    while (px_protobuf_next(&p, &field))
        ;
    PX_ASSERT(px_protobuf_check(&p, "the answer", NULL) == PX_OK);
}

static void fuzz_control(unsigned choice, struct px_str body)
{
    static const struct {
        const char *path, *method; /* `method` NULL: JSON */
    } repository[] =
        {
            {"/v2/repository/models/bank/load",
             "/inference.GRPCInferenceService/RepositoryModelLoad"},
            {"/v2/repository/models/bank/unload",
             "/inference.GRPCInferenceService/RepositoryModelUnload"},
            {"/v2/repository/index", "/inference.GRPCInferenceService/RepositoryIndex"},
        },
      settings[] = {
          {"/v2/trace/setting", "/inference.GRPCInferenceService/TraceSetting"},
          {"/v2/models/bank/trace/setting", "/inference.GRPCInferenceService/TraceSetting"},
          {"/v2/logging", "/inference.GRPCInferenceService/LogSettings"},
      };
    enum { N = PX_ARRAY_LEN(repository) };
    size_t row = choice / 4 % N;
    struct px_buf before = px_buf(1 << 16);
    let_control(choice % 4 >= 2);
    read_settings(settings[row].path, &before);
    switch (choice % 4) {
    case 0:
        fuzz_repository(repository[row].path, body);
        break;
    case 1:
        fuzz_repository_message(repository[row].method, body);
        break;
    case 2:
        fuzz_settings(settings[row].path, body, &before);
        break;
    default:
        fuzz_settings_message(settings[row].method, settings[row].path, body, &before);
        break;
    }
    px_buf_deinit(&before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct px_log_settings log;
    if (!f.grpc)
        set_up();
    if (size == 0)
        return 0;
    struct px_str body = px_str_n((const char *)data + 1, size - 1);
    px_log_read(&log);
    if (data[0] & 1)
        fuzz_config(data[0] >> 1, body);
    else
        fuzz_control(data[0] >> 1, body);
    px_log_update(&log);
    return 0;
}
