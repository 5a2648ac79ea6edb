/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Use case: would this package be served, and does it score what it should?
 *
 * A package that opens has passed the reader's checks. px_check_package adds the self-test of the kernels
 * and, when there are golden rows, compares scores: every score must be the value that the file's text
 * stands for, exactly (NaN equals NaN).
 *
 * A model of tensors has no kernels to test; its golden rows are requests, answered within their tolerance.
 */
#ifndef PX_APPLICATION_LIFECYCLE_CHECK_H
#define PX_APPLICATION_LIFECYCLE_CHECK_H

#include "application/lifecycle/package.h"

enum { PX_CHECK_SELF_TEST_ROWS = 768, PX_CHECK_COLUMN_MAX = 128 };

struct px_golden_report {
    size_t n_rows, n_different; /* rows */
    /* the row with the largest difference */
    uint64_t worst_line;
    char worst_column[PX_CHECK_COLUMN_MAX];
    double worst_expected, worst_got;
};

struct px_check_report {
    bool self_test_passed;
    struct px_err self_test_error;
    bool has_golden, golden_passed;
    struct px_golden_report golden;
    struct px_err golden_error; /* when not passed */
    /* of a model of tensors: one run of its first golden request, or of zeros */
    bool has_warm_up, warm_up_passed;
    bool warm_up_refused;        /* zeros are no request of this model: that is its right */
    struct px_err warm_up_error; /* when not passed */
};

/*
 * Runs the checks. `golden_path` replaces the package's own golden rows; NULL uses those. Returns PX_OK when the
 * package would be served, else the code of the first failure, which is also in `err`; `ret` is filled either way.
 */
PX_MUST_USE enum px_code px_check_package(const struct px_package *package, const char *golden_path,
                                          struct px_check_report *ret, struct px_err *err);

/*
 * Runs a model of tensors once on zeros, unless golden requests have shown that it answers, or model.yaml wants no warm-up. One that refuses
 * zeros as no request of its own passes. For `phoenix check`: what cannot answer now is served all the same, since it may later.
 */
PX_MUST_USE enum px_code px_check_answers(const struct px_package *package,
                                          struct px_check_report *report, struct px_err *err);

/*
 * Compares one CSV of golden rows: the features as in production and the columns of scores.h,
 * their names after the package's golden_scores. A difference is PX_E_CONFLICT; rows that cannot be read are PX_E_INVALID with the line.
 */
PX_MUST_USE enum px_code px_check_golden(const struct px_package *package, const char *path,
                                         struct px_golden_report *ret, struct px_err *err);

/*
 * Compares golden requests of a model of tensors (golden.h): `n_rows` counts requests, `worst_line` is the number of the first that
 * differs, from 1. For px_check_package.
 */
PX_MUST_USE enum px_code px_check_golden_requests(const struct px_package *package,
                                                  const char *path, struct px_golden_report *ret,
                                                  struct px_err *err);

#endif
