/* SPDX-License-Identifier: Apache-2.0 */
/* The part `sequence_batching` of a ModelConfig, of a model that keeps state. Threads: the caller's loop. */
#ifndef PX_INTERFACES_GRPC_CONFIG_SEQUENCE_H
#define PX_INTERFACES_GRPC_CONFIG_SEQUENCE_H

#include "application/serving/model_config.h"
#include "shared/buf.h"

void px_grpc_put_sequence_batching(struct px_buf *buf, uint32_t field,
                                   const struct px_model_config *config);

#endif
