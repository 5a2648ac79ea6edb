/* SPDX-License-Identifier: Apache-2.0 */
#include "application/batch/scores.h"

#include "shared/number.h"

static void put_name(const char *what, const struct px_signature *signature, size_t n, size_t index,
                     struct px_buf *out)
{
    PX_ASSERT(index < n);
    px_buf_text(out, what);
    if (n == 1)
        return;
    px_buf_byte(out, '_');
    if (signature->labels && signature->n_labels == n)
        px_buf_str(out, signature->labels[index]);
    else
        px_buf_u64(out, index);
}

void px_score_name(const struct px_signature *signature, size_t n_scores, size_t index,
                   struct px_buf *out)
{
    put_name("score", signature, n_scores, index, out);
}

void px_margin_name(const struct px_signature *signature, size_t n_margins, size_t index,
                    struct px_buf *out)
{
    put_name("margin", signature, n_margins, index, out);
}

void px_score_print(enum px_datatype type, const void *scores, size_t index, struct px_buf *out)
{
    char *at = px_buf_reserve(out, PX_NUMBER_TEXT_MAX);
    if (!at)
        return;
    out->len += type == PX_TYPE_FP32 ? px_number_print_f32(((const float *)scores)[index], at)
                                     : px_number_print_f64(((const double *)scores)[index], at);
}
