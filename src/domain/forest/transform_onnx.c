/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ONNX Runtime's own formulas, in its order of operations: the logistic function loses small probabilities
 * (1 - v for negative x), PROBIT is Winitzki's approximation with its constants, SOFTMAX_ZERO leaves what
 * is nearly 0 out of the sum of exponentials.
 */
#include "domain/forest/transform_onnx.h"

#include "shared/compiler.h"

#include <float.h>
#include <math.h>

static float logistic(float x)
{
    float v = 1.0F / (1.0F + expf(-fabsf(x)));
    return x < 0.0F ? 1.0F - v : v;
}

static float inverse_erf(float x)
{
    float sign = x < 0.0F ? -1.0F : 1.0F;
    float log_of = logf((1.0F - x) * (1.0F + x));
    float v = 2.0F / (3.14159274F * 0.147F) + 0.5F * log_of;
    float v2 = 1.0F / 0.147F * log_of;
    return sign * sqrtf(-v + sqrtf(v * v - v2));
}

static float probit(float x)
{
    return 1.41421356F * inverse_erf(2.0F * x - 1.0F);
}

static float each(enum px_transform_kind kind, float x)
{
    if (kind == PX_TRANSFORM_ONNX_LOGISTIC)
        return logistic(x);
    if (kind == PX_TRANSFORM_ONNX_PROBIT)
        return probit(x);
    PX_ASSERT(kind == PX_TRANSFORM_ONNX_ROUND);
    return x;
}

#define ELEMENT     float
#define NAMED(name) name##_f32
#include "domain/forest/transform_onnx_row.h"
#undef ELEMENT
#undef NAMED

#define ELEMENT     double
#define NAMED(name) name##_f64
#include "domain/forest/transform_onnx_row.h"
#undef ELEMENT
#undef NAMED
