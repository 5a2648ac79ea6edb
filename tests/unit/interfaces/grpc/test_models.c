/* SPDX-License-Identifier: Apache-2.0 */
/* The calls about models, the repository, settings and shared memory: their fields, and what they refuse. */
#include "grpc_fixture.h"
#include "harness.h"
#include "shared/log.h"

#define SERVICE "/inference.GRPCInferenceService/"

static struct grpc_fixture f;

/* Field `number` of a message, by occurrence. */
static struct px_protobuf_field field(struct px_str message, uint32_t number, size_t index)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field item;
    while (px_protobuf_next(&p, &item)) {
        if (item.number == number && index-- == 0)
            return item;
    }
    return (struct px_protobuf_field){.bytes = PX_STR("")};
}

static void ask_name(const char *path, const char *name, const char *version)
{
    struct px_buf buf = px_buf(1 << 10);
    px_protobuf_put_text(&buf, 1, name);
    px_protobuf_put_text(&buf, 2, version);
    grpc_ask(&f, path, px_buf_view(&buf));
    px_buf_deinit(&buf);
}

PX_TEST(readiness_of_a_model_is_an_answer_whatever_its_name)
{
    grpc_set_up(&f);
    ask_name(SERVICE "ModelReady", "m", "");
    CHECK_STR(f.reply, "\x08\x01");
    ask_name(SERVICE "ModelReady", "broken", "");
    CHECK_INT(f.status, 0);
    CHECK_INT(f.reply.len, 0);
    ask_name(SERVICE "ModelReady", "nobody", "");
    CHECK_INT(f.status, 0);
    CHECK_INT(f.reply.len, 0);
    ask_name(SERVICE "ModelReady", "m", "2");
    CHECK_INT(f.status, 0);
    CHECK_INT(f.reply.len, 0);
    ask_name(SERVICE "ModelReady", "\xff", "");
    CHECK_INT(f.status, 3);
    grpc_tear_down(&f);
}

PX_TEST(metadata_names_versions_tensors_and_properties)
{
    grpc_set_up(&f);
    ask_name(SERVICE "ModelMetadata", "bank", "");
    CHECK_STR(field(f.reply, 1, 0).bytes, "bank");
    CHECK_STR(field(f.reply, 2, 1).bytes, "2");
    CHECK_STR(field(field(f.reply, 4, 1).bytes, 1, 0).bytes, "job");
    CHECK_STR(field(field(f.reply, 4, 1).bytes, 2, 0).bytes, "BYTES");
    CHECK_STR(field(field(f.reply, 4, 1).bytes, 3, 0).bytes,
              "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01");
    CHECK_STR(field(field(f.reply, 5, 0).bytes, 2, 0).bytes, "FP32");
    CHECK_STR(field(field(f.reply, 6, 0).bytes, 1, 0).bytes, "task");
    ask_name(SERVICE "ModelMetadata", "bank", "1");
    CHECK_STR(field(f.reply, 2, 0).bytes, "1");
    CHECK_INT(field(f.reply, 2, 1).number, 0);
    ask_name(SERVICE "ModelMetadata", "broken", "");
    CHECK_INT(f.status, 14);
    grpc_tear_down(&f);
}

PX_TEST(configuration_has_types_and_dimensions_without_the_batch)
{
    grpc_set_up(&f);
    ask_name(SERVICE "ModelConfig", "m", "");
    CHECK_INT(f.status, 0);
    struct px_str config = field(f.reply, 1, 0).bytes;
    CHECK_STR(field(config, 1, 0).bytes, "m");
    CHECK(field(config, 4, 0).value > 0);
    CHECK_STR(field(field(config, 5, 0).bytes, 4, 0).bytes, "\x02");
    CHECK_INT(field(field(config, 5, 0).bytes, 2, 0).value, 11);
    CHECK_STR(field(field(config, 6, 0).bytes, 1, 0).bytes, "o");
    CHECK_INT(field(config, 11, 0).number, 11);
    ask_name(SERVICE "ModelConfig", "nobody", "");
    CHECK_INT(f.status, 5);
    grpc_tear_down(&f);
}

PX_TEST(the_repository_is_unavailable_before_it_is_managed)
{
    grpc_set_up(&f);
    grpc_ask(&f, SERVICE "RepositoryModelLoad", px_str("\x12\x01m"));
    CHECK_INT(f.status, 14);
    grpc_ask(&f, SERVICE "RepositoryModelUnload", px_str("\x0a\x01r\x12\x01m"));
    CHECK_INT(f.status, 12);
    CHECK_CONTAINS(f.fields, "repository_name");
    grpc_ask(&f, SERVICE "RepositoryIndex", px_str("\x0a\x01r"));
    CHECK_INT(f.status, 12);
    grpc_tear_down(&f);
}

static void ask_load(const char *key, const char *value, size_t len)
{
    struct px_buf buf = px_buf(1 << 10);
    px_protobuf_put_text(&buf, 2, "m");
    size_t entry = px_protobuf_begin(&buf, 3);
    px_protobuf_put_text(&buf, 1, key);
    px_protobuf_put_bytes(&buf, 2, px_str_n(value, len));
    px_protobuf_end(&buf, entry);
    grpc_ask(&f, SERVICE "RepositoryModelLoad", px_buf_view(&buf));
    px_buf_deinit(&buf);
}

PX_TEST(unknown_and_malformed_load_parameters_are_refused)
{
    grpc_set_up(&f);
    ask_load("nothing", "\x1a\x01x", 3);
    CHECK_INT(f.status, 3);
    ask_load("config", "\x2a\x01x", 3); /* field 5 is none of the choice */
    CHECK_INT(f.status, 3);
    ask_load("config", "\x18\x01", 2); /* a text that is a number */
    CHECK_INT(f.status, 3);
    ask_load("config", "", 0);
    CHECK_INT(f.status, 3);
    grpc_tear_down(&f);
}

PX_TEST(log_settings_change_all_or_nothing)
{
    struct px_log_settings before, after;
    grpc_set_up(&f);
    px_log_read(&before);
    grpc_ask(&f, SERVICE "LogSettings",
             px_str_n("\x0a\x15\x0a\x11log_verbose_level\x12\x00"
                      "\x0a\x0e\x0a\x08log_info\x12\x02\x08\x00",
                      39));
    CHECK_INT(f.status, 3);
    px_log_read(&after);
    CHECK_INT(after.info, before.info);
    grpc_ask(&f, SERVICE "LogSettings", px_str(""));
    CHECK_INT(f.status, 0);
    CHECK_STR(field(field(f.reply, 1, 0).bytes, 1, 0).bytes, "log_file");
    grpc_tear_down(&f);
}

PX_TEST(settings_are_read_but_not_changed_where_models_may_not_be_loaded)
{
    struct px_log_settings before, after;
    struct px_trace_settings traced;
    struct px_trace *trace = NULL;
    grpc_set_up(&f); /* without a repository nobody may */
    CHECK_OK(px_trace_create(NULL, 2, &trace, NULL));
    px_serving_set_trace(f.rest.serving, trace);
    px_log_read(&before);
    grpc_ask(&f, SERVICE "LogSettings", px_str_n("\x0a\x0e\x0a\x08log_info\x12\x02\x08\x00", 16));
    CHECK_INT(f.status, 14);
    px_log_read(&after);
    CHECK_INT(after.info, before.info);
    grpc_ask(&f, SERVICE "TraceSetting",
             px_str("\x0a\x11\x0a\x0atrace_rate\x12\x03\x0a\x01"
                    "5"));
    CHECK_INT(f.status, 14);
    px_trace_read(trace, px_str(""), &traced);
    CHECK_INT(traced.rate, 1000);
    grpc_ask(&f, SERVICE "TraceSetting", px_str(""));
    CHECK_INT(f.status, 0);
    px_serving_set_trace(f.rest.serving, NULL);
    px_trace_destroy(trace);
    grpc_tear_down(&f);
}

PX_TEST(tracing_is_unavailable_without_a_place_for_traces)
{
    grpc_set_up(&f);
    grpc_ask(&f, SERVICE "TraceSetting", px_str(""));
    CHECK_INT(f.status, 14);
    grpc_tear_down(&f);
}

PX_TEST(a_server_without_shared_memory_says_so)
{
    grpc_set_up(&f);
    grpc_ask(&f, SERVICE "SystemSharedMemoryStatus", px_str(""));
    CHECK_INT(f.status, 0);
    CHECK_INT(f.reply.len, 0);
    grpc_ask(&f, SERVICE "SystemSharedMemoryRegister", px_str("\x0a\x01r\x12\x02/k\x20\x08"));
    CHECK_INT(f.status, 12);
    grpc_ask(&f, SERVICE "SystemSharedMemoryStatus", px_str("\x0a\x01r"));
    CHECK_INT(f.status, 5);
    grpc_ask(&f, SERVICE "CudaSharedMemoryRegister", px_str("\x0a\x01r"));
    CHECK_INT(f.status, 14);
    CHECK_CONTAINS(f.fields, "CUDA");
    grpc_ask(&f, SERVICE "CudaSharedMemoryStatus", px_str(""));
    CHECK_INT(f.status, 0);
    grpc_ask(&f, SERVICE "CudaSharedMemoryUnregister", px_str(""));
    CHECK_INT(f.status, 0);
    CHECK_INT(f.rest.buf.len, 5);
    grpc_tear_down(&f);
}

PX_TEST(server_metadata_lists_what_there_is)
{
    grpc_set_up(&f);
    grpc_ask(&f, SERVICE "ServerMetadata", px_str(""));
    CHECK_STR(field(f.reply, 1, 0).bytes, "phoenix");
    CHECK_STR(field(f.reply, 3, 0).bytes, "binary_tensor_data");
    grpc_tear_down(&f);
}

PX_TEST_MAIN(T(readiness_of_a_model_is_an_answer_whatever_its_name)
                 T(metadata_names_versions_tensors_and_properties)
                     T(configuration_has_types_and_dimensions_without_the_batch)
                         T(the_repository_is_unavailable_before_it_is_managed)
                             T(unknown_and_malformed_load_parameters_are_refused) T(
                                 log_settings_change_all_or_nothing)
                                 T(settings_are_read_but_not_changed_where_models_may_not_be_loaded)
                                     T(tracing_is_unavailable_without_a_place_for_traces)
                                         T(a_server_without_shared_memory_says_so)
                                             T(server_metadata_lists_what_there_is))
