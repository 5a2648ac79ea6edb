/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels of versions, as in /v1/models/M/labels/canary: TensorFlow Serving's clients name versions by them.
 *
 * serving.version_labels lists them, MODEL:LABEL=VERSION separated by commas. Without an entry `stable` stands for the
 * version that answers when none is named: the latest that is ready. The list is short and read per request.
 */
#include "application/lifecycle/model_name.h"
#include "interfaces/rest/served.h"

struct entry {
    struct px_str model, label, version;
};

/* The next entry; false at the end. */
static bool next_entry(struct px_str *rest, struct entry *ret)
{
    while (rest->ptr) {
        struct px_str text = px_str_trim(px_str_cut(rest, ','));
        if (text.len == 0)
            continue;
        ret->version = text;
        struct px_str left = px_str_cut(&ret->version, '=');
        ret->label = left;
        ret->model = px_str_trim(px_str_cut(&ret->label, ':'));
        ret->label = px_str_trim(ret->label);
        ret->version = px_str_trim(ret->version);
        return true;
    }
    return false;
}

static enum px_code check_entry(const struct entry *entry, struct px_str all, struct px_err *err)
{
    if (!entry->model.len || !entry->label.len || !entry->version.len)
        return px_err_set(err, PX_E_INVALID,
                          "serving.version_labels: expected MODEL:LABEL=VERSION, ..., got '%.*s'",
                          PX_STR_ARG(all));
    if (!px_model_name_is_valid(entry->version))
        return px_err_set(
            err, PX_E_INVALID,
            "serving.version_labels: expected a version (3, v3), got '%.*s' for %.*s:%.*s",
            PX_STR_ARG(entry->version), PX_STR_ARG(entry->model), PX_STR_ARG(entry->label));
    return PX_OK;
}

/* Is there an entry with this model and label before what is left of the list? */
static bool is_listed_before(struct px_str all, const struct px_str *left,
                             const struct entry *wanted)
{
    struct entry entry;
    struct px_str rest = all;
    while (next_entry(&rest, &entry) && rest.len > left->len) {
        if (px_str_eq(entry.model, wanted->model) && px_str_eq(entry.label, wanted->label))
            return true;
    }
    return false;
}

enum px_code px_labels_check(const struct px_rest_settings *settings, struct px_err *err)
{
    struct entry entry;
    struct px_str all = settings->version_labels, rest = all;
    enum px_code code = PX_OK;
    while (code == PX_OK && next_entry(&rest, &entry)) {
        code = check_entry(&entry, all, err);
        if (code == PX_OK && is_listed_before(all, &rest, &entry))
            code = px_err_set(err, PX_E_INVALID, "serving.version_labels: %.*s:%.*s is there twice",
                              PX_STR_ARG(entry.model), PX_STR_ARG(entry.label));
    }
    return code;
}

enum px_code px_labels_check_served(const struct px_rest_settings *settings, struct px_err *err)
{
    const struct px_served_names names = {settings->serving, "serving.version_labels",
                                          settings->models_may_come};
    struct entry entry;
    struct px_str rest = settings->version_labels;
    enum px_code code = PX_OK;
    while (code == PX_OK && next_entry(&rest, &entry))
        code = px_served_check(&names, entry.model, entry.version, err);
    return code;
}

enum px_code px_label_resolve(struct px_rest_request *request, struct px_err *err)
{
    struct px_str rest = px_rest_live(request->rest)->version_labels, label = request->args[1];
    struct entry entry;
    while (next_entry(&rest, &entry)) {
        if (px_str_eq(entry.model, request->args[0]) && px_str_eq(entry.label, label)) {
            request->args[1] = px_arena_str(request->exchange->arena, entry.version);
            return px_arena_check(request->exchange->arena, "the version", err);
        }
    }
    if (px_str_is(label, "stable")) {
        const struct px_model *model = px_serving_find_known(
            request->rest->settings.serving, request->args[0], (struct px_str){0}, err);
        if (model)
            request->args[1] = model->version;
        return model ? PX_OK : err->code;
    }
    px_err_set(err, PX_E_NOT_FOUND, "model '%.*s' has no label '%.*s'",
               PX_STR_ARG(request->args[0]), PX_STR_ARG(label));
    return px_err_hint(err,
                       "'stable' is the latest version; others are set by serving.version_labels");
}
