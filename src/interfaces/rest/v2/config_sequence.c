/* SPDX-License-Identifier: Apache-2.0 */
/* The part `sequence_batching` of a ModelConfig, as JSON. */
#include "interfaces/rest/v2/v2.h"
#include "shared/clock.h"

static void put_dims(struct px_json_writer *w, const struct px_model_tensor *tensor)
{
    px_json_member_text(w, "data_type", px_config_type_name(tensor->type));
    px_json_key(w, "dims");
    px_json_begin_array(w);
    for (size_t i = 0; i < tensor->n_dims; i++)
        px_json_put_i64(w, tensor->dims[i]);
    px_json_end_array(w);
}

static void put_state(struct px_json_writer *w, const struct px_model_config *config,
                      const struct px_sequence_state *state)
{
    struct px_model_tensor tensor = px_config_state(config, state);
    px_json_begin_object(w);
    px_json_member_str(w, "input_name", state->input);
    px_json_member_str(w, "output_name", state->output);
    put_dims(w, &tensor);
    px_json_key(w, "initial_state");
    px_json_begin_array(w);
    px_json_begin_object(w);
    put_dims(w, &tensor);
    if (state->initial.len)
        px_json_member_str(w, "data_file", px_config_file_name(state->initial));
    else
        px_json_member_bool(w, "zero_data", true);
    px_json_member_text(w, "name", "");
    px_json_end_object(w);
    px_json_end_array(w);
    px_json_end_object(w);
}

/* The values that a control has for no and for yes; an id has none. */
static void put_values(struct px_json_writer *w, enum px_datatype type)
{
    bool is_bool = type == PX_TYPE_BOOL;
    px_json_key(w, is_bool ? "bool_false_true"
                           : (type == PX_TYPE_FP32 ? "fp32_false_true" : "int32_false_true"));
    px_json_begin_array(w);
    for (uint64_t value = 0; value <= 1; value++) {
        if (is_bool)
            px_json_put_bool(w, value != 0);
        else
            px_json_put_u64(w, value);
    }
    px_json_end_array(w);
}

static void put_control(struct px_json_writer *w, const struct px_model_config *config,
                        enum px_sequence_control kind)
{
    struct px_str name = config->sequence->controls[kind];
    enum px_datatype type = px_config_input_type(config, name);
    px_json_begin_object(w);
    px_json_member_str(w, "name", name);
    px_json_key(w, "control");
    px_json_begin_array(w);
    px_json_begin_object(w);
    px_json_member_text(w, "kind", px_config_control_name(kind));
    if (kind == PX_SEQUENCE_CORRELATION_ID)
        px_json_member_text(w, "data_type", px_config_type_name(type));
    else
        put_values(w, type);
    px_json_end_object(w);
    px_json_end_array(w);
    px_json_end_object(w);
}

static void put_scheduler(struct px_json_writer *w, const struct px_sequence_rules *rules)
{
    bool direct = rules->scheduler == PX_SEQUENCE_DIRECT;
    px_json_key(w, direct ? "direct" : "oldest");
    px_json_begin_object(w);
    if (direct) {
        px_json_member_f64(w, "minimum_slot_utilization", 0);
    } else {
        px_json_member_u64(w, "max_candidate_sequences", rules->sequences_max);
        px_json_key(w, "preferred_batch_size");
        px_json_begin_array(w);
        for (size_t i = 0; i < rules->n_preferred; i++)
            px_json_put_u64(w, rules->preferred[i]);
        px_json_end_array(w);
        px_json_member_bool(w, "preserve_ordering", false);
    }
    px_json_member_u64(w, "max_queue_delay_microseconds", rules->delay_ns / PX_NS_PER_US);
    px_json_end_object(w);
}

void px_v2_put_sequence_batching(struct px_json_writer *w, const struct px_model_config *config)
{
    const struct px_sequence_settings *sequence = config->sequence;
    px_json_key(w, "sequence_batching");
    px_json_begin_object(w);
    put_scheduler(w, &sequence->rules);
    px_json_member_u64(w, "max_sequence_idle_microseconds",
                       sequence->rules.idle_timeout_ns / PX_NS_PER_US);
    px_json_key(w, "control_input");
    px_json_begin_array(w);
    for (int kind = 0; kind < PX_SEQUENCE_CONTROLS; kind++) {
        if (sequence->controls[kind].len)
            put_control(w, config, (enum px_sequence_control)kind);
    }
    px_json_end_array(w);
    px_json_key(w, "state");
    px_json_begin_array(w);
    for (size_t i = 0; i < sequence->n_states; i++)
        put_state(w, config, &sequence->states[i]);
    px_json_end_array(w);
    px_json_member_bool(w, "iterative_sequence", false);
    px_json_end_object(w);
}
