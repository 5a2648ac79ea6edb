/* SPDX-License-Identifier: Apache-2.0 */
/* The adapter of ports/coding.h for every coding: zlib's and libzstd's behind one face. */
#ifndef PX_INFRASTRUCTURE_CODING_CODER_H
#define PX_INFRASTRUCTURE_CODING_CODER_H

#include "application/ports/coding.h"

PX_MUST_USE enum px_code px_coder_create(struct px_coder **ret, struct px_err *err);

#endif
