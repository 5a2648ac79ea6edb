/* SPDX-License-Identifier: Apache-2.0 */
#include "application/ports/http.h"

struct px_str px_http_header(const struct px_http_request *request, const char *name)
{
    struct px_str wanted = px_str(name);
    for (size_t i = 0; i < request->n_headers; i++) {
        if (px_str_eq_nocase(request->headers[i].name, wanted))
            return request->headers[i].value;
    }
    return (struct px_str){0};
}
