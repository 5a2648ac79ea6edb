/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "application/batch/predict.h"
#include "memory_table.h"
#include "shared/alloc.h"
#include "tiny_model.h"

#include <unistd.h>

static struct px_package *package;
static struct memory_table table;
static struct px_buf out;
static struct px_batch_progress done;
static struct px_err err;
static uint64_t bad_places[PX_BATCH_BAD_ROWS_TOLD];
static size_t n_bad;

static const double ages[] = {20, 40, NAN, 20};
static const uint64_t first_two_and_last = 0xB;
static const char *const amounts[] = {"0", "x", "1", "1"};
static const uint8_t flags[] = {0, 1, 1, 0};

static enum px_code write_text(void *context, struct px_str bytes, struct px_err *e)
{
    (void)context;
    (void)e;
    px_buf_str(&out, bytes);
    return PX_OK;
}

static void note_bad_row(void *context, uint64_t place, const struct px_err *why)
{
    (void)context;
    CHECK(why->message[0]);
    bad_places[n_bad++] = place;
}

/* Columns id (unreadable), amount (text), age (numbers with a NULL). */
static void start(size_t n_chunks)
{
    px_buf_deinit(&out);
    out = px_buf(1 << 20);
    n_bad = 0;
    err = (struct px_err){0};
    table = (struct memory_table){
        .port = {&memory_table_ops},
        .columns = {{PX_STR("id"), PX_TABLE_UNREADABLE, PX_STR("MAP")},
                    {PX_STR("amount"), PX_TABLE_TEXT, PX_STR("VARCHAR")},
                    {PX_STR("age"), PX_TABLE_NUMBER, PX_STR("DOUBLE")}},
        .values = {{0}, {amounts, NULL}, {ages, &first_two_and_last}},
        .n_columns = 3,
        .n_rows = 4,
        .n_chunks = n_chunks,
    };
}

static enum px_code run(struct px_batch_options options)
{
    const struct px_batch_io io = {.write = write_text, .bad_row = note_bad_row};
    const struct px_batch_table t = {&table.port, &done};
    enum px_code code = px_batch_predict_table(package, &options, &io, &t, &err);
    CHECK_INT(table.handed_out, 0);
    return code;
}

PX_TEST(opens_a_bare_file)
{
    char path[] = "/tmp/px_test_XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    CHECK(write(fd, tiny_model, strlen(tiny_model)) == (ssize_t)strlen(tiny_model));
    close(fd);
    enum px_code code = px_package_open(path, NULL, &package, &err);
    unlink(path);
    CHECK_OK(code);
}

PX_TEST(columns_become_rows)
{
    start(1);
    CHECK_OK(run((struct px_batch_options){.json = true}));
    CHECK_STR(px_buf_view(&out), "{\"row\":1,\"score\":11.0}\n{\"row\":3,\"score\":22.0}\n"
                                 "{\"row\":4,\"score\":12.0}\n");
    CHECK_INT(n_bad, 1);
    CHECK_INT(bad_places[0], 2);
}

PX_TEST(the_first_bad_row_can_end_the_work)
{
    start(50);
    CHECK_INT(run((struct px_batch_options){.fail_on_error = true, .n_threads = 3}), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "row 2: feature 'amount'");
}

PX_TEST(booleans_are_zero_and_one)
{
    start(1);
    table.columns[1].type = PX_TABLE_BOOLEAN;
    table.values[1].items = flags;
    CHECK_OK(run((struct px_batch_options){0}));
    CHECK_STR(px_buf_view(&out), "score\n11.0\n22.0\n22.0\n11.0\n");
}

PX_TEST(a_feature_that_cannot_be_read_is_named)
{
    start(1);
    table.columns[2].type = PX_TABLE_UNREADABLE;
    CHECK_INT(run((struct px_batch_options){0}), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "column 'age': expected numbers, booleans or text, got DOUBLE");
}

PX_TEST(threads_keep_the_order)
{
    for (size_t n = 1; n <= 4; n++) {
        start(2000);
        CHECK_OK(run((struct px_batch_options){.json = true, .n_threads = n}));
        CHECK_INT(done.rows_scored, 6000);
        CHECK_INT(done.rows_bad, 2000);
        const char *at = px_buf_cstr(&out);
        for (unsigned row = 1; row <= 8000; row++) {
            char want[64];
            if (row % 4 == 2)
                continue;
            snprintf(want, sizeof want, "{\"row\":%u,\"score\":%s}\n", row,
                     row % 4 == 1   ? "11.0"
                     : row % 4 == 3 ? "22.0"
                                    : "12.0");
            CHECK(strncmp(at, want, strlen(want)) == 0);
            at += strlen(want);
        }
    }
}

PX_TEST(an_empty_table_is_a_header)
{
    start(0);
    CHECK_OK(run((struct px_batch_options){0}));
    CHECK_STR(px_buf_view(&out), "score\n");
}

PX_TEST(a_reader_that_fails_ends_the_work)
{
    start(100);
    table.fail_at = 60;
    CHECK_INT(run((struct px_batch_options){.n_threads = 3}), PX_E_CORRUPT);
    CHECK_CONTAINS(err.message, "breaks off");
}

PX_TEST(no_failing_allocation_crashes)
{
    for (uint64_t n = 1; n < 200; n++) {
        start(1);
        CHECK(px_buf_reserve(&out, 1000));
        px_alloc_fail_at(n);
        enum px_code code = run((struct px_batch_options){0});
        px_alloc_fail_at(0);
        if (code == PX_OK)
            return;
        CHECK(err.message[0]);
    }
    CHECK(false);
}

PX_TEST(closes)
{
    px_package_close(package);
    px_buf_deinit(&out);
    px_table_reader_close(NULL);
}

PX_TEST_MAIN(T(opens_a_bare_file) T(columns_become_rows) T(the_first_bad_row_can_end_the_work)
                 T(booleans_are_zero_and_one) T(a_feature_that_cannot_be_read_is_named)
                     T(threads_keep_the_order) T(an_empty_table_is_a_header)
                         T(a_reader_that_fails_ends_the_work) T(no_failing_allocation_crashes)
                             T(closes))
