/* SPDX-License-Identifier: Apache-2.0 */
/* Open Inference over JSON: forms of input, datatypes, outputs, parameters, and refusals. */
#include "application/serving/repository.h"
#include "manual_loops.h"
#include "rest_fixture.h"

#include "harness.h"

#define INFER "/v2/models/plain/infer"
#define BANK  "/v2/models/bank/infer"
#define MULTI "/v2/models/multi/infer"

static struct rest_fixture f;

/* A request to `path` is answered 200 with exactly this body. */
static void check_reply(const char *path, const char *body, const char *reply)
{
    rest_ask(&f, PX_HTTP_POST, path, body);
    CHECK_STR(px_str(f.body), reply);
    CHECK_INT(f.status, 200);
}

static void check_refused(const char *path, const char *body, int status, const char *part)
{
    rest_ask(&f, PX_HTTP_POST, path, body);
    CHECK_CONTAINS(f.body, part);
    CHECK_INT(f.status, status);
    CHECK_CONTAINS(f.body, "{\"error\":\"");
    CHECK(f.body[strlen(f.body) - 2] == '"'); /* and nothing else in the object */
}

/* `data` of one tensor [2,4] of this datatype reaches the engine as these eight values. */
static void check_values(const char *type, const char *data, const double *want)
{
    char body[512];
    snprintf(body, sizeof body,
             "{\"inputs\":[{\"name\":\"x\",\"shape\":[2,4],\"datatype\":\"%s\",\"data\":%s}]}",
             type, data);
    rest_ask(&f, PX_HTTP_POST, INFER, body);
    if (f.status != 200)
        fprintf(stderr, "%s\n", f.body);
    CHECK_INT(f.status, 200);
    CHECK_INT(f.engine_n_rows, 2);
    for (size_t i = 0; i < 8; i++)
        CHECK_DOUBLE(f.engine_rows[i / 4][i % 4], want[i]);
}

static void check_data_refused(const char *type, const char *shape, const char *data,
                               const char *part)
{
    char body[512];
    snprintf(body, sizeof body,
             "{\"inputs\":[{\"name\":\"x\",\"shape\":%s,\"datatype\":\"%s\",\"data\":%s}]}", shape,
             type, data);
    check_refused(INFER, body, 400, part);
}

PX_TEST(scores_a_matrix)
{
    rest_set_up(&f);
    check_reply(
        INFER,
        "{\"id\":\"42\",\"inputs\":[{\"name\":\"input\",\"shape\":[2,4],\"datatype\":\"FP32\","
        "\"data\":[1,2,3,4,0.5,0,0,0]}]}",
        "{\"id\":\"42\",\"model_name\":\"plain\",\"model_version\":\"1\",\"outputs\":[{"
        "\"name\":\"predictions\",\"datatype\":\"FP32\",\"shape\":[2,1],\"data\":[10.0,0.5]}]}");
    CHECK_STR(px_str(f.exchange.content_type), "application/json");
    rest_tear_down(&f);
}

PX_TEST(id_is_echoed_only_when_given)
{
    rest_set_up(&f);
    const char *body =
        "{\"id\":\"\",\"inputs\":[{\"name\":\"x\",\"shape\":[4],\"datatype\":\"FP32\","
        "\"data\":[1,2,3,4]}]}";
    check_reply(INFER, body,
                "{\"model_name\":\"plain\",\"model_version\":\"1\",\"outputs\":[{\"name\":"
                "\"predictions\",\"datatype\":\"FP32\",\"shape\":[1,1],\"data\":[10.0]}]}");
    rest_tear_down(&f);
}

PX_TEST(members_come_in_any_order)
{
    rest_set_up(&f);
    check_reply(
        INFER,
        "{\"outputs\":[{\"parameters\":{\"binary_data\":false},\"name\":\"predictions\"}],"
        "\"inputs\":[{\"data\":[[1,2],[3,4]],\"datatype\":\"FP32\",\"shape\":[1,4],"
        "\"name\":\"x\"}],\"model_name\":\"ignored\",\"id\":\"\\u00e9\"}",
        "{\"id\":\"\xC3\xA9\",\"model_name\":\"plain\",\"model_version\":\"1\",\"outputs\":[{"
        "\"name\":\"predictions\",\"datatype\":\"FP32\",\"shape\":[1,1],\"data\":[10.0]}]}");
    rest_tear_down(&f);
}

PX_TEST(values_follow_their_datatype)
{
    rest_set_up(&f);
    check_values(
        "FP32", "[0.1,null,NaN,Infinity,-Infinity,-0.0,1e-45,16777217]",
        (double[]){(double)0.1f, NAN, NAN, INFINITY, -INFINITY, -0.0, (double)1e-45f, 16777216});
    check_values("FP64", "[[0.1,1e300,-1e300,1],[2,3,4,null]]",
                 (double[]){(double)0.1f, INFINITY, -INFINITY, 1, 2, 3, 4, NAN});
    check_values("FP16", "[0.1,65504,65520,1e-8,2049,-2.5,6e-8,null]",
                 (double[]){0.0999755859375, 65504, INFINITY, 0, 2048, -2.5, 0x1p-24, NAN});
    check_values("BF16", "[1.00390625,3,4,5,6,7,8,1.01171875]",
                 (double[]){1, 3, 4, 5, 6, 7, 8, 1.015625});
    check_values("INT8", "[-128,127,0,1,2,3,4,null]", (double[]){-128, 127, 0, 1, 2, 3, 4, NAN});
    check_values("UINT64", "[18446744073709551615,0,1,2,3,4,5,6]",
                 (double[]){0x1p64, 0, 1, 2, 3, 4, 5, 6});
    check_values("INT64", "[-9223372036854775808,0,1,2,3,4,5,6]",
                 (double[]){-0x1p63, 0, 1, 2, 3, 4, 5, 6});
    check_values("BOOL", "[true,false,null,true,true,true,true,false]",
                 (double[]){1, 0, NAN, 1, 1, 1, 1, 0});
    rest_tear_down(&f);
}

PX_TEST(a_double_stays_a_double_for_a_model_of_doubles)
{
    rest_set_up(&f);
    rest_ask(&f, PX_HTTP_POST, MULTI,
             "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP64\",\"data\":[0.1,"
             "1e300]}]}");
    CHECK_INT(f.status, 200);
    CHECK_DOUBLE(f.engine_rows[0][0], 0.1);
    CHECK_DOUBLE(f.engine_rows[0][1], 1e300);
    rest_ask(
        &f, PX_HTTP_POST, MULTI,
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":[0.1,2]}]}");
    CHECK_DOUBLE(f.engine_rows[0][0], (double)0.1f);
    rest_tear_down(&f);
}

PX_TEST(refuses_values_outside_their_datatype)
{
    rest_set_up(&f);
    check_data_refused("INT8", "[4]", "[128,0,0,0]", "128 does not fit in INT8");
    check_data_refused("INT8", "[4]", "[-129,0,0,0]", "-129 does not fit in INT8");
    check_data_refused("UINT8", "[4]", "[256,0,0,0]", "256 does not fit in UINT8");
    check_data_refused("UINT16", "[4]", "[-1,0,0,0]", "input 'x'");
    check_data_refused("INT32", "[4]", "[1.5,0,0,0]", "input 'x'");
    check_data_refused("INT32", "[4]", "[NaN,0,0,0]", "input 'x'");
    check_data_refused("BOOL", "[4]", "[1,0,0,0]", "input 'x'");
    check_data_refused("FP32", "[4]", "[\"1\",0,0,0]", "input 'x'");
    check_data_refused("FP32", "[4]", "[true,0,0,0]", "input 'x'");
    check_data_refused("FP32", "[4]", "[{},0,0,0]", "input 'x'");
    check_data_refused("BYTES", "[4]", "[\"1\",\"2\",\"3\",\"4\"]", "feature 'f0'");
    check_data_refused("STRING", "[4]", "[1,2,3,4]", "unknown datatype 'STRING'");
    rest_tear_down(&f);
}

PX_TEST(refuses_shapes_that_do_not_hold)
{
    rest_set_up(&f);
    check_data_refused("FP32", "[2,4]", "[1,2,3,4,5,6,7]", "shape [2,4] needs 8 values, got 7");
    check_data_refused("FP32", "[1,4]", "[1,2,3,4,5]", "input 'x'");
    check_data_refused("INT32", "[1,4]", "[1,2,3,4,5]", "no more than 4 values");
    check_data_refused("FP32", "[1,5]", "[1,2,3,4,5]", "is not [rows,4]");
    check_data_refused("FP32", "[]", "[1]", "is not [rows,4]");
    check_data_refused("FP32", "[-1,4]", "[1,2,3,4]", "dimension >= 0");
    check_data_refused("FP32", "[1.0,4]", "[1,2,3,4]", "JSON line 1");
    check_data_refused("FP32", "4", "[1,2,3,4]", "JSON line 1");
    check_data_refused("FP32", "[1,4]", "3", "input 'x'");
    check_data_refused("FP32", "[1,1,1,1,1,1,1,1,4]", "[1,2,3,4]", "at most 8 dimensions");
    check_data_refused("FP32", "[100,4]", "[1,2,3,4]", "too short for shape [100,4]");
    check_data_refused("FP32", "[99999999999999999999,4]", "[1,2,3,4]", "JSON line 1");
    rest_tear_down(&f);
}

PX_TEST(a_huge_shape_is_too_large)
{
    rest_set_up(&f);
    check_refused(INFER,
                  "{\"inputs\":[{\"name\":\"x\",\"shape\":[9223372036854775807,4],\"datatype\":"
                  "\"FP32\",\"data\":[1,2,3,4]}]}",
                  413, "expected at most 100 rows");
    check_refused(INFER,
                  "{\"inputs\":[{\"name\":\"x\",\"shape\":[4611686018427387904,4],\"datatype\":"
                  "\"FP32\",\"data\":[]}]}",
                  413, "expected at most 100 rows");
    rest_tear_down(&f);
}

PX_TEST(no_rows_give_no_scores)
{
    rest_set_up(&f);
    const char *reply = "{\"model_name\":\"plain\",\"model_version\":\"1\",\"outputs\":[{\"name\":"
                        "\"predictions\",\"datatype\":\"FP32\",\"shape\":[0,1],\"data\":[]}]}";
    check_reply(INFER,
                "{\"inputs\":[{\"name\":\"x\",\"shape\":[0,4],\"datatype\":\"FP32\",\"data\":[]}]}",
                reply);
    check_reply(
        INFER,
        "{\"inputs\":[{\"name\":\"x\",\"data\":[[],[[]]],\"shape\":[0,4],\"datatype\":\"INT8\"}]}",
        reply);
    check_data_refused("FP32", "[0,4]", "[1]", "input 'x'");
    rest_tear_down(&f);
}

PX_TEST(takes_one_tensor_per_feature)
{
    rest_set_up(&f);
    check_reply(
        BANK,
        "{\"inputs\":["
        "{\"name\":\"age\",\"shape\":[2,1],\"datatype\":\"FP32\",\"data\":[58,null]},"
        "{\"name\":\"since\",\"shape\":[2],\"datatype\":\"BYTES\",\"data\":[\"1970-01-02\",\"\"]},"
        "{\"name\":\"job\",\"shape\":[2],\"datatype\":\"BYTES\",\"data\":[\"technician\",\"pilot\"]"
        "},"
        "{\"name\":\"married\",\"shape\":[2,1],\"datatype\":\"BOOL\",\"data\":[[true],[false]]}]}",
        "{\"model_name\":\"bank\",\"model_version\":\"2\",\"parameters\":{\"unseen_categories\":1},"
        "\"outputs\":[{\"name\":\"predictions\","
        "\"datatype\":\"FP32\",\"shape\":[2,1],\"data\":[86460.0,3.0]}]}");
    const double want[2][5] = {{58, 1, 1, 86400, NAN}, {NAN, 3, 0, NAN, NAN}};
    for (size_t i = 0; i < 10; i++)
        CHECK_DOUBLE(f.engine_rows[i / 5][i % 5], want[i / 5][i % 5]);
    rest_tear_down(&f);
}

PX_TEST(encodes_a_matrix_for_features_of_every_kind)
{
    rest_set_up(&f);
    rest_ask(&f, PX_HTTP_POST, BANK,
             "{\"inputs\":[{\"name\":\"input\",\"shape\":[1,5],\"datatype\":\"FP64\","
             "\"data\":[58,7,1,86400,2.5]}]}");
    CHECK_INT(f.status, 200);
    const double want[5] = {58, 2, 1, 86400, 2.5};
    for (size_t i = 0; i < 5; i++)
        CHECK_DOUBLE(f.engine_rows[0][i], want[i]);
    rest_tear_down(&f);
}

PX_TEST(refuses_tensors_that_do_not_fit_together)
{
    rest_set_up(&f);
#define AGE   "{\"name\":\"age\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1]}"
#define WHOLE "{\"name\":\"x\",\"shape\":[1,5],\"datatype\":\"FP32\",\"data\":[1,7,1,1,1]}"
    check_refused(BANK, "{\"inputs\":[" AGE "," AGE "]}", 400, "input 'age' is given twice");
    check_refused(BANK, "{\"inputs\":[" WHOLE "," AGE "]}", 400, "already holds all features");
    check_refused(BANK, "{\"inputs\":[" WHOLE "," WHOLE "]}", 400, "already holds all features");
    check_refused(BANK, "{\"inputs\":[" AGE "," WHOLE "]}", 400, "unknown feature 'x'");
    check_refused(
        BANK,
        "{\"inputs\":[" AGE
        ",{\"name\":\"job\",\"shape\":[2],\"datatype\":\"BYTES\",\"data\":[\"a\",\"b\"]}]}",
        400, "input 'job' has 2 rows, the first input has 1");
    check_refused(
        BANK, "{\"inputs\":[{\"name\":\"agee\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1]}]}",
        400, "did you mean 'age'?");
    check_refused(
        BANK,
        "{\"inputs\":[{\"name\":\"age\",\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":[1,2]}]}",
        400, "expected shape [rows] or [rows,1] for one feature, got [1,2]");
    check_refused(BANK,
                  "{\"inputs\":[{\"name\":\"married\",\"shape\":[2],\"datatype\":\"INT8\","
                  "\"data\":[1,2]}]}",
                  400,
                  "input 'married': element 1: feature 'married': expected true or false, got 2");
    rest_tear_down(&f);
}

PX_TEST(answers_the_outputs_asked_for_in_their_order)
{
    rest_set_up(&f);
#define IN "\"inputs\":[{\"name\":\"age\",\"shape\":[2],\"datatype\":\"FP32\",\"data\":[0.5,0.75]}]"
    check_reply(
        BANK, "{" IN ",\"outputs\":[{\"name\":\"labels\"},{\"name\":\"predictions\"}]}",
        "{\"model_name\":\"bank\",\"model_version\":\"2\",\"outputs\":[{\"name\":\"labels\","
        "\"datatype\":\"BYTES\",\"shape\":[2,1],\"data\":[\"no\",\"yes\"]},{\"name\":"
        "\"predictions\",\"datatype\":\"FP32\",\"shape\":[2,1],\"data\":[0.5,0.75]}]}");
    check_reply(
        BANK, "{" IN ",\"outputs\":[{\"name\":\"margins\"}]}",
        "{\"model_name\":\"bank\",\"model_version\":\"2\",\"outputs\":[{\"name\":\"margins\","
        "\"datatype\":\"FP32\",\"shape\":[2,1],\"data\":[-0.5,-0.75]}]}");
    check_reply(BANK, "{" IN ",\"outputs\":[]}",
                "{\"model_name\":\"bank\",\"model_version\":\"2\",\"outputs\":[{\"name\":"
                "\"predictions\",\"datatype\":\"FP32\",\"shape\":[2,1],\"data\":[0.5,0.75]}]}");
    check_refused(BANK, "{" IN ",\"outputs\":[{\"name\":\"scores\"}]}", 400,
                  "unknown output 'scores'; model 'bank' has 'predictions', 'labels', 'margins'");
    check_refused(BANK, "{" IN ",\"outputs\":[{\"name\":\"labels\"},{\"name\":\"labels\"}]}", 400,
                  "asked for twice");
    check_refused(BANK, "{" IN ",\"outputs\":[{\"name\":\"labels\"},{\"name\":\"margins\"}]}", 400,
                  "cannot come with other outputs");
    check_refused(BANK, "{" IN ",\"outputs\":[{}]}", 400, "an output without 'name'");
    check_refused(
        INFER,
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[4],\"datatype\":\"FP32\",\"data\":[1,2,3,4]}],"
        "\"outputs\":[{\"name\":\"labels\"}]}",
        400, "model 'plain' has 'predictions', 'margins'");
    rest_tear_down(&f);
}

PX_TEST(several_scores_and_classes_without_labels)
{
    rest_set_up(&f);
    check_reply(
        MULTI,
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP64\",\"data\":[0.1,0]}],"
        "\"outputs\":[{\"name\":\"predictions\"},{\"name\":\"labels\"}]}",
        "{\"model_name\":\"multi\",\"model_version\":\"1\",\"outputs\":[{\"name\":"
        "\"predictions\",\"datatype\":\"FP64\",\"shape\":[1,3],\"data\":[0.1,1.1,2.1]},{"
        "\"name\":\"labels\",\"datatype\":\"BYTES\",\"shape\":[1,1],\"data\":[\"2\"]}]}");
    rest_tear_down(&f);
}

PX_TEST(non_finite_scores_are_bare_words)
{
    rest_set_up(&f);
    rest_ask(
        &f, PX_HTTP_POST, INFER,
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,4],\"datatype\":\"FP32\",\"data\":[Infinity,1,1,"
        "1]}]}");
    CHECK_CONTAINS(f.body, "\"data\":[Infinity]");
    rest_tear_down(&f);
}

PX_TEST(checks_parameters)
{
    rest_set_up(&f);
#define X "\"inputs\":[{\"name\":\"x\",\"shape\":[4],\"datatype\":\"FP32\",\"data\":[1,2,3,4]}]"
    rest_ask(&f, PX_HTTP_POST, INFER,
             "{\"parameters\":{\"sequence_id\":0,\"sequence_start\":false,\"sequence_end\":false,"
             "\"priority\":1,\"timeout\":1000000000,\"a\":1.5,\"b\":\"text\",\"binary_data_"
             "output\":false}," X "}");
    CHECK_INT(f.status, 200);
    check_refused(INFER, "{\"parameters\":{\"headers\":\"x\"}," X "}", 501, "reserved");
    check_refused(INFER, "{\"parameters\":{\"triton_x\":1}," X "}", 400, "'triton_'");
    check_refused(INFER, "{\"parameters\":{\"a\":null}," X "}", 400, "parameter 'a'");
    check_refused(INFER, "{\"parameters\":{\"a\":[1]}," X "}", 400, "parameter 'a'");
    check_refused(INFER, "{\"parameters\":{\"priority\":-1}," X "}", 400,
                  "parameter 'priority': expected an integer >= 0, got -1");
    check_refused(INFER, "{\"parameters\":{\"timeout\":\"5s\"}," X "}", 400,
                  "parameter 'timeout': expected an integer >= 0, got a text");
    check_refused(
        INFER, "{\"parameters\":{\"timeout\":86400000001}," X "}", 400,
        "parameter 'timeout': expected microseconds, at most 86400000000, got 86400000001");
    check_refused(INFER, "{\"parameters\":{\"timeout\":true}," X "}", 400, "got true");
    check_refused(INFER, "{\"parameters\":{\"sequence_start\":1}," X "}", 400,
                  "parameter 'sequence_start': expected true or false");
    check_refused(INFER, "{\"parameters\":{\"sequence_id\":1.5}," X "}", 400,
                  "parameter 'sequence_id': expected an integer from 0 to 18446744073709551615");
    check_refused(INFER, "{\"parameters\":{\"sequence_id\":18446744073709551616}," X "}", 400,
                  "parameter 'sequence_id': expected an integer from 0 to 18446744073709551615");
    check_refused(INFER, "{\"parameters\":{\"timeout\":1,\"timeout\":2}," X "}", 400, "repeated");
    check_refused(INFER, "{\"parameters\":{\"triton_enable_empty_final_response\":true}," X "}",
                  400, "'triton_'");
    check_refused(INFER, "{\"parameters\":[]," X "}", 400, "JSON line 1");
    rest_tear_down(&f);
}

PX_TEST(refuses_compressed_bodies)
{
    rest_set_up(&f);
    rest_header(&f, "Inference-Header-Content-Length", "9999");
    check_refused(INFER, "{" X "}", 400, "expected a number from 0 to the body's length");
    rest_header(&f, "Inference-Header-Content-Length", "x");
    check_refused(INFER, "{" X "}", 400, "got 'x'");
    char length[24];
    snprintf(length, sizeof length, "%zu", strlen("{" X "}"));
    rest_header(&f, "Inference-Header-Content-Length", length);
    rest_ask(&f, PX_HTTP_POST, INFER, "{" X "}");
    CHECK_INT(f.status, 200);
    rest_header(&f, "Content-Encoding", "br");
    check_refused(INFER, "{" X "}", 501, "Content-Encoding 'br'");
    CHECK_CONTAINS(f.headers, "Accept-Encoding: gzip,deflate,zstd\r\n");
    rest_tear_down(&f);
}

PX_TEST(refuses_malformed_requests)
{
    rest_set_up(&f);
    check_refused(INFER, "", 400, "JSON line 1");
    check_refused(INFER, "[]", 400, "JSON line 1");
    check_refused(INFER, "{}", 400, "the request has no 'inputs'");
    check_refused(INFER, "{\"inputs\":[]}", 400, "'inputs' is empty");
    check_refused(INFER, "{\"inputs\":{}}", 400, "JSON line 1");
    check_refused(INFER, "{\"inputs\":[{}]}", 400, "has no 'name'");
    check_refused(INFER, "{\"inputs\":[{\"name\":\"x\",\"shape\":[4],\"datatype\":\"FP32\"}]}", 400,
                  "has no 'data'");
    check_refused(INFER, "{\"inputs\":[{\"name\":\"x\",\"name\":\"y\"}]}", 400, "repeated");
    check_refused(INFER, "{" X "," X "}", 400, "repeated");
    check_refused(INFER, "{\"id\":1," X "}", 400, "JSON line 1");
    check_refused(INFER, "{" X "} x", 400, "JSON line 1");
    check_refused(INFER,
                  "{\"inputs\":[{\"name\":\"x\",\"shape\":[4],\"datatype\":\"FP32\",\"data\":[1,",
                  400, "input 'x'");
    char deep[4096] = "{\"inputs\":[{\"name\":\"x\",\"shape\":[4],\"datatype\":\"INT8\",\"data\":";
    for (size_t n = strlen(deep), i = n; i < n + 2000; i++)
        deep[i] = '[';
    check_refused(INFER, deep, 400, "input 'x'");
    rest_tear_down(&f);
}

PX_TEST(unknown_models_and_versions)
{
    rest_set_up(&f);
    check_refused("/v2/models/plane/infer", "{" X "}", 404, "plane");
    check_refused("/v2/models/plain/versions/9/infer", "{" X "}", 404, "9");
    check_refused("/v2/models/broken/infer", "{" X "}", 503, "ends inside a tree");
    rest_ask(&f, PX_HTTP_POST, "/v2/models/bank/versions/1/infer",
             "{\"inputs\":[{\"name\":\"age\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1]}]}");
    CHECK_CONTAINS(f.body, "\"model_version\":\"1\"");
    rest_tear_down(&f);
}

PX_TEST(server_and_model_metadata)
{
    rest_set_up(&f);
    rest_ask(&f, PX_HTTP_GET, "/v2/", "");
    CHECK_CONTAINS(f.body, "{\"name\":\"phoenix\",\"version\":\"");
    rest_ask(&f, PX_HTTP_GET, "/v2/models/plain", "");
    CHECK_STR(px_str(f.body),
              "{\"name\":\"plain\",\"versions\":[\"1\"],\"platform\":\"xgboost-json\",\"inputs\":[{"
              "\"name\":\"input\",\"datatype\":\"FP32\",\"shape\":[-1,4]}],\"outputs\":[{\"name\":"
              "\"predictions\",\"datatype\":\"FP32\",\"shape\":[-1,1]}],\"properties\":{\"task\":"
              "\"regression\",\"optional_outputs\":\"margins\",\"kernel_one\":\"walker, 250 ns per "
              "row in batches of 1\",\"kernel_many\":\"walker, 12.2 ns per row in batches of 2\","
              "\"self_test\":\"passed\"}}");
    rest_ask(&f, PX_HTTP_GET, "/v2/models/bank/", "");
    CHECK_CONTAINS(f.body, "\"versions\":[\"1\",\"2\"]");
    CHECK_CONTAINS(f.body,
                   "{\"name\":\"age\",\"datatype\":\"FP32\",\"shape\":[-1,1]},{\"name\":\"job\","
                   "\"datatype\":\"BYTES\",\"shape\":[-1,1]},{\"name\":\"married\","
                   "\"datatype\":\"BOOL\",\"shape\":[-1,1]},{\"name\":\"since\",\"datatype\":"
                   "\"BYTES\",\"shape\":[-1,1]}");
    rest_ask(&f, PX_HTTP_GET, "/v2/models/bank/versions/1", "");
    CHECK_CONTAINS(f.body, "\"versions\":[\"1\"]");
    rest_ask(&f, PX_HTTP_GET, "/v2/models/nobody", "");
    CHECK_INT(f.status, 404);
    rest_tear_down(&f);
}

PX_TEST(health)
{
    rest_set_up(&f);
    rest_ask(&f, PX_HTTP_GET, "/v2/health/live", "");
    CHECK_STR(px_str(f.body), "{\"live\":true}");
    rest_ask(&f, PX_HTTP_GET, "/v2/health/ready", "");
    CHECK_STR(px_str(f.body), "{\"ready\":true}");
    rest_ask(&f, PX_HTTP_GET, "/v2/models/bank/ready", "");
    CHECK_STR(px_str(f.body), "{\"name\":\"bank\",\"ready\":true}");
    rest_ask(&f, PX_HTTP_GET, "/v2/models/broken/ready", "");
    CHECK_INT(f.status, 503);
    CHECK_CONTAINS(f.body, "\"ready\":false,\"error\":\"");
    rest_ask(&f, PX_HTTP_GET, "/v2/models/nobody/ready", "");
    CHECK_INT(f.status, 404);
    px_serving_drain(f.serving);
    rest_ask(&f, PX_HTTP_GET, "/v2/health/ready", "");
    CHECK_INT(f.status, 503);
    rest_ask(&f, PX_HTTP_GET, "/v2/health/live", "");
    CHECK_INT(f.status, 200);
    rest_tear_down(&f);
}

PX_TEST(a_warm_request_allocates_nothing)
{
    rest_set_up(&f);
    uint64_t before = 0;
    for (int i = 0; i < 20; i++) {
        if (i == 10)
            before = px_alloc_count();
        rest_ask(&f, PX_HTTP_POST, INFER, "{" X "}");
        rest_ask(&f, PX_HTTP_POST, BANK, "{" IN ",\"outputs\":[{\"name\":\"labels\"}]}");
        CHECK_INT(f.status, 200);
    }
    CHECK_INT(px_alloc_count() - before, 0);
    rest_tear_down(&f);
}

PX_TEST(a_request_over_its_memory_is_refused)
{
    char body[1024] =
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[90,4],\"datatype\":\"FP32\",\"data\":[0";
    rest_set_up(&f);
    for (int i = 1; i < 90 * 4; i++)
        memcpy(body + strlen(body), ",0", 3);
    memcpy(body + strlen(body), "]}]}", 5);
    rest_ask(&f, PX_HTTP_POST, INFER, body);
    CHECK_INT(f.status, 200);
    px_arena_deinit(&f.arena);
    f.arena = px_arena(2000);
    check_refused(INFER, body, 413, "90 rows of 4 features do not fit in the memory");
    px_arena_deinit(&f.arena);
    f.arena = px_arena(64);
    check_refused(INFER, "{" X "}", 413, "more than 64 bytes of memory");
    rest_tear_down(&f);
}

static void begin(const char *path, const char *body)
{
    rest_begin(&f);
    f.exchange.request.method = PX_HTTP_POST;
    f.exchange.request.path = px_str(path);
    f.exchange.request.body = px_str(body);
    f.handler.handle(f.handler.context, &f.exchange);
}

PX_TEST(a_request_whose_client_has_gone_is_not_scored)
{
    rest_set_up(&f);
    begin(INFER, "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,4],\"datatype\":\"FP32\","
                 "\"data\":[1,2,3,4]}]}");
    f.handler.abandon(f.handler.context, &f.exchange, PX_HTTP_GONE);
    f.handler.wave(f.handler.context, f.exchange.loop);
    rest_end(&f);
    CHECK_INT(f.status, 499);
    CHECK_INT(f.engine_n_rows, 0);
    begin("/v1/models/plain:predict", "{\"instances\":[[1,2,3,4]]}");
    f.handler.abandon(f.handler.context, &f.exchange, PX_HTTP_GONE);
    f.handler.wave(f.handler.context, f.exchange.loop);
    rest_end(&f);
    CHECK_INT(f.status, 499);
    CHECK_INT(f.engine_n_rows, 0);
    rest_tear_down(&f);
}

/* A load or an index is deferred, and goes on. */
PX_TEST(a_client_that_does_not_wait_for_the_repository_does_no_harm)
{
    struct manual_loops loops;
    rest_set_up(&f);
    manual_loops_init(&loops, 2);
    CHECK_OK(px_serving_manage(f.serving, &loops.port, true, NULL));
    begin("/v2/repository/index", "");
    CHECK(f.exchange.deferred);
    f.handler.abandon(f.handler.context, &f.exchange, PX_HTTP_GONE);
    manual_loops_wait(&loops, 1);
    manual_loops_stop(&loops, 1);
    rest_end(&f);
    CHECK_INT(f.status, 200);
    px_serving_unmanage(f.serving);
    rest_tear_down(&f);
}

PX_TEST(a_reply_over_its_limit_is_an_error)
{
    rest_set_up(&f);
    px_buf_deinit(&f.buf);
    f.buf = px_buf(128);
    rest_ask(
        &f, PX_HTTP_POST, BANK,
        "{\"id\":\"0123456789012345678901234567890123456789012345678901234567890123456789\"," IN
        "}");
    CHECK_INT(f.status, 413);
    CHECK_CONTAINS(f.body, "the response");
    rest_tear_down(&f);
}

PX_TEST_MAIN(
    T(scores_a_matrix) T(id_is_echoed_only_when_given) T(members_come_in_any_order) T(
        values_follow_their_datatype) T(a_double_stays_a_double_for_a_model_of_doubles)
        T(refuses_values_outside_their_datatype) T(refuses_shapes_that_do_not_hold) T(
            a_huge_shape_is_too_large) T(no_rows_give_no_scores) T(takes_one_tensor_per_feature)
            T(encodes_a_matrix_for_features_of_every_kind) T(
                refuses_tensors_that_do_not_fit_together)
                T(answers_the_outputs_asked_for_in_their_order) T(
                    several_scores_and_classes_without_labels) T(non_finite_scores_are_bare_words)
                    T(checks_parameters) T(refuses_compressed_bodies) T(refuses_malformed_requests)
                        T(unknown_models_and_versions) T(server_and_model_metadata) T(health)
                            T(a_warm_request_allocates_nothing) T(
                                a_request_over_its_memory_is_refused)
                                T(a_reply_over_its_limit_is_an_error) T(
                                    a_request_whose_client_has_gone_is_not_scored)
                                    T(a_client_that_does_not_wait_for_the_repository_does_no_harm))
