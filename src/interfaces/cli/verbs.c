/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/verbs.h"

enum { VERBS_MAX = 64 };

/* In the order of `phoenix help`: what one does first comes first. */
// clang-format off
const struct px_verb *const px_verbs[] = {
    &px_verb_demo,
    &px_verb_train,
    &px_verb_check,
    &px_verb_serve,
    &px_verb_publish,
    &px_verb_upgrade,
    &px_verb_predict,
    &px_verb_bench,
    &px_verb_why_batch,
    &px_verb_engine,
    &px_verb_config,
    &px_verb_completion,
    &px_verb_version,
    &px_verb_help,
    NULL,
};
// clang-format on

const struct px_verb *px_verbs_find(struct px_str name, struct px_err *err)
{
    struct px_str names[VERBS_MAX];
    size_t n = 0;
    for (; px_verbs[n]; n++) {
        PX_ASSERT(n < VERBS_MAX);
        if (px_str_is(name, px_verbs[n]->name))
            return px_verbs[n];
        names[n] = px_str(px_verbs[n]->name);
    }
    px_err_set(err, PX_E_UNKNOWN_OPTION, "unknown verb '%.*s'", PX_STR_ARG(name));
    (void)px_err_suggest(err, name, names, n);
    return NULL;
}
