/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/forest/steps.h"

#include "shared/compiler.h"

#include <math.h>

/*
 * Sums, products and quotients of floats that are computed in double and then rounded are the floats'
 * own: a double has more than twice the bits. The other functions have a float form.
 */
static double compute_single(enum px_step_op op, float a, float b)
{
    if (op == PX_STEP_POW)
        return (double)powf(a, b);
    if (op == PX_STEP_EXP)
        return (double)expf(a);
    PX_ASSERT(op == PX_STEP_LOG);
    return (double)logf(a);
}

static double compute_wide(enum px_step_op op, double a, double b)
{
    if (op == PX_STEP_POW)
        return pow(a, b);
    if (op == PX_STEP_EXP)
        return exp(a);
    PX_ASSERT(op == PX_STEP_LOG);
    return log(a);
}

/* What is the same in both widths, but for the final rounding. */
static bool compute_plain(enum px_step_op op, double a, double b, double *ret)
{
    switch (op) {
    case PX_STEP_ADD:
        *ret = a + b;
        break;
    case PX_STEP_SUB:
        *ret = a - b;
        break;
    case PX_STEP_MUL:
        *ret = a * b;
        break;
    case PX_STEP_DIV:
        *ret = a / b;
        break;
    case PX_STEP_MAX:
        *ret = isnan(a) || a > b ? a : b;
        break;
    case PX_STEP_MIN:
        *ret = isnan(a) || a < b ? a : b;
        break;
    case PX_STEP_EQUAL:
        *ret = a == b;
        break;
    case PX_STEP_GREATER:
        *ret = a > b;
        break;
    case PX_STEP_LESS:
        *ret = a < b;
        break;
    case PX_STEP_IMPUTE:
        *ret = isnan(a) ? b : a;
        break;
    case PX_STEP_NEG:
        *ret = -a;
        break;
    case PX_STEP_TRUNCATE:
        *ret = trunc(a);
        break;
    case PX_STEP_ROUND:
        *ret = a;
        break;
    case PX_STEP_POW:
    case PX_STEP_EXP:
    case PX_STEP_LOG:
        return false;
    }
    return true;
}

double px_step_compute(enum px_step_op op, bool single, double a, double b)
{
    double result = 0;
    if (!compute_plain(op, a, b, &result))
        return single ? compute_single(op, (float)a, (float)b) : compute_wide(op, a, b);
    return single ? (double)(float)result : result;
}
