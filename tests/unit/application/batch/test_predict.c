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

/* ---- long inputs ---- */

static struct {
    struct px_buf text, out;
    size_t at, piece; /* most that a read gives */
    bool told_ready;
    uint64_t bad_sum;
} l;

static enum px_code read_long(void *context, char *out, size_t cap, size_t *ret_n,
                              struct px_err *err)
{
    size_t n = l.text.len - l.at;
    (void)context;
    (void)err;
    n = n < cap ? n : cap;
    n = n < l.piece ? n : l.piece;
    memcpy(out, l.text.ptr + l.at, n);
    l.at += n;
    *ret_n = n;
    return PX_OK;
}

static bool is_ready(void *context)
{
    (void)context;
    l.told_ready = !l.told_ready;
    return l.told_ready;
}

static enum px_code write_long(void *context, struct px_str bytes, struct px_err *err)
{
    (void)context;
    (void)err;
    px_buf_str(&l.out, bytes);
    return PX_OK;
}

static void sum_bad_row(void *context, uint64_t line, const struct px_err *why)
{
    (void)context;
    CHECK(why->message[0]);
    l.bad_sum = l.bad_sum * 31 + line;
}

/* Plain rows, quotes, line breaks in quotes, words, bad rows and blank lines, about `size` bytes. */
static void make_long(size_t size, bool quotes)
{
    static const char *const rows[] = {
        "20,0\n",        "40,1\r\n",    "-3.25,\n",    ",\n",       "1e2,0.5\n",   "x,1\n",
        "1,2,3\n",       "\n",          "NA,7\n",      " 5 , 6 \n", "33.3333,1\r", "123456.75,-0\n",
        "\"4\",\"0\"\n", "\"1\n\",2\n", "\"7\",3\r\n", "a\"b,1\n"};
    uint64_t state = 7;
    px_buf_deinit(&l.text);
    l.text = px_buf(1 << 26);
    px_buf_text(&l.text, "age,amount\n");
    while (l.text.len < size) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        size_t kind = (size_t)(state >> 33) % 64;
        px_buf_text(&l.text, kind < (quotes ? 16 : 12) ? rows[kind] : "31.5,0.25\n");
    }
}

static struct px_batch_progress run_long(size_t n_threads, size_t piece, bool json, bool ready)
{
    struct px_batch_options options = {.json = json, .n_threads = n_threads};
    struct px_batch_io io = {.read = read_long,
                             .write = write_long,
                             .bad_row = sum_bad_row,
                             .ready = ready ? is_ready : NULL};
    struct px_batch_progress done;
    px_buf_deinit(&l.out);
    l.out = px_buf(1 << 28);
    l.at = l.bad_sum = 0;
    l.piece = piece;
    CHECK_OK(px_batch_predict(package, &options, &io, &done, &t.err));
    CHECK_INT(done.bytes_read, l.text.len);
    return done;
}

PX_TEST(threads_and_pieces_do_not_change_the_output)
{
    for (int kind = 0; kind < 4; kind++) {
        bool quotes = kind & 1, json = kind & 2;
        make_long(5 << 18, quotes);
        struct px_batch_progress want = run_long(1, SIZE_MAX, json, false);
        CHECK(want.rows_scored > 50000 && want.rows_bad > 2000);
        struct px_buf out = l.out;
        uint64_t bad_sum = l.bad_sum;
        l.out = px_buf(1);
        for (size_t n = 1; n <= 4; n++) {
            size_t piece = n == 4 ? 10007 : n == 3 ? 700001 : SIZE_MAX;
            struct px_batch_progress done = run_long(n, piece, json, n & 1);
            CHECK_INT(done.rows_scored, want.rows_scored);
            CHECK_INT(done.rows_bad, want.rows_bad);
            CHECK_INT(l.bad_sum, bad_sum);
            CHECK(px_str_eq(px_buf_view(&l.out), px_buf_view(&out)));
        }
        px_buf_deinit(&out);
    }
}

PX_TEST(the_first_bad_row_of_a_long_input_is_the_one_told)
{
    struct px_batch_options options = {.fail_on_error = true};
    const struct px_batch_io io = {.read = read_long, .write = write_long};
    struct px_batch_progress done;
    px_buf_deinit(&l.text);
    l.text = px_buf(1 << 26);
    px_buf_text(&l.text, "age,amount\n");
    for (size_t i = 2; i <= 400000; i++)
        px_buf_text(&l.text, i == 300000 || i > 399000 ? "x,1\n" : "31.5,0.25\n");
    size_t written = 0;
    for (options.n_threads = 1; options.n_threads <= 4; options.n_threads++) {
        px_buf_clear(&l.out);
        l.at = 0;
        CHECK_INT(px_batch_predict(package, &options, &io, &done, &t.err), PX_E_INVALID);
        CHECK_CONTAINS(t.err.message, "line 300000: feature 'age'");
        CHECK(written == 0 || written == l.out.len);
        written = l.out.len;
    }
}

PX_TEST(a_record_larger_than_a_block)
{
    px_buf_deinit(&l.text);
    l.text = px_buf(1 << 26);
    px_buf_text(&l.text, "age,note,amount\n20,\"");
    for (int i = 0; i < 200000; i++)
        px_buf_text(&l.text, "a\nlong,note\n");
    px_buf_text(&l.text, "\",0\n40,short,1\n");
    run_long(3, SIZE_MAX, true, false);
    CHECK_STR(px_buf_view(&l.out),
              "{\"line\":2,\"score\":11.0}\n{\"line\":400003,\"score\":22.0}\n");
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
    px_buf_deinit(&l.text);
    px_buf_deinit(&l.out);
}

PX_TEST_MAIN(T(opens_a_bare_file) T(scores_every_row_in_order)
                 T(prints_json_lines_with_the_line_of_the_input)
                     T(what_is_known_is_written_before_waiting_for_more)
                         T(bad_rows_are_told_and_left_out) T(the_first_bad_row_can_end_the_work)
                             T(a_failing_write_ends_the_work)
                                 T(threads_and_pieces_do_not_change_the_output)
                                     T(the_first_bad_row_of_a_long_input_is_the_one_told)
                                         T(a_record_larger_than_a_block)
                                             T(no_failing_allocation_crashes) T(closes))
