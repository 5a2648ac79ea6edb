/* SPDX-License-Identifier: Apache-2.0 */
#include "application/lifecycle/model_batching.h"

#include "application/execution/executor.h"
#include "shared/clock.h"
#include "shared/yaml_scalars.h"

#include <inttypes.h>

enum { AUTO_DELAY_NS = 5000000, CLIENT_NAME_MAX = 256 };

static const uint64_t delay_ns_max = 60 * PX_NS_PER_S;
static const uint64_t timeout_ns_max = 3600 * PX_NS_PER_S;

/* ---- lists ---- */

static enum px_code check_list(const struct px_yaml *list, size_t max, const char *example,
                               struct px_err *err)
{
    if (list->type == PX_YAML_SEQUENCE && list->n_children <= max)
        return PX_OK;
    return px_err_set(err, PX_E_INVALID, "line %u: '%.*s' must be a list of at most %zu, as %s",
                      list->line, PX_STR_ARG(list->key), max, example);
}

static enum px_code read_preferred(const struct px_yaml *list, struct px_batch_policy *ret,
                                   struct px_err *err)
{
    int64_t rows, before = 0;
    enum px_code code = list ? check_list(list, PX_BATCH_PREFERRED_MAX, "[8, 16]", err) : PX_OK;
    for (const struct px_yaml *node = list && code == PX_OK ? list->first_child : NULL; node;
         node = node->next) {
        code = px_yaml_i64(node, &rows, err);
        if (code != PX_OK)
            return code;
        if (rows <= before || (uint64_t)rows > ret->rows_max)
            return px_err_set(err, PX_E_INVALID,
                              "line %u: preferred_rows rise from 1 to max_rows, which is %zu; got "
                              "%" PRId64,
                              node->line, ret->rows_max, rows);
        ret->preferred[ret->n_preferred++] = (size_t)rows;
        before = rows;
    }
    return code;
}

/* `levels_read` has a bit for each level that was listed. */
static enum px_code read_level(const struct px_yaml *node, unsigned *levels_read,
                               struct px_batch_policy *ret, struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("level"), PX_STR("max_queue"), PX_STR("timeout"),
                                          PX_STR("on_timeout")};
    static const struct px_str ends[] = {PX_STR("refuse"), PX_STR("demote")};
    const struct px_yaml *on_timeout;
    size_t level = 0, end = 0;
    enum px_code code = px_yaml_only(node, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = px_yaml_count(px_yaml_get(node, "level"), 1, ret->n_levels, &level, err);
    if (code != PX_OK)
        return code;
    if (level == 0)
        return px_err_set(err, PX_E_INVALID, "line %u: expected 'level', from 1 to %u", node->line,
                          ret->n_levels);
    if (*levels_read >> level & 1)
        return px_err_set(err, PX_E_INVALID, "line %u: level %zu is listed twice", node->line,
                          level);
    *levels_read |= 1U << level;
    struct px_batch_level *to = &ret->levels[level - 1];
    on_timeout = px_yaml_get(node, "on_timeout");
    code = px_yaml_count(px_yaml_get(node, "max_queue"), 1, PX_EXECUTOR_QUEUE_MAX, &to->items_max,
                         err);
    if (code == PX_OK)
        code = px_yaml_duration(px_yaml_get(node, "timeout"), PX_NS_PER_US, timeout_ns_max,
                                &to->timeout_ns, err);
    if (code == PX_OK)
        code = px_yaml_word(on_timeout, ends, PX_ARRAY_LEN(ends), &end, err);
    to->demotes = end == 1;
    if (code != PX_OK || !on_timeout || to->timeout_ns)
        return code;
    px_err_set(err, PX_E_INVALID, "line %u: 'on_timeout' needs 'timeout'", on_timeout->line);
    return px_err_hint(err, "as in {level: %zu, timeout: 50ms, on_timeout: demote}", level);
}

static enum px_code read_levels(const struct px_yaml *list, struct px_batch_policy *ret,
                                struct px_err *err)
{
    enum px_code code =
        list ? check_list(list, PX_BATCH_LEVELS_MAX, "[{level: 1, timeout: 50ms}]", err) : PX_OK;
    unsigned levels_read = 0;
    for (const struct px_yaml *node = list && code == PX_OK ? list->first_child : NULL;
         node && code == PX_OK; node = node->next)
        code = read_level(node, &levels_read, ret, err);
    return code;
}

static enum px_code read_client(const struct px_yaml *node, struct px_batch_policy *ret,
                                struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("name"), PX_STR("weight")};
    struct px_str name;
    size_t weight = 1;
    enum px_code code = px_yaml_only(node, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK && !px_yaml_get(node, "name"))
        code = px_err_set(err, PX_E_INVALID, "line %u: a client has no name", node->line);
    if (code == PX_OK)
        code = px_yaml_str(px_yaml_get(node, "name"), &name, err);
    if (code == PX_OK)
        code = px_yaml_count(px_yaml_get(node, "weight"), 1, PX_BATCH_WEIGHT_MAX, &weight, err);
    if (code != PX_OK)
        return code;
    if (name.len == 0 || name.len > CLIENT_NAME_MAX)
        return px_err_set(err, PX_E_INVALID,
                          "line %u: the name of a client must have 1 to %d bytes, got %zu",
                          node->line, CLIENT_NAME_MAX, name.len);
    uint64_t client = px_batching_client(name);
    for (size_t i = 0; i < ret->n_weights; i++) {
        if (ret->weights[i].client == client)
            return px_err_set(err, PX_E_INVALID, "line %u: client '%.*s' is listed twice",
                              node->line, PX_STR_ARG(name));
    }
    ret->weights[ret->n_weights++] = (struct px_batch_weight){client, (unsigned)weight};
    return PX_OK;
}

static enum px_code read_clients(const struct px_yaml *list, struct px_batch_policy *ret,
                                 struct px_err *err)
{
    enum px_code code =
        list ? check_list(list, PX_BATCH_WEIGHTS_MAX, "[{name: shop, weight: 4}]", err) : PX_OK;
    for (const struct px_yaml *node = list && code == PX_OK ? list->first_child : NULL;
         node && code == PX_OK; node = node->next)
        code = read_client(node, ret, err);
    return code;
}

/* ---- the whole ---- */

static enum px_code read_rows(const struct px_yaml *node, struct px_batching *ret,
                              struct px_err *err)
{
    const struct px_yaml *max_rows = px_yaml_get(node, "max_rows");
    const struct px_yaml *split = px_yaml_get(node, "split");
    ret->limits_rows = max_rows != NULL;
    ret->policy.splits = ret->limits_rows;
    enum px_code code =
        px_yaml_count(max_rows, 1, PX_BATCHING_ROWS_MAX, &ret->policy.rows_max, err);
    if (code == PX_OK)
        code = read_preferred(px_yaml_get(node, "preferred_rows"), &ret->policy, err);
    if (code == PX_OK)
        code = px_yaml_switch(split, &ret->policy.splits, err);
    if (code != PX_OK || ret->limits_rows || !split)
        return code;
    px_err_set(err, PX_E_INVALID, "line %u: 'split' needs 'max_rows'", split->line);
    return px_err_hint(err, "without it there is no limit that a request could be over");
}

/* One of two words; `*ret` when it is the second. */
static enum px_code read_either(const struct px_yaml *node, const struct px_str words[2], bool *ret,
                                struct px_err *err)
{
    size_t at = 0;
    enum px_code code = px_yaml_word(node, words, 2, &at, err);
    *ret = at == 1;
    return code;
}

static enum px_code read_times(const struct px_yaml *node, struct px_batching *ret,
                               struct px_err *err)
{
    static const struct px_str delays[] = {PX_STR("fixed"), PX_STR("auto")};
    static const struct px_str orders[] = {PX_STR("fifo"), PX_STR("adaptive_lifo")};
    const struct px_yaml *max_delay = px_yaml_get(node, "max_delay");
    struct px_batch_policy *policy = &ret->policy;
    enum px_code code = read_either(px_yaml_get(node, "delay"), delays, &policy->tunes_delay, err);
    if (policy->tunes_delay)
        policy->delay_ns = AUTO_DELAY_NS;
    if (code == PX_OK)
        code = px_yaml_duration(max_delay, 0, delay_ns_max, &policy->delay_ns, err);
    if (code == PX_OK && policy->tunes_delay && policy->delay_ns == 0) {
        px_err_set(err, PX_E_INVALID, "line %u: 'delay: auto' never waits with a 'max_delay' of 0",
                   max_delay->line);
        return px_err_hint(err, "leave out 'delay', or give the longest wait: max_delay: 2ms");
    }
    if (code == PX_OK)
        code = read_either(px_yaml_get(node, "order"), orders, &policy->turns_around, err);
    if (code == PX_OK)
        code = px_yaml_switch(px_yaml_get(node, "preserve_order"), &ret->preserves_order, err);
    return code;
}

static enum px_code read_priorities(const struct px_yaml *node, struct px_batch_policy *ret,
                                    struct px_err *err)
{
    size_t n_levels = 1, level = 0;
    enum px_code code =
        px_yaml_count(px_yaml_get(node, "priorities"), 1, PX_BATCH_LEVELS_MAX, &n_levels, err);
    if (code == PX_OK)
        code = px_yaml_count(px_yaml_get(node, "default_priority"), 1, n_levels, &level, err);
    ret->n_levels = (unsigned)n_levels;
    ret->default_level = level ? (unsigned)level : (ret->n_levels + 1) / 2; /* the middle */
    if (code == PX_OK)
        code = read_levels(px_yaml_get(node, "levels"), ret, err);
    return code == PX_OK ? read_clients(px_yaml_get(node, "clients"), ret, err) : code;
}

/* Is the whole thing turned off, or on as it is without the key? */
static enum px_code read_switch(const struct px_yaml *node, struct px_batching *ret,
                                struct px_err *err)
{
    bool is_on = true;
    if (px_yaml_is_switch(node, &is_on)) {
        ret->is_off = !is_on;
        return PX_OK;
    }
    px_yaml_refuse(node, "on, off or a mapping", err);
    return px_err_hint(err, "write batching: off, or batching: {max_rows: 32}");
}

/* Triton's names, which people bring along. */
static enum px_code refuse_other_names(const struct px_yaml *node, struct px_err *err)
{
    static const char *const names[][2] = {
        {"max_batch_size", "max_rows"},
        {"preferred_batch_size", "preferred_rows"},
        {"max_queue_delay_microseconds", "max_delay"},
        {"preserve_ordering", "preserve_order"},
        {"priority_levels", "priorities"},
        {"default_priority_level", "default_priority"},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(names); i++) {
        const struct px_yaml *entry = px_yaml_get(node, names[i][0]);
        if (!entry)
            continue;
        px_err_set(err, PX_E_UNKNOWN_OPTION, "line %u: unknown key '%s'", entry->line, names[i][0]);
        return px_err_hint(err, "it is called '%s' here", names[i][1]);
    }
    return PX_OK;
}

enum px_code px_model_batching_read(const struct px_yaml *node, struct px_batching *ret,
                                    struct px_err *err)
{
    static const struct px_str known[] = {
        PX_STR("max_rows"),   PX_STR("preferred_rows"),   PX_STR("max_delay"),     PX_STR("delay"),
        PX_STR("priorities"), PX_STR("default_priority"), PX_STR("levels"),        PX_STR("order"),
        PX_STR("split"),      PX_STR("clients"),          PX_STR("preserve_order")};
    px_batching_init(ret);
    if (node->type != PX_YAML_MAPPING)
        return read_switch(node, ret, err);
    enum px_code code = refuse_other_names(node, err);
    if (code == PX_OK)
        code = px_yaml_only(node, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = read_rows(node, ret, err);
    if (code == PX_OK)
        code = read_times(node, ret, err);
    if (code == PX_OK)
        code = read_priorities(node, &ret->policy, err);
    if (code == PX_OK && px_batching_check(ret, err) != PX_OK)
        code = px_err_wrap(err, "line %u", node->line);
    return code;
}

enum px_code px_model_batching_check_queue(const struct px_batching *batching, size_t queue_max,
                                           struct px_err *err)
{
    size_t most = queue_max ? queue_max : PX_EXECUTOR_QUEUE_DEFAULT;
    for (unsigned i = 0; i < batching->policy.n_levels; i++) {
        if (batching->policy.levels[i].items_max <= most)
            continue;
        px_err_set(err, PX_E_CONFLICT,
                   "batching: level %u: 'max_queue' must be at most 'queue_max', which is %zu, got "
                   "%zu",
                   i + 1, most, batching->policy.levels[i].items_max);
        return px_err_hint(err, "the whole queue holds no more; give queue_max: %zu",
                           batching->policy.levels[i].items_max);
    }
    return PX_OK;
}
