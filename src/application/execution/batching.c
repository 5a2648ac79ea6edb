/* SPDX-License-Identifier: Apache-2.0 */
#include "application/execution/batching.h"

#include "application/execution/executor.h"
#include "shared/clock.h"
#include "shared/duration.h"
#include "shared/hash.h"

#include <inttypes.h>

enum { AUTO_DELAY_NS = 5000000, STANDING_NS = 100000000 };

static const uint64_t delay_ns_max = 60 * PX_NS_PER_S;
static const uint64_t timeout_ns_max = 3600 * PX_NS_PER_S;

void px_batching_init(struct px_batching *ret)
{
    *ret = (struct px_batching){.policy = {.rows_max = PX_BATCHING_ROWS_DEFAULT,
                                           .standing_ns = STANDING_NS,
                                           .items_max = PX_EXECUTOR_QUEUE_DEFAULT,
                                           .n_levels = 1,
                                           .default_level = 1}};
}

uint64_t px_batching_client(struct px_str name)
{
    return px_hash(name.ptr, name.len);
}

/* ---- scalars ---- */

static enum px_code read_count(const struct px_yaml *mapping, const char *key, int64_t max,
                               size_t *ret, struct px_err *err)
{
    const struct px_yaml *node = px_yaml_get(mapping, key);
    int64_t n = 0;
    enum px_code code = node ? px_yaml_i64(node, &n, err) : PX_OK;
    if (!node || code != PX_OK)
        return code;
    if (n < 1 || n > max)
        return px_err_set(err, PX_E_INVALID, "line %u: '%s' must be 1 to %" PRId64 ", got %" PRId64,
                          node->line, key, max, n);
    *ret = (size_t)n;
    return PX_OK;
}

static enum px_code read_duration(const struct px_yaml *mapping, const char *key, uint64_t max_ns,
                                  uint64_t *ret, struct px_err *err)
{
    const struct px_yaml *node = px_yaml_get(mapping, key);
    char most[PX_DURATION_TEXT_MAX];
    struct px_str text;
    enum px_code code = node ? px_yaml_str(node, &text, err) : PX_OK;
    if (!node || code != PX_OK)
        return code;
    if (px_duration_parse(text, ret) && *ret <= max_ns)
        return PX_OK;
    px_err_set(err, PX_E_INVALID, "line %u: '%s' must be a duration of at most %s, got '%.*s'",
               node->line, key, px_duration_text(max_ns, most), PX_STR_ARG(text));
    return px_err_hint(err, "write a whole number and a unit: 500us, 2ms, 1s");
}

/* One of two words; the second sets `*ret`. */
static enum px_code read_word(const struct px_yaml *mapping, const char *key,
                              const char *const words[2], bool *ret, struct px_err *err)
{
    const struct px_yaml *node = px_yaml_get(mapping, key);
    struct px_str text;
    enum px_code code = node ? px_yaml_str(node, &text, err) : PX_OK;
    if (!node || code != PX_OK)
        return code;
    *ret = px_str_is(text, words[1]);
    if (*ret || px_str_is(text, words[0]))
        return PX_OK;
    return px_err_set(err, PX_E_INVALID, "line %u: '%s' must be %s or %s, got '%.*s'", node->line,
                      key, words[0], words[1], PX_STR_ARG(text));
}

static const char *const truths[2] = {"false", "true"};

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

static enum px_code read_level(const struct px_yaml *node, struct px_batch_policy *ret,
                               struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("level"), PX_STR("max_queue"), PX_STR("timeout"),
                                          PX_STR("on_timeout")};
    static const char *const ends[2] = {"refuse", "demote"};
    size_t level = 0;
    enum px_code code = px_yaml_only(node, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = read_count(node, "level", ret->n_levels, &level, err);
    if (code != PX_OK)
        return code;
    if (level == 0)
        return px_err_set(err, PX_E_INVALID, "line %u: expected 'level', from 1 to %u", node->line,
                          ret->n_levels);
    struct px_batch_level *to = &ret->levels[level - 1];
    code = read_count(node, "max_queue", PX_EXECUTOR_QUEUE_MAX, &to->items_max, err);
    if (code == PX_OK)
        code = read_duration(node, "timeout", timeout_ns_max, &to->timeout_ns, err);
    if (code == PX_OK)
        code = read_word(node, "on_timeout", ends, &to->demotes, err);
    return code;
}

static enum px_code read_levels(const struct px_yaml *list, struct px_batch_policy *ret,
                                struct px_err *err)
{
    enum px_code code =
        list ? check_list(list, PX_BATCH_LEVELS_MAX, "[{level: 1, timeout: 50ms}]", err) : PX_OK;
    for (const struct px_yaml *node = list && code == PX_OK ? list->first_child : NULL;
         node && code == PX_OK; node = node->next)
        code = read_level(node, ret, err);
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
        code = read_count(node, "weight", PX_BATCH_WEIGHT_MAX, &weight, err);
    if (code != PX_OK)
        return code;
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
    ret->limits_rows = px_yaml_get(node, "max_rows") != NULL;
    ret->policy.splits = ret->limits_rows;
    enum px_code code =
        read_count(node, "max_rows", PX_BATCHING_ROWS_MAX, &ret->policy.rows_max, err);
    if (code == PX_OK)
        code = read_preferred(px_yaml_get(node, "preferred_rows"), &ret->policy, err);
    if (code == PX_OK)
        code = read_word(node, "split", truths, &ret->policy.splits, err);
    if (code != PX_OK || ret->limits_rows || !px_yaml_get(node, "split"))
        return code;
    px_err_set(err, PX_E_INVALID, "line %u: 'split' needs 'max_rows'",
               px_yaml_get(node, "split")->line);
    return px_err_hint(err, "without it there is no limit that a request could be over");
}

static enum px_code read_times(const struct px_yaml *node, struct px_batching *ret,
                               struct px_err *err)
{
    static const char *const delays[2] = {"fixed", "auto"}, *const orders[2] = {"fifo",
                                                                                "adaptive_lifo"};
    struct px_batch_policy *policy = &ret->policy;
    enum px_code code = read_word(node, "delay", delays, &policy->tunes_delay, err);
    if (policy->tunes_delay)
        policy->delay_ns = AUTO_DELAY_NS;
    if (code == PX_OK)
        code = read_duration(node, "max_delay", delay_ns_max, &policy->delay_ns, err);
    if (code == PX_OK)
        code = read_word(node, "order", orders, &policy->turns_around, err);
    if (code == PX_OK)
        code = read_word(node, "preserve_order", truths, &ret->preserves_order, err);
    return code;
}

static enum px_code read_priorities(const struct px_yaml *node, struct px_batch_policy *ret,
                                    struct px_err *err)
{
    size_t n_levels = 1, level = 0;
    enum px_code code = read_count(node, "priorities", PX_BATCH_LEVELS_MAX, &n_levels, err);
    if (code == PX_OK)
        code = read_count(node, "default_priority", (int64_t)n_levels, &level, err);
    ret->n_levels = (unsigned)n_levels;
    ret->default_level = level ? (unsigned)level : (ret->n_levels + 1) / 2; /* the middle */
    if (code == PX_OK)
        code = read_levels(px_yaml_get(node, "levels"), ret, err);
    return code == PX_OK ? read_clients(px_yaml_get(node, "clients"), ret, err) : code;
}

/* Is the whole thing turned off? */
static enum px_code read_off(const struct px_yaml *node, struct px_batching *ret,
                             struct px_err *err)
{
    struct px_str text;
    enum px_code code = px_yaml_str(node, &text, err);
    ret->is_off = code == PX_OK && (px_str_is(text, "off") || px_str_is(text, "false"));
    if (code != PX_OK || ret->is_off)
        return code;
    return px_err_set(err, PX_E_INVALID,
                      "line %u: 'batching' must be off, or a mapping, as {max_rows: 32}; got "
                      "'%.*s'",
                      node->line, PX_STR_ARG(text));
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

enum px_code px_batching_read(const struct px_yaml *node, struct px_batching *ret,
                              struct px_err *err)
{
    static const struct px_str known[] = {
        PX_STR("max_rows"),   PX_STR("preferred_rows"),   PX_STR("max_delay"),     PX_STR("delay"),
        PX_STR("priorities"), PX_STR("default_priority"), PX_STR("levels"),        PX_STR("order"),
        PX_STR("split"),      PX_STR("clients"),          PX_STR("preserve_order")};
    px_batching_init(ret);
    if (node->type == PX_YAML_SCALAR)
        return read_off(node, ret, err);
    enum px_code code = node->type == PX_YAML_MAPPING ? refuse_other_names(node, err) : PX_OK;
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

enum px_code px_batching_check(const struct px_batching *batching, struct px_err *err)
{
    const struct px_batch_policy *policy = &batching->policy;
    bool demotes = false;
    for (unsigned i = 0; i < policy->n_levels; i++)
        demotes = demotes || policy->levels[i].demotes;
    if (!batching->preserves_order ||
        !(policy->n_levels > 1 || demotes || policy->turns_around || policy->n_weights > 0))
        return PX_OK;
    px_err_set(err, PX_E_CONFLICT, "answers cannot keep the order of requests that change theirs");
    return px_err_hint(err, "'preserve_order' goes with one priority, order fifo, and neither "
                            "'clients' nor 'on_timeout: demote'");
}

/* ---- for people ---- */

static void put_duration(struct px_json_writer *json, const char *key, uint64_t ns)
{
    char text[PX_DURATION_TEXT_MAX];
    px_json_member_text(json, key, px_duration_text(ns, text));
}

static void put_levels(const struct px_batch_policy *policy, struct px_json_writer *json)
{
    px_json_key(json, "levels");
    px_json_begin_array(json);
    for (unsigned i = 0; i < policy->n_levels; i++) {
        const struct px_batch_level *level = &policy->levels[i];
        px_json_begin_object(json);
        px_json_member_u64(json, "level", i + 1);
        px_json_member_u64(json, "max_queue",
                           level->items_max ? level->items_max : policy->items_max);
        if (level->timeout_ns) {
            put_duration(json, "timeout", level->timeout_ns);
            px_json_member_text(json, "on_timeout", level->demotes ? "demote" : "refuse");
        }
        px_json_end_object(json);
    }
    px_json_end_array(json);
}

void px_batching_put_json(const struct px_batching *batching, struct px_json_writer *json)
{
    const struct px_batch_policy *policy = &batching->policy;
    px_json_member_u64(json, "max_rows", policy->rows_max);
    if (policy->n_preferred) {
        px_json_key(json, "preferred_rows");
        px_json_begin_array(json);
        for (size_t i = 0; i < policy->n_preferred; i++)
            px_json_put_u64(json, policy->preferred[i]);
        px_json_end_array(json);
    }
    put_duration(json, "max_delay", policy->delay_ns);
    px_json_member_text(json, "delay", policy->tunes_delay ? "auto" : "fixed");
    px_json_member_bool(json, "split", policy->splits);
    px_json_member_text(json, "order", policy->turns_around ? "adaptive_lifo" : "fifo");
    px_json_member_bool(json, "preserve_order", batching->preserves_order);
    px_json_member_u64(json, "priorities", policy->n_levels);
    px_json_member_u64(json, "default_priority", policy->default_level);
    put_levels(policy, json);
    px_json_member_u64(json, "weighted_clients", policy->n_weights);
}
