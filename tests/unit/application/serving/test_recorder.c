/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded requests: what is kept, what goes, how often; reading while others note. */
#include "application/serving/recorder.h"
#include "shared/alloc.h"

#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>

static struct px_recorder *recorder;

static void set_up(void)
{
    CHECK_OK(px_recorder_create(&recorder, NULL));
}

static void note(float value)
{
    float values[] = {value, 2, 3, 4, 5, 6};
    const struct px_matrix rows = {
        .type = PX_TYPE_FP32, .data = values, .n_rows = 2, .n_cols = 3, .stride = 3};
    px_recorder_note_rows(recorder, &rows);
}

/* The first values of what is there, the oldest first. */
static size_t read_all(float *values)
{
    struct px_recorder_reader reader = px_recorder_read(recorder);
    struct px_arena arena = px_arena(1 << 24);
    const struct px_tensor *tensors;
    size_t n, n_read = 0;
    while (px_recorder_next(&reader, &arena, &tensors, &n)) {
        struct px_matrix rows = px_tensor_matrix(&tensors[0]);
        CHECK_INT(n, 1);
        CHECK_OK(px_tensor_check_bytes(&tensors[0], NULL));
        values[n_read++] = (float)px_matrix_get(&rows, 0, 0);
    }
    px_arena_deinit(&arena);
    return n_read;
}

PX_TEST(the_last_are_kept_and_the_oldest_go)
{
    float values[PX_RECORDED_MAX];
    set_up();
    CHECK_INT(read_all(values), 0);
    for (int i = 0; i < 100; i++)
        note((float)i);
    CHECK_INT(read_all(values), PX_RECORDED_MAX);
    for (int i = 0; i < PX_RECORDED_MAX; i++)
        CHECK(values[i] == (float)(100 - PX_RECORDED_MAX + i));
    px_recorder_release(recorder);
}

PX_TEST(all_together_take_no_more_than_they_may)
{
    static char bytes[PX_RECORDED_BYTES_MAX + 1];
    float values[PX_RECORDED_MAX];
    set_up();
    for (size_t i = 1; i <= 5; i++) {
        const float number = (float)i;
        memcpy(bytes, &number, sizeof number);
        const struct px_tensor tensor = {.name = PX_STR("image"),
                                         .type = PX_TYPE_FP32,
                                         .shape = {75000, 1},
                                         .n_dims = 2,
                                         .bytes = px_str_n(bytes, 300000)};
        px_recorder_note_inputs(recorder, &tensor, 1);
    }
    CHECK_INT(read_all(values), 3);
    CHECK(values[0] == 3 && values[2] == 5);
    /* One that is too large by itself pushes nobody out. */
    const struct px_tensor large = {.bytes = px_str_n(bytes, sizeof bytes)};
    px_recorder_note_inputs(recorder, &large, 1);
    const struct px_tensor halves[] = {{.bytes = px_str_n(bytes, 600000)},
                                       {.bytes = px_str_n(bytes, 600000)}};
    px_recorder_note_inputs(recorder, halves, 2);
    CHECK_INT(read_all(values), 3);
    px_recorder_release(recorder);
}

PX_TEST(of_many_rows_the_first_are_kept)
{
    static double values[20000];
    struct px_arena arena = px_arena(1 << 20);
    const struct px_matrix rows = {
        .type = PX_TYPE_FP64, .data = values, .n_rows = 2000, .n_cols = 10, .stride = 10};
    const struct px_tensor *tensors;
    size_t n;
    set_up();
    px_recorder_note_rows(recorder, &rows);
    struct px_recorder_reader reader = px_recorder_read(recorder);
    CHECK(px_recorder_next(&reader, &arena, &tensors, &n));
    CHECK_INT(tensors[0].shape[0], PX_RECORDED_ROWS_BYTES_MAX / 80);
    CHECK_OK(px_tensor_check_bytes(&tensors[0], NULL));
    CHECK(!px_recorder_next(&reader, &arena, &tensors, &n));
    px_arena_deinit(&arena);
    px_recorder_release(recorder);
}

PX_TEST(tensors_come_back_as_they_were)
{
    struct px_arena arena = px_arena(1 << 16);
    const struct px_tensor inputs[] = {
        {.name = PX_STR("text"),
         .type = PX_TYPE_BYTES,
         .shape = {1},
         .n_dims = 1,
         .bytes = px_str_n("\4\0\0\0four", 8)},
        {.name = PX_STR("none"), .type = PX_TYPE_INT8, .shape = {0, 3}, .n_dims = 2}};
    const struct px_tensor *tensors;
    size_t n;
    set_up();
    px_recorder_note_inputs(recorder, inputs, 2);
    struct px_recorder_reader reader = px_recorder_read(recorder);
    CHECK(px_recorder_next(&reader, &arena, &tensors, &n));
    CHECK_INT(n, 2);
    CHECK_STR(tensors[0].name, "text");
    CHECK(tensors[0].type == PX_TYPE_BYTES && tensors[0].bytes.len == 8);
    CHECK(memcmp(tensors[0].bytes.ptr, inputs[0].bytes.ptr, 8) == 0);
    CHECK_STR(tensors[1].name, "none");
    CHECK_INT(tensors[1].n_dims, 2);
    CHECK_INT(tensors[1].shape[1], 3);
    CHECK_INT(tensors[1].bytes.len, 0);
    px_arena_deinit(&arena);
    px_recorder_release(recorder);
}

PX_TEST(the_first_are_all_recorded_and_then_one_in_a_while)
{
    uint64_t at_ns = 0, now_ns = PX_NS_PER_S;
    size_t n = 0;
    set_up();
    for (int i = 0; i < 1000; i++, now_ns += PX_NS_PER_MS) {
        if (!px_recorder_is_due(recorder, &at_ns, now_ns))
            continue;
        note((float)i);
        n++;
    }
    CHECK_INT(n, PX_RECORDED_MAX + (1000 - PX_RECORDED_MAX) / 100);
    px_recorder_release(recorder);
}

PX_TEST(versions_that_share_one_keep_it_until_the_last_goes)
{
    float values[PX_RECORDED_MAX];
    set_up();
    struct px_recorder *other = px_recorder_share(recorder);
    note(1);
    px_recorder_release(other);
    CHECK_INT(read_all(values), 1);
    px_recorder_release(recorder);
    px_recorder_release(NULL);
}

PX_TEST(without_memory_nothing_is_recorded)
{
    float values[PX_RECORDED_MAX];
    px_alloc_fail_at(1);
    CHECK_INT(px_recorder_create(&recorder, NULL), PX_E_NO_MEMORY);
    set_up();
    px_alloc_fail_at(1);
    note(1);
    px_alloc_fail_at(0);
    note(2);
    CHECK_INT(read_all(values), 1);
    struct px_recorder_reader reader = px_recorder_read(recorder);
    struct px_arena arena = px_arena(1 << 16);
    const struct px_tensor *tensors;
    size_t n;
    px_alloc_fail_at(1);
    CHECK(!px_recorder_next(&reader, &arena, &tensors, &n));
    px_alloc_fail_at(0);
    px_arena_deinit(&arena);
    px_recorder_release(recorder);
}

static _Atomic bool is_read;

static void *note_many(void *argument)
{
    (void)argument;
    for (int i = 0; !atomic_load(&is_read); i++)
        note((float)(i % 1000));
    return NULL;
}

PX_TEST(who_reads_while_others_note_comes_to_an_end)
{
    pthread_t threads[3];
    float values[PX_RECORDED_MAX];
    set_up();
    note(1); /* the threads may begin late */
    atomic_store(&is_read, false);
    for (int i = 0; i < 3; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, note_many, NULL), 0);
    for (int i = 0; i < 200; i++) {
        size_t n = read_all(values);
        CHECK(n <= PX_RECORDED_MAX);
    }
    atomic_store(&is_read, true);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    CHECK(read_all(values) > 0);
    px_recorder_release(recorder);
}

PX_TEST_MAIN(T(the_last_are_kept_and_the_oldest_go) T(all_together_take_no_more_than_they_may)
                 T(of_many_rows_the_first_are_kept) T(tensors_come_back_as_they_were)
                     T(the_first_are_all_recorded_and_then_one_in_a_while)
                         T(versions_that_share_one_keep_it_until_the_last_goes)
                             T(without_memory_nothing_is_recorded)
                                 T(who_reads_while_others_note_comes_to_an_end))
