/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From margins to scores: what a library's predict() does after the sum of the leaves.
 *
 * Each formula is the library's own, operation by operation, so that scores are equal to the bit as far
 * as both use the same libm. XGBoost computes in float (the softmax sums in double), LightGBM in double.
 */
#ifndef PX_DOMAIN_FOREST_TRANSFORM_H
#define PX_DOMAIN_FOREST_TRANSFORM_H

#include <stddef.h>

enum px_transform_kind {
    PX_TRANSFORM_IDENTITY = 0,
    PX_TRANSFORM_SIGMOID,       /* float: XGBoost 1.6 and later; double: of alpha * margin */
    PX_TRANSFORM_SIGMOID_PLAIN, /* float: XGBoost up to 1.5, without the guard against overflow */
    PX_TRANSFORM_SOFTMAX,
    PX_TRANSFORM_ARGMAX, /* multi:softmax: the first class of the largest margin */
    PX_TRANSFORM_HINGE,  /* margin > 0 ? 1 : 0 */
    PX_TRANSFORM_EXP,
    PX_TRANSFORM_EXP_WIDE,  /* float: in double, then rounded; XGBoost's survival:aft */
    PX_TRANSFORM_SORT,      /* reg:quantileerror of XGBoost 3.4 and later */
    PX_TRANSFORM_EXPECTILE, /* increments through softplus */
    PX_TRANSFORM_LOG1P_EXP, /* LightGBM's cross_entropy_lambda */
    PX_TRANSFORM_LOG_EXP,   /* the same up to LightGBM 3.2: log(1 + exp(x)) */
    PX_TRANSFORM_SQUARE,    /* LightGBM's reg_sqrt: sign(x) * x * x */
};

struct px_transform {
    enum px_transform_kind kind;
    double alpha; /* of the double sigmoid */
};

/* One row of `n` margins to scores (one for ARGMAX, else n); `scores` may be `margins`. */
void px_transform_f32(struct px_transform transform, const float *margins, float *scores, size_t n);
void px_transform_f64(struct px_transform transform, const double *margins, double *scores,
                      size_t n);

/* The inverse of the softplus in PX_TRANSFORM_EXPECTILE, for base scores. */
float px_softplus_inverse_f32(float y);

/* XGBoost's kRtEps: keeps expectiles apart and probabilities away from 0 and 1. */
#define PX_XGBOOST_EPSILON 1e-6F

#endif
