/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/curl/curl_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

struct symbol {
    const char *name;
    size_t offset; /* of the function pointer in struct px_curl */
};

#define SYMBOL(member, name)                                                                       \
    {                                                                                              \
        name, offsetof(struct px_curl, member)                                                     \
    }

static const struct symbol symbols[] = {
    SYMBOL(global_init, "curl_global_init"),
    SYMBOL(version_info, "curl_version_info"),
    SYMBOL(easy_init, "curl_easy_init"),
    SYMBOL(easy_cleanup, "curl_easy_cleanup"),
    SYMBOL(easy_reset, "curl_easy_reset"),
    SYMBOL(set, "curl_easy_setopt"),
    SYMBOL(get, "curl_easy_getinfo"),
    SYMBOL(perform, "curl_easy_perform"),
    SYMBOL(error_text, "curl_easy_strerror"),
    SYMBOL(list_append, "curl_slist_append"),
    SYMBOL(list_free, "curl_slist_free_all"),
    SYMBOL(multi_init, "curl_multi_init"),
    SYMBOL(multi_cleanup, "curl_multi_cleanup"),
    SYMBOL(multi_set, "curl_multi_setopt"),
    SYMBOL(multi_add, "curl_multi_add_handle"),
    SYMBOL(multi_remove, "curl_multi_remove_handle"),
    SYMBOL(multi_act, "curl_multi_socket_action"),
    SYMBOL(multi_assign, "curl_multi_assign"),
    SYMBOL(multi_read, "curl_multi_info_read"),
};

/* Debian has the library with OpenSSL and with GnuTLS; both will do. */
static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct px_curl library;
static struct px_err failure; /* of opening it; code PX_OK when it is open */

static void *open_file(void)
{
    const char *chosen = getenv(PX_CURL_LIBRARY_VARIABLE);
    if (chosen && *chosen)
        return dlopen(chosen, RTLD_NOW | RTLD_LOCAL);
    void *handle = NULL;
    for (size_t i = 0; !handle && i < PX_ARRAY_LEN(names); i++)
        handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    return handle;
}

static void fail(const char *what, const char *which)
{
    px_err_set(&failure, PX_E_UNAVAILABLE, "%s: %s", what, which);
    px_err_hint(&failure, "install libcurl 7.68 or newer (Debian: libcurl4), or point %s at it",
                PX_CURL_LIBRARY_VARIABLE);
}

static void describe(void)
{
    Dl_info place;
    void *address;
    const curl_version_info_data *info = library.version_info(CURLVERSION_NOW);
    memcpy(&address, &library.version_info, sizeof address);
    snprintf(library.version, sizeof library.version, "%s", info->version);
    if (dladdr(address, &place) && place.dli_fname)
        snprintf(library.place, sizeof library.place, "%s", place.dli_fname);
    library.http2 = info->features & CURL_VERSION_HTTP2;
    library.tls = info->features & CURL_VERSION_SSL;
}

static void open_once(void)
{
    void *handle = open_file();
    if (!handle) {
        fail("remote models and URLs of models need the library libcurl", dlerror());
        return;
    }
    for (size_t i = 0; i < PX_ARRAY_LEN(symbols); i++) {
        void *address = dlsym(handle, symbols[i].name);
        if (!address) {
            fail("this libcurl lacks a function", symbols[i].name);
            return;
        }
        memcpy((char *)&library + symbols[i].offset, &address, sizeof address);
    }
    if (library.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        fail("libcurl does not start", "curl_global_init failed");
    else
        describe();
}

enum px_code px_curl_open(const struct px_curl **ret, struct px_err *err)
{
    pthread_once(&once, open_once);
    if (failure.code != PX_OK) {
        px_err_set(err, failure.code, "%s", failure.message);
        return px_err_hint(err, "%s", failure.hint);
    }
    *ret = &library;
    return PX_OK;
}

bool px_curl_take_header(struct px_str line, const char *name, struct px_str *ret)
{
    size_t len = strlen(name);
    if (line.len <= len || line.ptr[len] != ':' ||
        !px_str_eq_nocase(px_str_n(line.ptr, len), px_str(name)))
        return false;
    *ret = px_str_trim(px_str_n(line.ptr + len + 1, line.len - len - 1));
    return true;
}
