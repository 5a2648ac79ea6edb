/* SPDX-License-Identifier: Apache-2.0 */
/* V1 predict: objects, arrays and CSV as rows, what is refused and how it is said. */
#include "rest_fixture.h"

#include "harness.h"

#define BANK  "/v1/models/bank:predict"
#define PLAIN "/v1/models/plain:predict"
#define MULTI "/v1/models/multi:predict"

static struct rest_fixture f;

static void check_reply(const char *path, const char *body, const char *reply)
{
    rest_ask(&f, PX_HTTP_POST, path, body);
    CHECK_STR(px_str(f.body), reply);
    CHECK_INT(f.status, 200);
}

static void check_refused(const char *path, const char *body, const char *part)
{
    rest_ask(&f, PX_HTTP_POST, path, body);
    CHECK_CONTAINS(f.body, part);
    CHECK_INT(f.status, 400);
    CHECK_STR(px_str(f.exchange.content_type), "application/problem+json");
    CHECK_CONTAINS(f.body, "\"type\":\"urn:phoenix:error:invalid\",\"title\":\"invalid input\","
                           "\"status\":400,\"detail\":\"");
    CHECK_CONTAINS(f.body, "\"error\":\""); /* what V1 clients read */
}

/* The engine saw one row of these values. */
static void check_row(size_t row, const double *want, size_t n)
{
    CHECK(row < f.engine_n_rows);
    for (size_t i = 0; i < n; i++)
        CHECK_DOUBLE(f.engine_rows[row][i], want[i]);
}

PX_TEST(scores_objects)
{
    rest_set_up(&f);
    check_reply(BANK,
                "{\"instances\":[{\"age\":58,\"job\":\"technician\",\"married\":true,"
                "\"since\":\"1970-01-02\",\"balance\":-0.5},{\"balance\":1e3,\"age\":0.25},{}]}",
                "{\"predictions\":[86459.5,1000.25,0.0]}");
    check_row(0, (double[]){58, 1, 1, 86400, -0.5}, 5);
    check_row(1, (double[]){0.25, NAN, NAN, NAN, 1000}, 5);
    check_row(2, (double[]){NAN, NAN, NAN, NAN, NAN}, 5);
    rest_tear_down(&f);
}

PX_TEST(every_kind_of_value)
{
    rest_set_up(&f);
    rest_ask(&f, PX_HTTP_POST, BANK,
             "{\"instances\":[{\"age\":null,\"job\":null,\"married\":null,\"since\":null},"
             "{\"age\":NaN,\"job\":\"pilot\",\"married\":\"yes\",\"since\":86400},"
             "{\"age\":-Infinity,\"job\":7,\"married\":0,\"since\":\"\"},"
             "{\"age\":true,\"job\":\"NA\",\"married\":false}]}");
    CHECK_INT(f.status, 200);
    check_row(0, (double[]){NAN, NAN, NAN, NAN}, 4);
    check_row(1, (double[]){NAN, 3, 1, 86400}, 4);
    check_row(2, (double[]){-INFINITY, 2, 0, NAN}, 4);
    check_row(3, (double[]){1, NAN, 0, NAN}, 4);
    rest_tear_down(&f);
}

PX_TEST(scores_arrays)
{
    rest_set_up(&f);
    check_reply(PLAIN, "{\"instances\":[[1,2,3,4],[0.1,null,null,null]]}",
                "{\"predictions\":[10.0,0.1]}");
    check_reply(PLAIN,
                "{\"instances\":[{\"f1\":2,\"f0\":1}],\"signature_name\":\"serving_default\"}",
                "{\"predictions\":[3.0]}");
    check_reply(PLAIN, "{\"instances\":[]}", "{\"predictions\":[]}");
    check_reply(MULTI, "{\"instances\":[[0.1,1]]}", "{\"predictions\":[[1.1,2.1,3.1]]}");
    rest_tear_down(&f);
}

PX_TEST(no_rows_are_a_request_like_any_other)
{
    rest_set_up(&f);
    struct px_model *plain = px_serving_find(f.serving, px_str("plain"), px_str("1"), NULL);
    check_reply(PLAIN, "{\"instances\":[]}", "{\"predictions\":[]}");
    check_reply(PLAIN, "{\"instances\":[],\"output\":\"margins\"}", "{\"predictions\":[]}");
    CHECK_INT(px_metric_get(&plain->metrics[1].requests), 2);
    CHECK_INT(px_metric_get(&plain->metrics[1].rows), 0);
    CHECK_INT(px_metric_get(&plain->metrics[1].batches), 0);
    rest_tear_down(&f);
}

PX_TEST(labels_are_cut_where_the_objective_says)
{
    rest_set_up(&f);
    /* reg:logistic: no probability by name, and yet a value between 0 and 1. */
    f.binary_info.score_is_probability = false;
    f.binary_info.n_classes = 0;
    check_reply(BANK, "{\"output\":\"labels\",\"instances\":[{\"age\":0.269},{\"age\":0.731}]}",
                "{\"predictions\":[\"no\",\"yes\"]}");
    f.binary_info.decision_threshold = 0;
    check_reply(BANK, "{\"output\":\"labels\",\"instances\":[{\"age\":-0.1},{\"age\":0.1}]}",
                "{\"predictions\":[\"no\",\"yes\"]}");
    rest_tear_down(&f);
}

PX_TEST(csv_columns_have_the_whole_label)
{
    static char text[301], reply[2000];
    memset(text, 'x', sizeof text - 1);
    const struct px_str labels[] = {PX_STR("a,b"), PX_STR("b"), px_str(text)};
    rest_set_up(&f);
    f.multi.labels = labels;
    f.multi.n_labels = 3;
    rest_header(&f, "Accept", "text/csv");
    snprintf(reply, sizeof reply, "\"score_a,b\",score_b,score_%s\n3.0,4.0,5.0\n", text);
    check_reply(MULTI, "{\"instances\":[[1,2]]}", reply);
    f.multi.n_labels = 2; /* not one for each score */
    rest_header(&f, "Accept", "text/csv");
    f.query = "output=margins";
    check_reply(MULTI, "{\"instances\":[[1,2]]}", "margin_0,margin_1,margin_2\n-3.0,-2.0,-1.0\n");
    rest_tear_down(&f);
}

PX_TEST(answers_labels_and_margins)
{
    rest_set_up(&f);
    check_reply(BANK, "{\"output\":\"labels\",\"instances\":[{\"age\":0.5},{\"age\":0.75}]}",
                "{\"predictions\":[\"no\",\"yes\"]}");
    check_reply(BANK, "{\"instances\":[{\"age\":0.5}],\"output\":\"margins\"}",
                "{\"predictions\":[-0.5]}");
    check_reply(BANK, "{\"instances\":[{\"age\":0.5}],\"output\":\"scores\"}",
                "{\"predictions\":[0.5]}");
    f.query = "x=1&output=labels";
    check_reply(BANK, "{\"instances\":[{\"age\":0.5}]}", "{\"predictions\":[\"no\"]}");
    check_refused(BANK, "{\"output\":\"label\",\"instances\":[]}", "got 'label'");
    check_refused(BANK, "{\"output\":\"labels\",\"output\":\"labels\",\"instances\":[]}", "twice");
    check_refused(PLAIN, "{\"output\":\"labels\",\"instances\":[]}", "unknown output 'labels'");
    rest_tear_down(&f);
}

PX_TEST(many_instances_grow_the_matrix)
{
    char body[4096] = "{\"instances\":[[0,0,0,0]";
    rest_set_up(&f);
    for (int i = 1; i < REST_ROWS_MAX; i++) {
        size_t n = strlen(body);
        snprintf(body + n, sizeof body - n, i % 3 ? ",[%d,0,0,0]" : ",{\"f0\":%d,\"f1\":0.0}", i);
    }
    size_t n = strlen(body);
    memcpy(body + n, "]}", 3);
    rest_ask(&f, PX_HTTP_POST, PLAIN, body);
    CHECK_INT(f.status, 200);
    CHECK_CONTAINS(f.body, "[0.0,1.0,2.0,3.0,");
    CHECK_CONTAINS(f.body, ",97.0,98.0,99.0]");
    memcpy(body + n, ",{}]}", 6);
    rest_ask(&f, PX_HTTP_POST, PLAIN, body);
    CHECK_INT(f.status, 413);
    CHECK_CONTAINS(f.body, "expected at most 100 rows");
    rest_tear_down(&f);
}

PX_TEST(names_the_row_the_feature_and_what_came)
{
    rest_set_up(&f);
    check_refused(BANK, "{\"instances\":[{},{\"agee\":3}]}",
                  "instance 1: unknown feature 'agee' (did you mean 'age'?)");
    check_refused(BANK, "{\"instances\":[{\"age\":3,\"age\":4}]}",
                  "instance 0: feature 'age' is given twice");
    check_refused(BANK, "{\"instances\":[{\"age\":\"58\"}]}",
                  "instance 0: feature 'age': expected a number or null, got the text \\\"58\\\"");
    CHECK_CONTAINS(f.body, "\"hint\":\"send numbers without quotes");
    check_refused(BANK, "{\"instances\":[{\"age\":[1,2]}]}", "got several values");
    check_refused(BANK, "{\"instances\":[{\"job\":{}}]}", "got an object");
    check_refused(BANK, "{\"instances\":[{\"married\":2}]}", "expected true or false, got 2");
    check_refused(BANK, "{\"instances\":[{\"since\":\"tomorrow\"}]}", "got 'tomorrow'");
    check_refused(BANK, "{\"instances\":[{\"since\":true}]}", "feature 'since'");
    check_refused(PLAIN, "{\"instances\":[[1,2,3]]}", "instance 0: expected 4 values, got 3");
    check_refused(PLAIN, "{\"instances\":[[1,2,3,4,5]]}",
                  "instance 0: expected 4 values, got more");
    check_refused(PLAIN, "{\"instances\":[7]}", "or an array of 4 values");
    rest_tear_down(&f);
}

PX_TEST(refuses_malformed_bodies)
{
    rest_set_up(&f);
    check_refused(PLAIN, "", "JSON line 1");
    check_refused(PLAIN, "[[1,2,3,4]]", "JSON line 1");
    check_refused(PLAIN, "{}", "the request has no 'instances'");
    check_refused(PLAIN, "{\"instances\":{}}", "JSON line 1");
    check_refused(PLAIN, "{\"instances\":[[1,2,3,4]", "JSON line 1");
    check_refused(PLAIN, "{\"instances\":[[1,2,3,", "JSON line 1");
    check_refused(PLAIN, "{\"instances\":[{\"f0\":", "JSON line 1");
    check_refused(PLAIN, "{\"instances\":[", "JSON line 1");
    check_refused(PLAIN, "{\"instances\":[]} x", "JSON line 1");
    check_refused(PLAIN, "{\"instances\":[],\"instances\":[]}", "repeated");
    check_refused(PLAIN, "{\"instance\":[]}", "did you mean 'instances'?");
    check_refused(PLAIN, "{\"rows\":[]}", "unknown member 'rows'");
    check_refused(PLAIN, "{\"signature_name\":\"other\",\"instances\":[]}", "got 'other'");
    rest_header(&f, "Content-Encoding", "br");
    rest_ask(&f, PX_HTTP_POST, PLAIN, "{}");
    CHECK_INT(f.status, 415);
    rest_tear_down(&f);
}

/* ---- CSV ---- */

static void ask_csv(const char *path, const char *type, const char *body)
{
    rest_header(&f, "Content-Type", type);
    rest_ask(&f, PX_HTTP_POST, path, body);
}

static void check_csv(const char *path, const char *body, const char *reply)
{
    ask_csv(path, "text/csv; charset=utf-8", body);
    CHECK_STR(px_str(f.body), reply);
    CHECK_INT(f.status, 200);
}

static void check_csv_refused(const char *path, const char *body, const char *part)
{
    ask_csv(path, "text/csv", body);
    CHECK_CONTAINS(f.body, part);
    CHECK_INT(f.status, 400);
}

PX_TEST(scores_csv_by_name)
{
    rest_set_up(&f);
    check_csv(BANK,
              "y,balance, since,age,married,job\r\n"
              "no,-1,1970-01-02,58,true,technician\r\n"
              "yes,,,NA,,\"pilot\"\r\n",
              "{\"predictions\":[86459.0,3.0],\"unseen_categories\":1}");
    check_row(0, (double[]){58, 1, 1, 86400, -1}, 5);
    check_row(1, (double[]){NAN, 3, NAN, NAN, NAN}, 5);
    rest_tear_down(&f);
}

PX_TEST(scores_csv_by_position)
{
    rest_set_up(&f);
    check_csv(PLAIN, "1,2,3,4\n0.5,,,\n", "{\"predictions\":[10.0,0.5]}");
    check_csv(PLAIN, "f3,f2,f1,f0\n1,2,3,4", "{\"predictions\":[10.0]}");
    check_row(0, (double[]){4, 3, 2, 1}, 4);
    check_csv(PLAIN, "w,x,y,z\n1,2,3,4", "{\"predictions\":[10.0]}");
    check_row(0, (double[]){1, 2, 3, 4}, 4);
    check_csv(BANK, "58,technician,yes,1970-01-02,0", "{\"predictions\":[86460.0]}");
    check_csv(PLAIN, "f0,f1,f2,f3\n", "{\"predictions\":[]}");
    ask_csv(MULTI, "Text/CSV;header=absent", "1,2\n");
    CHECK_STR(px_str(f.body), "{\"predictions\":[[3.0,4.0,5.0]]}");
    rest_tear_down(&f);
}

PX_TEST(the_form_of_the_reply_is_what_accept_likes_best)
{
    static const struct {
        const char *accept;
        bool is_csv;
    } cases[] = {
        {"text/csv", true},
        {"Text/CSV", true},
        {"text/*", true},
        {"*/*", false},
        {"text/csv;q=0", false},
        {"text/csv;q=0.0, */*", false},
        {"text/csv;q=0.5, application/json", false},
        {"application/json;q=0.5, text/csv", true},
        {"application/json;q=0.1,text/csv ; q=0.2", true},
        {"application/json, text/csv", false},
        {"text/csv, application/json", true},
        {"*/*, text/csv", true},
        {"*/*;q=0.9, text/csv;q=0.1", false},
        {"application/json;q=0, */*", true},
        {"text/html, image/png", false},
        {"text/html,application/xhtml+xml,*/*;q=0.8", false},
        {"", false},
    };
    rest_set_up(&f);
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        rest_header(&f, "Accept", cases[i].accept);
        rest_ask(&f, PX_HTTP_POST, PLAIN, "{\"instances\":[[1,2,3,4]]}");
        CHECK_STR(px_str(f.body), cases[i].is_csv ? "score\n10.0\n" : "{\"predictions\":[10.0]}");
    }
    rest_tear_down(&f);
}

PX_TEST(a_body_is_what_its_content_type_says)
{
    static const char *const taken[] = {
        "application/json",         "Application/JSON; charset=utf-8",   "application/vnd.x+json",
        "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", ""};
    static const char *const refused[] = {"application/xml", "application/jsonlines", "text/html",
                                          "application/octet-stream"};
    rest_set_up(&f);
    for (size_t i = 0; i < PX_ARRAY_LEN(taken); i++) {
        ask_csv(PLAIN, taken[i], "{\"instances\":[[1,2,3,4]]}");
        CHECK_INT(f.status, 200);
    }
    for (size_t i = 0; i < PX_ARRAY_LEN(refused); i++) {
        ask_csv(PLAIN, refused[i], "{\"instances\":[[1,2,3,4]]}");
        CHECK_INT(f.status, 415);
        CHECK_CONTAINS(f.body, "application/json or text/csv");
        ask_csv("/v1/models/bank:classify", refused[i], "{\"examples\":[]}");
        CHECK_INT(f.status, 415);
    }
    ask_csv("/v1/models/bank:classify", "text/csv", "age\n1\n");
    CHECK_INT(f.status, 415);
    ask_csv(PLAIN, "text/csv", "");
    CHECK_INT(f.status, 400);
    CHECK_CONTAINS(f.body, "got an empty body");
    rest_tear_down(&f);
}

PX_TEST(parameters_of_types_and_queries_are_decoded)
{
    rest_set_up(&f);
    ask_csv(MULTI, "text/csv; header=\"absent\"", "1,2\n");
    CHECK_STR(px_str(f.body), "{\"predictions\":[[3.0,4.0,5.0]]}");
    ask_csv(PLAIN, "text/csv;header=\"present\"", "f0,f1,f2,f3\n1,2,3,4\n");
    CHECK_STR(px_str(f.body), "{\"predictions\":[10.0]}");
    ask_csv(PLAIN, "text/csv;header=yes", "1,2,3,4\n");
    CHECK_INT(f.status, 400);
    CHECK_CONTAINS(f.body, "header=present or header=absent, got 'yes'");
    f.query = "a=b&out%70ut=%6cabels";
    ask_csv(BANK, "", "{\"instances\":[{\"age\":1}]}");
    CHECK_STR(px_str(f.body), "{\"predictions\":[\"yes\"]}");
    f.query = "output=%zz";
    ask_csv(BANK, "", "{\"instances\":[]}");
    CHECK_INT(f.status, 400);
    rest_tear_down(&f);
}

PX_TEST(texts_may_come_in_base64)
{
    static const char *const refused[][2] = {
        {"{\"job\":{\"b64\":\"dGVjaG5pY2lhbg\"}}", "feature 'job': "}, /* without padding */
        {"{\"job\":{\"b64\":\"/w==\"}}", "got bytes that are no UTF-8"},
        {"{\"job\":{\"b64\":1}}", "expected a string"},
        {"{\"job\":{\"b64\":\"\",\"x\":1}}", "got an object"},
        {"{\"age\":{\"b64\":\"NQ==\"}}", "feature 'age': expected a number or null, got bytes"},
    };
    char body[128];
    rest_set_up(&f);
    rest_ask(&f, PX_HTTP_POST, BANK,
             "{\"instances\":[{\"job\":{\"b64\":\"dGVjaG5pY2lhbg==\"}},{\"job\":\"technician\"}]}");
    CHECK_INT(f.status, 200);
    CHECK_DOUBLE(f.engine_rows[0][1], f.engine_rows[1][1]);
    for (size_t i = 0; i < PX_ARRAY_LEN(refused); i++) {
        snprintf(body, sizeof body, "{\"instances\":[%s]}", refused[i][0]);
        check_refused(BANK, body, refused[i][1]);
    }
    rest_tear_down(&f);
}

PX_TEST(text_in_another_encoding_is_not_scored)
{
    static const char *const bad[][2] = {
        {"age,job,married,since,balance\n58,caf\xe9,,,\n", "CSV line 2, column 7: expected UTF-8, "
                                                           "got the byte 0xE9"},
        {"\xff\xfe"
         "a",
         "CSV line 1, column 1"},
        {"age,job,married,since,balance\n1,\xc3\xa9\xc3\xa9 long text\xc3,,,", "line 2, column 15"},
    };
    static const char *const refused[] = {
        "text/csv; charset=latin1", "text/csv;header=present; Charset=\"iso-8859-1\"",
        "application/json; charset=iso-8859-1", "; charset=utf-16"};
    static const char *const taken[] = {"text/csv; charset=UTF-8", "text/csv; charset=\"utf-8\"",
                                        "text/csv; charset=us-ascii", "text/csv; a=\";charset=x\""};
    rest_set_up(&f);
    for (size_t i = 0; i < PX_ARRAY_LEN(bad); i++)
        check_csv_refused(BANK, bad[i][0], bad[i][1]);
    for (size_t i = 0; i < PX_ARRAY_LEN(refused); i++) {
        ask_csv(PLAIN, refused[i], "1,2,3,4\n");
        CHECK_INT(f.status, 415);
        CHECK_CONTAINS(f.body, "expected charset=utf-8");
        ask_csv("/v2/models/plain/infer", refused[i], "{}");
        CHECK_INT(f.status, 415);
    }
    for (size_t i = 0; i < PX_ARRAY_LEN(taken); i++) {
        ask_csv(PLAIN, taken[i], "1,2,3,4\n");
        CHECK_INT(f.status, 200);
    }
    rest_tear_down(&f);
}

PX_TEST(answers_csv_when_asked)
{
    rest_set_up(&f);
    rest_header(&f, "Accept", "text/csv");
    check_csv(PLAIN, "1,2,3,4\n0.1,,,\n", "score\n10.0\n0.1\n");
    CHECK_STR(px_str(f.exchange.content_type), "text/csv; charset=utf-8");
    rest_header(&f, "Accept", "application/xml, text/csv;q=0.5");
    check_csv(MULTI, "1,2\n", "score_0,score_1,score_2\n3.0,4.0,5.0\n");
    rest_header(&f, "Accept", "text/csv");
    f.query = "output=labels";
    check_csv(BANK, "age,job,married,since,balance\n0.75,,,,\n", "label\nyes\n");
    rest_header(&f, "Accept", "text/csv");
    f.query = "output=margins";
    check_csv(PLAIN, "1,2,3,4\n", "margin\n-10.0\n");
    rest_tear_down(&f);
}

PX_TEST(refuses_csv_that_does_not_fit)
{
    rest_set_up(&f);
    check_csv_refused(BANK, "agee,job,married,since,balance\n1,,,,\n",
                      "no column for feature 'age' (the nearest column is 'agee')");
    check_csv_refused(PLAIN, "1,2,3,4\n1,2,x,4\n", "CSV line 2: feature 'f2': expected a number");
    check_csv_refused(PLAIN, "1,2,3,4\n\n1,2,3\n", "CSV line 3: expected 4 fields, got 3");
    check_csv_refused(PLAIN, "1,2,3,a\n", "so it was read as a row");
    check_csv_refused(PLAIN, "1,2,3,\"4\n", "CSV line 1");
    check_csv_refused(BANK, "age,age,job,married,since,balance\n", "appears twice");
    rest_tear_down(&f);
}

PX_TEST(a_warm_request_allocates_nothing)
{
    rest_set_up(&f);
    uint64_t before = 0;
    for (int i = 0; i < 20; i++) {
        if (i == 10)
            before = px_alloc_count();
        check_reply(PLAIN, "{\"instances\":[[1,2,3,4],{\"f0\":1}]}",
                    "{\"predictions\":[10.0,1.0]}");
        check_csv(PLAIN, "1,2,3,4\n1,2,3,4\n", "{\"predictions\":[10.0,10.0]}");
        check_refused(BANK, "{\"instances\":[{\"agee\":3}]}", "agee");
    }
    CHECK_INT(px_alloc_count() - before, 0);
    rest_tear_down(&f);
}

PX_TEST(status)
{
    rest_set_up(&f);
    rest_ask(&f, PX_HTTP_GET, "/v1/models/bank", "");
    CHECK_STR(
        px_str(f.body),
        "{\"name\":\"bank\",\"ready\":true,\"model_version_status\":[{\"version\":\"1\",\"state\":"
        "\"AVAILABLE\",\"status\":{\"error_code\":\"OK\",\"error_message\":\"\"}},{\"version\":"
        "\"2\",\"state\":\"AVAILABLE\",\"status\":{\"error_code\":\"OK\",\"error_message\":\"\"}}]"
        "}");
    rest_ask(&f, PX_HTTP_GET, "/v1/models/broken/versions/1", "");
    CHECK_INT(f.status, 503);
    CHECK_CONTAINS(f.body, "\"ready\":false");
    CHECK_CONTAINS(f.body, "\"state\":\"END\",\"status\":{\"error_code\":\"CORRUPT\"");
    rest_ask(&f, PX_HTTP_GET, "/v1/models/nobody", "");
    CHECK_INT(f.status, 404);
    rest_ask(&f, PX_HTTP_GET, "/v1/models", "");
    CHECK_STR(px_str(f.body), "{\"models\":[\"bank\",\"broken\",\"multi\",\"plain\"]}");
    rest_tear_down(&f);
}

PX_TEST_MAIN(T(scores_objects) T(every_kind_of_value) T(scores_arrays) T(answers_labels_and_margins)
                 T(many_instances_grow_the_matrix) T(names_the_row_the_feature_and_what_came)
                     T(refuses_malformed_bodies) T(scores_csv_by_name) T(scores_csv_by_position)
                         T(the_form_of_the_reply_is_what_accept_likes_best)
                             T(a_body_is_what_its_content_type_says)
                                 T(parameters_of_types_and_queries_are_decoded)
                                     T(text_in_another_encoding_is_not_scored)
                                         T(texts_may_come_in_base64) T(answers_csv_when_asked)
                                             T(refuses_csv_that_does_not_fit)
                                                 T(a_warm_request_allocates_nothing) T(status)
                                                     T(no_rows_are_a_request_like_any_other)
                                                         T(labels_are_cut_where_the_objective_says)
                                                             T(csv_columns_have_the_whole_label))
