/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adapter of ports/coding.h over libzstd. Its contexts are made at the first use of each direction and kept, so a
 * warm coder allocates nothing.
 */
#ifndef PX_INFRASTRUCTURE_CODING_ZSTD_H
#define PX_INFRASTRUCTURE_CODING_ZSTD_H

#include "application/ports/coding.h"

PX_MUST_USE enum px_code px_zstd_coder_create(struct px_coder **ret, struct px_err *err);

#endif
