/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/engines/onnxruntime/settings.h"

#include "infrastructure/engines/onnxruntime/diagnosis.h"
#include "shared/yaml_scalars.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

struct choice {
    const char *word;
    int64_t number;
};

static const struct choice modes[] = {{"sequential", 0}, {"parallel", 1}};
static const struct choice levels[] = {
    {"off", 0}, {"basic", 1}, {"extended", 2}, {"layout", 3}, {"all", 99}};

enum kind { NUMBER = 1, CHOICE, BOOLEAN, TEXT, LIST, MAPPING, NAME };

struct key {
    const char *name;
    enum kind kind;
    size_t offset; /* in struct px_ort_settings */
    int64_t max;   /* of a number */
    const struct choice *choices;
    size_t n_choices;
    bool
        needs_trust; /* reaches files, or libraries, of the machine: not for a model that came with a request */
};

#define AT(member) offsetof(struct px_ort_settings, member)
#define BOOLEAN_AT(key)                                                                            \
    {                                                                                              \
#key, BOOLEAN, AT(key), 0, NULL, 0, false                                                  \
    }

static const struct key keys[] = {
    {"name", NAME, 0, 0, NULL, 0, false},
    {"threads", NUMBER, AT(threads), PX_ORT_THREADS_MAX, NULL, 0, false},
    {"inter_op_threads", NUMBER, AT(inter_op_threads), PX_ORT_THREADS_MAX, NULL, 0, false},
    {"execution_mode", CHOICE, AT(execution_mode), 0, modes, PX_ARRAY_LEN(modes), false},
    {"graph_optimization", CHOICE, AT(graph_optimization), 0, levels, PX_ARRAY_LEN(levels), false},
    {"providers", LIST, AT(providers), 0, NULL, 0, false},
    BOOLEAN_AT(deterministic),
    BOOLEAN_AT(memory_arena),
    BOOLEAN_AT(memory_pattern),
    BOOLEAN_AT(spinning),
    BOOLEAN_AT(batches),
    {"free_dimensions", MAPPING, AT(free_dimensions), 0, NULL, 0, false},
    {"profile", TEXT, AT(profile), 0, NULL, 0, true},
    {"config", MAPPING, AT(config), 0, NULL, 0, true},
};

/* ---- reading ---- */

static enum px_code read_number(const struct key *key, const struct px_yaml *node, void *to,
                                struct px_err *err)
{
    uint64_t value = 0;
    enum px_code code = px_yaml_count(node, 0, (uint64_t)key->max, &value, err);
    memcpy(to, &value, sizeof value);
    return code;
}

static enum px_code read_choice(const struct key *key, const struct px_yaml *node, int64_t *ret,
                                struct px_err *err)
{
    char words[128];
    struct px_buf list = px_buf_fixed(words, sizeof words);
    struct px_str text;
    enum px_code code = px_yaml_str(node, &text, err);
    if (code != PX_OK)
        return code;
    for (size_t i = 0; i < key->n_choices; i++) {
        *ret = key->choices[i].number;
        if (px_str_is(text, key->choices[i].word))
            return PX_OK;
        px_buf_printf(&list, "%s%s", i ? ", " : "", key->choices[i].word);
    }
    return px_err_set(err, PX_E_INVALID, "line %u: expected one of %s, got '%.*s'", node->line,
                      words, PX_STR_ARG(text));
}

static enum px_code read_tree(const struct px_yaml *node, enum px_yaml_type type, void *to,
                              struct px_err *err)
{
    if (node->type != type)
        return px_err_set(err, PX_E_INVALID, "line %u: expected a %s", node->line,
                          type == PX_YAML_SEQUENCE ? "list" : "mapping");
    memcpy(to, &node, sizeof(void *));
    return PX_OK;
}

static enum px_code read_text(const struct px_yaml *node, struct px_arena *arena, void *to,
                              struct px_err *err)
{
    struct px_str text;
    enum px_code code = px_yaml_str(node, &text, err);
    if (code != PX_OK)
        return code;
    char *copy = px_arena_cstr(arena, text);
    memcpy(to, &copy, sizeof(void *));
    return px_arena_check(arena, "the engine's settings", err);
}

static enum px_code read_key(const struct key *key, const struct px_yaml *node,
                             struct px_arena *arena, struct px_ort_settings *ret,
                             struct px_err *err)
{
    void *to = (char *)ret + key->offset;
    int64_t number = 0;
    enum px_code code = PX_OK;
    switch (key->kind) {
    case NUMBER:
        return read_number(key, node, to, err);
    case CHOICE:
        code = read_choice(key, node, &number, err);
        if (code == PX_OK)
            memcpy(to, &number, sizeof number);
        return code;
    case BOOLEAN:
        return px_yaml_switch(node, to, err);
    case TEXT:
        return read_text(node, arena, to, err);
    case LIST:
        return read_tree(node, PX_YAML_SEQUENCE, to, err);
    case MAPPING:
        return read_tree(node, PX_YAML_MAPPING, to, err);
    case NAME:
        break;
    }
    return code;
}

enum px_code px_ort_settings_distrust(const char *what, struct px_err *err)
{
    px_err_set(err, PX_E_FORBIDDEN,
               "%s may reach files and libraries of the machine, which a model that comes with a "
               "request may not",
               what);
    return px_err_hint(err, "put the package into a folder that the server was started with");
}

enum px_code px_ort_settings_read(const struct px_engine_request *request,
                                  struct px_ort_settings *ret, struct px_err *err)
{
    const struct px_yaml *yaml = request->settings;
    struct px_str names[PX_ARRAY_LEN(keys)];
    *ret = (struct px_ort_settings){.threads = 1,
                                    .inter_op_threads = 1,
                                    .graph_optimization = levels[PX_ARRAY_LEN(levels) - 1].number,
                                    .memory_arena = true,
                                    .memory_pattern = true,
                                    .from_client = request->from_client};
    if (!yaml || yaml->type != PX_YAML_MAPPING)
        return PX_OK;
    for (size_t i = 0; i < PX_ARRAY_LEN(keys); i++)
        names[i] = px_str(keys[i].name);
    enum px_code code = px_yaml_only(yaml, names, PX_ARRAY_LEN(names), err);
    for (size_t i = 0; code == PX_OK && i < PX_ARRAY_LEN(keys); i++) {
        const struct px_yaml *node = px_yaml_get(yaml, keys[i].name);
        if (node && keys[i].needs_trust && request->from_client)
            code = px_ort_settings_distrust("this setting", err);
        else if (node)
            code = read_key(&keys[i], node, request->arena, ret, err);
        if (code != PX_OK)
            return px_err_wrap(err, "engine.%s", keys[i].name);
    }
    return code == PX_OK ? PX_OK : px_err_wrap(err, "engine");
}

/* ---- checking ---- */

/* Settings of ONNX Runtime's C API (onnxruntime_session_options_config_keys.h). Newer libraries have more; those are taken by their beginning. */
static const struct px_str config_keys[] = {
    PX_STR("session.disable_prepacking"),
    PX_STR("session.use_env_allocators"),
    PX_STR("session.load_model_format"),
    PX_STR("session.save_model_format"),
    PX_STR("session.set_denormal_as_zero"),
    PX_STR("session.disable_quant_qdq"),
    PX_STR("session.disable_double_qdq_remover"),
    PX_STR("session.enable_quant_qdq_cleanup"),
    PX_STR("optimization.enable_gelu_approximation"),
    PX_STR("optimization.enable_cast_chain_elimination"),
    PX_STR("optimization.disable_specified_optimizers"),
    PX_STR("optimization.minimal_build_optimizations"),
    PX_STR("optimization.constant_folding_max_output_size_in_bytes"),
    PX_STR("session.use_device_allocator_for_initializers"),
    PX_STR("session.inter_op.allow_spinning"),
    PX_STR("session.intra_op.allow_spinning"),
    PX_STR("session.inter_op.spin_duration_us"),
    PX_STR("session.intra_op.spin_duration_us"),
    PX_STR("session.inter_op.spin_backoff_max"),
    PX_STR("session.intra_op.spin_backoff_max"),
    PX_STR("session.use_ort_model_bytes_directly"),
    PX_STR("session.use_ort_model_bytes_for_initializers"),
    PX_STR("session.use_memory_mapped_ort_model"),
    PX_STR("session.qdqisint8allowed"),
    PX_STR("session.x64quantprecision"),
    PX_STR("session.strict_shape_type_inference"),
    PX_STR("session.allow_released_opsets_only"),
    PX_STR("session.node_partition_config_file"),
    PX_STR("session.intra_op_thread_affinities"),
    PX_STR("session.debug_layout_transformation"),
    PX_STR("session.disable_cpu_ep_fallback"),
    PX_STR("session.disable_model_compile"),
    PX_STR("session.disable_aot_function_inlining"),
    PX_STR("session.disable_qdq_constant_folding"),
    PX_STR("session.dynamic_block_base"),
    PX_STR("session.force_spinning_stop"),
    PX_STR("session.graph_optimizations_loop_level"),
    PX_STR("session.collect_node_memory_stats_to_file"),
    PX_STR("session.optimized_model_external_initializers_file_name"),
    PX_STR("session.optimized_model_external_initializers_min_size_in_bytes"),
    PX_STR("session.model_external_initializers_file_folder_path"),
    PX_STR("session.qdq_matmulnbits_accuracy_level"),
    PX_STR("session.qdq_matmulnbits_block_size"),
    PX_STR("session.enable_dq_matmulnbits_fusion"),
    PX_STR("session.resource_cuda_partitioning_settings"),
    PX_STR("session.record_ep_graph_assignment_info"),
    PX_STR("session.name_based_layer_assignment"),
    PX_STR("session.layer_assignment_settings"),
    PX_STR("session.fail_on_suboptimal_compiled_model"),
    PX_STR("ep.context_enable"),
    PX_STR("ep.context_file_path"),
    PX_STR("ep.context_embed_mode"),
    PX_STR("ep.context_node_name_prefix"),
    PX_STR("ep.share_ep_contexts"),
    PX_STR("ep.stop_share_ep_contexts"),
    PX_STR("ep.context_model_external_initializers_file_name"),
    PX_STR("ep.enable_weightless_ep_context_nodes"),
    PX_STR("mlas.enable_gemm_fastmath_arm64_bfloat16"),
    PX_STR("mlas.use_lut_gemm"),
    PX_STR("mlas.disable_kleidiai"),
    PX_STR("memory.enable_memory_arena_shrinkage")};

static bool is_config_key(struct px_str key)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(config_keys); i++) {
        if (px_str_eq(key, config_keys[i]))
            return true;
    }
    return false;
}

static bool has_known_beginning(struct px_str key)
{
    static const char *const beginnings[] = {"session.", "ep.", "optimization.", "mlas.",
                                             "memory."};
    for (size_t i = 0; i < PX_ARRAY_LEN(beginnings); i++) {
        if (px_str_starts(key, beginnings[i]))
            return true;
    }
    return false;
}

static enum px_code check_config(const struct px_yaml *config, struct px_err *err)
{
    for (const struct px_yaml *node = config->first_child; node; node = node->next) {
        if (is_config_key(node->key))
            continue;
        long nearest = px_str_nearest(node->key, config_keys, PX_ARRAY_LEN(config_keys));
        if (nearest < 0 && has_known_beginning(node->key))
            continue;
        px_err_set(err, PX_E_UNKNOWN_OPTION, "line %u: ONNX Runtime has no setting '%.*s'",
                   node->line, PX_STR_ARG(node->key));
        if (!px_err_suggest(err, node->key, config_keys, PX_ARRAY_LEN(config_keys)))
            px_err_hint(err, "its settings begin with session., optimization., ep., mlas. or "
                             "memory.");
        return px_err_wrap(err, "engine.config");
    }
    return PX_OK;
}

static enum px_code check_profile(const char *profile, struct px_err *err)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(profile, '/');
    size_t len = slash ? (size_t)(slash - profile) : 0;
    int n = slash ? snprintf(folder, sizeof folder, "%.*s/", (int)len, profile)
                  : snprintf(folder, sizeof folder, ".");
    if (n < 0 || (size_t)n >= sizeof folder)
        return px_err_set(err, PX_E_INVALID, "engine.profile: the path is too long");
    if (access(folder, W_OK | X_OK) == 0)
        return PX_OK;
    px_err_set(err, errno == ENOENT ? PX_E_NOT_FOUND : PX_E_IO,
               "engine.profile: no file can be made in %s: %s", folder, strerror(errno));
    return px_err_hint(err, "it is the beginning of a file's name, as /tmp/model");
}

enum px_code px_ort_settings_check(const struct px_ort_settings *settings, const char *path,
                                   struct px_err *err)
{
    struct px_str names[PX_ORT_DIMENSIONS_MAX];
    const struct px_yaml *node =
        settings->free_dimensions ? settings->free_dimensions->first_child : NULL;
    size_t n = 0;
    for (; node && n < PX_ORT_DIMENSIONS_MAX; node = node->next)
        names[n++] = node->key;
    if (node)
        return px_err_set(err, PX_E_TOO_LARGE, "engine.free_dimensions: more than %d",
                          PX_ORT_DIMENSIONS_MAX);
    if (n > 0 && px_ort_check_dimensions(path, names, n, err) != PX_OK)
        return px_err_wrap(err, "engine.free_dimensions");
    enum px_code code = settings->config ? check_config(settings->config, err) : PX_OK;
    return code == PX_OK && settings->profile ? check_profile(settings->profile, err) : code;
}

/* ---- applying ---- */

static void *set_threads(const struct px_ort_settings *s, const struct px_ort *ort, void *options)
{
    void *status = ort->set_threads(options, (int)s->threads);
    if (!status)
        status = ort->set_inter_op_threads(options, (int)s->inter_op_threads);
    if (!status)
        status = ort->set_execution_mode(options, (int)s->execution_mode);
    if (!status && !s->spinning)
        status = ort->set_config(options, "session.intra_op.allow_spinning", "0");
    if (!status && !s->spinning)
        status = ort->set_config(options, "session.inter_op.allow_spinning", "0");
    return status;
}

/* What goes wrong in runs is told to their callers: the library's own lines about it would only fill the log. */
enum { LOG_FATAL = 4 };

static void *set_rest(const struct px_ort_settings *s, const struct px_ort *ort, void *options)
{
    void *status = ort->set_optimization(options, (int)s->graph_optimization);
    if (!status && !s->memory_arena)
        status = ort->disable_arena(options);
    if (!status && !s->memory_pattern)
        status = ort->disable_memory_pattern(options);
    if (!status && s->deterministic)
        status = ort->set_deterministic(options, true);
    if (!status && s->profile)
        status = ort->enable_profile(options, s->profile);
    return status ? status : ort->set_log_severity(options, LOG_FATAL);
}

static enum px_code set_dimensions(const struct px_ort_settings *s, const struct px_ort *ort,
                                   struct px_arena *arena, void *options, struct px_err *err)
{
    const struct px_yaml *node = s->free_dimensions ? s->free_dimensions->first_child : NULL;
    for (; node; node = node->next) {
        int64_t value;
        char *name = px_arena_cstr(arena, node->key);
        enum px_code code = px_yaml_i64(node, &value, err);
        if (code == PX_OK && value < 1)
            code = px_err_set(err, PX_E_INVALID, "line %u: expected 1 or more, got %lld",
                              node->line, (long long)value);
        if (code == PX_OK)
            code = px_arena_check(arena, "the engine's settings", err);
        if (code == PX_OK)
            code = px_ort_check(ort, ort->set_dimension(options, name, value), NULL, err);
        if (code != PX_OK)
            return px_err_wrap(err, "engine.free_dimensions.%.*s", PX_STR_ARG(node->key));
    }
    return PX_OK;
}

static enum px_code set_config(const struct px_ort_settings *s, const struct px_ort *ort,
                               struct px_arena *arena, void *options, struct px_err *err)
{
    const struct px_yaml *node = s->config ? s->config->first_child : NULL;
    for (; node; node = node->next) {
        struct px_str text;
        enum px_code code = px_yaml_str(node, &text, err);
        if (code != PX_OK)
            return px_err_wrap(err, "engine.config");
        char *name = px_arena_cstr(arena, node->key), *value = px_arena_cstr(arena, text);
        code = px_arena_check(arena, "the engine's settings", err);
        if (code == PX_OK)
            code = px_ort_check(ort, ort->set_config(options, name, value), NULL, err);
        if (code != PX_OK)
            return px_err_wrap(err, "engine.config.%.*s", PX_STR_ARG(node->key));
    }
    return PX_OK;
}

enum px_code px_ort_settings_apply(struct px_ort_settings *settings, const struct px_ort *ort,
                                   struct px_arena *arena, void **ret_options, struct px_err *err)
{
    void *options = NULL;
    enum px_code code = px_ort_check(ort, ort->create_options(&options), NULL, err);
    if (code == PX_OK)
        code = px_ort_check(ort, set_threads(settings, ort, options), NULL, err);
    if (code == PX_OK)
        code = px_ort_check(ort, set_rest(settings, ort, options), NULL, err);
    if (code == PX_OK)
        code = set_dimensions(settings, ort, arena, options, err);
    if (code == PX_OK)
        code = set_config(settings, ort, arena, options, err);
    if (code == PX_OK)
        code = px_ort_append_providers(settings, ort, arena, options, err);
    if (code == PX_OK)
        *ret_options = options;
    else if (options)
        ort->release_options(options);
    return code;
}
