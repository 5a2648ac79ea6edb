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

/* A media type that a reply may have. */
struct px_media_offer {
    struct px_str name;
    unsigned id;
};

/*
 * The `id` of the offer that Accept likes best: the highest q, then what is named most exactly, then first. What is not
 * mentioned, or has q=0, is not taken; the first offer when none is acceptable, since an answer beats a refusal.
 */
unsigned px_media_choose(const struct px_http_request *request, const struct px_media_offer *offers,
                         size_t n);

#endif
