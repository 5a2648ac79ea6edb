/* SPDX-License-Identifier: Apache-2.0 */
/* A JSON body by the table of its members, and the members that several dialects have. */
#include "interfaces/rest/rows/rows.h"

enum { MEMBERS_MAX = 8 };

static enum px_code refuse_member(struct px_json_rows *in, const struct px_body_form *form,
                                  struct px_str key)
{
    struct px_str known[MEMBERS_MAX];
    PX_ASSERT(form->n_members <= MEMBERS_MAX);
    for (size_t i = 0; i < form->n_members; i++)
        known[i] = form->members[i].name;
    px_err_set(in->err, PX_E_INVALID, "unknown member '%.*s'", PX_STR_ARG(key));
    if (px_err_suggest(in->err, key, known, form->n_members))
        return PX_E_INVALID;
    return px_err_hint(in->err, "%s", form->hint);
}

static const struct px_body_member *find_member(const struct px_body_form *form, struct px_str key)
{
    for (size_t i = 0; i < form->n_members; i++) {
        if (px_str_eq(form->members[i].name, key))
            return &form->members[i];
    }
    return NULL;
}

static enum px_code check_rows_once(struct px_json_rows *in, const struct px_body_member *member,
                                    const struct px_body_member *before)
{
    if (!before)
        return PX_OK;
    if (before == member)
        return px_err_set(in->err, PX_E_INVALID, "member '%.*s' is repeated",
                          PX_STR_ARG(member->name));
    return px_err_set(in->err, PX_E_INVALID, "expected one of '%.*s' and '%.*s', got both",
                      PX_STR_ARG(before->name), PX_STR_ARG(member->name));
}

static enum px_code refuse_absent(struct px_json_rows *in, const struct px_body_form *form)
{
    px_err_set(in->err, PX_E_INVALID, "the request has no '%.*s'",
               PX_STR_ARG(form->members[0].name));
    return px_err_hint(in->err, "%s", form->hint);
}

enum px_code px_body_read(struct px_infer *infer, const struct px_body_form *form,
                          struct px_json_rows *in)
{
    const struct px_body_member *rows = NULL;
    struct px_str key;
    enum px_code code = px_json_rows_init(in, infer, px_rest_exchange(infer)->request.body);
    if (code != PX_OK)
        return code;
    in->row_key = form->row_key;
    px_json_enter_object(&in->json);
    while (px_json_next_key(&in->json, &key)) {
        const struct px_body_member *member = find_member(form, key);
        if (!member)
            return refuse_member(in, form, key);
        code = member->has_rows ? check_rows_once(in, member, rows) : PX_OK;
        rows = member->has_rows ? member : rows;
        if (code == PX_OK)
            code = member->read(in);
        if (code != PX_OK)
            return code;
    }
    code = px_json_finish(&in->json, in->err);
    return code == PX_OK && !rows ? refuse_absent(in, form) : code;
}

static enum px_code select_output(struct px_infer *infer, struct px_str name)
{
    struct px_err *err = &infer->call.err;
    if (infer->n_outputs)
        return px_err_set(err, PX_E_INVALID, "'output' is given twice");
    if (px_infer_has_run(infer))
        return px_infer_add_output(infer, name);
    if (px_str_is(name, "scores"))
        return px_infer_add_output(infer, infer->call.model->signature->output_name);
    if (px_str_is(name, "labels") || px_str_is(name, "margins"))
        return px_infer_add_output(infer, name);
    return px_err_set(err, PX_E_INVALID,
                      "output: expected 'scores', 'labels' or 'margins', got '%.*s'",
                      PX_STR_ARG(name));
}

enum px_code px_select_output_by_query(struct px_infer *infer)
{
    struct px_str rest = px_rest_exchange(infer)->request.query;
    while (rest.ptr) {
        struct px_str value = px_str_cut(&rest, '&'), key = px_str_cut(&value, '=');
        enum px_code code = px_url_decode(&key, infer->call.arena, &infer->call.err);
        if (code == PX_OK)
            code = px_url_decode(&value, infer->call.arena, &infer->call.err);
        if (code == PX_OK && px_str_is(key, "output"))
            code = select_output(infer, value);
        if (code != PX_OK)
            return code;
    }
    return PX_OK;
}

enum px_code px_body_output(struct px_json_rows *in)
{
    struct px_str name = px_json_str(&in->json);
    enum px_code code = px_json_check(&in->json, in->err);
    return code == PX_OK ? select_output(in->infer, name) : code;
}

/* TensorFlow Serving's clients name the signature; there is one. */
enum px_code px_body_signature_name(struct px_json_rows *in)
{
    struct px_str name = px_json_str(&in->json);
    if (!px_json_failed(&in->json) && !px_str_is(name, "serving_default"))
        return px_err_set(in->err, PX_E_INVALID,
                          "signature_name: expected 'serving_default', got '%.*s'",
                          PX_STR_ARG(name));
    return px_json_check(&in->json, in->err);
}

/* Parameters are for the model behind the protocol; the one that these models have is `output`. */
enum px_code px_body_parameters(struct px_json_rows *in)
{
    struct px_str key;
    if (px_json_null(&in->json))
        return PX_OK;
    px_json_enter_object(&in->json);
    while (px_json_next_key(&in->json, &key)) {
        enum px_code code = PX_OK;
        if (px_str_is(key, "output"))
            code = px_body_output(in);
        else
            px_json_skip(&in->json);
        if (code != PX_OK)
            return code;
    }
    return px_json_check(&in->json, in->err);
}
