/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening a package happens in one order: find the files, read model.yaml (when there is one), read the
 * model file, then build the signature from both.
 *
 * Invariants
 * 1. The model file decides what it can decide: the number of features, which of them are categories,
 *    the number of classes. model.yaml adds names and meanings and is refused where it contradicts.
 * 2. The same feature names in another order are refused: the scores would be plausible and wrong.
 * 3. A model file in a package means the package: its model.yaml says what the raw values are. Another
 *    file in that folder is a bare one.
 * 4. A model file is a forest when the forest's readers take it, unless model.yaml names an engine. Providers see only what they
 *    know, so that the errors of the forest's readers stay.
 * 5. A file named in model.yaml must lie inside the folder after links are resolved, so that a package
 *    from a stranger cannot make the server read the machine's files.
 */
#include "application/lifecycle/package.h"

#include "application/lifecycle/forest_options.h"
#include "application/lifecycle/model_name.h"
#include "application/lifecycle/model_yaml.h"
#include "application/lifecycle/package_engine.h"
#include "domain/graph/graph.h"
#include "shared/alloc.h"
#include "shared/file.h"
#include "shared/hash.h"
#include "shared/thread.h"

enum {
    PACKAGE_MEMORY_MAX = 512 << 20,
};

static const char yaml_name[] = "model.yaml", graph_name[] = PX_GRAPH_FILE_NAME;

struct opening {
    struct px_package *package;
    struct px_model_yaml yaml; /* zeroed for a bare file */
    struct px_str folder;      /* of model.yaml, or of the bare file */
    struct px_str yaml_path;   /* where model.yaml is or would be */
    struct px_str asked;       /* name of the model file, when the path was one */
    bool is_folder;            /* the path was one */
    struct px_package_options asked_for;
    struct px_forest_options options;
};

static struct px_str base_name(struct px_str path)
{
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    for (size_t i = path.len; i > 0; i--) {
        if (path.ptr[i - 1] == '/' && path.len > 1)
            return px_str_n(path.ptr + i, path.len - i);
    }
    return path;
}

/* "folder/file" in the package's arena; {NULL, 0} without memory. */
static struct px_str join(struct px_arena *arena, struct px_str folder, struct px_str file)
{
    PX_ASSERT(folder.ptr && file.ptr);
    char *path = px_arena_alloc(arena, folder.len + file.len + 2, 1);
    if (!path)
        return (struct px_str){0};
    memcpy(path, folder.ptr, folder.len);
    path[folder.len] = '/';
    memcpy(path + folder.len + 1, file.ptr, file.len);
    path[folder.len + 1 + file.len] = '\0';
    return px_str_n(path, folder.len + 1 + file.len);
}

/* The path of a file that model.yaml names with `key`, links resolved. */
static enum px_code locate(struct opening *o, const char *key, struct px_str file,
                           struct px_str *ret, struct px_err *err)
{
    bool may_be_folder = o->yaml.engine && ret == &o->package->model_path;
    char path[PATH_MAX];
    if (px_file_resolve_inside(o->folder, file, path, err) != PX_OK)
        return px_err_wrap(err, "%s", key);
    enum px_file_kind kind = px_file_kind(path);
    if (kind != PX_FILE_REGULAR && !(kind == PX_FILE_FOLDER && may_be_folder))
        return px_err_set(err, PX_E_NOT_FOUND, "%s: there is no file '%s'", key, path);
    *ret = px_arena_str(&o->package->arena, px_str(path));
    return px_arena_check(&o->package->arena, "the package", err);
}

/* A model.yaml of ours says which layout it has; another program's file of that name does not. */
static bool is_ours(struct px_str yaml)
{
    while (yaml.ptr) {
        if (px_str_starts(px_str_cut(&yaml, '\n'), "phoenix:"))
            return true;
    }
    return false;
}

static enum px_code locate_states(struct opening *o, struct px_err *err)
{
    struct px_sequence_settings *sequence = o->yaml.sequence;
    enum px_code code = PX_OK;
    for (size_t i = 0; sequence && i < sequence->n_states && code == PX_OK; i++) {
        struct px_str *initial = &sequence->states[i].initial;
        if (initial->len)
            code = locate(o, "initial", *initial, initial, err);
    }
    return code;
}

static enum px_code locate_all(struct opening *o, struct px_err *err)
{
    struct px_package *p = o->package;
    enum px_code code = PX_OK;
    p->model_path = (struct px_str){0}; /* an engine may need no file */
    if (o->yaml.model.ptr)
        code = locate(o, "model", o->yaml.model, &p->model_path, err);
    if (code == PX_OK && o->yaml.golden.ptr)
        code = locate(o, "golden", o->yaml.golden, &p->golden_path, err);
    p->golden_scores = o->yaml.golden_scores;
    if (code == PX_OK && o->yaml.reference.ptr)
        code = locate(o, "reference", o->yaml.reference, &p->reference_path, err);
    return code == PX_OK ? locate_states(o, err) : code;
}

/* Is the model file that was asked for the one that model.yaml names, however that is spelt? */
static bool describes_asked(struct opening *o)
{
    if (!o->yaml.model.ptr)
        return false;
    struct px_str named = join(&o->package->arena, o->folder, o->yaml.model);
    return named.ptr && px_file_same(named.ptr, o->package->path.ptr);
}

/* Parses model.yaml, or drops it when a model file was asked for that it does not describe. */
static enum px_code use_yaml(struct opening *o, struct px_str text, struct px_err *err)
{
    struct px_package *p = o->package;
    bool foreign = o->asked.ptr && !is_ours(text);
    if (!foreign) {
        enum px_code code = px_model_yaml_parse(text, &p->arena, &o->yaml, err);
        if (code != PX_OK)
            return code;
        foreign = o->asked.ptr && !describes_asked(o);
    }
    if (!foreign)
        return locate_all(o, err);
    o->yaml = (struct px_model_yaml){0};
    p->bare = true;
    p->model_path = p->path;
    return PX_OK;
}

static enum px_code read_yaml(struct opening *o, struct px_err *err)
{
    struct px_buf text = px_buf(PX_PACKAGE_YAML_MAX);
    enum px_code code = px_file_read(o->yaml_path.ptr, &text, err);
    if (code == PX_OK) {
        code = use_yaml(o, px_buf_view(&text), err);
        if (code != PX_OK)
            px_err_wrap(err, "%s", o->yaml_path.ptr);
    }
    px_buf_deinit(&text);
    return code;
}

/* The folder that holds the file at `path`. */
static struct px_str parent(struct px_arena *arena, struct px_str path)
{
    size_t n = path.len - base_name(path).len;
    while (n > 1 && path.ptr[n - 1] == '/')
        n--;
    return px_arena_str(arena, n ? px_str_n(path.ptr, n) : (struct px_str)PX_STR("."));
}

/* A folder without model.yaml: its graph, which needs nobody to say what its tensors are. */
static enum px_code find_graph(struct opening *o, const char *path, struct px_err *err)
{
    struct px_package *p = o->package;
    p->model_path = join(&p->arena, o->folder, px_str(graph_name));
    if (!p->model_path.ptr)
        return px_arena_check(&p->arena, "the package", err);
    p->bare = true;
    if (px_file_kind(p->model_path.ptr) == PX_FILE_REGULAR)
        return PX_OK;
    px_err_set(err, PX_E_NOT_FOUND, "folder '%s' has no model.yaml and no graph.yaml", path);
    return px_err_hint(err, "name the model file itself, or a folder that 'phoenix train' wrote");
}

/* Decides between a folder, its model.yaml, and a model file, and sets the paths. */
static enum px_code find_files(struct opening *o, const char *path, struct px_err *err)
{
    struct px_package *p = o->package;
    struct px_str given = px_str(path);
    enum px_file_kind kind = px_file_kind(path);
    if (kind == PX_FILE_ABSENT)
        return px_file_fail_absent(path, err);
    bool is_folder = kind == PX_FILE_FOLDER, is_yaml = px_str_is(base_name(given), yaml_name);
    while (is_folder && given.len > 1 && given.ptr[given.len - 1] == '/')
        given.len--;
    p->path = px_arena_str(&p->arena, given);
    o->folder = is_folder ? p->path : parent(&p->arena, given);
    if (p->path.ptr && o->folder.ptr)
        o->yaml_path = join(&p->arena, o->folder, px_str(yaml_name));
    if (!o->yaml_path.ptr)
        return px_arena_check(&p->arena, "the package", err);
    bool has_yaml = px_file_kind(o->yaml_path.ptr) == PX_FILE_REGULAR;
    o->is_folder = is_folder;
    if (is_folder && !has_yaml)
        return find_graph(o, path, err);
    p->bare = !is_folder && !has_yaml;
    p->model_path = p->path; /* of a bare file; model.yaml replaces it */
    if (!is_folder && !is_yaml)
        o->asked = base_name(p->path);
    return PX_OK;
}

static void free_text(void *file)
{
    px_file_unload(file);
}

struct forest_work {
    struct opening *o;
    enum px_code code;
    struct px_err *err;
};

static enum px_code read_forest(struct opening *o, struct px_err *err)
{
    struct px_package *p = o->package;
    struct px_file file = {0};
    enum px_code code = px_file_load(&file, p->model_path.ptr, PX_PACKAGE_MODEL_MAX, err);
    if (code != PX_OK)
        return code;
    p->model_size = file.bytes.len;
    p->model_hash = px_hash_content(file.bytes.ptr, file.bytes.len);
    if (o->yaml.rounds.ptr)
        o->options.rounds = px_str_is(o->yaml.rounds, "best") ? PX_ROUNDS_BEST : PX_ROUNDS_ALL;
    bool kernel_asked = px_forest_options_complete(&o->options);
    o->options.bytes_read = free_text;
    o->options.bytes_context = &file;
    code = px_forest_create(file.bytes, &o->options, &p->forest, err);
    px_file_unload(&file);
    if (code == PX_E_INVALID && kernel_asked) /* what is wrong with the file has other codes */
        px_err_wrap(err, PX_KERNEL_VARIABLE);
    return code == PX_OK ? PX_OK : px_err_wrap(err, "%s", p->model_path.ptr);
}

static void do_forest_work(void *argument)
{
    struct forest_work *w = argument;
    w->code = read_forest(w->o, w->err);
}

/* While others answer requests, reading a forest stands back for them. */
static enum px_code read_forest_behind(struct opening *o, struct px_err *err)
{
    struct forest_work work = {.o = o, .err = err};
    bool is_large = px_file_size(o->package->model_path.ptr) >= PX_PACKAGE_BEHIND_BYTES;
    px_thread_run_behind(is_large ? o->asked_for.standing : PX_STANDING_EQUAL, do_forest_work,
                         &work);
    return work.code;
}

/* Features as the model file alone describes them. */
static enum px_code features_from_model(struct opening *o, struct px_err *err)
{
    struct px_package *p = o->package;
    const struct px_forest_info *info = px_forest_info(p->forest);
    struct px_feature *features =
        px_arena_zalloc(&p->arena, info->n_features + 1, sizeof *features);
    for (size_t i = 0; features && i < info->n_features; i++) {
        struct px_feature *f = &features[i];
        char number[32];
        snprintf(number, sizeof number, "f%zu", i);
        f->name =
            px_arena_str(&p->arena, info->feature_names ? info->feature_names[i] : px_str(number));
        f->categories = px_forest_categories(p->forest, i, &f->n_categories);
        if (!f->categories)
            f->n_categories = 0;
        f->kind = f->categories || info->categorical[i] ? PX_FEATURE_CATEGORY : PX_FEATURE_NUMBER;
        f->other = -1;
    }
    p->signature.features = features;
    p->signature.n_features = info->n_features;
    p->signature.named = info->feature_names && !info->names_made_up;
    return px_arena_check(&p->arena, "the model's features", err);
}

static enum px_code check_order(const struct px_model_yaml *yaml, const struct px_forest_info *info,
                                struct px_err *err)
{
    for (size_t i = 0; info->feature_names && i < info->n_features; i++) {
        struct px_str name = yaml->features[i].name;
        if (px_str_eq(name, info->feature_names[i]))
            continue;
        for (size_t k = 0; k < info->n_features; k++) {
            if (px_str_eq(name, info->feature_names[k]))
                return px_err_set(
                    err, PX_E_CONFLICT,
                    "feature %zu is '%.*s' in model.yaml and '%.*s' in the model file", i,
                    PX_STR_ARG(name), PX_STR_ARG(info->feature_names[i]));
        }
    }
    return PX_OK;
}

static enum px_code check_categorical(const struct px_model_yaml *yaml,
                                      const struct px_forest_info *info, struct px_err *err)
{
    for (size_t i = 0; i < info->n_features; i++) {
        enum px_feature_kind kind = yaml->features[i].kind;
        if (info->categorical[i] && kind != PX_FEATURE_CATEGORY && kind != PX_FEATURE_BOOLEAN)
            return px_err_set(
                err, PX_E_CONFLICT,
                "feature '%.*s' is a %s in model.yaml, but the model tests its category",
                PX_STR_ARG(yaml->features[i].name), px_feature_kind_name(kind));
    }
    return PX_OK;
}

static enum px_code features_from_yaml(struct opening *o, struct px_err *err)
{
    const struct px_forest_info *info = px_forest_info(o->package->forest);
    struct px_signature *s = &o->package->signature;
    if (o->yaml.n_features != info->n_features)
        return px_err_set(err, PX_E_CONFLICT,
                          "model.yaml lists %zu features, the model file has %zu",
                          o->yaml.n_features, info->n_features);
    enum px_code code = check_order(&o->yaml, info, err);
    if (code == PX_OK)
        code = check_categorical(&o->yaml, info, err);
    if (code != PX_OK)
        return code;
    s->features = o->yaml.features;
    s->n_features = o->yaml.n_features;
    s->named = true;
    return PX_OK;
}

static bool is_ranking(struct px_str objective)
{
    return px_str_starts(objective, "rank:") || px_str_starts(objective, "lambdarank") ||
           px_str_starts(objective, "rank_");
}

static enum px_task task_from_model(const struct px_forest_info *info)
{
    if (is_ranking(info->objective))
        return PX_TASK_RANKING;
    if (info->n_classes == 0)
        return PX_TASK_REGRESSION;
    return info->n_classes == 2 ? PX_TASK_BINARY : PX_TASK_MULTICLASS;
}

static enum px_code set_labels(struct opening *o, struct px_err *err)
{
    const struct px_forest_info *info = px_forest_info(o->package->forest);
    struct px_signature *s = &o->package->signature;
    size_t n_classes = info->n_classes;
    if (n_classes == 0 && s->task == PX_TASK_BINARY)
        n_classes = 2;
    s->labels = info->class_labels;
    s->n_labels = info->class_labels ? info->n_classes : 0;
    if (!o->yaml.labels)
        return PX_OK;
    if (o->yaml.n_labels != n_classes)
        return px_err_set(err, PX_E_CONFLICT,
                          "model.yaml lists %zu labels, the model has %zu classes",
                          o->yaml.n_labels, n_classes);
    s->labels = o->yaml.labels;
    s->n_labels = o->yaml.n_labels;
    return PX_OK;
}

static enum px_code build_signature(struct opening *o, struct px_err *err)
{
    struct px_package *p = o->package;
    struct px_signature *s = &p->signature;
    s->task = o->yaml.task ? o->yaml.task : task_from_model(px_forest_info(p->forest));
    s->output_name = o->yaml.output.ptr ? o->yaml.output : (struct px_str)PX_STR("predictions");
    p->target = o->yaml.target;
    enum px_code code = o->yaml.features ? features_from_yaml(o, err) : features_from_model(o, err);
    if (code == PX_OK)
        code = set_labels(o, err);
    if (code == PX_OK)
        code = px_signature_finish(s, err);
    return code == PX_OK ? PX_OK : px_err_wrap(err, "%s", p->path.ptr);
}

/* What the graph of a package without model.yaml calls itself, as a model may be called; empty when it is none. */
static struct px_str name_of_graph(struct opening *o)
{
    struct px_str path = o->package->model_path;
    struct px_buf text = px_buf(PX_GRAPH_YAML_MAX);
    struct px_arena arena = px_arena(PACKAGE_MEMORY_MAX);
    struct px_str name = PX_STR("");
    bool is_regular = px_file_kind(path.ptr) == PX_FILE_REGULAR;
    if (is_regular && px_file_read(path.ptr, &text, NULL) == PX_OK &&
        (px_str_is(base_name(path), graph_name) || px_graph_recognise(px_buf_view(&text))))
        name = px_graph_own_name(px_buf_view(&text), &arena);
    if (name.len) {
        struct px_model_name valid = px_model_name_from_text(name);
        name = px_arena_str(&o->package->arena, px_str(valid.text));
    }
    px_arena_deinit(&arena);
    px_buf_deinit(&text);
    return name;
}

/* graph.yaml says nothing about what is in it: its folder does. */
static enum px_code set_name(struct opening *o, struct px_err *err)
{
    struct px_package *p = o->package;
    p->name = p->bare ? name_of_graph(o) : o->yaml.name;
    if (!p->name.len) {
        bool is_file = p->bare && !o->is_folder && !px_str_is(base_name(p->model_path), graph_name);
        struct px_str path = is_file ? p->path : o->folder;
        struct px_model_name name = px_model_name_from_path(path.ptr, is_file);
        p->name = px_arena_str(&p->arena, px_str(name.text));
    }
    return px_arena_check(&p->arena, "the package", err);
}

/* Everything but the model file: what it is called, and what model.yaml says. */
static enum px_code open_head(struct opening *o, const char *path, struct px_err *err)
{
    o->package = px_alloc(1, sizeof *o->package);
    if (!o->package)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for a package");
    o->package->arena = px_arena(PACKAGE_MEMORY_MAX);
    enum px_code code = find_files(o, path, err);
    if (code == PX_OK && !o->package->bare)
        code = read_yaml(o, err);
    o->package->is_pinned = o->yaml.is_pinned;
    o->package->breaker = o->yaml.breaker;
    o->package->fallback = o->yaml.fallback;
    return code == PX_OK ? set_name(o, err) : code;
}

static enum px_code open_engine(struct opening *o, const struct px_engine_provider *provider,
                                struct px_err *err)
{
    const struct px_package_source source = {&o->yaml, o->folder, &o->asked_for, provider};
    enum px_code code = px_package_open_engine(o->package, &source, err);
    struct px_str path = o->package->model_path.ptr ? o->package->model_path : o->package->path;
    return code == PX_OK ? PX_OK : px_err_wrap(err, "%.*s", PX_STR_ARG(path));
}

static enum px_code open_forest(struct opening *o, struct px_err *err)
{
    if (o->yaml.tensors_only) {
        px_err_set(err, PX_E_CONFLICT, "'%s' is for models of tensors, and %s is a tree model",
                   o->yaml.tensors_only, o->package->model_path.ptr);
        bool is_onnx = px_forest_info(o->package->forest)->format == PX_FOREST_ONNX;
        return px_err_hint(err, is_onnx ? "remove it, or name an engine: engine: onnxruntime"
                                        : "remove it");
    }
    return build_signature(o, err);
}

/* A forest when its readers take the file, else what a provider makes of it. */
static enum px_code open_model(struct opening *o, struct px_err *err)
{
    const struct px_engine_provider *provider = NULL;
    struct px_err refusal = {0}; /* no error when a provider takes the file */
    enum px_code code;
    if (o->yaml.engine) {
        code = px_package_find_provider(&o->yaml, o->asked_for.engines, &provider, err);
        return code == PX_OK ? open_engine(o, provider, err) : code;
    }
    code = read_forest_behind(o, &refusal);
    if (code == PX_OK)
        return open_forest(o, err);
    if (code != PX_E_NO_MEMORY)
        provider = px_package_recognise_provider(o->package->model_path.ptr, o->asked_for.engines);
    if (provider)
        return open_engine(o, provider, err);
    if (err)
        *err = refusal;
    return code;
}

/* What a step of a sequence gives depends on the steps before it. */
static enum px_code set_cache(struct opening *o, struct px_err *err)
{
    struct px_package *p = o->package;
    p->cache = o->yaml.cache;
    p->limits = o->yaml.limits;
    if (!p->cache.is_on || !p->engine || !px_engine_has(p->engine, PX_ENGINE_SEQUENCES))
        return PX_OK;
    px_err_set(err, PX_E_CONFLICT,
               "%s: 'cache' is for models that keep no state, and this one does", o->yaml_path.ptr);
    return px_err_hint(err, "remove 'cache' or 'sequence'");
}

static enum px_code set_warm_up(struct opening *o, struct px_err *err)
{
    struct px_package *p = o->package;
    p->warm_up = o->yaml.warm_up;
    if (!p->warm_up.says_runs)
        p->warm_up.runs = p->engine ? PX_WARM_UP_RUNS_DEFAULT : 0;
    if (!p->warm_up.recorded || !p->engine || !px_engine_has(p->engine, PX_ENGINE_SEQUENCES))
        return PX_OK;
    px_err_set(err, PX_E_CONFLICT,
               "%s: 'recorded' is for models that keep no state, and this one does",
               o->yaml_path.ptr);
    return px_err_hint(err, "remove 'recorded' or 'sequence'");
}

/* Steps of a sequence that another model answers are missing in the state of this one. */
static enum px_code set_fallback(struct opening *o, struct px_err *err)
{
    struct px_package *p = o->package;
    bool has_state = p->engine && px_engine_has(p->engine, PX_ENGINE_SEQUENCES);
    for (size_t i = 0; has_state && i < p->fallback.n_rungs; i++) {
        if (p->fallback.rungs[i].kind == PX_RUNG_DEFAULT)
            continue;
        px_err_set(err, PX_E_CONFLICT,
                   "%s: '%s' cannot stand in for a model that keeps state, as this one does",
                   o->yaml_path.ptr, px_rung_kind_name(p->fallback.rungs[i].kind));
        return px_err_hint(err, "declare a default, or remove 'fallback' or 'sequence'");
    }
    for (size_t i = 0; !p->cache.is_on && i < p->fallback.n_rungs; i++) {
        if (p->fallback.rungs[i].kind != PX_RUNG_CACHED)
            continue;
        px_err_set(err, PX_E_CONFLICT, "%s: the rung 'cached' needs answers that are kept",
                   o->yaml_path.ptr);
        return px_err_hint(err, "add cache: {ttl: 60s}");
    }
    enum px_code code = px_model_fallback_prepare(&p->fallback, p->engine, &p->arena, err);
    return code == PX_OK ? PX_OK : px_err_wrap(err, "%s", o->yaml_path.ptr);
}

/* Settings without an effect, which somebody should know. */
static enum px_code check_step(const struct opening *o, struct px_err *err)
{
    if (!o->asked_for.outer || !o->yaml.clients_only)
        return PX_OK;
    px_err_set(
        err, PX_E_CONFLICT,
        "%s: line %u: '%s' is for models that clients ask, and here the model is a step of a "
        "graph, which asks it by itself",
        o->yaml_path.ptr, o->yaml.clients_only_line, o->yaml.clients_only);
    return px_err_hint(err,
                       "give it to the graph: a model.yaml beside graph.yaml with phoenix: 1, "
                       "model: graph.yaml and '%s'",
                       o->yaml.clients_only);
}

enum px_code px_package_open(const char *path, const struct px_package_options *options,
                             struct px_package **ret, struct px_err *err)
{
    struct opening o = {0};
    if (options)
        o.asked_for = *options;
    if (o.asked_for.forest)
        o.options = *o.asked_for.forest;
    enum px_code code = open_head(&o, path, err);
    if (code == PX_OK)
        code = check_step(&o, err);
    if (code == PX_OK)
        code = open_model(&o, err);
    if (code == PX_OK)
        code = set_cache(&o, err);
    if (code == PX_OK)
        code = set_warm_up(&o, err);
    if (code == PX_OK)
        code = set_fallback(&o, err);
    if (code != PX_OK) {
        px_package_close(o.package);
        return code;
    }
    *ret = o.package;
    return PX_OK;
}

enum px_code px_package_open_head(const char *path, struct px_package **ret, struct px_err *err)
{
    struct opening o = {0};
    enum px_code code = open_head(&o, path, err);
    if (code == PX_OK)
        *ret = o.package;
    else
        px_package_close(o.package);
    return code;
}

enum px_code px_package_name(const char *path, struct px_model_name *ret, struct px_err *err)
{
    struct opening o = {0};
    enum px_code code = open_head(&o, path, err);
    if (code == PX_OK)
        *ret = px_model_name_from_text(o.package->name);
    px_package_close(o.package);
    return code;
}

bool px_package_is_pinned(const char *path)
{
    struct opening o = {0};
    if (px_file_kind(path) != PX_FILE_FOLDER)
        return false;
    bool is_pinned = open_head(&o, path, NULL) == PX_OK && o.package->is_pinned;
    px_package_close(o.package);
    return is_pinned;
}

void px_package_close(struct px_package *package)
{
    if (!package)
        return;
    px_engine_destroy(package->rows_engine); /* before the forest and the signature */
    px_signature_deinit(&package->signature);
    px_forest_destroy(package->forest);
    px_engine_destroy(package->engine); /* before the arena, which its settings live in */
    px_arena_deinit(&package->arena);
    px_free(package);
}
