/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elementwise arithmetic as data: what an ONNX graph does with a number before the trees see it, with the
 * value of a leaf, and with a score. One definition serves all three.
 *
 * A step takes a number and a constant. With `single` it computes in float: the operands are floats and so
 * is the result, also where they are kept in doubles.
 */
#ifndef PX_DOMAIN_FOREST_STEPS_H
#define PX_DOMAIN_FOREST_STEPS_H

#include <stdbool.h>
#include <stddef.h>

enum px_step_op {
    PX_STEP_ADD = 0, /* x + constant */
    PX_STEP_SUB,
    PX_STEP_MUL,
    PX_STEP_DIV,
    PX_STEP_POW,
    PX_STEP_MAX,
    PX_STEP_MIN,
    PX_STEP_EQUAL, /* 1 or 0 */
    PX_STEP_GREATER,
    PX_STEP_LESS,
    PX_STEP_IMPUTE, /* NaN becomes the constant */
    PX_STEP_NEG,    /* these have no constant */
    PX_STEP_EXP,
    PX_STEP_LOG,
    PX_STEP_TRUNCATE, /* to an integer */
    PX_STEP_ROUND,    /* to float; always `single` */
};

struct px_step {
    enum px_step_op op;
    bool single;
    bool reversed; /* constant op x */
    double constant;
};

double px_step_compute(enum px_step_op op, bool single, double a, double b);

static inline double px_step_apply(const struct px_step *step, double x)
{
    return step->reversed ? px_step_compute(step->op, step->single, step->constant, x)
                          : px_step_compute(step->op, step->single, x, step->constant);
}

static inline double px_steps_apply(const struct px_step *steps, size_t n, double x)
{
    for (size_t i = 0; i < n; i++)
        x = px_step_apply(&steps[i], x);
    return x;
}

#endif
