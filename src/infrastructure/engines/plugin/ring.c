/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of the messages. Nothing here waits or knows of processes; ring_wait.c does.
 *
 * What the other side writes is copied before it is judged, and a barrier keeps the compiler from reading the original again
 * instead of the copy.
 */
#include "infrastructure/engines/plugin/ring.h"

#include "infrastructure/engines/plugin/instance.h"
#include "infrastructure/engines/plugin/memory.h"

enum { ALIGNMENT = PX_PLUGIN_ALIGNMENT };

static void copy_shared(void *to, const char *from, size_t n)
{
    memcpy(to, from, n);
    __asm__ volatile("" ::: "memory");
}

/* ---- writing ---- */

struct px_ring_writer px_ring_begin(char *area, size_t cap, const struct px_ring_message *message)
{
    size_t n_parts = (size_t)message->n_inputs + message->n_outputs;
    PX_ASSERT(n_parts <= PX_RING_PARTS_MAX);
    struct px_ring_writer w = {.area = area, .cap = cap, .message = *message};
    w.at = sizeof *message + n_parts * sizeof(struct px_ring_part);
    w.full = w.at > cap;
    w.message.texts_size = 0;
    return w;
}

void px_ring_put_text(struct px_ring_writer *w, struct px_str text)
{
    uint32_t len = (uint32_t)text.len;
    size_t size = sizeof len + text.len;
    w->full |= text.len > PX_RING_TEXTS_MAX || w->message.texts_size + size > PX_RING_TEXTS_MAX;
    if (!w->full && w->at + size <= w->cap) {
        memcpy(w->area + w->at, &len, sizeof len);
        if (len)
            memcpy(w->area + w->at + sizeof len, text.ptr, len);
    }
    w->message.texts_size += (uint32_t)size;
    w->at += size;
    w->full |= w->at > w->cap;
}

void *px_ring_put_part(struct px_ring_writer *w, const struct px_ring_part *part, size_t size)
{
    struct px_ring_part written = *part;
    size_t n_parts = (size_t)w->message.n_inputs + w->message.n_outputs;
    PX_ASSERT(w->n_parts < n_parts);
    size_t at = (w->at + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    written.at = size ? at : 0;
    written.size = size;
    if (size)
        w->full |= __builtin_add_overflow(at, size, &w->at) || w->at > w->cap;
    size_t index = w->n_parts++;
    if (w->full)
        return NULL;
    memcpy(w->area + sizeof w->message + index * sizeof written, &written, sizeof written);
    return w->area + (size ? at : 0);
}

void px_ring_put_specs(struct px_ring_writer *w, const struct px_tensor_specs *specs)
{
    for (size_t i = 0; i < specs->n; i++) {
        const struct px_tensor_spec *spec = &specs->list[i];
        struct px_ring_part part = {.spec = (uint32_t)i,
                                    .datatype = spec->type,
                                    .n_dims = (uint32_t)spec->n_dims,
                                    .flags = (spec->any_rank ? PHX_SPEC_ANY_RANK : 0u) |
                                             (spec->optional ? PHX_SPEC_OPTIONAL : 0u)};
        memcpy(part.dims, spec->shape, sizeof part.dims);
        px_ring_put_part(w, &part, 0);
    }
}

void px_ring_put_names(struct px_ring_writer *w, const struct px_tensor_specs *specs)
{
    for (size_t i = 0; i < specs->n; i++)
        px_ring_put_text(w, specs->list[i].name);
}

bool px_ring_end(struct px_ring_writer *w, size_t *ret_size)
{
    if (ret_size)
        *ret_size = w->at;
    if (w->full)
        return false;
    w->message.size = w->at;
    memcpy(w->area, &w->message, sizeof w->message);
    return true;
}

/* ---- reading ---- */

static enum px_code corrupt(const char *what, struct px_err *err)
{
    return px_err_set(err, PX_E_CORRUPT, "its message is garbage: %s", what);
}

static bool texts_are_whole(struct px_str texts)
{
    struct px_str text;
    while (px_tensor_next_text(&texts, &text)) {
    }
    return texts.len == 0;
}

static enum px_code check_counts(const struct px_ring_message *m, size_t cap, struct px_err *err)
{
    if (m->n_inputs > PX_ENGINE_TENSORS_MAX || m->n_outputs > PX_ENGINE_TENSORS_MAX)
        return corrupt("too many tensors", err);
    if (m->texts_size > PX_RING_TEXTS_MAX)
        return corrupt("too many texts", err);
    size_t fixed = sizeof *m + ((size_t)m->n_inputs + m->n_outputs) * sizeof(struct px_ring_part) +
                   m->texts_size;
    if (m->size > cap || fixed > m->size)
        return corrupt("its size", err);
    return PX_OK;
}

static enum px_code check_part(const struct px_ring_part *part, uint64_t size, struct px_err *err)
{
    if (part->datatype >= PX_TYPE_COUNT)
        return corrupt("a datatype", err);
    if (part->n_dims > PX_TENSOR_DIMS_MAX)
        return corrupt("a number of dimensions", err);
    if (part->at > size || part->size > size - part->at)
        return corrupt("a tensor outside the message", err);
    return PX_OK;
}

enum px_code px_ring_read(const char *area, size_t cap, struct px_arena *arena,
                          struct px_ring_view *ret, struct px_err *err)
{
    PX_ASSERT(cap >= sizeof ret->message);
    *ret = (struct px_ring_view){.area = area};
    copy_shared(&ret->message, area, sizeof ret->message);
    enum px_code code = check_counts(&ret->message, cap, err);
    if (code != PX_OK)
        return code;
    size_t n = (size_t)ret->message.n_inputs + ret->message.n_outputs;
    struct px_ring_part *parts = px_arena_alloc(arena, n + 1, sizeof *parts);
    char *texts = px_arena_alloc(arena, ret->message.texts_size + 1, 1);
    if (!parts || !texts)
        return px_arena_check(arena, "a message of a plug-in", err);
    copy_shared(parts, area + sizeof ret->message, n * sizeof *parts);
    copy_shared(texts, area + sizeof ret->message + n * sizeof *parts, ret->message.texts_size);
    ret->parts = parts;
    ret->texts = px_str_n(texts, ret->message.texts_size);
    for (size_t i = 0; i < n && code == PX_OK; i++)
        code = check_part(&parts[i], ret->message.size, err);
    if (code == PX_OK && !texts_are_whole(ret->texts))
        code = corrupt("a text that is cut short", err);
    return code;
}

struct px_str px_ring_next_text(struct px_str *texts)
{
    struct px_str text = PX_STR("");
    return px_tensor_next_text(texts, &text) ? text : (struct px_str)PX_STR("");
}

enum px_code px_ring_read_specs(const struct px_ring_view *view, size_t first, size_t n,
                                struct px_str *texts, struct px_arena *arena,
                                struct px_tensor_specs *ret, struct px_err *err)
{
    PX_ASSERT(first + n <= (size_t)view->message.n_inputs + view->message.n_outputs);
    phx_tensor_spec *list = px_arena_zalloc(arena, n + 1, sizeof *list);
    if (!list)
        return px_arena_check(arena, "the specs of a plug-in", err);
    for (size_t i = 0; i < n; i++) {
        const struct px_ring_part *part = &view->parts[first + i];
        list[i] = (phx_tensor_spec){.name = px_arena_cstr(arena, px_ring_next_text(texts)),
                                    .datatype = part->datatype,
                                    .n_dims = part->n_dims,
                                    .flags = part->flags};
        memcpy(list[i].dims, part->dims, sizeof list[i].dims);
    }
    if (arena->failed)
        return px_arena_check(arena, "the specs of a plug-in", err);
    return px_plugin_specs_take(list, n, first ? "output" : "input", arena, ret, err);
}

static enum px_code read_output(const struct px_ring_view *view, const struct px_ring_part *part,
                                const struct px_tensor_spec *spec, struct px_run *run,
                                struct px_tensor *to, struct px_err *err)
{
    if (part->datatype == PX_TYPE_NONE || !px_plugin_shape_take(part->n_dims, part->dims, to))
        return px_err_set(err, PX_E_INTERNAL, "output '%.*s' has no datatype or no valid shape",
                          PX_STR_ARG(to->name));
    to->type = (enum px_datatype)part->datatype;
    enum px_code code = px_tensor_check_spec(to, spec, err);
    if (code != PX_OK)
        return code;
    char *bytes = px_plugin_memory(run, part->size);
    if (!bytes)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for output '%.*s'", PX_STR_ARG(to->name));
    copy_shared(bytes, view->area + part->at, part->size);
    to->bytes = px_str_n(bytes, part->size);
    return px_tensor_check_bytes(to, err);
}

enum px_code px_ring_read_outputs(const struct px_ring_view *view,
                                  const struct px_tensor_specs *gives, struct px_run *run,
                                  struct px_err *err)
{
    if (view->message.n_inputs != 0 || view->message.n_outputs != run->n_outputs)
        return corrupt("its number of outputs", err);
    struct px_err detail;
    for (size_t i = 0; i < run->n_outputs; i++) {
        struct px_tensor *to = &run->outputs[i];
        const struct px_tensor_spec *spec = px_tensor_specs_find(gives, to->name);
        PX_ASSERT(spec);
        enum px_code code = read_output(view, &view->parts[i], spec, run, to, &detail);
        if (code != PX_OK) /* not the caller's fault */
            return px_err_set(err, code == PX_E_INVALID ? PX_E_INTERNAL : code, "%s",
                              detail.message);
    }
    return PX_OK;
}
