/* SPDX-License-Identifier: Apache-2.0 */
#include "application/ports/load.h"

enum px_code px_load_fetch(struct px_load *load, const struct px_load_address *address,
                           const struct px_load_request *request, struct px_load_reply *ret,
                           struct px_err *err)
{
    PX_ASSERT(load->ops->abi == PX_LOAD_ABI);
    PX_ASSERT(request->path.len > 0 && request->path.ptr[0] == '/');
    PX_ASSERT(request->content_type || request->body.len == 0);
    return load->ops->fetch(load, address, request, ret, err);
}

enum px_code px_load_get(struct px_load *load, const struct px_load_address *address,
                         struct px_str path, struct px_load_reply *ret, struct px_err *err)
{
    const struct px_load_request request = {.method = "GET", .path = path};
    return px_load_fetch(load, address, &request, ret, err);
}

enum px_code px_load_run(struct px_load *load, const struct px_load_job *job,
                         struct px_load_result *ret, struct px_err *err)
{
    PX_ASSERT(load->ops->abi == PX_LOAD_ABI);
    PX_ASSERT(job->requests->n_bodies > 0 && job->requests->path.len > 0);
    PX_ASSERT(job->rate > 0 && job->duration_ns > 0 && job->timeout_ns > 0);
    PX_ASSERT(job->n_threads > 0 && job->n_threads <= PX_LOAD_THREADS_MAX);
    PX_ASSERT(job->n_threads <= job->n_connections &&
              job->n_connections <= PX_LOAD_CONNECTIONS_MAX);
    return load->ops->run(load, job, ret, err);
}

void px_load_destroy(struct px_load *load)
{
    if (load)
        load->ops->destroy(load);
}
