/* SPDX-License-Identifier: Apache-2.0 */
#include "application/sequences/sequence_settings.h"

#include "shared/clock.h"
#include "shared/yaml_scalars.h"

#include <inttypes.h>
#include <string.h>

_Static_assert(PX_SEQUENCE_PREFERRED_MAX == 8 && PX_TENSOR_DIMS_MAX == 8 &&
                   PX_SEQUENCE_STATES_MAX == 64,
               "messages name these limits");

enum { IDLE_TIMEOUT_MS_MAX = 24 * 3600 * 1000, DELAY_US_MAX = 60 * 1000 * 1000 };

const char *px_sequence_control_name(enum px_sequence_control control)
{
    static const char *const names[] = {"start", "end", "ready", "correlation_id"};
    return names[control];
}

/* ---- scalars ---- */

/* "line 3: 'states' must be a list of at most 64 states, got a mapping" */
static enum px_code refuse(const struct px_yaml *node, const char *what, const char *expected,
                           struct px_err *err)
{
    char got[96];
    if (node->type == PX_YAML_MAPPING)
        snprintf(got, sizeof got, "a mapping");
    else if (node->type == PX_YAML_SEQUENCE)
        snprintf(got, sizeof got, "a list of %zu", node->n_children);
    else if (px_yaml_is_null(node))
        snprintf(got, sizeof got, "nothing");
    else
        snprintf(got, sizeof got, "'%.*s'", (int)(node->text.len < 60 ? node->text.len : 60),
                 node->text.ptr);
    return px_err_set(err, PX_E_INVALID, "line %u: %s must be %s, got %s", node->line, what,
                      expected, got);
}

/* The name of a tensor or a file. */
static enum px_code read_name(const struct px_yaml *node, struct px_arena *arena,
                              struct px_str *ret, struct px_err *err)
{
    struct px_str text;
    enum px_code code = px_yaml_str(node, &text, err);
    if (code != PX_OK)
        return code;
    if (text.len == 0 || memchr(text.ptr, '\0', text.len)) {
        px_err_set(err, PX_E_INVALID, "line %u: '%.*s' must be a name, got %s", node->line,
                   PX_STR_ARG(node->key), text.len ? "a text with a NUL byte" : "an empty text");
        return px_err_hint(err, "name it as the model or the package does, or leave '%.*s' out",
                           PX_STR_ARG(node->key));
    }
    *ret = px_arena_str(arena, text);
    return px_arena_check(arena, "model.yaml", err);
}

struct number {
    const char *key;
    uint64_t min, max, otherwise;
};

enum { IDLE_TIMEOUT, SEQUENCES, BACKLOG, STEPS, BATCH, DELAY, MEMORY, NUMBERS };

static const struct number numbers[NUMBERS] = {
    [IDLE_TIMEOUT] = {"idle_timeout_ms", 1, IDLE_TIMEOUT_MS_MAX, 1000},
    [SEQUENCES] = {"sequences_max", 1, PX_SEQUENCES_MAX, 256},
    [BACKLOG] = {"backlog_max", 0, PX_SEQUENCE_BACKLOG_MAX, 1000},
    [STEPS] = {"steps_max", 1, PX_SEQUENCE_STEPS_MAX, 1000},
    [BATCH] = {"batch_max", 1, PX_SEQUENCE_BATCH_MAX, 32},
    [DELAY] = {"max_queue_delay_us", 0, DELAY_US_MAX, 0},
    [MEMORY] = {"memory_max", 1, UINT64_C(1) << 40, 256 << 20},
};

static enum px_code read_number(const struct px_yaml *mapping, const struct number *number,
                                uint64_t *ret, struct px_err *err)
{
    *ret = number->otherwise;
    enum px_code code =
        px_yaml_count(px_yaml_get(mapping, number->key), number->min, number->max, ret, err);
    return code == PX_OK ? code
                         : px_err_hint(err, "if it is left out it is %" PRIu64, number->otherwise);
}

static enum px_code read_numbers(const struct px_yaml *mapping, struct px_sequence_settings *ret,
                                 struct px_err *err)
{
    uint64_t values[NUMBERS];
    for (size_t i = 0; i < NUMBERS; i++) {
        enum px_code code = read_number(mapping, &numbers[i], &values[i], err);
        if (code != PX_OK)
            return code;
    }
    ret->rules.idle_timeout_ns = values[IDLE_TIMEOUT] * PX_NS_PER_MS;
    ret->rules.sequences_max = values[SEQUENCES];
    ret->rules.backlog_max = values[BACKLOG];
    ret->rules.batch_max = values[BATCH];
    ret->rules.delay_ns = values[DELAY] * PX_NS_PER_US;
    ret->steps_max = values[STEPS];
    ret->memory_max = values[MEMORY];
    return PX_OK;
}

static enum px_code read_scheduler(const struct px_yaml *node, struct px_sequence_rules *ret,
                                   struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("oldest"), PX_STR("direct")};
    struct px_str text = known[0];
    enum px_code code = node ? px_yaml_str(node, &text, err) : PX_OK;
    if (code != PX_OK)
        return code;
    ret->scheduler = px_str_is(text, "direct") ? PX_SEQUENCE_DIRECT : PX_SEQUENCE_OLDEST;
    if (px_str_is(text, "direct") || px_str_is(text, "oldest"))
        return PX_OK;
    refuse(node, "'scheduler'", "oldest or direct", err);
    if (!px_err_suggest(err, text, known, PX_ARRAY_LEN(known)))
        px_err_hint(err, "oldest packs batches; direct gives each sequence a row of its own");
    return PX_E_INVALID;
}

/* Batches of other sizes belong to the scheduler that makes them. */
static enum px_code check_scheduler(const struct px_yaml *mapping,
                                    const struct px_sequence_rules *rules, struct px_err *err)
{
    static const char *const keys[] = {"batch_max", "preferred_batch_sizes"};
    for (size_t i = 0; i < PX_ARRAY_LEN(keys); i++) {
        const struct px_yaml *node = px_yaml_get(mapping, keys[i]);
        if (!node || rules->scheduler == PX_SEQUENCE_OLDEST)
            continue;
        px_err_set(err, PX_E_CONFLICT,
                   "line %u: '%s' is for the scheduler oldest, got it with direct", node->line,
                   keys[i]);
        return px_err_hint(
            err, "leave it out: with direct every sequence has its row: see sequences_max");
    }
    return PX_OK;
}

static enum px_code read_preferred(const struct px_yaml *list, struct px_sequence_rules *ret,
                                   struct px_err *err)
{
    int64_t before = 0, size = 0;
    if (list->type != PX_YAML_SEQUENCE || list->n_children > PX_SEQUENCE_PREFERRED_MAX) {
        refuse(list, "'preferred_batch_sizes'", "a list of at most 8 numbers", err);
        return px_err_hint(err, "write it as [8, 16]");
    }
    for (const struct px_yaml *node = list->first_child; node; node = node->next) {
        enum px_code code = px_yaml_i64(node, &size, err);
        if (code != PX_OK)
            return px_err_wrap(err, "preferred_batch_sizes");
        if (size <= before || (uint64_t)size > ret->batch_max) {
            px_err_set(err, PX_E_INVALID,
                       "line %u: a preferred batch size must be %" PRId64
                       " to batch_max, which is %zu; got %" PRId64,
                       node->line, before + 1, ret->batch_max, size);
            return px_err_hint(err, "list them from the smallest to the largest, as [8, 16]");
        }
        ret->preferred[ret->n_preferred++] = (size_t)size;
        before = size;
    }
    return PX_OK;
}

/* ---- states ---- */

static enum px_code read_shape(const struct px_yaml *list, struct px_sequence_state *ret,
                               struct px_err *err)
{
    if (list->type != PX_YAML_SEQUENCE || list->n_children > PX_TENSOR_DIMS_MAX) {
        refuse(list, "'shape'", "a list of at most 8 numbers", err);
        return px_err_hint(err, "write it as [64], without the dimension that counts rows");
    }
    for (const struct px_yaml *node = list->first_child; node; node = node->next) {
        int64_t dim;
        enum px_code code = px_yaml_i64(node, &dim, err);
        if (code != PX_OK)
            return px_err_wrap(err, "shape");
        if (dim < 1 || dim > INT32_MAX) {
            px_err_set(err, PX_E_INVALID,
                       "line %u: a dimension of a state must be 1 to %" PRId32 ", got %" PRId64,
                       node->line, INT32_MAX, dim);
            return px_err_hint(err, "a state has a fixed size; leave out the dimension that "
                                    "counts rows");
        }
        ret->shape[ret->n_dims++] = dim;
    }
    ret->has_shape = true;
    return PX_OK;
}

static enum px_code read_state_type(const struct px_yaml *node, struct px_sequence_state *ret,
                                    struct px_err *err)
{
    struct px_str text;
    enum px_code code = px_yaml_str(node, &text, err);
    if (code != PX_OK)
        return code;
    ret->type = px_datatype_from_name(text);
    if (ret->type != PX_TYPE_NONE && ret->type != PX_TYPE_BYTES)
        return PX_OK;
    refuse(node, "the type of a state", "numbers or BOOL", err);
    return px_err_hint(err, "write FP32, INT64 or another type of the protocol; or leave it out: "
                            "the model knows it");
}

static enum px_code read_initial(const struct px_yaml *node, struct px_arena *arena,
                                 struct px_sequence_state *ret, struct px_err *err)
{
    struct px_str text;
    enum px_code code = read_name(node, arena, &text, err);
    if (code == PX_OK && !px_str_is(text, "zeros"))
        ret->initial = text;
    return code;
}

static enum px_code read_show(const struct px_yaml *node, struct px_sequence_state *ret,
                              struct px_err *err)
{
    enum px_code code = px_yaml_switch(node, &ret->show, err);
    return code == PX_OK ? PX_OK : px_err_hint(err, "on lets callers ask for the state");
}

static enum px_code check_state_form(const struct px_yaml *entry, struct px_err *err)
{
    static const char *const needed[] = {"input", "output"};
    if (entry->type != PX_YAML_MAPPING) {
        refuse(entry, "a state", "a mapping", err);
        return px_err_hint(err, "write it as {input: h_in, output: h_out}");
    }
    for (size_t i = 0; i < PX_ARRAY_LEN(needed); i++) {
        if (px_yaml_get(entry, needed[i]))
            continue;
        px_err_set(err, PX_E_INVALID,
                   "line %u: a state must have 'input' and 'output', got no '%s'", entry->line,
                   needed[i]);
        return px_err_hint(err, "write it as {input: h_in, output: h_out}");
    }
    return PX_OK;
}

static enum px_code read_state(const struct px_yaml *entry, struct px_arena *arena,
                               struct px_sequence_state *ret, struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("input"), PX_STR("output"),  PX_STR("type"),
                                          PX_STR("shape"), PX_STR("initial"), PX_STR("show")};
    const struct px_yaml *type, *shape, *initial;
    enum px_code code = entry->type == PX_YAML_MAPPING
                            ? px_yaml_only(entry, known, PX_ARRAY_LEN(known), err)
                            : PX_OK;
    if (code == PX_OK)
        code = check_state_form(entry, err);
    if (code == PX_OK)
        code = read_name(px_yaml_get(entry, "input"), arena, &ret->input, err);
    if (code == PX_OK)
        code = read_name(px_yaml_get(entry, "output"), arena, &ret->output, err);
    if (code == PX_OK && (type = px_yaml_get(entry, "type")) != NULL)
        code = read_state_type(type, ret, err);
    if (code == PX_OK && (shape = px_yaml_get(entry, "shape")) != NULL)
        code = read_shape(shape, ret, err);
    if (code == PX_OK && (initial = px_yaml_get(entry, "initial")) != NULL)
        code = read_initial(initial, arena, ret, err);
    if (code == PX_OK)
        code = read_show(px_yaml_get(entry, "show"), ret, err);
    return code;
}

/* A tensor belongs to one state. */
static enum px_code check_state(const struct px_sequence_settings *settings,
                                const struct px_sequence_state *state, unsigned line,
                                struct px_err *err)
{
    for (size_t i = 0; i < settings->n_states; i++) {
        if (px_str_eq(settings->states[i].input, state->input) ||
            px_str_eq(settings->states[i].output, state->output)) {
            px_err_set(err, PX_E_INVALID,
                       "line %u: state '%.*s' to '%.*s' shares a tensor with state %zu", line,
                       PX_STR_ARG(state->output), PX_STR_ARG(state->input), i + 1);
            return px_err_hint(err, "every state has an input and an output of its own");
        }
    }
    return PX_OK;
}

static enum px_code read_states(const struct px_yaml *list, struct px_arena *arena,
                                struct px_sequence_settings *ret, struct px_err *err)
{
    if (list->type != PX_YAML_SEQUENCE || list->n_children > PX_SEQUENCE_STATES_MAX) {
        refuse(list, "'states'", "a list of at most 64 states", err);
        return px_err_hint(err, "write it as [{input: h_in, output: h_out}]");
    }
    ret->states = px_arena_zalloc(arena, list->n_children + 1, sizeof *ret->states);
    if (!ret->states)
        return px_arena_check(arena, "model.yaml", err);
    for (const struct px_yaml *node = list->first_child; node; node = node->next) {
        struct px_sequence_state state = {0};
        enum px_code code = read_state(node, arena, &state, err);
        if (code == PX_OK)
            code = check_state(ret, &state, node->line, err);
        if (code != PX_OK)
            return code;
        ret->states[ret->n_states++] = state;
    }
    return PX_OK;
}

/* ---- controls ---- */

static enum px_code read_controls(const struct px_yaml *mapping, struct px_arena *arena,
                                  struct px_sequence_settings *ret, struct px_err *err)
{
    struct px_str known[PX_SEQUENCE_CONTROLS];
    if (mapping->type != PX_YAML_MAPPING) {
        refuse(mapping, "'controls'", "a mapping", err);
        return px_err_hint(err, "write it as {start: START, end: END}");
    }
    for (size_t i = 0; i < PX_SEQUENCE_CONTROLS; i++)
        known[i] = px_str(px_sequence_control_name((enum px_sequence_control)i));
    enum px_code code = px_yaml_only(mapping, known, PX_ARRAY_LEN(known), err);
    for (size_t i = 0; i < PX_SEQUENCE_CONTROLS && code == PX_OK; i++) {
        const struct px_yaml *node = px_yaml_get(mapping, known[i].ptr);
        if (node)
            code = read_name(node, arena, &ret->controls[i], err);
    }
    return code;
}

enum px_code px_sequence_settings_read(const struct px_yaml *node, struct px_arena *arena,
                                       struct px_sequence_settings *ret, struct px_err *err)
{
    static const struct px_str known[] = {
        PX_STR("scheduler"),       PX_STR("preferred_batch_sizes"),
        PX_STR("states"),          PX_STR("controls"),
        PX_STR("idle_timeout_ms"), PX_STR("sequences_max"),
        PX_STR("backlog_max"),     PX_STR("steps_max"),
        PX_STR("batch_max"),       PX_STR("max_queue_delay_us"),
        PX_STR("memory_max")};
    *ret = (struct px_sequence_settings){0};
    if (node->type != PX_YAML_MAPPING) {
        refuse(node, "'sequence'", "a mapping", err);
        return px_err_hint(err, "write it as {states: [{input: h_in, output: h_out}]}");
    }
    const struct px_yaml *states = px_yaml_get(node, "states");
    const struct px_yaml *controls = px_yaml_get(node, "controls");
    const struct px_yaml *preferred = px_yaml_get(node, "preferred_batch_sizes");
    enum px_code code = px_yaml_only(node, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = read_scheduler(px_yaml_get(node, "scheduler"), &ret->rules, err);
    if (code == PX_OK)
        code = check_scheduler(node, &ret->rules, err);
    if (code == PX_OK)
        code = read_numbers(node, ret, err);
    if (code == PX_OK && preferred)
        code = read_preferred(preferred, &ret->rules, err);
    if (code == PX_OK && states)
        code = read_states(states, arena, ret, err);
    return code == PX_OK && controls ? read_controls(controls, arena, ret, err) : code;
}
