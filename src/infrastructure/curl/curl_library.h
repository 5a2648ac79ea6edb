/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl, opened when the first remote model or model behind a URL is (docs/adr/0015-remote-servers-by-libcurl.md): a server without them does
 * not load it and its thirty friends.
 *
 * The members have the names and types of curl/curl.h without their prefix. Threads: any; the table never changes once it
 * is open and is never closed.
 */
#ifndef PX_INFRASTRUCTURE_CURL_CURL_LIBRARY_H
#define PX_INFRASTRUCTURE_CURL_CURL_LIBRARY_H

#include "shared/err.h"
#include "shared/str.h"

#include <curl/curl.h>

/* A path of the library to use instead of those that are searched. */
#define PX_CURL_LIBRARY_VARIABLE "PHOENIX_CURL_LIBRARY"

struct px_curl {
    CURLcode (*global_init)(long flags);
    curl_version_info_data *(*version_info)(CURLversion age);
    CURL *(*easy_init)(void);
    void (*easy_cleanup)(CURL *easy);
    void (*easy_reset)(CURL *easy);
    CURLcode (*set)(CURL *easy, CURLoption option, ...);
    CURLcode (*get)(CURL *easy, CURLINFO info, ...);
    CURLcode (*perform)(CURL *easy);
    const char *(*error_text)(CURLcode code);
    struct curl_slist *(*list_append)(struct curl_slist *list, const char *text);
    void (*list_free)(struct curl_slist *list);
    CURLM *(*multi_init)(void);
    CURLMcode (*multi_cleanup)(CURLM *multi);
    CURLMcode (*multi_set)(CURLM *multi, CURLMoption option, ...);
    CURLMcode (*multi_add)(CURLM *multi, CURL *easy);
    CURLMcode (*multi_remove)(CURLM *multi, CURL *easy);
    CURLMcode (*multi_act)(CURLM *multi, curl_socket_t socket, int events, int *ret_running);
    CURLMcode (*multi_assign)(CURLM *multi, curl_socket_t socket, void *pointer);
    CURLMsg *(*multi_read)(CURLM *multi, int *ret_left);

    /* not symbols */
    char version[32]; /* "7.88.1" */
    char place[256];
    bool http2, tls;
};

/* The library, opened at the first call. PX_E_UNAVAILABLE says what is missing and how to get it. */
PX_MUST_USE enum px_code px_curl_open(const struct px_curl **ret, struct px_err *err);

/* Is it the line of that header, in any case? Then `*ret` is its value, trimmed, within the line. */
bool px_curl_take_header(struct px_str line, const char *name, struct px_str *ret);

#endif
