/* SPDX-License-Identifier: Apache-2.0 */
#include "application/batch/predict_tensors.h"
#include "harness.h"
#include "memory_tensor_engine.h"

#define ROW "{\"x\":[1,2],\"y\":[1,2]}"

static struct {
    struct px_str input;
    char output[2048], bad[2048];
} io;

static enum px_code give_bytes(void *context, char *out, size_t cap, size_t *ret_n,
                               struct px_err *err)
{
    size_t n = io.input.len < cap ? io.input.len : cap;
    (void)context, (void)err;
    memcpy(out, io.input.ptr, n);
    io.input = px_str_n(io.input.ptr + n, io.input.len - n);
    *ret_n = n;
    return PX_OK;
}

static enum px_code take_bytes(void *context, struct px_str bytes, struct px_err *err)
{
    (void)context, (void)err;
    size_t n = strlen(io.output);
    snprintf(io.output + n, sizeof io.output - n, "%.*s", PX_STR_ARG(bytes));
    return PX_OK;
}

static void take_bad(void *context, uint64_t place, const struct px_err *why)
{
    size_t n = strlen(io.bad);
    (void)context;
    snprintf(io.bad + n, sizeof io.bad - n, "%d: %s\n", (int)place, why->message);
}

static enum px_code predict(const char *text, bool fail_on_error, struct px_err *err)
{
    struct memory_tensor_engine *memory = memory_tensor_engine_create(MEMORY_TENSOR_ADD, false);
    const struct px_package package = {.engine = &memory->base};
    const struct px_batch_options options = {.json = true, .fail_on_error = fail_on_error};
    const struct px_batch_io port = {.read = give_bytes, .write = take_bytes, .bad_row = take_bad};
    struct px_batch_progress done;
    memset(&io, 0, sizeof io);
    io.input = px_str(text);
    enum px_code code = px_batch_predict_tensors(&package, &options, &port, &done, err);
    px_engine_destroy(&memory->base);
    return code;
}

PX_TEST(lines_are_answered_in_their_order)
{
    CHECK_OK(predict(ROW "\n\n {\"x\":[3,4],\"y\":[0,0]}\r\n", false, NULL));
    CHECK_STR(px_str(io.output), "{\"line\":1,\"prediction\":[2.0,4.0]}\n"
                                 "{\"line\":3,\"prediction\":[3.0,4.0]}\n");
}

PX_TEST(halves_of_a_value_are_not_made_one_by_their_neighbours)
{
    CHECK_OK(predict("{\"x\":[1,2]\n\"y\":[1,2]}\n" ROW "\n", false, NULL));
    CHECK_STR(px_str(io.output), "{\"line\":3,\"prediction\":[2.0,4.0]}\n");
    CHECK_CONTAINS(io.bad, "1: ");
    CHECK_CONTAINS(io.bad, "\n2: ");
}

PX_TEST(two_values_are_not_the_row_of_one_line)
{
    CHECK_OK(predict(ROW "," ROW "\n" ROW "\n", false, NULL));
    CHECK_STR(px_str(io.output), "{\"line\":2,\"prediction\":[2.0,4.0]}\n");
    CHECK_CONTAINS(io.bad, "1: ");
}

PX_TEST(the_first_bad_line_ends_the_work_when_it_shall)
{
    struct px_err err = {0};
    CHECK_INT(predict(ROW "\n" ROW "," ROW "\n" ROW "\n", true, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "line 2: ");
    CHECK_STR(px_str(io.output), "{\"line\":1,\"prediction\":[2.0,4.0]}\n");
}

PX_TEST(what_is_told_comes_in_the_order_of_the_lines)
{
    CHECK_OK(predict("{\"x\":[1],\"y\":[1]}\n]\n", false, NULL));
    const char *second = strstr(io.bad, "2: ");
    CHECK(second && strstr(io.bad, "1: ") < second);
}

PX_TEST_MAIN(T(lines_are_answered_in_their_order)
                 T(halves_of_a_value_are_not_made_one_by_their_neighbours)
                     T(two_values_are_not_the_row_of_one_line)
                         T(the_first_bad_line_ends_the_work_when_it_shall)
                             T(what_is_told_comes_in_the_order_of_the_lines))
