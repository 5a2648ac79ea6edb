/* SPDX-License-Identifier: Apache-2.0 */
/* The processors of tables, for kinds.c. */
#ifndef PX_DOMAIN_PROCESSING_TABULAR_KINDS_H
#define PX_DOMAIN_PROCESSING_TABULAR_KINDS_H

#include "domain/processing/processor.h"

extern const struct px_processor_kind px_kind_arg_max;
extern const struct px_processor_kind px_kind_bands;
extern const struct px_processor_kind px_kind_bucketise;
extern const struct px_processor_kind px_kind_cast;
extern const struct px_processor_kind px_kind_clip;
extern const struct px_processor_kind px_kind_encode;
extern const struct px_processor_kind px_kind_impute;
extern const struct px_processor_kind px_kind_isotonic;
extern const struct px_processor_kind px_kind_log1p;
extern const struct px_processor_kind px_kind_platt;
extern const struct px_processor_kind px_kind_scale;
extern const struct px_processor_kind px_kind_select;
extern const struct px_processor_kind px_kind_sigmoid;
extern const struct px_processor_kind px_kind_softmax;
extern const struct px_processor_kind px_kind_top_k;

#endif
