/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outputs are copied to their runs rather than lent. Lending saves the copy, which is small against the computation, and would tie the
 * memory of a batch to the slowest of its clients, so that an instance needs more of it than one batch.
 */
#include "application/execution/joint_run.h"

#include "shared/alloc.h"
#include "shared/hash.h"

#include <inttypes.h>

void px_joint_run_init(struct px_joint_run *joint)
{
    *joint = (struct px_joint_run){.arena = px_arena(PX_JOINT_BYTES_MAX)};
}

void px_joint_run_deinit(struct px_joint_run *joint)
{
    px_joint_run_clear(joint);
    px_arena_deinit(&joint->arena);
}

void px_joint_run_clear(struct px_joint_run *joint)
{
    px_run_release(&joint->run);
    px_arena_reset(&joint->arena);
    joint->run = (struct px_run){0};
    joint->rest = NULL;
    joint->n_rows = 0;
}

static const struct px_tensor *find(const struct px_tensor *tensors, size_t n, struct px_str name)
{
    for (size_t i = 0; i < n; i++) {
        if (px_str_eq(tensors[i].name, name))
            return &tensors[i];
    }
    return NULL;
}

/* ---- shapes ---- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    const uint64_t both[2] = {hash, value};
    return px_hash(both, sizeof both);
}

/* In the order of the engine's tensors, so that the order within the run does not matter. */
static bool add_inputs(const struct px_engine *engine, const struct px_run *run, uint64_t *hash)
{
    for (size_t i = 0; i < engine->takes.n; i++) {
        const struct px_tensor *input =
            find(run->inputs, run->n_inputs, engine->takes.list[i].name);
        if (!input)
            continue;
        if (input->n_dims == 0 || input->shape[0] == 0)
            return false;
        *hash = mix(*hash, i);
        *hash = mix(*hash, (uint64_t)input->type);
        *hash = mix(*hash, px_hash(input->shape + 1, (input->n_dims - 1) * sizeof *input->shape));
    }
    return true;
}

uint64_t px_joint_run_shape(const struct px_engine *engine, const struct px_run *run)
{
    uint64_t hash = mix(run->n_inputs, run->n_outputs);
    if (run->n_inputs == 0 || !add_inputs(engine, run, &hash))
        return 0;
    for (size_t i = 0; i < engine->gives.n; i++) {
        if (find(run->outputs, run->n_outputs, engine->gives.list[i].name))
            hash = mix(hash, i);
    }
    return hash ? hash : 1;
}

static bool fits(const struct px_tensor *a, const struct px_tensor *b)
{
    bool same = b && a->type == b->type && a->n_dims == b->n_dims && a->n_dims > 0;
    for (size_t i = 1; same && i < a->n_dims; i++)
        same = a->shape[i] == b->shape[i];
    return same;
}

static bool runs_fit(const struct px_run *a, const struct px_run *b)
{
    bool same = a->n_inputs == b->n_inputs && a->n_outputs == b->n_outputs;
    for (size_t i = 0; same && i < a->n_inputs; i++)
        same = fits(&a->inputs[i], find(b->inputs, b->n_inputs, a->inputs[i].name));
    for (size_t i = 0; same && i < a->n_outputs; i++)
        same = find(b->outputs, b->n_outputs, a->outputs[i].name) != NULL;
    return same;
}

/* ---- cutting ---- */

/* Cuts the next of `n_rows_left` rows off the bytes of a tensor, whose elements have been counted. */
static struct px_str cut(struct px_str *rest, const struct px_tensor *of, size_t n_rows_left,
                         size_t n_rows)
{
    struct px_str text, rows = *rest;
    size_t n = 0, n_elements = 0;
    if (of->type != PX_TYPE_BYTES) {
        n = n_rows_left ? rest->len / n_rows_left * n_rows : 0;
        *rest = px_str_n(rest->ptr + n, rest->len - n);
        return px_str_n(rows.ptr, n);
    }
    if (of->shape[0] > 0 && px_tensor_elements(of, &n_elements))
        n_elements = n_elements / of->shape[0] * n_rows;
    for (size_t i = 0; i < n_elements; i++)
        (void)px_tensor_next_text(rest, &text);
    return px_str_n(rows.ptr, (size_t)(rest->ptr - rows.ptr));
}

static struct px_str slice(const struct px_tensor *tensor, size_t first_row, size_t n_rows)
{
    struct px_str rest = tensor->bytes;
    (void)cut(&rest, tensor, tensor->shape[0], first_row);
    return cut(&rest, tensor, tensor->shape[0] - first_row, n_rows);
}

/* ---- gathering ---- */

static struct px_str part_bytes(const struct px_joint_part *part, struct px_str name)
{
    const struct px_tensor *input = find(part->run->inputs, part->run->n_inputs, name);
    PX_ASSERT(input); /* the runs have been compared */
    if (part->first_row == 0 && part->n_rows == input->shape[0])
        return input->bytes;
    return slice(input, part->first_row, part->n_rows);
}

static bool join_input(struct px_joint_run *joint, const struct px_joint_part *parts,
                       size_t n_parts, struct px_tensor *ret)
{
    size_t n = 0, at = 0;
    ret->shape[0] = joint->n_rows;
    if (n_parts == 1) {
        ret->bytes = part_bytes(parts, ret->name);
        return true;
    }
    struct px_str *pieces = px_arena_alloc(&joint->arena, n_parts, sizeof *pieces);
    for (size_t i = 0; pieces && i < n_parts; i++) {
        pieces[i] = part_bytes(&parts[i], ret->name);
        n += pieces[i].len;
    }
    char *bytes = pieces ? px_arena_alloc(&joint->arena, n + 1, 1) : NULL;
    for (size_t i = 0; bytes && i < n_parts; i++) {
        if (pieces[i].len)
            memcpy(bytes + at, pieces[i].ptr, pieces[i].len);
        at += pieces[i].len;
    }
    ret->bytes = px_str_n(bytes, n);
    return bytes != NULL;
}

static bool ask_outputs(struct px_joint_run *joint, const struct px_run *like)
{
    struct px_run *run = &joint->run;
    run->outputs = px_arena_zalloc(&joint->arena, like->n_outputs + 1, sizeof *run->outputs);
    joint->rest = px_arena_zalloc(&joint->arena, like->n_outputs + 1, sizeof *joint->rest);
    for (size_t i = 0; run->outputs && i < like->n_outputs; i++)
        run->outputs[i].name = like->outputs[i].name;
    run->n_outputs = like->n_outputs;
    return joint->rest != NULL;
}

/* The joint run may take as long as the part that waits longest. */
static uint64_t latest_deadline(const struct px_joint_part *parts, size_t n_parts)
{
    uint64_t latest = 0;
    for (size_t i = 0; i < n_parts; i++) {
        if (parts[i].run->deadline_ns == 0)
            return 0;
        if (parts[i].run->deadline_ns > latest)
            latest = parts[i].run->deadline_ns;
    }
    return latest;
}

enum px_code px_joint_run_gather(struct px_joint_run *joint, const struct px_engine *engine,
                                 const struct px_joint_part *parts, size_t n_parts)
{
    const struct px_run *first = parts[0].run;
    struct px_run *run = &joint->run;
    struct px_tensor *inputs = px_arena_alloc(&joint->arena, first->n_inputs + 1, sizeof *inputs);
    bool ok = inputs && ask_outputs(joint, first);
    run->arena = &joint->arena;
    run->deadline_ns = latest_deadline(parts, n_parts);
    for (size_t i = 0; i < n_parts; i++) {
        if (!runs_fit(first, parts[i].run))
            return px_err_set(&run->err, PX_E_CONFLICT,
                              "requests of engine '%s' do not fit together",
                              px_engine_name(engine));
        joint->n_rows += parts[i].n_rows;
    }
    for (size_t i = 0; ok && i < first->n_inputs; i++) {
        inputs[i] = first->inputs[i];
        ok = join_input(joint, parts, n_parts, &inputs[i]);
    }
    run->inputs = inputs;
    run->n_inputs = first->n_inputs;
    return ok ? PX_OK : px_arena_check(&joint->arena, "a batch", &run->err);
}

/* ---- scattering ---- */

enum px_code px_joint_run_begin_scatter(struct px_joint_run *joint)
{
    struct px_run *run = &joint->run;
    for (size_t i = 0; i < run->n_outputs; i++) {
        const struct px_tensor *output = &run->outputs[i];
        char shape[PX_TENSOR_SHAPE_TEXT_MAX];
        joint->rest[i] = output->bytes;
        if (output->n_dims == 0 || output->shape[0] != joint->n_rows ||
            px_tensor_check_bytes(output, NULL) != PX_OK)
            return px_err_set(&run->err, PX_E_INTERNAL,
                              "the model was given %zu rows and returned '%.*s' of shape %s",
                              joint->n_rows, PX_STR_ARG(output->name),
                              px_tensor_shape_text(output, shape));
    }
    return PX_OK;
}

void px_joint_run_scatter(struct px_joint_run *joint, size_t n_rows, struct px_tensor *slices)
{
    const struct px_run *run = &joint->run;
    for (size_t i = 0; i < run->n_outputs; i++) {
        slices[i] = run->outputs[i];
        slices[i].bytes = cut(&joint->rest[i], &run->outputs[i], joint->n_rows, n_rows);
        slices[i].shape[0] = n_rows;
    }
    joint->n_rows -= n_rows;
}

/* ---- giving ---- */

static void free_held(struct px_run *run)
{
    px_free(run->held);
}

/* Every tensor begins at an address that fits its elements. */
static size_t padded(size_t n)
{
    enum { ALIGNMENT = 16 };
    return (n + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

char *px_joint_run_memory(struct px_run *run, size_t n)
{
    const struct px_arena *arena = run->arena;
    if (!arena->failed && n <= (arena->max - arena->used) / 2) {
        char *memory = px_arena_alloc(run->arena, n + 1, 1);
        if (memory)
            return memory;
    }
    char *memory = px_realloc(NULL, n + 1, 1);
    run->held = memory;
    run->release = memory ? free_held : NULL;
    return memory;
}

enum px_code px_joint_run_give(struct px_run *run, const struct px_tensor *tensors, size_t n)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += padded(tensors[i].bytes.len);
    char *memory = px_joint_run_memory(run, total);
    if (!memory)
        return px_err_set(&run->err, PX_E_NO_MEMORY, "no memory for the answer of %zu bytes",
                          total);
    for (size_t i = 0; i < run->n_outputs; i++) {
        struct px_tensor *to = &run->outputs[i];
        const struct px_tensor *from = find(tensors, n, to->name);
        PX_ASSERT(from); /* the runs have been compared */
        struct px_str name = to->name;
        *to = *from;
        to->name = name;
        to->bytes = px_str_n(memory, from->bytes.len);
        if (from->bytes.len)
            memcpy(memory, from->bytes.ptr, from->bytes.len);
        memory += padded(from->bytes.len);
    }
    return PX_OK;
}
