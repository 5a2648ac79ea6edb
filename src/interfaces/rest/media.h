/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to interfaces/rest: media types, as Content-Type says what a body is and Accept what a client would like.
 */
#ifndef PX_INTERFACES_REST_MEDIA_H
#define PX_INTERFACES_REST_MEDIA_H

#include "application/ports/http.h"

/* "text/csv" of "text/csv; header=absent". */
struct px_str px_media_type(struct px_str header);

/* The value of a parameter, without the quotes that it may have; {NULL, 0} when absent. */
struct px_str px_media_parameter(struct px_str header, const char *name);

/* PX_E_UNSUPPORTED_MEDIA when Content-Type says that the body's text is in another encoding than UTF-8. */
PX_MUST_USE enum px_code px_check_charset(const struct px_http_request *request,
                                          struct px_err *err);

#endif
