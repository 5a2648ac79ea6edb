/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scalars of settings, read in one way wherever they stand: counts, durations, shares, switches, words.
 *
 *     code = px_yaml_duration(px_yaml_get(node, "open"), PX_NS_PER_MS, day_ns, &policy->open_ns, err);
 *
 * Each takes the value of a key, or NULL where the key is absent: that is PX_OK, and `*ret` stays what it was. PX_E_INVALID names line and
 * key, what was expected, what came and, where it is not evident, how to write it; `*ret` stays then too.
 */
#ifndef PX_SHARED_YAML_SCALARS_H
#define PX_SHARED_YAML_SCALARS_H

#include "shared/yaml.h"

/* A whole number from `min` to `max`. */
PX_MUST_USE enum px_code px_yaml_count(const struct px_yaml *node, uint64_t min, uint64_t max,
                                       uint64_t *ret, struct px_err *err);
PX_MUST_USE enum px_code px_yaml_count32(const struct px_yaml *node, uint32_t min, uint32_t max,
                                         uint32_t *ret, struct px_err *err);
/* "5s", as px_duration_parse reads it. */
PX_MUST_USE enum px_code px_yaml_duration(const struct px_yaml *node, uint64_t min_ns,
                                          uint64_t max_ns, uint64_t *ret_ns, struct px_err *err);
/* Above 0 and at most 1. */
PX_MUST_USE enum px_code px_yaml_share(const struct px_yaml *node, double *ret, struct px_err *err);
/* on, true or yes; off, false or no. */
PX_MUST_USE enum px_code px_yaml_switch(const struct px_yaml *node, bool *ret, struct px_err *err);
/* The place of the text in `words`. */
PX_MUST_USE enum px_code px_yaml_word(const struct px_yaml *node, const struct px_str *words,
                                      size_t n, size_t *ret, struct px_err *err);

/* Is it a switch, for keys that take one and something else? `*ret` is set when it is. */
bool px_yaml_is_switch(const struct px_yaml *node, bool *ret);

/* "line 3: 'open' must be EXPECTED, got '7'", for what the functions above do not know. */
enum px_code px_yaml_refuse(const struct px_yaml *node, const char *expected, struct px_err *err);

#endif
