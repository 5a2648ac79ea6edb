/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands beside the queue, in the order in which a request meets it.
 *
 * Each keeps an account of its own that is compared with the mechanism after each step. One that answers a request itself tells the
 * others by world_answer.
 */
#include "beside.h"

const struct mechanism *const mechanisms[] = {&beside_answers, &beside_breaker, &beside_limiter,
                                              NULL};
