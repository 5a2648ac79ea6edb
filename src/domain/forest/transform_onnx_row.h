/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One row of transform_onnx.c, included once per element type: ELEMENT is float or double, and both hold
 * floats after the first rounding. NAMED(name) gives the functions their suffix.
 */

static void NAMED(softmax)(const ELEMENT *margins, ELEMENT *scores, size_t n)
{
    float max = -FLT_MAX, sum = 0.0F;
    for (size_t k = 0; k < n; k++)
        max = (float)margins[k] > max ? (float)margins[k] : max;
    for (size_t k = 0; k < n; k++) {
        float power = expf((float)margins[k] - max);
        scores[k] = (ELEMENT)power;
        sum += power;
    }
    for (size_t k = 0; k < n; k++)
        scores[k] = (ELEMENT)((float)scores[k] / sum);
}

static void NAMED(softmax_zero)(const ELEMENT *margins, ELEMENT *scores, size_t n)
{
    float max = -FLT_MAX, sum = 0.0F;
    for (size_t k = 0; k < n; k++)
        max = (float)margins[k] > max ? (float)margins[k] : max;
    float power_of_zero = expf(-max);
    for (size_t k = 0; k < n; k++) {
        float x = (float)margins[k];
        bool counts = x > 0.0000001F || x < -0.0000001F;
        float power = counts ? expf(x - max) : x * power_of_zero;
        scores[k] = (ELEMENT)power;
        if (counts)
            sum += power;
    }
    for (size_t k = 0; k < n; k++)
        scores[k] = (ELEMENT)((float)scores[k] / sum);
}

/* The class whose votes are not there, in the type of the sum. */
static float NAMED(other)(enum px_transform_kind kind, ELEMENT x)
{
    if (kind == PX_TRANSFORM_ONNX_COMPLEMENT)
        return (float)((ELEMENT)1 - x);
    if (kind == PX_TRANSFORM_ONNX_NEGATION)
        return (float)-x;
    if (kind == PX_TRANSFORM_ONNX_LOGISTIC_COMPLEMENT)
        return 1.0F - logistic((float)x);
    PX_ASSERT(kind == PX_TRANSFORM_ONNX_LOGISTIC_PAIR);
    return logistic((float)-x);
}

static void NAMED(pair)(enum px_transform_kind kind, ELEMENT x, ELEMENT *scores)
{
    bool as_is = kind == PX_TRANSFORM_ONNX_COMPLEMENT || kind == PX_TRANSFORM_ONNX_NEGATION;
    scores[0] = (ELEMENT)NAMED(other)(kind, x);
    scores[1] = (ELEMENT)(as_is ? (float)x : logistic((float)x));
}

void NAMED(px_transform_onnx)(enum px_transform_kind kind, const ELEMENT *margins, ELEMENT *scores,
                              size_t n)
{
    if (px_transform_is_pair(kind)) {
        NAMED(pair)(kind, margins[0], scores);
    } else if (kind == PX_TRANSFORM_ONNX_SOFTMAX) {
        NAMED(softmax)(margins, scores, n);
    } else if (kind == PX_TRANSFORM_ONNX_SOFTMAX_ZERO) {
        NAMED(softmax_zero)(margins, scores, n);
    } else {
        for (size_t k = 0; k < n; k++)
            scores[k] = (ELEMENT)each(kind, (float)margins[k]);
    }
}
