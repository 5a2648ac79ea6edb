/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/forest/transform.h"

#include "domain/forest/transform_onnx.h"
#include "shared/compiler.h"

#include <math.h>

static float sigmoid_f32(float x)
{
    /* As in XGBoost: the guard keeps expf finite and lets NaN pass; 1e-16 is below half an ulp of the sum. */
    float t = 88.7F < -x ? 88.7F : -x;
    return 1.0F / (expf(t) + 1.0F + 1e-16F);
}

static float softplus_f32(float x)
{
    return fmaxf(x, 0.0F) + log1pf(expf(-fabsf(x)));
}

float px_softplus_inverse_f32(float y)
{
    return y + logf(-expm1f(-y));
}

static void softmax_f32(const float *margins, float *scores, size_t n)
{
    float max = margins[0];
    for (size_t k = 1; k < n; k++)
        max = fmaxf(margins[k], max);
    double sum = 0.0;
    for (size_t k = 0; k < n; k++) {
        scores[k] = expf(margins[k] - max);
        sum += (double)scores[k];
    }
    for (size_t k = 0; k < n; k++)
        scores[k] /= (float)sum;
}

static size_t argmax_f32(const float *margins, size_t n)
{
    size_t best = 0;
    for (size_t k = 1; k < n; k++) {
        if (margins[k] > margins[best])
            best = k;
    }
    return best;
}

/* Insertion sort: rows have a handful of quantiles. */
static void sort_f32(const float *margins, float *scores, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        float value = margins[k];
        size_t at = k;
        for (; at > 0 && value < scores[at - 1]; at--)
            scores[at] = scores[at - 1];
        scores[at] = value;
    }
}

static void expectile_f32(const float *margins, float *scores, size_t n)
{
    float value = margins[0];
    scores[0] = value;
    for (size_t k = 1; k < n; k++) {
        value += PX_XGBOOST_EPSILON + softplus_f32(margins[k]);
        scores[k] = value;
    }
}

static float each_f32(enum px_transform_kind kind, float x)
{
    if (kind == PX_TRANSFORM_SIGMOID)
        return sigmoid_f32(x);
    if (kind == PX_TRANSFORM_SIGMOID_PLAIN)
        return 1.0F / (1.0F + expf(-x));
    if (kind == PX_TRANSFORM_EXP)
        return expf(x);
    if (kind == PX_TRANSFORM_EXP_WIDE)
        return (float)exp((double)x);
    if (kind == PX_TRANSFORM_HINGE)
        return x > 0.0F ? 1.0F : 0.0F;
    PX_ASSERT(kind == PX_TRANSFORM_IDENTITY);
    return x;
}

static bool is_onnx(enum px_transform_kind kind)
{
    return kind >= PX_TRANSFORM_ONNX_ROUND;
}

void px_transform_f32(struct px_transform transform, const float *margins, float *scores, size_t n)
{
    if (is_onnx(transform.kind)) {
        px_transform_onnx_f32(transform.kind, margins, scores, n);
    } else if (transform.kind == PX_TRANSFORM_SOFTMAX) {
        softmax_f32(margins, scores, n);
    } else if (transform.kind == PX_TRANSFORM_ARGMAX) {
        scores[0] = (float)argmax_f32(margins, n);
    } else if (transform.kind == PX_TRANSFORM_SORT) {
        sort_f32(margins, scores, n);
    } else if (transform.kind == PX_TRANSFORM_EXPECTILE) {
        expectile_f32(margins, scores, n);
    } else {
        for (size_t k = 0; k < n; k++)
            scores[k] = each_f32(transform.kind, margins[k]);
    }
    for (size_t k = 0; transform.n_steps && k < px_transform_outputs(transform.kind, n); k++)
        scores[k] = (float)px_steps_apply(transform.steps, transform.n_steps, (double)scores[k]);
}

static void softmax_f64(const double *margins, double *scores, size_t n)
{
    double max = margins[0];
    for (size_t k = 1; k < n; k++)
        max = margins[k] > max ? margins[k] : max;
    double sum = 0.0;
    for (size_t k = 0; k < n; k++) {
        scores[k] = exp(margins[k] - max);
        sum += scores[k];
    }
    for (size_t k = 0; k < n; k++)
        scores[k] /= sum;
}

static double each_f64(struct px_transform transform, double x)
{
    if (transform.kind == PX_TRANSFORM_SIGMOID)
        return 1.0 / (1.0 + exp(-transform.alpha * x));
    if (transform.kind == PX_TRANSFORM_EXP)
        return exp(x);
    if (transform.kind == PX_TRANSFORM_LOG1P_EXP)
        return log1p(exp(x));
    if (transform.kind == PX_TRANSFORM_LOG_EXP)
        return log(1.0 + exp(x));
    if (transform.kind == PX_TRANSFORM_SQUARE)
        return ((x > 0.0) - (x < 0.0)) * x * x;
    PX_ASSERT(transform.kind == PX_TRANSFORM_IDENTITY);
    return x;
}

void px_transform_f64(struct px_transform transform, const double *margins, double *scores,
                      size_t n)
{
    if (is_onnx(transform.kind)) {
        px_transform_onnx_f64(transform.kind, margins, scores, n);
    } else if (transform.kind == PX_TRANSFORM_SOFTMAX) {
        softmax_f64(margins, scores, n);
    } else {
        for (size_t k = 0; k < n; k++)
            scores[k] = each_f64(transform, margins[k]);
    }
    for (size_t k = 0; transform.n_steps && k < px_transform_outputs(transform.kind, n); k++)
        scores[k] = px_steps_apply(transform.steps, transform.n_steps, scores[k]);
}
