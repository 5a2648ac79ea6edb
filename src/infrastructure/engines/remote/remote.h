/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The provider "remote": models that another server of the Open Inference Protocol serves (Triton, KServe, MLServer, another
 * Phoenix), over HTTP and gRPC. docs/api/remote.md tells the settings.
 *
 *     engine: {name: remote, urls: [http://a:8000, grpc://b:8001], model: churn}
 *
 * The engine is asynchronous (PX_ENGINE_ASYNC) and has a thread of its own.
 */
#ifndef PX_INFRASTRUCTURE_ENGINES_REMOTE_REMOTE_H
#define PX_INFRASTRUCTURE_ENGINES_REMOTE_REMOTE_H

#include "application/ports/engine_provider.h"

extern const struct px_engine_provider px_remote_provider;

#endif
