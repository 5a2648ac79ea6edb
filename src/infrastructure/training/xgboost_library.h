/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of libxgboost's C API that training needs, found at run time. Private to this folder.
 *
 * The declarations follow the C API of XGBoost 1.6 and later (include/xgboost/c_api.h), which has
 * kept them unchanged since; declaring them here lets the project build without XGBoost's headers.
 * Every function returns 0, or -1 with a text in XGBGetLastError.
 */
#ifndef PX_INFRASTRUCTURE_TRAINING_XGBOOST_LIBRARY_H
#define PX_INFRASTRUCTURE_TRAINING_XGBOOST_LIBRARY_H

#include "shared/err.h"

#include <stdint.h>

struct px_xgb_library {
    void (*version)(int *major, int *minor, int *patch);
    const char *(*last_error)(void);
    int (*set_global)(const char *json);
    int (*matrix_from_dense)(const char *array_interface, const char *config, void **ret);
    int (*matrix_set_floats)(void *matrix, const char *field, const float *values, uint64_t n);
    int (*matrix_set_texts)(void *matrix, const char *field, const char **values, uint64_t n);
    int (*booster_create)(void *const matrices[], uint64_t n, void **ret);
    int (*booster_set_param)(void *booster, const char *name, const char *value);
    int (*booster_update)(void *booster, int round, void *matrix);
    int (*booster_eval)(void *booster, int round, void *matrices[], const char *names[], uint64_t n,
                        const char **ret);
    int (*booster_slice)(void *booster, int begin, int end, int step, void **ret);
    int (*booster_set_texts)(void *booster, const char *field, const char **values, uint64_t n);
    int (*booster_set_attribute)(void *booster, const char *name, const char *value);
    int (*booster_save)(void *booster, const char *config, uint64_t *ret_len, const char **ret);
};

/* Opens the library; it is never closed. PX_E_UNAVAILABLE says what to install. */
PX_MUST_USE enum px_code px_xgb_library_open(struct px_xgb_library *library, struct px_err *err);

#endif
