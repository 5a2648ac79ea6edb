/* SPDX-License-Identifier: Apache-2.0 */
/* The face of this room: what other rooms of the domain may know of batching. */
#ifndef PX_DOMAIN_BATCHING_BATCHING_H
#define PX_DOMAIN_BATCHING_BATCHING_H

#include "domain/batching/batch_queue.h"
#include "domain/batching/cost_line.h"
#include "domain/batching/urgency.h"

#endif
