/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings of the processors of tables. They come from the step, and from the file that its setting `file` names: a mapping
 * of the same keys in YAML or JSON, which is what a fitted transformer is exported to. The step's own settings go
 * before the file's. Errors say which of both they mean, and the line in it.
 *
 * A setting that is left out keeps the value that the variable has. Everything read lives in the source's arena.
 */
#ifndef PX_DOMAIN_PROCESSING_TABULAR_SETTINGS_H
#define PX_DOMAIN_PROCESSING_TABULAR_SETTINGS_H

#include "domain/processing/processor.h"

enum {
    PX_TABULAR_COLUMNS_MAX = 1 << 16, /* of a tensor that has settings for each of its columns */
    PX_TABULAR_LIST_MAX = 1 << 20,    /* values in one list of settings */
};

struct px_tabular_settings {
    struct px_processor_source step, file; /* file.settings is NULL without a file */
    struct px_str file_name;
};

/* Reads the file, if there is one, and checks all keys against `known`, which need not name `file`. */
PX_MUST_USE enum px_code px_tabular_settings_open(struct px_tabular_settings *settings,
                                                  const struct px_processor_source *source,
                                                  const struct px_str *known, size_t n_known,
                                                  struct px_err *err);

/* The node of a setting; NULL when it is absent or null. */
const struct px_yaml *px_tabular_node(const struct px_tabular_settings *settings, const char *key);

/* Puts the name of the file before an error about `key`, when it stands there. */
enum px_code px_tabular_wrap(const struct px_tabular_settings *settings, const char *key,
                             struct px_err *err);

/* PX_E_INVALID "scale: expected a list of numbers" for a setting that may not be absent. */
PX_MUST_USE enum px_code px_tabular_need(const struct px_tabular_settings *settings,
                                         const char *key, const char *what, struct px_err *err);

PX_MUST_USE enum px_code px_tabular_bool(const struct px_tabular_settings *settings,
                                         const char *key, bool *value, struct px_err *err);
PX_MUST_USE enum px_code px_tabular_str(const struct px_tabular_settings *settings, const char *key,
                                        struct px_str *value, struct px_err *err);
/* One of `names` (ended by a NULL), as its index. */
PX_MUST_USE enum px_code px_tabular_choice(const struct px_tabular_settings *settings,
                                           const char *key, const char *const *names, size_t *value,
                                           struct px_err *err);
/* One of the types that numbers are given in: FP32, FP64, INT64 ...; texts where `texts`. */
PX_MUST_USE enum px_code px_tabular_type(const struct px_tabular_settings *settings,
                                         const char *const *names, enum px_datatype *type,
                                         struct px_err *err);

/* A scalar as a number: finite, unless `nonfinite` allows NaN and infinities. */
PX_MUST_USE enum px_code px_tabular_scalar(const struct px_yaml *node, bool nonfinite,
                                           double *value, struct px_err *err);
PX_MUST_USE enum px_code px_tabular_number(const struct px_tabular_settings *settings,
                                           const char *key, double *value, struct px_err *err);

/*
 * Numbers, one for each column, or one for all of them (`is_one`, n = 1). Absent: n = 0. Finite.
 */
struct px_tabular_numbers {
    const double *list;
    size_t n;
    bool is_one;
};
PX_MUST_USE enum px_code px_tabular_numbers(const struct px_tabular_settings *settings,
                                            const char *key, struct px_tabular_numbers *ret,
                                            struct px_err *err);
/* The numbers of a sequence; `nonfinite` as above. */
PX_MUST_USE enum px_code px_tabular_sequence(const struct px_yaml *node, bool nonfinite,
                                             struct px_arena *arena, struct px_tabular_numbers *ret,
                                             struct px_err *err);
/* Do they ascend? Equal neighbours are an error where `strictly`. */
PX_MUST_USE enum px_code px_tabular_ascending(const struct px_tabular_numbers *numbers,
                                              bool strictly, struct px_err *err);

static inline double px_tabular_of_column(const struct px_tabular_numbers *numbers, size_t column)
{
    return numbers->list[numbers->is_one ? 0 : column];
}

/* The number of columns that `numbers` says, checked against `*n_cols`, which may be 0 (not known yet) and is set. */
PX_MUST_USE enum px_code px_tabular_fit(const struct px_tabular_settings *settings, const char *key,
                                        const struct px_tabular_numbers *numbers, size_t *n_cols,
                                        struct px_err *err);

/* A list of texts; numbers in it are taken as they are written. Absent: n = 0. */
struct px_tabular_texts {
    const struct px_str *list;
    size_t n;
};
PX_MUST_USE enum px_code px_tabular_texts(const struct px_tabular_settings *settings,
                                          const char *key, struct px_tabular_texts *ret,
                                          struct px_err *err);

#endif
