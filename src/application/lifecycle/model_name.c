/* SPDX-License-Identifier: Apache-2.0 */
#include "application/lifecycle/model_name.h"

#include <limits.h>
#include <stdlib.h>

static bool may_hold(char c, size_t place)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    bool mark = place > 0 && (c == '.' || c == '-');
    return letter || (c >= '0' && c <= '9') || c == '_' || mark;
}

/* Its own path would be that of all models' statistics. */
static bool is_reserved(struct px_str name)
{
    return px_str_is(name, "stats");
}

bool px_model_name_is_valid(struct px_str name)
{
    if (name.len == 0 || name.len > PX_MODEL_NAME_MAX || is_reserved(name))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (!may_hold(name.ptr[i], i))
            return false;
    }
    return true;
}

enum px_code px_model_name_check(struct px_str name, struct px_err *err)
{
    if (px_model_name_is_valid(name))
        return PX_OK;
    if (is_reserved(name))
        return px_err_set(err, PX_E_INVALID,
                          "model name '%.*s' is reserved: /v2/models/stats is of every model",
                          PX_STR_ARG(name));
    return px_err_set(err, PX_E_INVALID,
                      "model name '%.*s': expected at most %d letters, digits, '.', '_' and '-'",
                      PX_STR_ARG(name), PX_MODEL_NAME_MAX);
}

/* The later bytes of a UTF-8 character, so that a letter with an accent becomes one '_'. */
static bool continues_character(struct px_str text, size_t at)
{
    return at > 0 && ((unsigned char)text.ptr[at] & 0xC0) == 0x80;
}

struct px_model_name px_model_name_from_text(struct px_str text)
{
    struct px_model_name name = {{0}};
    size_t len = 0;
    for (size_t i = 0; i < text.len && len < PX_MODEL_NAME_MAX; i++) {
        if (continues_character(text, i))
            continue;
        name.text[len] = may_hold(text.ptr[i], len) ? text.ptr[i] : '_';
        len++;
    }
    if (is_reserved(px_str(name.text)))
        name.text[len++] = '_';
    return len ? name : (struct px_model_name){"model"};
}

static struct px_str last_part(struct px_str path)
{
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    size_t at = path.len;
    while (at > 0 && path.ptr[at - 1] != '/')
        at--;
    return px_str_n(path.ptr + at, path.len - at);
}

/* ".hidden" is a name, not an extension. */
static struct px_str without_extension(struct px_str name)
{
    for (size_t i = name.len; i > 1; i--) {
        if (name.ptr[i - 1] == '.')
            return px_str_n(name.ptr, i - 1);
    }
    return name;
}

struct px_model_name px_model_name_from_path(const char *path, bool is_file)
{
    char resolved[PATH_MAX];
    struct px_str part = last_part(px_str(path));
    if ((px_str_is(part, ".") || px_str_is(part, "..")) && realpath(path, resolved))
        part = last_part(px_str(resolved));
    return px_model_name_from_text(is_file ? without_extension(part) : part);
}
