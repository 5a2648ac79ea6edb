/* SPDX-License-Identifier: Apache-2.0 */
/* The part `sequence_batching` of a ModelConfig, as a message. */
#include "interfaces/grpc/config_sequence.h"

#include "interfaces/grpc/message.h"
#include "shared/clock.h"

enum batching_field { IDLE = 1, CONTROL_INPUT = 2, DIRECT = 3, OLDEST = 4, STATE = 5 };

static void put_state(struct px_buf *buf, const struct px_model_config *config,
                      const struct px_sequence_state *state)
{
    enum { INPUT = 1, OUTPUT, DATA_TYPE, DIMS, INITIAL };
    enum { INITIAL_TYPE = 1, INITIAL_DIMS, ZERO_DATA, DATA_FILE };
    struct px_model_tensor tensor = px_config_state(config, state);
    unsigned type = px_config_type_number(tensor.type);
    size_t message = px_protobuf_begin(buf, STATE);
    px_protobuf_put_bytes(buf, INPUT, state->input);
    px_protobuf_put_bytes(buf, OUTPUT, state->output);
    px_protobuf_put_u64(buf, DATA_TYPE, type);
    px_protobuf_put_packed(buf, DIMS, tensor.dims, tensor.n_dims);
    size_t initial = px_protobuf_begin(buf, INITIAL);
    px_protobuf_put_u64(buf, INITIAL_TYPE, type);
    px_protobuf_put_packed(buf, INITIAL_DIMS, tensor.dims, tensor.n_dims);
    if (state->initial.len)
        px_protobuf_put_bytes(buf, DATA_FILE, px_config_file_name(state->initial));
    else
        px_protobuf_put_bool(buf, ZERO_DATA, true);
    px_protobuf_end(buf, initial);
    px_protobuf_end(buf, message);
}

/* The values that a control has for no and for yes. */
static void put_values(struct px_buf *buf, enum px_datatype type)
{
    enum { INT32 = 2, FP32 = 3, BOOL = 5 };
    static const char zero_one[] = {0, 1}; /* packed, of one byte each */
    static const float floats[] = {0, 1};
    if (type == PX_TYPE_FP32)
        px_protobuf_put_bytes(buf, FP32, px_str_n((const char *)floats, sizeof floats));
    else
        px_protobuf_put_bytes(buf, type == PX_TYPE_BOOL ? BOOL : INT32,
                              px_str_n(zero_one, sizeof zero_one));
}

static void put_control(struct px_buf *buf, const struct px_model_config *config,
                        enum px_sequence_control which)
{
    enum { NAME = 1, CONTROL = 2, KIND = 1, DATA_TYPE = 4 };
    struct px_str name = config->sequence->controls[which];
    enum px_datatype type = px_config_input_type(config, name);
    size_t message = px_protobuf_begin(buf, CONTROL_INPUT);
    px_protobuf_put_bytes(buf, NAME, name);
    size_t control = px_protobuf_begin(buf, CONTROL);
    px_protobuf_put_u64(buf, KIND, px_config_control_number(which));
    if (which == PX_SEQUENCE_CORRELATION_ID)
        px_protobuf_put_u64(buf, DATA_TYPE, px_config_type_number(type));
    else
        put_values(buf, type);
    px_protobuf_end(buf, control);
    px_protobuf_end(buf, message);
}

static void put_scheduler(struct px_buf *buf, const struct px_sequence_rules *rules)
{
    enum { DIRECT_DELAY = 1 };
    enum { CANDIDATES = 1, PREFERRED, OLDEST_DELAY };
    bool direct = rules->scheduler == PX_SEQUENCE_DIRECT;
    uint64_t delay_us = rules->delay_ns / PX_NS_PER_US;
    int64_t preferred[PX_SEQUENCE_PREFERRED_MAX];
    size_t message = px_protobuf_begin(buf, direct ? DIRECT : OLDEST);
    for (size_t i = 0; i < rules->n_preferred; i++)
        preferred[i] = (int64_t)rules->preferred[i];
    if (!direct) {
        px_protobuf_put_u64(buf, CANDIDATES, rules->sequences_max);
        px_protobuf_put_packed(buf, PREFERRED, preferred, rules->n_preferred);
    }
    px_protobuf_put_u64(buf, direct ? DIRECT_DELAY : OLDEST_DELAY, delay_us);
    px_protobuf_end(buf, message);
}

void px_grpc_put_sequence_batching(struct px_buf *buf, uint32_t field,
                                   const struct px_model_config *config)
{
    const struct px_sequence_settings *sequence = config->sequence;
    size_t message = px_protobuf_begin(buf, field);
    px_protobuf_put_u64(buf, IDLE, sequence->rules.idle_timeout_ns / PX_NS_PER_US);
    for (int kind = 0; kind < PX_SEQUENCE_CONTROLS; kind++) {
        if (sequence->controls[kind].len)
            put_control(buf, config, (enum px_sequence_control)kind);
    }
    put_scheduler(buf, &sequence->rules);
    for (size_t i = 0; i < sequence->n_states; i++)
        put_state(buf, config, &sequence->states[i]);
    px_protobuf_end(buf, message);
}
