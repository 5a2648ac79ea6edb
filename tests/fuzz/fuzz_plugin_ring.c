/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring of plug-ins with the child as attacker: whatever bytes lie in the answer area, reading them ends in checked specs, checked
 * tensors or an error, and nothing outside the area is touched. The area is exactly the input, so that the sanitizers see its end.
 */
#include "fuzz.h"

#include "infrastructure/engines/plugin/ring.h"
#include "shared/alloc.h"

static void read_specs(const struct px_ring_view *view, struct px_arena *arena)
{
    struct px_tensor_specs specs;
    struct px_str texts = view->texts;
    size_t n_inputs = view->message.n_inputs;
    if (px_ring_read_specs(view, 0, n_inputs, &texts, arena, &specs, NULL) != PX_OK)
        return;
    PX_ASSERT(specs.n == n_inputs);
    (void)!px_ring_read_specs(view, n_inputs, view->message.n_outputs, &texts, arena, &specs, NULL);
    for (size_t i = 0; i < specs.n; i++)
        PX_ASSERT(specs.list[i].name.len && specs.list[i].type < PX_TYPE_COUNT);
}

static void read_outputs(const struct px_ring_view *view, struct px_arena *arena)
{
    static const struct px_tensor_spec list[] = {
        {.name = PX_STR("a"), .type = PX_TYPE_FP32, .n_dims = 2, .shape = {PX_DIM_ANY, 2}},
        {.name = PX_STR("b"), .type = PX_TYPE_BYTES, .any_rank = true}};
    static const struct px_tensor_specs gives = {list, 2};
    for (size_t n = 1; n <= 2; n++) {
        struct px_tensor outputs[] = {{.name = list[2 - n].name}, {.name = list[n - 1].name}};
        struct px_run run = {.outputs = outputs, .n_outputs = n, .arena = arena};
        if (px_ring_read_outputs(view, &gives, &run, &run.err) == PX_OK) {
            for (size_t i = 0; i < n; i++)
                PX_ASSERT(px_tensor_check_bytes(&outputs[i], NULL) == PX_OK);
        }
        px_run_release(&run);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct px_ring_view view;
    struct px_arena arena = px_arena(4 << 20);
    if (size < sizeof view.message)
        return 0;
    char *area = px_alloc(size, 1);
    if (!area)
        return 0;
    memcpy(area, data, size);
    if (px_ring_read(area, size, &arena, &view, NULL) == PX_OK) {
        read_specs(&view, &arena);
        read_outputs(&view, &arena);
    }
    px_free(area);
    px_arena_deinit(&arena);
    return 0;
}
