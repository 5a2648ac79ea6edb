/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The post transforms of ONNX's tree ensembles as ONNX Runtime computes them: in float, whatever the type
 * of the ensemble is. One row of `n` margins; the pair kinds make two scores of one margin, so `scores` has
 * room for two then.
 */
#ifndef PX_DOMAIN_FOREST_TRANSFORM_ONNX_H
#define PX_DOMAIN_FOREST_TRANSFORM_ONNX_H

#include "domain/forest/transform.h"

void px_transform_onnx_f32(enum px_transform_kind kind, const float *margins, float *scores,
                           size_t n);
void px_transform_onnx_f64(enum px_transform_kind kind, const double *margins, double *scores,
                           size_t n);

#endif
