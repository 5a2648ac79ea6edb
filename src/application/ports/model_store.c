/* SPDX-License-Identifier: Apache-2.0 */
#include "application/ports/model_store.h"

static bool is_scheme_letter(char c, bool is_first)
{
    bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return is_letter || (!is_first && ((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'));
}

bool px_store_is_url(struct px_str text)
{
    size_t n = 0;
    while (n < text.len && is_scheme_letter(text.ptr[n], n == 0))
        n++;
    return n > 0 && text.len - n >= 3 && memcmp(text.ptr + n, "://", 3) == 0;
}

bool px_store_path_is_valid(struct px_str path)
{
    size_t n_parts = 0;
    if (path.len == 0 || path.len > PX_STORE_PATH_MAX)
        return false;
    for (size_t i = 0; i < path.len; i++) {
        if ((unsigned char)path.ptr[i] < 0x20 || path.ptr[i] == 0x7f || path.ptr[i] == '\\')
            return false;
    }
    for (struct px_str rest = path; rest.ptr;) {
        struct px_str part = px_str_cut(&rest, '/');
        if (part.len == 0 || part.ptr[0] == '.' || ++n_parts > PX_STORE_DEPTH_MAX)
            return false;
    }
    return px_str_is_utf8(path);
}

enum px_code px_model_store_open(const struct px_model_stores *stores, struct px_str url,
                                 const struct px_model_store_settings *settings,
                                 struct px_model_store **ret, struct px_err *err)
{
    if (url.len > PX_STORE_URL_MAX)
        return px_err_set(err, PX_E_INVALID, "a URL of more than %d bytes: %.*s", PX_STORE_URL_MAX,
                          PX_STR_ARG(url));
    for (size_t i = 0; stores && i < stores->n; i++) {
        if (stores->list[i]->knows(url))
            return stores->list[i]->open(url, settings, ret, err);
    }
    px_err_set(err, PX_E_UNSUPPORTED, "there is no way to fetch models from %.*s", PX_STR_ARG(url));
    return px_err_hint(err, "expected https://HOST/PATH/ or http://HOST/PATH/");
}

enum px_code px_model_store_read(struct px_model_store *store, const struct px_store_read *read,
                                 bool *ret_same, struct px_err *err)
{
    PX_ASSERT(store->ops->abi == PX_MODEL_STORE_ABI);
    PX_ASSERT(read->begin && read->take && read->goes_on && px_store_path_is_valid(read->path));
    PX_ASSERT(!read->if_changed || read->offset == 0);
    *ret_same = false;
    return store->ops->read(store, read, ret_same, err);
}

void px_model_store_destroy(struct px_model_store *store)
{
    if (store)
        store->ops->destroy(store);
}
