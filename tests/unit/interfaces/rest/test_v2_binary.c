/* SPDX-License-Identifier: Apache-2.0 */
/* Open Inference with binary tensors and shared memory, in the bytes that clients send and expect. */
#include "rest_fixture.h"

#include "harness.h"
#include "memory_shared.h"

#define MULTI "/v2/models/multi/infer"
#define PLAIN "/v2/models/plain/infer"
#define BANK  "/v2/models/bank/infer"

static struct rest_fixture f;
static char request[4096];

/* The JSON and then the bytes, with the header that says where they meet. */
static void ask(const char *path, const char *json, const void *bytes, size_t n_bytes)
{
    static char length[24];
    size_t json_len = strlen(json);
    memcpy(request, json, json_len);
    if (n_bytes)
        memcpy(request + json_len, bytes, n_bytes);
    snprintf(length, sizeof length, "%zu", json_len);
    rest_header(&f, "inference-header-content-length", length);
    rest_ask_bytes(&f, PX_HTTP_POST, path, px_str_n(request, json_len + n_bytes));
}

static void check_binary_reply(const char *json, const void *bytes, size_t n_bytes)
{
    char header[64];
    snprintf(header, sizeof header, "Inference-Header-Content-Length: %zu\r\n", strlen(json));
    CHECK_INT(f.status, 200);
    CHECK_STR(px_str(f.headers), header);
    CHECK_STR(px_str(f.exchange.content_type), "application/octet-stream");
    CHECK_INT(f.buf.len, strlen(json) + n_bytes);
    CHECK_STR(px_str_n(f.buf.ptr, strlen(json)), json);
    CHECK(memcmp(f.buf.ptr + strlen(json), bytes, n_bytes) == 0);
}

static void check_json_reply(const char *json)
{
    CHECK_STR(px_str(f.body), json);
    CHECK_INT(f.status, 200);
    CHECK_STR(px_str(f.exchange.content_type), "application/json");
    CHECK_STR(px_str(f.headers), "");
}

static void check_refused(int status, const char *part)
{
    CHECK_CONTAINS(f.body, part);
    CHECK_INT(f.status, status);
    CHECK_CONTAINS(f.body, "{\"error\":\"");
}

static const char one_two[8] = "\0\0\x80\x3f\0\0\0\x40"; /* 1.0f, 2.0f */

PX_TEST(tritonclients_request_without_outputs)
{
    const double scores[] = {3, 4, 5};
    rest_set_up(&f);
    ask(MULTI,
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[2],\"datatype\":\"FP32\",\"parameters\":{\"binary_"
        "data_size\":8}}],\"parameters\":{\"binary_data_output\":true}}",
        one_two, 8);
    check_binary_reply("{\"model_name\":\"multi\",\"model_version\":\"1\",\"outputs\":[{\"name\":"
                       "\"predictions\",\"datatype\":\"FP64\",\"shape\":[1,3],\"parameters\":{"
                       "\"binary_data_size\":24}}]}",
                       scores, sizeof scores);
    CHECK(f.exchange.may_compress);
    rest_tear_down(&f);
}

PX_TEST(tritonclients_request_with_parameters)
{
    const double scores[] = {3, 4, 5};
    rest_set_up(&f);
#define B_HEAD                                                                                     \
    "{\"id\":\"42\",\"inputs\":[{\"name\":\"x\",\"shape\":[2],\"datatype\":\"FP32\","              \
    "\"parameters\":{\"binary_data_size\":8}}],\"outputs\":[{\"name\":\"predictions\","            \
    "\"parameters\":{\"binary_data\":true}}],\"parameters\":{"
#define B_TAIL "\"priority\":1,\"timeout\":1000000000,\"a\":1.5,\"\\u00E9\":\"\\u00FC\"}}"
    ask(MULTI, B_HEAD B_TAIL, one_two, 8);
    check_binary_reply("{\"id\":\"42\",\"model_name\":\"multi\",\"model_version\":\"1\",\"outputs\""
                       ":[{\"name\":\"predictions\",\"datatype\":\"FP64\",\"shape\":[1,3],"
                       "\"parameters\":{\"binary_data_size\":24}}]}",
                       scores, sizeof scores);
    ask(MULTI, B_HEAD "\"sequence_id\":7,\"sequence_start\":true,\"sequence_end\":false," B_TAIL,
        one_two, 8);
    CHECK_INT(f.status, 200);
    ask(MULTI, B_HEAD "\"sequence_id\":0,\"sequence_start\":false,\"sequence_end\":false," B_TAIL,
        one_two, 8);
    CHECK_INT(f.status, 200);
    ask(MULTI, B_HEAD "\"sequence_id\":\"\"," B_TAIL, one_two, 8);
    CHECK_INT(f.status, 200);
    ask(MULTI, B_HEAD "\"sequence_end\":1," B_TAIL, one_two, 8);
    CHECK_INT(f.status, 400);
    rest_tear_down(&f);
}

PX_TEST(tritonclients_request_in_json)
{
    rest_set_up(&f);
    rest_ask(&f, PX_HTTP_POST, MULTI,
             "{\"inputs\":[{\"name\":\"x\",\"shape\":[2],\"datatype\":\"FP32\",\"data\":[1.0,2.0]}]"
             ",\"outputs\":[{\"name\":\"predictions\",\"parameters\":{\"binary_data\":false}}]}");
    check_json_reply("{\"model_name\":\"multi\",\"model_version\":\"1\",\"outputs\":[{\"name\":"
                     "\"predictions\",\"datatype\":\"FP64\",\"shape\":[1,3],\"data\":[3.0,4.0,5.0]"
                     "}]}");
    rest_tear_down(&f);
}

PX_TEST(texts_and_numbers_follow_each_other_in_order)
{
    static const char bytes[] = "\2\0\0\0ab\2\0\0\0\xc3\xa9" /* BYTES 'ab', 'é' */
                                "\x3a\0\0\0\x1e\0\0\0"       /* INT32 58, 30 */
                                "\1\0";                      /* BOOL true, false */
    rest_set_up(&f);
    ask(BANK,
        "{\"inputs\":[{\"name\":\"job\",\"shape\":[2],\"datatype\":\"BYTES\",\"parameters\":{"
        "\"binary_data_size\":12}},{\"name\":\"balance\",\"shape\":[2,1],\"datatype\":\"FP32\","
        "\"data\":[0.5,1.5]},{\"parameters\":{\"binary_data_size\":8},\"name\":\"age\",\"shape\":"
        "[2],\"datatype\":\"INT32\"},{\"name\":\"married\",\"shape\":[2],\"datatype\":\"BOOL\","
        "\"parameters\":{\"binary_data_size\":2}}]}",
        bytes, sizeof bytes - 1);
    CHECK_INT(f.status, 200);
    CHECK_CONTAINS(f.body, "\"unseen_categories\":2");
    CHECK_DOUBLE(f.engine_rows[0][0], 58);
    CHECK_DOUBLE(f.engine_rows[1][0], 30);
    CHECK_DOUBLE(f.engine_rows[0][1], 3);
    CHECK_DOUBLE(f.engine_rows[0][2], 1);
    CHECK_DOUBLE(f.engine_rows[1][2], 0);
    CHECK_DOUBLE(f.engine_rows[1][3], NAN);
    CHECK_DOUBLE(f.engine_rows[1][4], 1.5);
    rest_tear_down(&f);
}

PX_TEST(a_listed_output_follows_its_own_wish_before_the_requests)
{
    static const char yes[] = "\3\0\0\0yes";
    rest_set_up(&f);
#define ROW "\"inputs\":[{\"name\":\"age\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":[58]}]"
    rest_ask(&f, PX_HTTP_POST, BANK,
             "{" ROW ",\"outputs\":[{\"name\":\"labels\"},{\"name\":\"predictions\",\"parameters\":"
             "{\"binary_data\":false}}],\"parameters\":{\"binary_data_output\":true}}");
    check_binary_reply("{\"model_name\":\"bank\",\"model_version\":\"2\",\"outputs\":[{\"name\":"
                       "\"labels\",\"datatype\":\"BYTES\",\"shape\":[1,1],\"parameters\":{"
                       "\"binary_data_size\":7}},{\"name\":\"predictions\",\"datatype\":\"FP32\","
                       "\"shape\":[1,1],\"data\":[58.0]}]}",
                       yes, 7);
    rest_tear_down(&f);
}

PX_TEST(no_rows_are_answered_in_plain_json)
{
    rest_set_up(&f);
    ask(PLAIN,
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[0,4],\"datatype\":\"FP32\",\"parameters\":{"
        "\"binary_data_size\":0}}],\"parameters\":{\"binary_data_output\":true}}",
        NULL, 0);
    check_json_reply("{\"model_name\":\"plain\",\"model_version\":\"1\",\"outputs\":[{\"name\":"
                     "\"predictions\",\"datatype\":\"FP32\",\"shape\":[0,1],\"parameters\":{"
                     "\"binary_data_size\":0}}]}");
    rest_tear_down(&f);
}

PX_TEST(a_body_without_json_is_the_one_input)
{
    const float rows[8] = {1, 2, 3, 4, 5, 6, 7, 8}, scores[2] = {10, 26};
    rest_set_up(&f);
    ask(PLAIN, "", rows, sizeof rows);
    check_binary_reply("{\"model_name\":\"plain\",\"model_version\":\"1\",\"outputs\":[{\"name\":"
                       "\"predictions\",\"datatype\":\"FP32\",\"shape\":[2,1],\"parameters\":{"
                       "\"binary_data_size\":8}}]}",
                       scores, sizeof scores);
    ask(PLAIN, "", rows, 20);
    check_refused(400, "expected a multiple of 16 bytes for shape [-1,4] of FP32, got 20");
    ask(BANK, "", rows, 20);
    check_refused(400, "for models with one input; model 'bank' has 5");
    rest_tear_down(&f);
}

PX_TEST(refuses_bytes_that_do_not_fit)
{
    rest_set_up(&f);
#define X(size)                                                                                    \
    "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP32\",\"parameters\":{"          \
    "\"binary_data_size\":" size "}}]}"
    ask(MULTI, X("8"), one_two, 7);
    check_refused(400, "its binary_data_size is 8, and 7 bytes are left behind the JSON");
    ask(MULTI, X("7"), one_two, 7);
    check_refused(400, "unexpected size for input 'x': expected 8 bytes for shape [1,2] of FP32, "
                       "got 7");
    ask(MULTI, X("8"), "\0\0\0\0\0\0\0\0\0", 9);
    check_refused(400, "unexpected additional input data: 1 bytes follow the tensors");
    ask(MULTI, X("18446744073709551615"), one_two, 8);
    check_refused(400, "bytes are left behind the JSON");
    ask(MULTI, X("-1"), one_two, 8);
    check_refused(400, "parameter 'binary_data_size': expected an integer >= 0");
    ask(MULTI, X("8,\"binary_data_size\":8"), one_two, 8);
    check_refused(400, "'binary_data_size' is repeated");
    ask(MULTI,
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":[1,2],"
        "\"parameters\":{\"binary_data_size\":8}}]}",
        one_two, 8);
    check_refused(400, "expected one of 'data', 'binary_data_size'");
    rest_header(&f, "Inference-Header-Content-Length", "9999");
    rest_ask(&f, PX_HTTP_POST, MULTI, "{}");
    check_refused(400, "expected a number from 0 to the body's length");
    rest_tear_down(&f);
}

PX_TEST(classifies)
{
    rest_set_up(&f);
#define AB "\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP64\",\"data\":[0.25,1]}]"
    rest_ask(&f, PX_HTTP_POST, MULTI,
             "{" AB ",\"outputs\":[{\"name\":\"predictions\",\"parameters\":{\"classification\":2}}"
             "]}");
    check_json_reply("{\"model_name\":\"multi\",\"model_version\":\"1\",\"outputs\":[{\"name\":"
                     "\"predictions\",\"datatype\":\"BYTES\",\"shape\":[1,2],\"data\":["
                     "\"3.250000:2\",\"2.250000:1\"]}]}");
    rest_ask(&f, PX_HTTP_POST, MULTI,
             "{" AB ",\"outputs\":[{\"name\":\"predictions\",\"parameters\":{\"classification\":1,"
             "\"binary_data\":true}}]}");
    CHECK_CONTAINS(f.body, "\"binary_data_size\":14}}]}\x0a"); /* 4 + 10 bytes: "\n\0\0\0" ... */
    rest_ask(&f, PX_HTTP_POST, MULTI,
             "{" AB ",\"outputs\":[{\"name\":\"predictions\",\"parameters\":{\"classification\":0}}"
             "]}");
    check_refused(400, "expected a number above 0");
    rest_ask(&f, PX_HTTP_POST, MULTI,
             "{" AB ",\"outputs\":[{\"name\":\"labels\",\"parameters\":{\"classification\":1}}]}");
    check_refused(400, "classification is for scores");
    rest_tear_down(&f);
}

PX_TEST(a_timeout_in_the_past_is_a_deadline)
{
    rest_set_up(&f);
    rest_begin(&f);
    static const char body[] = "{" AB ",\"parameters\":{\"timeout\":1}}";
    f.exchange.request.method = PX_HTTP_POST;
    f.exchange.request.path = px_str(MULTI);
    f.exchange.request.body = px_str(body);
    f.exchange.request.received_ns -= 1000000000;
    f.handler.handle(f.handler.context, &f.exchange);
    f.handler.wave(f.handler.context, f.exchange.loop);
    rest_end(&f);
    check_refused(504, "deadline");
    rest_tear_down(&f);
}

/* ---- shared memory ---- */

PX_TEST(shared_memory_is_refused_without_it)
{
    rest_set_up(&f);
    rest_ask(&f, PX_HTTP_POST, "/v2/systemsharedmemory/region/r/register",
             "{\"key\":\"/k\",\"offset\":0,\"byte_size\":64}");
    check_refused(501, "shared memory is disabled on this server");
    rest_ask(&f, PX_HTTP_GET, "/v2/systemsharedmemory/status", "");
    CHECK_STR(px_str(f.body), "[]");
    rest_ask(&f, PX_HTTP_POST, "/v2/systemsharedmemory/unregister", "");
    CHECK_INT(f.status, 200);
    rest_ask(&f, PX_HTTP_POST, MULTI,
             "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP64\",\"parameters\":{"
             "\"shared_memory_region\":\"r\",\"shared_memory_byte_size\":16}}]}");
    check_refused(501, "input 'x': shared memory is disabled");
    rest_tear_down(&f);
}

PX_TEST(gpu_memory_is_unavailable)
{
    rest_set_up(&f);
    rest_ask(&f, PX_HTTP_GET, "/v2/cudasharedmemory/status", "");
    CHECK_STR(px_str(f.body), "[]");
    rest_ask(&f, PX_HTTP_GET, "/v2/cudasharedmemory/region/r/status", "");
    CHECK_INT(f.status, 404);
    rest_ask(&f, PX_HTTP_POST, "/v2/cudasharedmemory/region/r/register",
             "{\"raw_handle\":{\"b64\":\"AA==\"},\"device_id\":0,\"byte_size\":64}");
    check_refused(503, "CUDA shared memory is unavailable");
    rest_ask(&f, PX_HTTP_POST, "/v2/cudasharedmemory/unregister", "");
    CHECK_INT(f.status, 200);
    rest_tear_down(&f);
}

static struct memory_shared memory;
static double object[8]; /* "/object" */

static void set_up_shared(void)
{
    rest_set_up(&f);
    CHECK_OK(rest_use_settings(
        &f, (struct px_rest_settings){.shared_memory = memory_shared_init(&memory)}, NULL));
    memory_shared_object(&memory, "/object", (char *)object, sizeof object);
    rest_ask(&f, PX_HTTP_POST, "/v2/systemsharedmemory/region/in/register",
             "{\"key\":\"/object\",\"offset\":0,\"byte_size\":32}");
    CHECK_INT(f.status, 200);
    rest_ask(&f, PX_HTTP_POST, "/v2/systemsharedmemory/region/out/register",
             "{\"key\":\"/object\",\"offset\":32,\"byte_size\":32}");
    CHECK_INT(f.status, 200);
}

#define SHARED_IN                                                                                  \
    "\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP64\",\"parameters\":{"           \
    "\"shared_memory_region\":\"in\",\"shared_memory_offset\":16,\"shared_memory_byte_size\":16}}" \
    "]"
#define SHARED_OUT(size)                                                                           \
    "\"outputs\":[{\"name\":\"predictions\",\"parameters\":{\"shared_memory_region\":\"out\","     \
    "\"shared_memory_offset\":8,\"shared_memory_byte_size\":" size "}}]"

PX_TEST(regions_are_registered_listed_and_forgotten)
{
    set_up_shared();
    rest_ask(&f, PX_HTTP_GET, "/v2/systemsharedmemory/status", "");
    CHECK_STR(px_str(f.body),
              "[{\"name\":\"in\",\"key\":\"/object\",\"offset\":0,\"byte_size\":32},"
              "{\"name\":\"out\",\"key\":\"/object\",\"offset\":32,\"byte_size\":32"
              "}]");
    rest_ask(&f, PX_HTTP_GET, "/v2/systemsharedmemory/region/out/status", "");
    CHECK_STR(px_str(f.body),
              "[{\"name\":\"out\",\"key\":\"/object\",\"offset\":32,\"byte_size\":32}]");
    rest_ask(&f, PX_HTTP_GET, "/v2/systemsharedmemory/region/none/status", "");
    check_refused(404, "'none' is not registered");
    rest_ask(&f, PX_HTTP_POST, "/v2/systemsharedmemory/region/in/register",
             "{\"key\":\"/object\",\"byte_size\":32}");
    check_refused(409, "registered already");
    rest_ask(&f, PX_HTTP_POST, "/v2/systemsharedmemory/region/a/register", "{\"key\":\"/object\"}");
    check_refused(400, "needs 'key' and 'byte_size'");
    rest_ask(&f, PX_HTTP_POST, "/v2/systemsharedmemory/region/a/register",
             "{\"key\":\"/object\",\"byte_size\":0}");
    check_refused(400, "expected a size above 0");
    rest_ask(&f, PX_HTTP_POST, "/v2/systemsharedmemory/region/in/unregister", "");
    CHECK_INT(f.status, 200);
    CHECK_STR(px_str(f.body), "");
    rest_ask(&f, PX_HTTP_POST, "/v2/systemsharedmemory/unregister", "");
    rest_ask(&f, PX_HTTP_GET, "/v2/systemsharedmemory/status", "");
    CHECK_STR(px_str(f.body), "[]");
    rest_tear_down(&f);
}

PX_TEST(tensors_travel_through_shared_memory)
{
    set_up_shared();
    object[2] = 0.25;
    object[3] = 1;
    rest_ask(&f, PX_HTTP_POST, MULTI, "{" SHARED_IN "," SHARED_OUT("24") "}");
    check_json_reply("{\"model_name\":\"multi\",\"model_version\":\"1\",\"outputs\":[{\"name\":"
                     "\"predictions\",\"datatype\":\"FP64\",\"shape\":[1,3],\"parameters\":{"
                     "\"shared_memory_region\":\"out\",\"shared_memory_offset\":8,"
                     "\"shared_memory_byte_size\":24}}]}");
    CHECK_DOUBLE(object[5], 1.25);
    CHECK_DOUBLE(object[7], 3.25);
    rest_ask(&f, PX_HTTP_POST, "/v2/systemsharedmemory/unregister", "");
    CHECK_INT(memory.regions[1].n_refs, 0); /* the request let go of it */
    rest_tear_down(&f);
}

PX_TEST(an_output_region_lives_as_long_as_its_request)
{
    set_up_shared();
    static const char body[] = "{" SHARED_IN "," SHARED_OUT("24") "}";
    rest_begin(&f);
    f.exchange.request.method = PX_HTTP_POST;
    f.exchange.request.path = px_str(MULTI);
    f.exchange.request.body = px_str(body);
    f.handler.handle(f.handler.context, &f.exchange);
    px_shared_memory_remove_all(&memory.base);
    CHECK_INT(memory.regions[1].n_refs, 1);
    f.handler.wave(f.handler.context, f.exchange.loop);
    rest_end(&f);
    CHECK_INT(f.status, 200);
    CHECK_INT(memory.regions[1].n_refs, 0);
    rest_tear_down(&f);
}

PX_TEST(a_region_that_does_not_hold_is_an_error)
{
    set_up_shared();
    rest_ask(&f, PX_HTTP_POST, MULTI, "{" SHARED_IN "," SHARED_OUT("16") "}");
    check_refused(400, "output 'predictions' has 24 bytes, more than the 16");
    CHECK_INT(memory.regions[1].n_refs, 1);
    rest_ask(&f, PX_HTTP_POST, MULTI, "{" SHARED_IN "," SHARED_OUT("640") "}");
    CHECK_INT(f.status, 200); /* more than it needs does no harm */
    memory.fail_io = true;
    rest_ask(&f, PX_HTTP_POST, MULTI, "{" SHARED_IN "," SHARED_OUT("24") "}");
    check_refused(400, "input 'x': shared memory region 'in': the object is smaller now");
    rest_ask(&f, PX_HTTP_POST, MULTI, "{" AB "," SHARED_OUT("24") "}");
    check_refused(400, "the object is smaller now");
    CHECK_INT(memory.regions[1].n_refs, 1);
    memory.fail_io = false;
    rest_ask(&f, PX_HTTP_POST, MULTI,
             "{" AB ",\"outputs\":[{\"name\":\"predictions\",\"parameters\":{"
             "\"shared_memory_region\":\"nobody\",\"shared_memory_byte_size\":24}}]}");
    check_refused(404, "output 'predictions': shared memory region 'nobody' is not registered");
    rest_ask(&f, PX_HTTP_POST, MULTI,
             "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP64\",\"parameters\":{"
             "\"shared_memory_region\":\"in\",\"shared_memory_offset\":24,"
             "\"shared_memory_byte_size\":16}}]}");
    check_refused(400, "16 bytes at offset 24 are not inside shared memory region 'in' of 32");
    rest_ask(&f, PX_HTTP_POST, MULTI, /* nothing of that size is allocated */
             "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP64\",\"parameters\":{"
             "\"shared_memory_region\":\"in\",\"shared_memory_byte_size\":250000000}}]}");
    check_refused(400, "250000000 bytes at offset 0 are not inside shared memory region 'in'");
    rest_ask(&f, PX_HTTP_POST, MULTI,
             "{" AB ",\"outputs\":[{\"name\":\"predictions\",\"parameters\":{\"classification\":1,"
             "\"shared_memory_region\":\"out\",\"shared_memory_byte_size\":24}}]}");
    check_refused(400, "a classification cannot go to shared memory");
    rest_tear_down(&f);
}

PX_TEST(bytes_read_from_a_region_are_charged_to_the_wave)
{
    set_up_shared();
    f.serving->limits.wave_bytes_max = 8;
    rest_ask(&f, PX_HTTP_POST, MULTI, "{" SHARED_IN "}");
    check_refused(503, "arrived together need more than 8 bytes");
    f.serving->limits.wave_bytes_max = 32;
    rest_ask(&f, PX_HTTP_POST, MULTI, "{" SHARED_IN "}");
    CHECK_INT(f.status, 200);
    rest_tear_down(&f);
}

PX_TEST_MAIN(
    T(tritonclients_request_without_outputs) T(tritonclients_request_with_parameters)
        T(tritonclients_request_in_json) T(texts_and_numbers_follow_each_other_in_order)
            T(a_listed_output_follows_its_own_wish_before_the_requests)
                T(no_rows_are_answered_in_plain_json) T(a_body_without_json_is_the_one_input)
                    T(refuses_bytes_that_do_not_fit) T(classifies)
                        T(a_timeout_in_the_past_is_a_deadline)
                            T(shared_memory_is_refused_without_it) T(gpu_memory_is_unavailable)
                                T(regions_are_registered_listed_and_forgotten)
                                    T(tensors_travel_through_shared_memory)
                                        T(an_output_region_lives_as_long_as_its_request)
                                            T(a_region_that_does_not_hold_is_an_error)
                                                T(bytes_read_from_a_region_are_charged_to_the_wave))
