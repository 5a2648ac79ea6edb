/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From margins to scores: what a library's predict() does after the sum of the leaves.
 *
 * Each formula is the library's own, operation by operation, so that scores are equal to the bit as far
 * as both use the same libm. XGBoost computes in float (the softmax sums in double), LightGBM in double,
 * ONNX Runtime in float. An ONNX graph may go on with the scores: the steps.
 */
#ifndef PX_DOMAIN_FOREST_TRANSFORM_H
#define PX_DOMAIN_FOREST_TRANSFORM_H

#include "domain/forest/steps.h"

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

    /* ONNX Runtime's (transform_onnx.h), all computed in float. */
    PX_TRANSFORM_ONNX_ROUND, /* the float nearest to a double */
    PX_TRANSFORM_ONNX_LOGISTIC,
    PX_TRANSFORM_ONNX_PROBIT,
    PX_TRANSFORM_ONNX_SOFTMAX,
    PX_TRANSFORM_ONNX_SOFTMAX_ZERO,
    /* Two scores from one margin x; s is the logistic function. */
    PX_TRANSFORM_ONNX_COMPLEMENT,          /* 1 - x, x */
    PX_TRANSFORM_ONNX_NEGATION,            /* -x, x */
    PX_TRANSFORM_ONNX_LOGISTIC_COMPLEMENT, /* 1 - s(x), s(x) */
    PX_TRANSFORM_ONNX_LOGISTIC_PAIR,       /* s(-x), s(x) */
};

struct px_transform {
    enum px_transform_kind kind;
    double alpha;                /* of the double sigmoid */
    const struct px_step *steps; /* then done to each score */
    size_t n_steps;
};

static inline bool px_transform_is_pair(enum px_transform_kind kind)
{
    return kind >= PX_TRANSFORM_ONNX_COMPLEMENT && kind <= PX_TRANSFORM_ONNX_LOGISTIC_PAIR;
}

/* Scores of a row of `n` margins: one for ARGMAX, two for the pair kinds, else n. */
static inline size_t px_transform_outputs(enum px_transform_kind kind, size_t n)
{
    if (px_transform_is_pair(kind))
        return 2;
    return kind == PX_TRANSFORM_ARGMAX ? 1 : n;
}

/* One row of `n` margins to scores; `scores` may be `margins` when there are as many. */
void px_transform_f32(struct px_transform transform, const float *margins, float *scores, size_t n);
void px_transform_f64(struct px_transform transform, const double *margins, double *scores,
                      size_t n);

/* The inverse of the softplus in PX_TRANSFORM_EXPECTILE, for base scores. */
float px_softplus_inverse_f32(float y);

/* XGBoost's kRtEps: keeps expectiles apart and probabilities away from 0 and 1. */
#define PX_XGBOOST_EPSILON 1e-6F

#endif
