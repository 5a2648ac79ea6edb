/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/processing/processor.h"
#include "domain/processing/tabular_kinds.h"
#include "domain/processing/text_kinds.h"

/* Sorted by name; each is declared here and defined in the file of its kind. NULL ends the list, so that it may be empty. */
static const struct px_processor_kind *const kinds[] = {
    &px_kind_arg_max,
    &px_kind_bands,
    &px_kind_bucketise,
    &px_kind_cast,
    &px_kind_clip,
    &px_kind_encode,
    &px_kind_hashing_vectorizer,
    &px_kind_impute,
    &px_kind_isotonic,
    &px_kind_log1p,
    &px_kind_platt,
    &px_kind_scale,
    &px_kind_select,
    &px_kind_sigmoid,
    &px_kind_softmax,
    &px_kind_tfidf,
    &px_kind_tokenize_bpe,
    &px_kind_tokenize_whitespace,
    &px_kind_tokenize_wordpiece,
    &px_kind_top_k,
    NULL,
};

bool px_processor_has_rows(const struct px_tensor_spec *spec)
{
    return !spec->any_rank && spec->n_dims > 0 && spec->shape[0] == PX_DIM_ANY;
}

const struct px_processor_kind *const *px_processor_kinds(size_t *ret_n)
{
    *ret_n = PX_ARRAY_LEN(kinds) - 1;
    return kinds;
}

const struct px_processor_kind *px_processor_kind_find(struct px_str name, struct px_err *err)
{
    enum { NAMES_MAX = 64 };
    struct px_str names[NAMES_MAX];
    size_t n;
    const struct px_processor_kind *const *list = px_processor_kinds(&n);
    for (size_t i = 0; i < n; i++) {
        if (px_str_is(name, list[i]->name))
            return list[i];
        if (i < NAMES_MAX)
            names[i] = px_str(list[i]->name);
    }
    px_err_set(err, PX_E_UNKNOWN_OPTION, "there is no processor '%.*s'", PX_STR_ARG(name));
    px_err_suggest(err, name, names, n < NAMES_MAX ? n : NAMES_MAX);
    return NULL;
}
