/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Triton's names for what model.yaml says under `batching`.
 *
 * The fields come in any order and depend on each other (a policy of level 3 needs three levels), so they are noted first and
 * taken together at the end. Differences:
 * - A level without a policy of its own has the default policy, as in Triton; when that is not given either, what it had.
 * - Requests may always name a time of their own, so allow_timeout_override is on: false is what every client writes who says
 *   nothing, and is taken as that. Beside a timeout it would mean something, which does not hold here: refused.
 * - There is no queue without a bound: 0 keeps it, and more than `queue_max` is refused.
 */
#include "application/serving/model_config_batching.h"

#include "shared/clock.h"

#include <inttypes.h>

#define FIELD "field 'dynamic_batching': "

enum { TIMEOUT_SECONDS_MAX = 3600, DELAY_SECONDS_MAX = 60 };

/* What the object said. 0 is nothing, but for what has a flag. */
struct said {
    struct px_json *json;
    struct px_err *err;
    enum px_code code;
    const struct px_batching *now;
    size_t preferred[PX_BATCH_PREFERRED_MAX], n_preferred;
    bool has_preferred, has_delay, has_order, has_usual;
    uint64_t delay_us, n_levels, default_level;
    bool preserves_order;
    struct px_batch_level usual;
    struct px_batch_level levels[PX_BATCH_LEVELS_MAX];
    bool has_level[PX_BATCH_LEVELS_MAX];
};

static void refuse(struct said *s, const char *field, uint64_t got, const char *expected)
{
    if (s->code == PX_OK && !px_json_failed(s->json))
        s->code = px_err_set(s->err, PX_E_INVALID, FIELD "'%s' must be %s, got %" PRIu64, field,
                             expected, got);
}

static void refuse_unknown(struct said *s, struct px_str key, const struct px_str *known, size_t n)
{
    px_json_skip(s->json);
    if (s->code != PX_OK || px_json_failed(s->json))
        return;
    s->code =
        px_err_set(s->err, PX_E_UNSUPPORTED, FIELD "'%.*s' is not supported", PX_STR_ARG(key));
    (void)px_err_suggest(s->err, key, known, n);
}

/* A number, which proto3's JSON may also write as text. */
static uint64_t read_number(struct said *s)
{
    uint64_t number = 0;
    if (px_json_peek(s->json) != PX_JSON_STRING)
        return px_json_u64(s->json);
    struct px_str text = px_json_str(s->json);
    if (!px_str_to_u64(text, &number))
        px_json_fail(s->json, "expected a number, got '%.*s'", PX_STR_ARG(text));
    return number;
}

/* ---- preferred sizes ---- */

/* Triton takes them in any order; the queue wants them to rise. */
static void add_preferred(struct said *s, size_t rows)
{
    size_t at = s->n_preferred;
    for (size_t i = 0; i < s->n_preferred; i++) {
        if (s->preferred[i] == rows)
            return;
    }
    if (s->n_preferred == PX_BATCH_PREFERRED_MAX) {
        refuse(s, "preferred_batch_size", rows, "at most 16 different numbers");
        return;
    }
    for (; at > 0 && s->preferred[at - 1] > rows; at--)
        s->preferred[at] = s->preferred[at - 1];
    s->preferred[at] = rows;
    s->n_preferred++;
}

static void read_preferred(struct said *s)
{
    size_t most = s->now->policy.rows_max;
    s->has_preferred = true;
    px_json_enter_array(s->json);
    while (px_json_next_element(s->json)) {
        uint64_t rows = read_number(s);
        if (rows >= 1 && rows <= most) {
            add_preferred(s, rows);
            continue;
        }
        bool first = s->code == PX_OK;
        refuse(s, "preferred_batch_size", rows, "from 1 to the rows that a batch may have");
        if (first && s->code != PX_OK)
            s->code = px_err_hint(
                s->err, "that is %zu; 'max_rows' of 'batching' in model.yaml sets it", most);
    }
}

/* ---- levels ---- */

static void read_action(struct said *s, struct px_batch_level *ret)
{
    if (px_json_peek(s->json) == PX_JSON_NUMBER) {
        uint64_t number = px_json_u64(s->json);
        ret->demotes = number == 1;
        if (number > 1)
            refuse(s, "timeout_action", number, "REJECT (0) or DELAY (1)");
        return;
    }
    struct px_str text = px_json_str(s->json);
    ret->demotes = px_str_is(text, "DELAY");
    if (!ret->demotes && !px_str_is(text, "REJECT") && s->code == PX_OK && !px_json_failed(s->json))
        s->code = px_err_set(s->err, PX_E_INVALID,
                             FIELD "'timeout_action' must be REJECT or DELAY, got '%.*s'",
                             PX_STR_ARG(text));
}

static void read_timeout(struct said *s, struct px_batch_level *ret)
{
    uint64_t us = read_number(s);
    if (us > (uint64_t)TIMEOUT_SECONDS_MAX * 1000000)
        refuse(s, "default_timeout_microseconds", us, "at most an hour");
    else
        ret->timeout_ns = us * PX_NS_PER_US;
}

static void read_queue_size(struct said *s, struct px_batch_level *ret)
{
    size_t most = s->now->policy.items_max;
    uint64_t n = read_number(s);
    ret->items_max = (size_t)n;
    if (n <= most)
        return;
    bool first = s->code == PX_OK;
    refuse(s, "max_queue_size", n, "at most what the whole queue may hold");
    if (first && s->code != PX_OK)
        s->code = px_err_hint(s->err, "that is %zu; 'queue_max' in model.yaml sets it", most);
}

static void read_policy(struct said *s, struct px_batch_level *ret)
{
    static const struct px_str known[] = {
        PX_STR("timeout_action"), PX_STR("default_timeout_microseconds"),
        PX_STR("allow_timeout_override"), PX_STR("max_queue_size")};
    struct px_str key;
    bool fixes_timeout = false;
    *ret = (struct px_batch_level){0};
    px_json_enter_object(s->json);
    while (px_json_next_key(s->json, &key)) {
        if (px_str_eq(key, known[0]))
            read_action(s, ret);
        else if (px_str_eq(key, known[1]))
            read_timeout(s, ret);
        else if (px_str_eq(key, known[2]))
            fixes_timeout = !px_json_bool(s->json);
        else if (px_str_eq(key, known[3]))
            read_queue_size(s, ret);
        else
            refuse_unknown(s, key, known, PX_ARRAY_LEN(known));
    }
    if (!fixes_timeout || ret->timeout_ns == 0 || s->code != PX_OK || px_json_failed(s->json))
        return;
    s->code = px_err_set(s->err, PX_E_UNSUPPORTED,
                         FIELD "'allow_timeout_override' must be true beside a timeout, got false");
    px_err_hint(s->err, "a request's own timeout always holds: the shorter of the two counts");
}

static void read_policies(struct said *s)
{
    struct px_str key;
    px_json_enter_object(s->json);
    while (px_json_next_key(s->json, &key)) {
        uint64_t level = 0;
        struct px_batch_level policy;
        bool is_level = px_str_to_u64(key, &level) && level >= 1 && level <= PX_BATCH_LEVELS_MAX;
        read_policy(s, &policy);
        if (!is_level && s->code == PX_OK && !px_json_failed(s->json))
            s->code =
                px_err_set(s->err, PX_E_INVALID,
                           FIELD "'priority_queue_policy' is for levels from 1 to %d, got '%.*s'",
                           PX_BATCH_LEVELS_MAX, PX_STR_ARG(key));
        if (!is_level)
            continue;
        s->levels[level - 1] = policy;
        s->has_level[level - 1] = true;
    }
}

/* ---- the whole ---- */

static void read_field(struct said *s, struct px_str key)
{
    static const struct px_str known[] = {
        PX_STR("preferred_batch_size"),   PX_STR("max_queue_delay_microseconds"),
        PX_STR("preserve_ordering"),      PX_STR("priority_levels"),
        PX_STR("default_priority_level"), PX_STR("default_queue_policy"),
        PX_STR("priority_queue_policy")};
    if (px_str_eq(key, known[0])) {
        read_preferred(s);
    } else if (px_str_eq(key, known[1])) {
        s->has_delay = true;
        s->delay_us = read_number(s);
    } else if (px_str_eq(key, known[2])) {
        s->has_order = true;
        s->preserves_order = px_json_bool(s->json);
    } else if (px_str_eq(key, known[3])) {
        s->n_levels = read_number(s);
    } else if (px_str_eq(key, known[4])) {
        s->default_level = read_number(s);
    } else if (px_str_eq(key, known[5])) {
        s->has_usual = true;
        read_policy(s, &s->usual);
    } else if (px_str_eq(key, known[6])) {
        read_policies(s);
    } else {
        refuse_unknown(s, key, known, PX_ARRAY_LEN(known));
    }
}

/* Another number of levels is a new start for all of them. */
static void take_levels(struct said *s, struct px_batch_policy *policy)
{
    if (s->n_levels > PX_BATCH_LEVELS_MAX)
        refuse(s, "priority_levels", s->n_levels, "at most 16");
    else if (s->n_levels && s->n_levels != policy->n_levels) {
        policy->n_levels = (unsigned)s->n_levels;
        policy->default_level = (policy->n_levels + 1) / 2;
        memset(policy->levels, 0, sizeof policy->levels);
    }
    if (s->default_level > policy->n_levels)
        refuse(s, "default_priority_level", s->default_level, "one of the priority_levels");
    else if (s->default_level)
        policy->default_level = (unsigned)s->default_level;
    for (unsigned i = 0; i < PX_BATCH_LEVELS_MAX; i++) {
        if (s->has_level[i] && i >= policy->n_levels)
            refuse(s, "priority_queue_policy", i + 1, "for one of the priority_levels");
        else if (s->has_level[i])
            policy->levels[i] = s->levels[i];
        else if (s->has_usual && i < policy->n_levels)
            policy->levels[i] = s->usual;
    }
}

/* The same delay is no reason to stop tuning it; another one is waited for as it was asked. */
static void take_delay(struct said *s, struct px_batch_policy *policy)
{
    if (s->delay_us > (uint64_t)DELAY_SECONDS_MAX * 1000000) {
        refuse(s, "max_queue_delay_microseconds", s->delay_us, "at most a minute");
        return;
    }
    uint64_t ns = s->delay_us * PX_NS_PER_US;
    if (ns == policy->delay_ns / PX_NS_PER_US * PX_NS_PER_US)
        return;
    policy->delay_ns = ns;
    policy->tunes_delay = false;
}

static void take(struct said *s, struct px_batching *batching)
{
    struct px_batch_policy *policy = &batching->policy;
    if (s->has_preferred) {
        memcpy(policy->preferred, s->preferred, sizeof s->preferred);
        policy->n_preferred = s->n_preferred;
    }
    if (s->has_delay)
        take_delay(s, policy);
    if (s->has_order)
        batching->preserves_order = s->preserves_order;
    take_levels(s, policy);
    if (s->code == PX_OK)
        s->code = px_batching_check(batching, s->err);
    if (s->code == PX_E_CONFLICT)
        s->code = px_err_wrap(s->err, "field 'dynamic_batching': 'preserve_ordering'");
}

enum px_code px_config_batching_read(struct px_json *json, struct px_batching *batching,
                                     struct px_err *err)
{
    struct said s = {.json = json, .err = err, .now = batching};
    struct px_batching changed = *batching;
    struct px_str key;
    px_json_enter_object(json);
    while (px_json_next_key(json, &key))
        read_field(&s, key);
    if (px_json_failed(json))
        return PX_OK; /* it says so itself */
    if (s.code == PX_OK)
        take(&s, &changed);
    if (s.code == PX_OK)
        *batching = changed;
    return s.code;
}
