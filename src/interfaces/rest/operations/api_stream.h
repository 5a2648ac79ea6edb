/* SPDX-License-Identifier: Apache-2.0 */
/* Private to interfaces/rest: streams of the numbers of /api/v1/stats. */
#ifndef PX_INTERFACES_REST_API_STREAM_H
#define PX_INTERFACES_REST_API_STREAM_H

#include "interfaces/rest/handlers.h"

enum { PX_STATS_STREAMS_MAX = 64 }; /* at a time, of all loops together */

struct px_stats_streams;

PX_MUST_USE enum px_code px_stats_streams_create(struct px_rest *rest, const struct px_loops *loops,
                                                 struct px_stats_streams **ret, struct px_err *err);
/* When the loops have stopped, before they are destroyed; what still streams is not touched. NULL is fine. */
void px_stats_streams_destroy(struct px_stats_streams *streams);

/* Ends every stream with a last event; from now on they are refused. */
void px_stats_streams_close(struct px_stats_streams *streams);

/* Is the request for a stream? */
bool px_stats_streams_take(const struct px_http_request *request);

/* Nobody listens to this exchange any more. */
void px_stats_stream_abandon(struct px_http_exchange *exchange);

#endif
