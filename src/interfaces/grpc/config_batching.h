/* SPDX-License-Identifier: Apache-2.0 */
/* ModelDynamicBatching of a ModelConfig: the rules of a model's queue. */
#ifndef PX_INTERFACES_GRPC_CONFIG_BATCHING_H
#define PX_INTERFACES_GRPC_CONFIG_BATCHING_H

#include "application/execution/batching.h"
#include "shared/buf.h"

void px_grpc_put_dynamic_batching(struct px_buf *buf, uint32_t number,
                                  const struct px_batching *batching);

#endif
