/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "application/batch/predict.h"
#include "shared/alloc.h"
#include "tiny_model.h"

#include <unistd.h>

static struct px_package *package;

/* The input in pieces, and everything that came out. */
static struct {
    const char *pieces[4];
    size_t next, writes_allowed;
    struct px_buf out;
    size_t out_len_at_read[8];
    uint64_t bad_lines[8];
    size_t n_bad;
    struct px_batch_progress done;
    struct px_err err;
} t;

static enum px_code read_piece(void *context, char *out, size_t cap, size_t *ret_n,
                               struct px_err *err)
{
    (void)context;
    (void)err;
    t.out_len_at_read[t.next] = t.out.len;
    const char *piece = t.pieces[t.next] ? t.pieces[t.next++] : "";
    *ret_n = strlen(piece);
    CHECK(*ret_n <= cap);
    memcpy(out, piece, *ret_n);
    return PX_OK;
}

static enum px_code write_text(void *context, struct px_str bytes, struct px_err *err)
{
    (void)context;
    if (t.writes_allowed == 0)
        return px_err_set(err, PX_E_IO, "the disk is full");
    t.writes_allowed--;
    px_buf_str(&t.out, bytes);
    return PX_OK;
}

static void note_bad_row(void *context, uint64_t line, const struct px_err *why)
{
    (void)context;
    CHECK(why->message[0]);
    t.bad_lines[t.n_bad++] = line;
}

static void start(const char *first, const char *second)
{
    px_buf_deinit(&t.out);
    memset(&t, 0, sizeof t);
    t.pieces[0] = first;
    t.pieces[1] = second;
    t.writes_allowed = 100;
    t.out = px_buf(1 << 20);
}

static enum px_code run(struct px_batch_options options)
{
    const struct px_batch_io io = {
        .read = read_piece, .write = write_text, .bad_row = note_bad_row};
    return px_batch_predict(package, &options, &io, &t.done, &t.err);
}

PX_TEST(opens_a_bare_file)
{
    char path[] = "/tmp/px_test_XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    CHECK(write(fd, tiny_model, strlen(tiny_model)) == (ssize_t)strlen(tiny_model));
    close(fd);
    struct px_err err = {0};
    enum px_code code = px_package_open(path, NULL, &package, &err);
    unlink(path);
    CHECK_OK(code);
    CHECK(package->bare);
    CHECK(px_str_starts(package->name, "px_test_"));
    CHECK_INT(package->signature.n_features, 2);
    CHECK_STR(package->signature.features[1].name, "amount");
}

PX_TEST(scores_every_row_in_order)
{
    start("age,amount\n20,0\n40,0\n20,1\n,", "\n");
    CHECK_OK(run((struct px_batch_options){0}));
    CHECK_STR(px_buf_view(&t.out), "score\n11.0\n21.0\n12.0\n22.0\n");
    CHECK_INT(t.done.rows_scored, 4);
    CHECK_INT(t.done.bytes_read, 28);
}

PX_TEST(prints_json_lines_with_the_line_of_the_input)
{
    start("age,amount\n20,0\n\n40,0\n", NULL);
    CHECK_OK(run((struct px_batch_options){.json = true}));
    CHECK_STR(px_buf_view(&t.out), "{\"line\":2,\"score\":11.0}\n{\"line\":4,\"score\":21.0}\n");
}

PX_TEST(what_is_known_is_written_before_waiting_for_more)
{
    start("age,amount\n20,0\n", "40,0\n");
    CHECK_OK(run((struct px_batch_options){0}));
    CHECK_INT(t.out_len_at_read[0], 0);
    CHECK_INT(t.out_len_at_read[1], strlen("score\n11.0\n"));
    CHECK_STR(px_buf_view(&t.out), "score\n11.0\n21.0\n");
}

PX_TEST(bad_rows_are_told_and_left_out)
{
    start("age,amount\n20,0\nx,0\n40\n40,0\n", NULL);
    CHECK_OK(run((struct px_batch_options){0}));
    CHECK_STR(px_buf_view(&t.out), "score\n11.0\n21.0\n");
    CHECK_INT(t.n_bad, 2);
    CHECK_INT(t.bad_lines[0], 3);
    CHECK_INT(t.bad_lines[1], 4);
    CHECK_INT(t.done.rows_bad, 2);
}

PX_TEST(the_first_bad_row_can_end_the_work)
{
    start("age,amount\n20,0\nx,0\n40,0\n", NULL);
    CHECK_INT(run((struct px_batch_options){.fail_on_error = true}), PX_E_INVALID);
    CHECK_CONTAINS(t.err.message, "line 3: feature 'age'");
    CHECK_INT(t.n_bad, 0);
}

PX_TEST(a_failing_write_ends_the_work)
{
    start("age,amount\n20,0\n", "40,0\n");
    t.writes_allowed = 1;
    CHECK_INT(run((struct px_batch_options){0}), PX_E_IO);
    CHECK_CONTAINS(t.err.message, "disk is full");
}

PX_TEST(no_failing_allocation_crashes)
{
    for (uint64_t n = 1; n < 200; n++) {
        start("age,amount\n20,0\n", NULL);
        px_buf_reserve(&t.out, 1000);
        px_alloc_fail_at(n);
        enum px_code code = run((struct px_batch_options){0});
        px_alloc_fail_at(0);
        if (code == PX_OK && t.out.len == strlen("score\n11.0\n"))
            return;
        CHECK(code != PX_OK);
        CHECK(t.err.message[0]);
    }
    CHECK(false);
}

PX_TEST(closes)
{
    px_package_close(package);
    px_package_close(NULL);
    px_buf_deinit(&t.out);
}

PX_TEST_MAIN(T(opens_a_bare_file) T(scores_every_row_in_order)
                 T(prints_json_lines_with_the_line_of_the_input)
                     T(what_is_known_is_written_before_waiting_for_more)
                         T(bad_rows_are_told_and_left_out) T(the_first_bad_row_can_end_the_work)
                             T(a_failing_write_ends_the_work) T(no_failing_allocation_crashes)
                                 T(closes))
