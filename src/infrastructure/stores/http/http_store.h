/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model store over HTTP and HTTPS: any web server that serves a folder. libcurl is opened when the first URL is.
 *
 * What is asked of the server: GET. With Range and If-Range, fetches go on where they ended; with ETag and If-None-Match, an index that has not changed is not
 * sent again. Without them everything works, and costs more.
 *
 * A bearer token of the file in the settings, or of the variable PHOENIX_REPOSITORY_TOKEN, is sent to the URL's own host only, never to where it redirects; it is in no
 * message. The file is read at each request, so that a token may be replaced.
 */
#ifndef PX_INFRASTRUCTURE_STORES_HTTP_HTTP_STORE_H
#define PX_INFRASTRUCTURE_STORES_HTTP_HTTP_STORE_H

#include "application/ports/model_store.h"

#define PX_HTTP_STORE_TOKEN_VARIABLE "PHOENIX_REPOSITORY_TOKEN"

extern const struct px_model_store_provider px_http_store_provider;

#endif
