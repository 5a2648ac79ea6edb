/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/engines/remote/discovery.h"

#include "shared/clock.h"

/* One exchange, waited for. The connections are those of this handle, not of the engine. */
static enum px_code exchange(const struct px_remote_discovery *self, size_t index,
                             struct px_remote_transfer *transfer,
                             const struct px_remote_exchange *what, struct px_err *err)
{
    enum px_code code = px_remote_transfer_prepare(transfer, &self->peers[index], what, err);
    if (code != PX_OK)
        return code;
    CURLcode result = self->curl->perform(transfer->easy);
    px_remote_transfer_release(transfer);
    struct px_remote_verdict verdict = px_remote_transfer_judge(transfer, result, err);
    if (!verdict.stale)
        return verdict.code;
    return px_err_set(err, PX_E_UNAVAILABLE, "%.*s: the connection was closed",
                      PX_STR_ARG(self->peers[index].url->text));
}

static enum px_code wrap(const struct px_remote_discovery *self, size_t index, enum px_code code,
                         struct px_err *err)
{
    return code == PX_OK
               ? code
               : px_err_wrap(err, "metadata of %.*s", PX_STR_ARG(self->peers[index].url->text));
}

static uint64_t limit_ns(const struct px_remote_settings *settings)
{
    return (uint64_t)settings->timeout_ms * PX_NS_PER_MS;
}

static enum px_code ask_http(const struct px_remote_discovery *self, size_t index,
                             struct px_remote_transfer *transfer, struct px_remote_metadata *ret,
                             struct px_err *err)
{
    const struct px_remote_settings *s = self->settings;
    struct px_buf path = px_buf(1 << 13);
    bool binary = false;
    px_remote_http_path(s->model, s->version, "", &path);
    enum px_code code = px_buf_check(&path, "the path of a model", err);
    if (code == PX_OK)
        code = exchange(
            self, index, transfer,
            &(struct px_remote_exchange){.path = px_buf_cstr(&path), .limit_ns = limit_ns(s)}, err);
    if (code == PX_OK)
        code = wrap(
            self, index,
            px_remote_http_read_metadata(px_remote_transfer_reply(transfer), self->arena, ret, err),
            err);
    px_buf_deinit(&path);
    if (code != PX_OK)
        return code;
    /* A server without GET /v2 is asked in JSON. */
    struct px_err ignored = {0};
    if (exchange(self, index, transfer,
                 &(struct px_remote_exchange){.path = "/v2", .limit_ns = limit_ns(s)},
                 &ignored) == PX_OK &&
        px_remote_http_read_server(px_remote_transfer_reply(transfer), &binary, &ignored) != PX_OK)
        binary = false;
    self->peers[index].form = binary ? PX_REMOTE_FORM_BINARY : PX_REMOTE_FORM_JSON;
    return PX_OK;
}

static enum px_code ask_grpc(const struct px_remote_discovery *self, size_t index,
                             struct px_remote_transfer *transfer, struct px_remote_metadata *ret,
                             struct px_err *err)
{
    const struct px_remote_settings *s = self->settings;
    struct px_buf body = px_buf(1 << 13);
    px_remote_grpc_write_model(s->model, s->version, &body);
    enum px_code code = px_buf_check(&body, "the name of a model", err);
    if (code == PX_OK)
        code = exchange(self, index, transfer,
                        &(struct px_remote_exchange){.path = PX_REMOTE_GRPC_METHOD("ModelMetadata"),
                                                     .body = px_buf_view(&body),
                                                     .limit_ns = limit_ns(s)},
                        err);
    if (code == PX_OK)
        code = wrap(
            self, index,
            px_remote_grpc_read_metadata(px_remote_transfer_reply(transfer), self->arena, ret, err),
            err);
    px_buf_deinit(&body);
    return code;
}

/* Is there a difference that a caller would see: a name or a type? Shapes may be told in less or more detail. */
static enum px_code compare(const struct px_tensor_specs *a, const struct px_tensor_specs *b,
                            const char *what, struct px_err *err)
{
    if (a->n != b->n)
        return px_err_set(err, PX_E_INVALID, "one has %zu %ss, another %zu", a->n, what, b->n);
    for (size_t i = 0; i < a->n; i++) {
        const struct px_tensor_spec *other = px_tensor_specs_find(b, a->list[i].name);
        if (!other || other->type != a->list[i].type)
            return px_err_set(err, PX_E_INVALID, "one has the %s '%.*s' of %s, another %s", what,
                              PX_STR_ARG(a->list[i].name), px_datatype_name(a->list[i].type),
                              other ? px_datatype_name(other->type) : "has not");
    }
    return PX_OK;
}

static enum px_code ask_all(const struct px_remote_discovery *self,
                            struct px_remote_transfer *transfer, struct px_remote_metadata *ret,
                            uint64_t *ret_answered, struct px_err *err)
{
    struct px_err down = {0};
    for (size_t i = 0; i < self->settings->n_urls; i++) {
        struct px_remote_metadata metadata = {0};
        enum px_code code = self->peers[i].url->grpc ? ask_grpc(self, i, transfer, &metadata, err)
                                                     : ask_http(self, i, transfer, &metadata, err);
        if (code == PX_E_UNAVAILABLE || code == PX_E_DEADLINE) {
            if (down.code == PX_OK && err)
                down = *err;
            continue;
        }
        if (code != PX_OK)
            return code;
        if (*ret_answered == 0)
            *ret = metadata;
        else if (compare(&ret->inputs, &metadata.inputs, "input", err) != PX_OK ||
                 compare(&ret->outputs, &metadata.outputs, "output", err) != PX_OK)
            return px_err_wrap(err, "the peers disagree about the model '%.*s'",
                               PX_STR_ARG(self->settings->model));
        *ret_answered |= UINT64_C(1) << i;
    }
    if (*ret_answered)
        return PX_OK;
    px_err_set(err, PX_E_UNAVAILABLE, "no peer answers: %s", down.message);
    return px_err_hint(err, "with inputs and outputs in model.yaml it loads without them");
}

enum px_code px_remote_discover(const struct px_remote_discovery *self,
                                struct px_remote_metadata *ret, uint64_t *ret_answered,
                                struct px_err *err)
{
    *ret = (struct px_remote_metadata){0};
    *ret_answered = 0;
    struct px_remote_transfer *transfer = px_remote_transfer_create(self->curl, self->settings);
    if (!transfer)
        return px_err_set(err, PX_E_NO_MEMORY, "there is no memory to ask the peers");
    struct px_err own = {0};
    enum px_code code = ask_all(self, transfer, ret, ret_answered, err ? err : &own);
    px_remote_transfer_destroy(transfer);
    return code;
}
