/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child's side of ring.h for shared libraries: map the ring, load, then answer requests until told to stop. Outputs are allocated in
 * the answer area itself, so nothing is copied here.
 */
#include "infrastructure/engines/plugin/worker.h"

#include "infrastructure/engines/plugin/instance.h"
#include "infrastructure/engines/plugin/ring.h"
#include "shared/clock.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_NO_RING = 64, SLEEP_S = 3600, ARENA_MAX = 64 << 20 };

struct worker {
    struct px_ring *ring;
    const char *request;
    char *answer;
    struct px_arena arena, run_arena;
    struct px_plugin_library library;
    struct px_plugin_instance instance;
};

/* What a run's `host` points to. */
struct answering {
    struct worker *worker;
    uint32_t number;
    size_t at; /* free from here on in the answer area */
};

bool px_plugin_is_worker(int argc, char **argv)
{
    return argc == 2 && strcmp(argv[1], PX_PLUGIN_WORKER_ARGUMENT) == 0;
}

static bool map_ring(struct worker *w)
{
    struct stat stat;
    if (fstat(PX_RING_FD, &stat) != 0 || (size_t)stat.st_size < PX_RING_HEAD)
        return false;
    size_t size = (size_t)stat.st_size;
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, PX_RING_FD, 0);
    if (base == MAP_FAILED)
        return false;
    w->ring = base;
    if (w->ring->magic != PX_RING_MAGIC || w->ring->version != PX_RING_VERSION ||
        w->ring->area > (size - PX_RING_HEAD) / 2)
        return false;
    w->request = (const char *)base + PX_RING_HEAD;
    w->answer = (char *)base + PX_RING_HEAD + w->ring->area;
    close(PX_RING_FD);
    return true;
}

/* A child must not outlive its parent, nor take more memory than it may. */
static bool confine(const struct px_ring *ring)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if ((uint32_t)getppid() != ring->parent)
        return false;
    struct rlimit memory = {ring->memory_max, ring->memory_max};
    return ring->memory_max == 0 || setrlimit(RLIMIT_AS, &memory) == 0;
}

static void log_line(void *context, int level, const char *text)
{
    static const char priorities[] = {'6', '7', '6', '4', '3'};
    (void)context;
    fprintf(stderr, "<%c>%s\n", level >= 1 && level <= 4 ? priorities[level] : '6', text);
}

static void answer(struct worker *w, uint32_t number)
{
    px_ring_post(&w->ring->answered, &w->ring->answered_sleeper, number);
}

static void answer_failure(struct worker *w, uint32_t number, enum px_code code, const char *reason)
{
    struct px_ring_message message = {
        .kind = PX_RING_FAILED, .number = number, .code = (uint32_t)code};
    struct px_ring_writer writer = px_ring_begin(w->answer, w->ring->area, &message);
    px_ring_put_text(&writer, px_str(reason));
    (void)px_ring_end(&writer, NULL);
    answer(w, number);
}

/* ---- LOAD ---- */

static const char *take_text(struct worker *w, struct px_str *texts)
{
    return px_arena_cstr(&w->arena, px_ring_next_text(texts));
}

static enum px_code load(struct worker *w, const struct px_ring_view *view, struct px_err *err)
{
    struct px_str texts = view->texts;
    struct px_plugin_load plan = {.log = log_line};
    plan.model_name = take_text(w, &texts);
    plan.path = take_text(w, &texts);
    plan.folder = take_text(w, &texts);
    const char *library = take_text(w, &texts);
    (void)px_ring_next_text(&texts); /* a function is for Python */
    size_t n_inputs = view->message.n_inputs;
    enum px_code code = px_ring_read_specs(view, 0, n_inputs, &texts, &w->arena, &plan.takes, err);
    if (code == PX_OK)
        code = px_ring_read_specs(view, n_inputs, view->message.n_outputs, &texts, &w->arena,
                                  &plan.gives, err);
    phx_setting *settings = px_arena_zalloc(&w->arena, texts.len / 8 + 1, sizeof *settings);
    while (code == PX_OK && settings && texts.len) {
        settings[plan.n_settings].key = take_text(w, &texts);
        settings[plan.n_settings++].value = take_text(w, &texts);
    }
    plan.settings = settings;
    if (code == PX_OK)
        code = px_arena_check(&w->arena, "the settings", err);
    if (code == PX_OK)
        code = px_plugin_library_open(library, &w->library, err);
    return code == PX_OK
               ? px_plugin_instance_create(&w->library, &plan, &w->arena, &w->instance, err)
               : code;
}

static enum px_code answer_ready(struct worker *w, uint32_t number, struct px_err *err)
{
    const struct px_plugin_instance *instance = &w->instance;
    struct px_ring_message message = {.kind = PX_RING_READY,
                                      .number = number,
                                      .n_inputs = (uint32_t)instance->takes.n,
                                      .n_outputs = (uint32_t)instance->gives.n,
                                      .flags = instance->ops->flags};
    struct px_ring_writer writer = px_ring_begin(w->answer, w->ring->area, &message);
    px_ring_put_text(&writer, px_str(instance->ops->name));
    px_ring_put_text(&writer, px_str(instance->ops->version ? instance->ops->version : ""));
    px_ring_put_names(&writer, &instance->takes);
    px_ring_put_names(&writer, &instance->gives);
    px_ring_put_specs(&writer, &instance->takes);
    px_ring_put_specs(&writer, &instance->gives);
    if (!px_ring_end(&writer, NULL))
        return px_err_set(err, PX_E_TOO_LARGE, "the model has too many tensors");
    answer(w, number);
    return PX_OK;
}

/* ---- RUN ---- */

/* The next free bytes of the answer area. */
static void *allocate(phx_run *run, uint64_t size)
{
    struct answering *a = run->host;
    size_t at = (a->at + 63) & ~(size_t)63, area = a->worker->ring->area;
    if (at > area || size > area - at)
        return NULL;
    a->at = at + size;
    return a->worker->answer + at;
}

static int is_cancelled(const phx_run *run)
{
    const struct answering *a = run->host;
    return atomic_load_explicit(&a->worker->ring->cancelled, memory_order_relaxed) == a->number;
}

static const char *name_of(const struct px_tensor_specs *specs, uint32_t index)
{
    return index < specs->n ? specs->list[index].name.ptr : "";
}

static enum px_code take_run(struct worker *w, const struct px_ring_view *view, phx_run *run,
                             struct px_err *err)
{
    size_t n_inputs = view->message.n_inputs, n_outputs = view->message.n_outputs;
    phx_tensor *tensors = px_arena_zalloc(&w->run_arena, n_inputs + n_outputs + 1, sizeof *tensors);
    if (!tensors)
        return px_arena_check(&w->run_arena, "a request", err);
    for (size_t i = 0; i < n_inputs + n_outputs; i++) {
        const struct px_ring_part *part = &view->parts[i];
        bool is_input = i < n_inputs;
        tensors[i].name = name_of(is_input ? &w->instance.takes : &w->instance.gives, part->spec);
        if (!is_input)
            continue;
        tensors[i].datatype = part->datatype;
        tensors[i].n_dims = part->n_dims;
        memcpy(tensors[i].dims, part->dims, sizeof part->dims);
        tensors[i].data = view->area + part->at;
        tensors[i].size = part->size;
    }
    run->inputs = tensors;
    run->outputs = tensors + n_inputs;
    run->n_inputs = (uint32_t)n_inputs;
    run->n_outputs = (uint32_t)n_outputs;
    run->flags = view->message.flags;
    run->deadline_ns = view->message.deadline_ns;
    run->sequence = view->message.sequence;
    struct px_str texts = view->texts;
    run->sequence_text = texts.len ? px_arena_cstr(&w->run_arena, px_ring_next_text(&texts)) : NULL;
    return PX_OK;
}

static enum px_code answer_done(struct worker *w, const phx_run *run, uint32_t number, size_t size,
                                struct px_err *err)
{
    struct px_ring_message message = {
        .kind = PX_RING_DONE, .number = number, .n_outputs = run->n_outputs, .size = size};
    for (uint32_t i = 0; i < run->n_outputs; i++) {
        const phx_tensor *output = &run->outputs[i];
        uintptr_t at = (uintptr_t)output->data - (uintptr_t)w->answer;
        if (output->size && (at >= size || output->size > size - at))
            return px_err_set(err, PX_E_INTERNAL,
                              "output '%s' does not lie in memory of this run (see phx_run.alloc)",
                              output->name);
        struct px_ring_part part = {.datatype = output->datatype,
                                    .n_dims = output->n_dims,
                                    .at = output->size ? at : 0,
                                    .size = output->size};
        memcpy(part.dims, output->dims, sizeof part.dims);
        memcpy(w->answer + sizeof message + i * sizeof part, &part, sizeof part);
    }
    memcpy(w->answer, &message, sizeof message);
    answer(w, number);
    return PX_OK;
}

static enum px_code compute(struct worker *w, const struct px_ring_view *view, struct px_err *err)
{
    uint32_t number = view->message.number;
    struct answering answering = {
        w, number, sizeof view->message + view->message.n_outputs * sizeof(struct px_ring_part)};
    phx_run run = {
        .size = sizeof run, .alloc = allocate, .cancelled = is_cancelled, .host = &answering};
    enum px_code code = take_run(w, view, &run, err);
    if (code == PX_OK)
        code = px_plugin_instance_run(&w->instance, &run, err);
    return code == PX_OK ? answer_done(w, &run, number, answering.at, err) : code;
}

/* False when it was the last request. */
static bool serve_one(struct worker *w, uint32_t number)
{
    struct px_ring_view view;
    struct px_err err = {0};
    px_arena_reset(&w->run_arena);
    enum px_code code = px_ring_read(w->request, w->ring->area, &w->run_arena, &view, &err);
    if (code == PX_OK && view.message.kind == PX_RING_STOP)
        return false;
    if (code == PX_OK && view.message.kind == PX_RING_LOAD && !w->instance.engine) {
        code = load(w, &view, &err);
        if (code == PX_OK)
            code = answer_ready(w, number, &err);
    } else if (code == PX_OK) {
        code = compute(w, &view, &err);
    }
    if (code != PX_OK)
        answer_failure(w, number, code, err.message);
    return true;
}

int px_plugin_worker_main(void)
{
    static struct worker worker;
    worker.arena = px_arena(ARENA_MAX);
    worker.run_arena = px_arena(ARENA_MAX);
    if (!map_ring(&worker) || !confine(worker.ring))
        return EXIT_NO_RING;
    setvbuf(stderr, NULL, _IOLBF, 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct px_ring_patience patience = px_ring_patience(worker.ring->spin_us);
    uint32_t number = 0;
    bool going_on = true;
    while (going_on) {
        if (!px_ring_wait(&worker.ring->asked, &worker.ring->asked_sleeper, number, &patience,
                          SLEEP_S * PX_NS_PER_S))
            continue;
        number = atomic_load(&worker.ring->asked);
        going_on = serve_one(&worker, number);
    }
    px_plugin_instance_destroy(&worker.instance);
    return 0;
}
