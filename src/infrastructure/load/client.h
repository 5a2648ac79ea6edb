/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load client: the adapter of application/ports/load.h over epoll, keep-alive HTTP/1.1 connections and
 * threads.
 */
#ifndef PX_INFRASTRUCTURE_LOAD_CLIENT_H
#define PX_INFRASTRUCTURE_LOAD_CLIENT_H

#include "application/ports/load.h"

PX_MUST_USE enum px_code px_load_client_create(struct px_load **ret, struct px_err *err);

#endif
