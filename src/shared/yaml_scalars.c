/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/yaml_scalars.h"

#include "shared/duration.h"
#include "shared/number.h"

#include <inttypes.h>
#include <stdio.h>

enum { SHOWN_MAX = 60, EXPECTED_MAX = 160 };

enum px_code px_yaml_refuse(const struct px_yaml *node, const char *expected, struct px_err *err)
{
    char key[80] = "", got[SHOWN_MAX + 24];
    int shown = (int)(node->text.len < SHOWN_MAX ? node->text.len : SHOWN_MAX);
    if (node->type != PX_YAML_SCALAR)
        snprintf(got, sizeof got, "%s", node->type == PX_YAML_MAPPING ? "a mapping" : "a list");
    else if (px_yaml_is_null(node))
        snprintf(got, sizeof got, "nothing");
    else
        snprintf(got, sizeof got, "%s'%.*s'", node->quoted ? "the quoted text " : "", shown,
                 node->text.ptr);
    if (node->key.len)
        snprintf(key, sizeof key, "'%.*s' ", PX_STR_ARG(node->key));
    return px_err_set(err, PX_E_INVALID, "line %u: %s%s %s, got %s", node->line, key,
                      node->key.len ? "must be" : "expected", expected, got);
}

enum px_code px_yaml_count(const struct px_yaml *node, uint64_t min, uint64_t max, uint64_t *ret,
                           struct px_err *err)
{
    char expected[EXPECTED_MAX];
    int64_t n;
    if (!node)
        return PX_OK;
    if (px_yaml_i64(node, &n, NULL) == PX_OK && n >= 0 && (uint64_t)n >= min &&
        (uint64_t)n <= max) {
        *ret = (uint64_t)n;
        return PX_OK;
    }
    snprintf(expected, sizeof expected, "a whole number, %" PRIu64 " to %" PRIu64, min, max);
    return px_yaml_refuse(node, expected, err);
}

enum px_code px_yaml_count32(const struct px_yaml *node, uint32_t min, uint32_t max, uint32_t *ret,
                             struct px_err *err)
{
    uint64_t n = *ret;
    enum px_code code = px_yaml_count(node, min, max, &n, err);
    *ret = (uint32_t)n;
    return code;
}

enum px_code px_yaml_duration(const struct px_yaml *node, uint64_t min_ns, uint64_t max_ns,
                              uint64_t *ret_ns, struct px_err *err)
{
    char least[PX_DURATION_TEXT_MAX], most[PX_DURATION_TEXT_MAX], expected[EXPECTED_MAX];
    struct px_str text;
    uint64_t ns;
    if (!node)
        return PX_OK;
    if (px_yaml_str(node, &text, NULL) == PX_OK && px_duration_parse(text, &ns) && ns >= min_ns &&
        ns <= max_ns) {
        *ret_ns = ns;
        return PX_OK;
    }
    snprintf(expected, sizeof expected, "a time from %s to %s", px_duration_text(min_ns, least),
             px_duration_text(max_ns, most));
    px_yaml_refuse(node, expected, err);
    return px_err_hint(err, "write a whole number and us, ms, s, m, h or d, as %.*s: 5s",
                       PX_STR_ARG(node->key));
}

enum px_code px_yaml_share(const struct px_yaml *node, double *ret, struct px_err *err)
{
    struct px_str text;
    double share;
    if (!node)
        return PX_OK;
    if (px_yaml_str(node, &text, NULL) == PX_OK && !node->quoted && px_str_to_f64(text, &share) &&
        share > 0 && share <= 1) {
        *ret = share;
        return PX_OK;
    }
    px_yaml_refuse(node, "above 0 and at most 1", err);
    return px_err_hint(err, "half is 0.5");
}

bool px_yaml_is_switch(const struct px_yaml *node, bool *ret)
{
    static const char *const words[2][3] = {{"off", "false", "no"}, {"on", "true", "yes"}};
    for (size_t i = 0; node->type == PX_YAML_SCALAR && i < 6; i++) {
        if (!px_str_is(node->text, words[i / 3][i % 3]))
            continue;
        *ret = i / 3 == 1;
        return true;
    }
    return false;
}

enum px_code px_yaml_switch(const struct px_yaml *node, bool *ret, struct px_err *err)
{
    return !node || px_yaml_is_switch(node, ret) ? PX_OK : px_yaml_refuse(node, "on or off", err);
}

/* "a, b or c" */
static void list_words(const struct px_str *words, size_t n, struct px_buf *ret)
{
    for (size_t i = 0; i < n; i++)
        px_buf_printf(ret, "%s%.*s", i == 0 ? "" : i + 1 < n ? ", " : " or ", PX_STR_ARG(words[i]));
}

enum px_code px_yaml_word(const struct px_yaml *node, const struct px_str *words, size_t n,
                          size_t *ret, struct px_err *err)
{
    char list[EXPECTED_MAX];
    struct px_buf expected = px_buf_fixed(list, sizeof list);
    for (size_t i = 0; node && node->type == PX_YAML_SCALAR && i < n; i++) {
        if (!px_str_eq(node->text, words[i]))
            continue;
        *ret = i;
        return PX_OK;
    }
    if (!node)
        return PX_OK;
    list_words(words, n, &expected);
    px_yaml_refuse(node, px_buf_cstr(&expected), err);
    if (node->type == PX_YAML_SCALAR)
        px_err_suggest(err, node->text, words, n);
    return PX_E_INVALID;
}
