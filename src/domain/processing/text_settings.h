/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every text processor does when it is created: reads its settings, checks that it is given texts, and says what comes
 * out. A setting that is left out keeps the value that the variable has. Threads: any.
 */
#ifndef PX_DOMAIN_PROCESSING_TEXT_SETTINGS_H
#define PX_DOMAIN_PROCESSING_TEXT_SETTINGS_H

#include "domain/processing/processor.h"

enum {
    PX_TEXT_BYTES_MAX = 4 << 20, /* of one text */
    PX_TEXT_FILE_MAX = 64 << 20, /* bytes of a vocabulary, of merges, of a tokenizer.json */
};

/* PX_E_UNKNOWN_OPTION with the nearest match; PX_E_INVALID when the settings are no mapping. */
PX_MUST_USE enum px_code px_text_settings_only(const struct px_processor_source *source,
                                               const struct px_str *known, size_t n,
                                               struct px_err *err);

/* The node of a setting, or NULL. */
const struct px_yaml *px_text_setting(const struct px_processor_source *source, const char *key);

PX_MUST_USE enum px_code px_text_setting_bool(const struct px_processor_source *source,
                                              const char *key, bool *value, struct px_err *err);
/* A whole number of [min, max], given as {value, min, max}; `value` is replaced. */
struct px_text_number {
    size_t value, min, max;
};
PX_MUST_USE enum px_code px_text_setting_number(const struct px_processor_source *source,
                                                const char *key, struct px_text_number *number,
                                                struct px_err *err);
PX_MUST_USE enum px_code px_text_setting_str(const struct px_processor_source *source,
                                             const char *key, struct px_str *value,
                                             struct px_err *err);
/* One of `names` (ended by a NULL), as its index. */
PX_MUST_USE enum px_code px_text_setting_choice(const struct px_processor_source *source,
                                                const char *key, const char *const *names,
                                                size_t *value, struct px_err *err);
/* `type`: FP64 or FP32. */
PX_MUST_USE enum px_code px_text_setting_float_type(const struct px_processor_source *source,
                                                    enum px_datatype *type, struct px_err *err);
/* The bytes of the file that the setting names; {NULL, 0} without the setting. */
PX_MUST_USE enum px_code px_text_setting_file(const struct px_processor_source *source,
                                              const char *key, struct px_str *ret,
                                              struct px_err *err);

/*
 * Checks that there is one input, `input`, of BYTES and [n] or [n,1], and fills `processor`: kind, takes, and gives with
 * `n_outputs` specs of [n, -1], whose names and types are left to the caller.
 */
PX_MUST_USE enum px_code px_text_processor_init(struct px_processor *processor,
                                                const struct px_processor_kind *kind,
                                                const struct px_processor_source *source,
                                                size_t n_outputs, struct px_tensor_spec **ret_gives,
                                                struct px_err *err);

/* Takes the next text of a tensor: checked for length, made well-formed. `number` names it in errors, from 0. */
PX_MUST_USE enum px_code px_text_take(struct px_str *rest, size_t number, struct px_arena *arena,
                                      struct px_str *ret, struct px_err *err);

/* A tensor of `spec`'s name and type and [n_rows, n_cols], zeroed. PX_E_TOO_LARGE, PX_E_NO_MEMORY. */
PX_MUST_USE enum px_code px_text_tensor_make(const struct px_tensor_spec *spec, size_t n_rows,
                                             size_t n_cols, struct px_arena *arena,
                                             struct px_tensor *ret, void **ret_elements,
                                             struct px_err *err);

/* Memory that is used again from one text to the next, and grows in the arena: `count` elements of `size`, or NULL. */
struct px_text_scratch {
    void *memory;
    size_t bytes;
};
void *px_text_scratch(struct px_text_scratch *scratch, size_t count, size_t size,
                      struct px_arena *arena);

#endif
