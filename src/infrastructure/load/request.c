/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/load/request.h"

#include "infrastructure/load/socket.h"

void px_load_request_put(struct px_buf *out, const struct px_load_address *address,
                         const struct px_load_request *request, bool last)
{
    px_buf_printf(out, "%s ", request->method);
    px_buf_str(out, request->path);
    px_buf_text(out, " HTTP/1.1\r\nHost: ");
    px_peer_put_host(out, address);
    px_buf_text(out, "\r\nUser-Agent: phoenix\r\n");
    if (request->content_type)
        px_buf_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n", request->content_type,
                      request->body.len);
    px_buf_text(out, last ? "Connection: close\r\n\r\n" : "\r\n");
    px_buf_str(out, request->body);
}
