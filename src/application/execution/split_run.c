/* SPDX-License-Identifier: Apache-2.0 */
#include "application/execution/split_run.h"

#include "application/execution/joint_run.h"
#include "shared/alloc.h"

struct px_split_piece *px_split_piece_create(const struct px_tensor *outputs, size_t n,
                                             size_t first_row)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += outputs[i].bytes.len;
    struct px_split_piece *piece =
        px_alloc(1, sizeof *piece + n * sizeof(struct px_tensor) + bytes);
    if (!piece)
        return NULL;
    piece->first_row = first_row;
    piece->n_outputs = n;
    piece->outputs = (struct px_tensor *)(piece + 1);
    char *at = (char *)(piece->outputs + n);
    for (size_t i = 0; i < n; i++) {
        piece->outputs[i] = outputs[i];
        piece->outputs[i].bytes = px_str_n(at, outputs[i].bytes.len);
        if (outputs[i].bytes.len)
            memcpy(at, outputs[i].bytes.ptr, outputs[i].bytes.len);
        at += outputs[i].bytes.len;
    }
    return piece;
}

void px_split_pieces_free(struct px_split_piece *list)
{
    while (list) {
        struct px_split_piece *next = list->next;
        px_free(list);
        list = next;
    }
}

void px_split_pieces_insert(struct px_split_piece **list, struct px_split_piece *piece)
{
    while (*list && (*list)->first_row < piece->first_row)
        list = &(*list)->next;
    piece->next = *list;
    *list = piece;
}

static const struct px_tensor *output_of(const struct px_split_piece *piece, struct px_str name)
{
    for (size_t i = 0; i < piece->n_outputs; i++) {
        if (px_str_eq(piece->outputs[i].name, name))
            return &piece->outputs[i];
    }
    PX_ASSERT(false); /* every piece has what the run asked for */
    return NULL;
}

static bool fits(const struct px_tensor *a, const struct px_tensor *b)
{
    bool same = a->type == b->type && a->n_dims == b->n_dims;
    for (size_t i = 1; same && i < a->n_dims; i++)
        same = a->shape[i] == b->shape[i];
    return same;
}

/* Type and shape of the whole of one output, with its bytes still to come. */
static enum px_code measure(const struct px_split_piece *list, struct px_run *run,
                            struct px_tensor *to)
{
    const struct px_tensor *first = output_of(list, to->name);
    size_t n_rows = 0, n_bytes = 0;
    for (const struct px_split_piece *piece = list; piece; piece = piece->next) {
        const struct px_tensor *part = output_of(piece, to->name);
        if (!fits(first, part))
            return px_err_set(&run->err, PX_E_CONFLICT,
                              "output '%.*s' has another shape for some of the rows",
                              PX_STR_ARG(to->name));
        n_rows += part->shape[0];
        n_bytes += part->bytes.len;
    }
    struct px_str name = to->name;
    *to = *first;
    to->name = name;
    to->shape[0] = n_rows;
    to->bytes = px_str_n(NULL, n_bytes);
    return PX_OK;
}

static char *fill(const struct px_split_piece *list, struct px_tensor *to, char *memory)
{
    enum { ALIGNMENT = 16 };
    to->bytes.ptr = memory;
    for (const struct px_split_piece *piece = list; piece; piece = piece->next) {
        struct px_str part = output_of(piece, to->name)->bytes;
        if (part.len)
            memcpy(memory, part.ptr, part.len);
        memory += part.len;
    }
    return memory + (ALIGNMENT - to->bytes.len % ALIGNMENT) % ALIGNMENT;
}

enum px_code px_split_pieces_join(const struct px_split_piece *list, struct px_run *run)
{
    enum { PADDING = 16 };
    size_t total = 0;
    for (size_t i = 0; i < run->n_outputs; i++) {
        enum px_code code = measure(list, run, &run->outputs[i]);
        if (code != PX_OK)
            return code;
        total += run->outputs[i].bytes.len + PADDING;
    }
    char *memory = px_joint_run_memory(run, total);
    if (!memory)
        return px_err_set(&run->err, PX_E_NO_MEMORY, "no memory for the answer of %zu bytes",
                          total);
    for (size_t i = 0; i < run->n_outputs; i++)
        memory = fill(list, &run->outputs[i], memory);
    return PX_OK;
}
