/* SPDX-License-Identifier: Apache-2.0 */
#include "application/sequences/sequence_settings.h"

#include "shared/clock.h"

#include <inttypes.h>

enum { IDLE_TIMEOUT_MS_MAX = 24 * 3600 * 1000, DELAY_US_MAX = 60 * 1000 * 1000 };

const char *px_sequence_control_name(enum px_sequence_control control)
{
    static const char *const names[] = {"start", "end", "ready", "correlation_id"};
    return names[control];
}

/* ---- scalars ---- */

static enum px_code read_text(const struct px_yaml *node, struct px_arena *arena,
                              struct px_str *ret, struct px_err *err)
{
    struct px_str text;
    enum px_code code = px_yaml_str(node, &text, err);
    if (code != PX_OK)
        return code;
    if (text.len == 0)
        return px_err_set(err, PX_E_INVALID, "line %u: '%.*s' is empty", node->line,
                          PX_STR_ARG(node->key));
    *ret = px_arena_str(arena, text);
    return px_arena_check(arena, "model.yaml", err);
}

struct number {
    const char *key;
    int64_t min, max, otherwise;
};

enum { IDLE_TIMEOUT, SEQUENCES, BACKLOG, STEPS, BATCH, DELAY, MEMORY, NUMBERS };

static const struct number numbers[NUMBERS] = {
    [IDLE_TIMEOUT] = {"idle_timeout_ms", 1, IDLE_TIMEOUT_MS_MAX, 1000},
    [SEQUENCES] = {"sequences_max", 1, PX_SEQUENCES_MAX, 256},
    [BACKLOG] = {"backlog_max", 0, PX_SEQUENCE_BACKLOG_MAX, 1000},
    [STEPS] = {"steps_max", 1, PX_SEQUENCE_STEPS_MAX, 1000},
    [BATCH] = {"batch_max", 1, PX_SEQUENCE_BATCH_MAX, 32},
    [DELAY] = {"max_queue_delay_us", 0, DELAY_US_MAX, 0},
    [MEMORY] = {"memory_max", 1, INT64_C(1) << 40, 256 << 20},
};

static enum px_code read_number(const struct px_yaml *mapping, const struct number *number,
                                int64_t *ret, struct px_err *err)
{
    const struct px_yaml *node = px_yaml_get(mapping, number->key);
    *ret = number->otherwise;
    if (!node)
        return PX_OK;
    enum px_code code = px_yaml_i64(node, ret, err);
    if (code != PX_OK || (*ret >= number->min && *ret <= number->max))
        return code;
    return px_err_set(err, PX_E_INVALID,
                      "line %u: '%s' must be %" PRId64 " to %" PRId64 ", got %" PRId64, node->line,
                      number->key, number->min, number->max, *ret);
}

static enum px_code read_numbers(const struct px_yaml *mapping, struct px_sequence_settings *ret,
                                 struct px_err *err)
{
    int64_t values[NUMBERS];
    for (size_t i = 0; i < NUMBERS; i++) {
        enum px_code code = read_number(mapping, &numbers[i], &values[i], err);
        if (code != PX_OK)
            return code;
    }
    ret->rules.idle_timeout_ns = (uint64_t)values[IDLE_TIMEOUT] * PX_NS_PER_MS;
    ret->rules.sequences_max = (size_t)values[SEQUENCES];
    ret->rules.backlog_max = (size_t)values[BACKLOG];
    ret->rules.batch_max = (size_t)values[BATCH];
    ret->rules.delay_ns = (uint64_t)values[DELAY] * PX_NS_PER_US;
    ret->steps_max = (size_t)values[STEPS];
    ret->memory_max = (uint64_t)values[MEMORY];
    return PX_OK;
}

static enum px_code read_scheduler(const struct px_yaml *node, struct px_sequence_rules *ret,
                                   struct px_err *err)
{
    struct px_str text = PX_STR("oldest");
    enum px_code code = node ? px_yaml_str(node, &text, err) : PX_OK;
    if (code != PX_OK)
        return code;
    ret->scheduler = px_str_is(text, "direct") ? PX_SEQUENCE_DIRECT : PX_SEQUENCE_OLDEST;
    if (px_str_is(text, "direct") || px_str_is(text, "oldest"))
        return PX_OK;
    return px_err_set(err, PX_E_INVALID,
                      "line %u: 'scheduler' must be oldest or direct, got '%.*s'", node->line,
                      PX_STR_ARG(text));
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
        px_err_set(err, PX_E_CONFLICT, "line %u: '%s' is for the scheduler oldest", node->line,
                   keys[i]);
        return px_err_hint(err, "with direct every sequence has its row: see sequences_max");
    }
    return PX_OK;
}

static enum px_code read_preferred(const struct px_yaml *list, struct px_sequence_rules *ret,
                                   struct px_err *err)
{
    int64_t before = 0, size = 0;
    if (list->type != PX_YAML_SEQUENCE || list->n_children > PX_SEQUENCE_PREFERRED_MAX)
        return px_err_set(err, PX_E_INVALID,
                          "line %u: '%.*s' must be a list of at most %d numbers, as [8, 16]",
                          list->line, PX_STR_ARG(list->key), PX_SEQUENCE_PREFERRED_MAX);
    for (const struct px_yaml *node = list->first_child; node; node = node->next) {
        enum px_code code = px_yaml_i64(node, &size, err);
        if (code != PX_OK)
            return code;
        if (size <= before || (uint64_t)size > ret->batch_max)
            return px_err_set(err, PX_E_INVALID,
                              "line %u: preferred batch sizes rise from 1 to batch_max, which is "
                              "%zu; got %" PRId64,
                              node->line, ret->batch_max, size);
        ret->preferred[ret->n_preferred++] = (size_t)size;
        before = size;
    }
    return PX_OK;
}

/* ---- states ---- */

static enum px_code read_shape(const struct px_yaml *list, struct px_sequence_state *ret,
                               struct px_err *err)
{
    if (list->type != PX_YAML_SEQUENCE || list->n_children > PX_TENSOR_DIMS_MAX)
        return px_err_set(err, PX_E_INVALID,
                          "line %u: 'shape' must be a list of at most %d numbers", list->line,
                          PX_TENSOR_DIMS_MAX);
    for (const struct px_yaml *node = list->first_child; node; node = node->next) {
        int64_t dim;
        enum px_code code = px_yaml_i64(node, &dim, err);
        if (code != PX_OK)
            return code;
        if (dim < 1 || dim > INT32_MAX)
            return px_err_set(err, PX_E_INVALID,
                              "line %u: a state has dimensions of 1 to %" PRId32 ", got %" PRId64,
                              node->line, INT32_MAX, dim);
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
    px_err_set(err, PX_E_INVALID, "line %u: a state cannot have the type '%.*s'", node->line,
               PX_STR_ARG(text));
    return px_err_hint(err, "types of states are numbers or BOOL: FP32, INT64");
}

static enum px_code read_initial(const struct px_yaml *node, struct px_arena *arena,
                                 struct px_sequence_state *ret, struct px_err *err)
{
    struct px_str text;
    enum px_code code = read_text(node, arena, &text, err);
    if (code == PX_OK && !px_str_is(text, "zeros"))
        ret->initial = text;
    return code;
}

static enum px_code read_show(const struct px_yaml *node, struct px_sequence_state *ret,
                              struct px_err *err)
{
    struct px_str text;
    enum px_code code = px_yaml_str(node, &text, err);
    ret->show = code == PX_OK && px_str_is(text, "true");
    if (code != PX_OK || ret->show || px_str_is(text, "false"))
        return code;
    return px_err_set(err, PX_E_INVALID, "line %u: 'show' must be true or false, got '%.*s'",
                      node->line, PX_STR_ARG(text));
}

static enum px_code read_state(const struct px_yaml *entry, struct px_arena *arena,
                               struct px_sequence_state *ret, struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("input"), PX_STR("output"),  PX_STR("type"),
                                          PX_STR("shape"), PX_STR("initial"), PX_STR("show")};
    const struct px_yaml *type, *shape, *initial, *show;
    if (entry->type != PX_YAML_MAPPING || !px_yaml_get(entry, "input") ||
        !px_yaml_get(entry, "output"))
        return px_err_set(err, PX_E_INVALID,
                          "line %u: a state is a mapping, as {input: h_in, output: h_out}",
                          entry->line);
    enum px_code code = px_yaml_only(entry, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = read_text(px_yaml_get(entry, "input"), arena, &ret->input, err);
    if (code == PX_OK)
        code = read_text(px_yaml_get(entry, "output"), arena, &ret->output, err);
    if (code == PX_OK && (type = px_yaml_get(entry, "type")) != NULL)
        code = read_state_type(type, ret, err);
    if (code == PX_OK && (shape = px_yaml_get(entry, "shape")) != NULL)
        code = read_shape(shape, ret, err);
    if (code == PX_OK && (initial = px_yaml_get(entry, "initial")) != NULL)
        code = read_initial(initial, arena, ret, err);
    if (code == PX_OK && (show = px_yaml_get(entry, "show")) != NULL)
        code = read_show(show, ret, err);
    return code;
}

/* A tensor belongs to one state. */
static enum px_code check_state(const struct px_sequence_settings *settings,
                                const struct px_sequence_state *state, unsigned line,
                                struct px_err *err)
{
    for (size_t i = 0; i < settings->n_states; i++) {
        if (px_str_eq(settings->states[i].input, state->input) ||
            px_str_eq(settings->states[i].output, state->output))
            return px_err_set(err, PX_E_INVALID,
                              "line %u: state '%.*s' to '%.*s' shares a tensor with another", line,
                              PX_STR_ARG(state->output), PX_STR_ARG(state->input));
    }
    return PX_OK;
}

static enum px_code read_states(const struct px_yaml *list, struct px_arena *arena,
                                struct px_sequence_settings *ret, struct px_err *err)
{
    if (list->type != PX_YAML_SEQUENCE || list->n_children > PX_SEQUENCE_STATES_MAX)
        return px_err_set(err, PX_E_INVALID,
                          "line %u: 'states' must be a list of at most %d states", list->line,
                          PX_SEQUENCE_STATES_MAX);
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
    if (mapping->type != PX_YAML_MAPPING)
        return px_err_set(err, PX_E_INVALID,
                          "line %u: 'controls' must be a mapping, as {start: START}",
                          mapping->line);
    for (size_t i = 0; i < PX_SEQUENCE_CONTROLS; i++)
        known[i] = px_str(px_sequence_control_name((enum px_sequence_control)i));
    enum px_code code = px_yaml_only(mapping, known, PX_ARRAY_LEN(known), err);
    for (size_t i = 0; i < PX_SEQUENCE_CONTROLS && code == PX_OK; i++) {
        const struct px_yaml *node = px_yaml_get(mapping, known[i].ptr);
        if (node)
            code = read_text(node, arena, &ret->controls[i], err);
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
    if (node->type != PX_YAML_MAPPING)
        return px_err_set(err, PX_E_INVALID,
                          "line %u: 'sequence' must be a mapping, as {idle_timeout_ms: 1000}",
                          node->line);
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
