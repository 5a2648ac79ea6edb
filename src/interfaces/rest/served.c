/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings that name models, against what is served when the server starts. A name that nobody serves is most often
 * misspelt, and would otherwise show with the first request, as a 404 of somebody else's.
 *
 * A version that could not be loaded counts as served: its own failure is shown as such, and stops nobody.
 */
#include "interfaces/rest/served.h"
#include "shared/log.h"

enum { LISTED_BYTES_MAX = 160 };

/* What of a name that may be named: versions of `model`, or models where that is empty. */
static struct px_str choice_of(const struct px_model *model, struct px_str name)
{
    return name.len ? model->version : model->name;
}

/* "bank, plain", as far as there is room. */
static void list_choices(const struct px_model_set *set, struct px_str name, struct px_buf *out)
{
    struct px_str last = {0};
    for (size_t i = 0; i < set->n_models; i++) {
        struct px_str choice = choice_of(set->models[i], name);
        if ((name.len && !px_str_eq(set->models[i]->name, name)) || px_str_eq(choice, last))
            continue;
        if (out->max - out->len < choice.len + sizeof ", ...") {
            px_buf_text(out, ", ...");
            return;
        }
        px_buf_printf(out, "%s%.*s", out->len ? ", " : "", PX_STR_ARG(choice));
        last = choice;
    }
}

static bool is_served(const struct px_model_set *set, struct px_str name, struct px_str version)
{
    for (size_t i = 0; i < set->n_models; i++) {
        const struct px_model *model = set->models[i];
        if (px_str_eq(model->name, name) && (!version.len || px_str_eq(model->version, version)))
            return true;
    }
    return false;
}

static enum px_code refuse(const struct px_served_names *names, struct px_str name,
                           struct px_str version, struct px_err *err)
{
    char memory[LISTED_BYTES_MAX];
    struct px_buf list = px_buf_fixed(memory, sizeof memory);
    const struct px_model_set *set = px_serving_models(names->serving);
    bool is_known = is_served(set, name, (struct px_str){0});
    list_choices(set, is_known ? name : (struct px_str){0}, &list);
    const char *choices = list.len ? memory : "none";
    if (is_known)
        px_err_set(err, PX_E_INVALID, "%s: model '%.*s' has no version '%.*s'; it has %s",
                   names->setting, PX_STR_ARG(name), PX_STR_ARG(version), choices);
    else
        px_err_set(err, PX_E_INVALID, "%s: no model '%.*s' is served; there is %s", names->setting,
                   PX_STR_ARG(name), choices);
    return px_err_hint(err, "correct the name, or start phoenix serve with that model; with "
                            "serving.model_control: explicit a client may load it later");
}

enum px_code px_served_check(const struct px_served_names *names, struct px_str name,
                             struct px_str version, struct px_err *err)
{
    struct px_err missing;
    if (is_served(px_serving_models(names->serving), name, version))
        return PX_OK;
    if (!names->may_come)
        return refuse(names, name, version, err);
    (void)refuse(names, name, version, &missing);
    px_log(PX_LOG_WARN, "config.not_served", PX_LOG_T("reason", missing.message),
           PX_LOG_T("hint", "requests for it are 404 until a client loads it"));
    return PX_OK;
}
