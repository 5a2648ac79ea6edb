/* SPDX-License-Identifier: Apache-2.0 */
/* Golden requests: what may be written, what is compared how, and what is refused. */
#include "application/lifecycle/check.h"
#include "application/lifecycle/golden.h"
#include "memory_provider.h"

#include "harness.h"

static struct px_arena arena;
static struct px_golden golden;
static struct px_err err;

static enum px_code parse(const char *json)
{
    px_arena_deinit(&arena);
    arena = px_arena(1 << 24);
    return px_golden_parse(px_str(json), &arena, &golden, &err);
}

static void check_refused(const char *json, const char *part)
{
    CHECK_INT(parse(json), PX_E_INVALID);
    CHECK_CONTAINS(err.message, part);
}

#define X_1_2        "{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":[1,2]}"
#define Y_1_2        "{\"name\":\"y\",\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":[[0.5,NaN]]}"
#define SUM(values)  "{\"name\":\"sum\",\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":[" values "]}"
#define CASE(values) "{\"inputs\":[" X_1_2 "," Y_1_2 "],\"outputs\":[" SUM(values) "]}"

PX_TEST(every_type_and_nesting_is_read)
{
    CHECK_OK(parse("{\"tolerance\":0.5,\"cases\":[{\"outputs\":["
                   "{\"data\":[[\"a\",\"\"],[\"\\u00e4\",\"d\"]],\"name\":\"t\",\"shape\":[2,2],"
                   "\"datatype\":\"BYTES\"},"
                   "{\"name\":\"b\",\"shape\":[2],\"datatype\":\"BOOL\",\"data\":[true,false]}],"
                   "\"inputs\":[{\"name\":\"i\",\"shape\":[2],\"datatype\":\"INT8\","
                   "\"data\":[-128,127]},{\"name\":\"u\",\"shape\":[],\"datatype\":\"UINT64\","
                   "\"data\":[18446744073709551615]},{\"name\":\"h\",\"shape\":[1],"
                   "\"datatype\":\"FP16\",\"data\":[1.0]}],"
                   "\"parameters\":{\"sequence_id\":7,\"sequence_start\":true}}]}"));
    CHECK(golden.n_cases == 1 && golden.tolerance == 0.5);
    const struct px_golden_case *c = &golden.cases[0];
    CHECK(c->n_inputs == 3 && c->n_outputs == 2);
    CHECK(c->sequence.id == 7 && c->sequence.start && !c->sequence.end);
    CHECK_INT(c->outputs[0].bytes.len, 4 * 4 + 1 + 0 + 2 + 1);
    CHECK_INT(c->inputs[0].bytes.ptr[0], -128);
    CHECK_INT(c->inputs[1].bytes.len, 8);
    CHECK(c->inputs[2].bytes.len == 2 && memcmp(c->inputs[2].bytes.ptr, "\0\x3c", 2) == 0);
    for (size_t i = 0; i < 2; i++)
        CHECK_OK(px_tensor_check_bytes(&c->inputs[i], &err));
    px_arena_deinit(&arena);
}

PX_TEST(what_cannot_be_a_request_is_refused_with_its_place)
{
    check_refused("{}", "'inputs'");
    check_refused("[]", "object");
    check_refused("{\"tolerance\":2,\"inputs\":[" X_1_2 "],\"outputs\":[" X_1_2 "]}", "tolerance");
    check_refused("{\"case\":[]}", "unknown key 'case'");
    check_refused("{\"cases\":[{\"inputs\":[" X_1_2 "]}]}", "golden request 1");
    check_refused("{\"inputs\":[{\"name\":\"x\"}],\"outputs\":[]}", "'datatype'");
    check_refused(
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[3],\"datatype\":\"FP32\",\"data\":[1]}]}",
        "shape [3] needs 3 values, got 1");
    check_refused(
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1,2]}]}",
        "expected no more than 1 values");
    check_refused(
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[1],\"datatype\":\"UINT8\",\"data\":[256]}]}",
        "UINT8");
    check_refused(
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[1],\"datatype\":\"FP16\",\"data\":[\"1\"]}]}",
        "number");
    check_refused(
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[1],\"datatype\":\"FP31\",\"data\":[1]}]}", "FP31");
    check_refused("{\"parameters\":{\"priority\":1}}", "priority");
    check_refused("{\"cases\":[" CASE("1,2") "],\"inputs\":[" X_1_2 "]}", "both");
    CHECK_INT(parse("{\"inputs\":[{\"name\":\"x\",\"shape\":[1000000,1000000,1000000,1000000],"
                    "\"datatype\":\"FP32\",\"data\":[]}]}"),
              PX_E_TOO_LARGE);
    px_arena_deinit(&arena);
}

static struct px_tensor reals(const float *values, size_t n)
{
    return (struct px_tensor){.type = PX_TYPE_FP32,
                              .n_dims = 1,
                              .shape = {n},
                              .bytes = px_str_n((const char *)values, n * sizeof *values)};
}

PX_TEST(numbers_agree_within_the_tolerance_and_all_else_exactly)
{
    const float a[] = {1, 100, NAN}, b[] = {1.0001F, 100.01F, NAN}, c[] = {1, 101, 0};
    struct px_tensor x = reals(a, 3), y = reals(b, 3), z = reals(c, 3);
    struct px_golden_difference d;
    px_golden_compare(&x, &y, 1e-3, &d);
    CHECK(!d.differs);
    px_golden_compare(&x, &y, 0, &d);
    CHECK(d.differs && d.has_numbers);
    px_golden_compare(&x, &z, 1e-3, &d);
    CHECK(d.differs && d.element == 2); /* a number for NaN is worst */
    z.shape[0] = 1;
    z.bytes.len = 4;
    px_golden_compare(&x, &z, 1, &d);
    CHECK(d.differs && !d.has_numbers);
    const int32_t p[] = {1, 2}, q[] = {1, 3};
    struct px_tensor u = {.type = PX_TYPE_INT32,
                          .n_dims = 1,
                          .shape = {2},
                          .bytes = px_str_n((const char *)p, sizeof p)};
    struct px_tensor v = u;
    v.bytes = px_str_n((const char *)q, sizeof q);
    px_golden_compare(&u, &v, 0.9, &d);
    CHECK(d.differs && d.element == 1);
    px_golden_compare(&u, &u, 0, &d);
    CHECK(!d.differs);
}

PX_TEST(lists_grow)
{
    enum { CASES = 700 };
    struct px_buf text = px_buf(1 << 20);
    px_buf_text(&text, "{\"cases\":[");
    for (int i = 0; i < CASES; i++)
        px_buf_printf(&text,
                      "%s{\"inputs\":[{\"name\":\"x\",\"shape\":[1],\"datatype\":\"INT32\","
                      "\"data\":[%d]}],\"outputs\":[" X_1_2 "]}",
                      i ? "," : "", i);
    px_buf_text(&text, "]}");
    CHECK_OK(parse(px_buf_cstr(&text)));
    CHECK_INT(golden.n_cases, CASES);
    for (int32_t i = 0; i < CASES; i++)
        CHECK(memcmp(golden.cases[i].inputs[0].bytes.ptr, &i, sizeof i) == 0);
    px_buf_deinit(&text);
    px_arena_deinit(&arena);
}

static char folder[] = "/tmp/px_golden_XXXXXX";

static void put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK_OK(px_file_write(path, px_str(text), &err));
}

static enum px_code check_with(const char *text, struct px_check_report *report)
{
    struct px_package *package = NULL;
    const struct px_package_options options = {.engines = memory_engines()};
    put("golden.json", text);
    CHECK_OK(px_package_open(folder, &options, &package, &err));
    enum px_code code = px_check_package(package, NULL, report, &err);
    px_package_close(package);
    return code;
}

PX_TEST(a_package_is_checked_with_its_golden_requests)
{
    struct px_check_report report;
    CHECK(mkdtemp(folder));
    put("model.yaml", "phoenix: 1\nengine: {name: memory, kind: add}\ngolden: golden.json\n");
    CHECK_OK(check_with("{\"cases\":[" CASE("1.5,NaN") "," CASE("1.5,NaN") "]}", &report));
    CHECK(report.self_test_passed && report.has_golden && report.golden_passed);
    CHECK_INT(report.golden.n_rows, 2);
    CHECK_INT(check_with("{\"cases\":[" CASE("1.5,NaN") "," CASE("1.75,NaN") "]}", &report),
              PX_E_CONFLICT);
    CHECK_CONTAINS(err.message, "1 of 2 golden requests");
    CHECK_CONTAINS(err.message, "request 2, sum[0]: expected 1.75, got 1.5");
    CHECK_OK(check_with("{\"tolerance\":0.2,\"cases\":[" CASE("1.75,NaN") "]}", &report));
    CHECK_INT(check_with("{\"inputs\":[" X_1_2 "],\"outputs\":[" SUM("1,2") "]}", &report),
              PX_E_INVALID);
    CHECK_CONTAINS(err.message, "'y'");
    CHECK_INT(check_with("{\"cases\":[" CASE("1.5,2,3") "]}", &report), PX_E_INVALID);
    char command[300];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    CHECK_INT(system(command), 0);
}

PX_TEST(no_failing_allocation_crashes)
{
    for (uint64_t n = 1; n < 200; n++) {
        px_arena_deinit(&arena);
        arena = px_arena(1 << 24);
        px_alloc_fail_at(n);
        enum px_code code =
            px_golden_parse(px_str("{\"cases\":[" CASE("1,2") "]}"), &arena, &golden, &err);
        px_alloc_fail_at(0);
        if (code == PX_OK) {
            px_arena_deinit(&arena);
            return;
        }
        CHECK_INT(code, PX_E_NO_MEMORY);
    }
    CHECK(false);
}

PX_TEST_MAIN(T(every_type_and_nesting_is_read) T(what_cannot_be_a_request_is_refused_with_its_place)
                 T(numbers_agree_within_the_tolerance_and_all_else_exactly)
                     T(a_package_is_checked_with_its_golden_requests) T(lists_grow)
                         T(no_failing_allocation_crashes))
