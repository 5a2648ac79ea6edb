/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this program and the process of a plug-in say to each other, version 1. Private to this folder.
 *
 * They share one memory file (descriptor 3 of the child): a page of words, an area for requests, an area for answers. There is one
 * request on the way at a time, so each area is a slot.
 *
 *     0                 PX_RING_HEAD             + area             + area
 *     | struct px_ring  | request                | answer           |
 *
 *     host                                       child
 *     writes the request area
 *     asked = n       --- futex asked --->       sees asked == n, computes, writes the answer area
 *                     <-- futex answered ---     answered = n
 *     copies, checks, hands on
 *
 * A message is, all little-endian and at offsets from the start of its area:
 *
 *     0    struct px_ring_message
 *     64   struct px_ring_part, `n_inputs` and then `n_outputs` of them
 *     ...  texts, `texts_size` bytes: a length of 4 bytes and the text, again and again
 *     ...  the bytes of tensors, each at a multiple of 64 (px_ring_part.at)
 *
 *     kind    texts                                                       parts
 *     LOAD    model name, path, folder, code, function, names of inputs,   specs as model.yaml declares them; bytes: none
 *             names of outputs, key, value, key, value ...
 *     READY   name and version of the plug-in, names of inputs, of outputs specs
 *     RUN     the text id of the sequence, or none                         inputs; outputs that are asked for (only `spec`)
 *     DONE    none                                                        outputs as asked, in that order
 *     FAILED  the reason                                                  none; `code` is a px_code
 *     STOP    none                                                        none; there is no answer
 *
 * Trust. The child is a stranger: it may write anything at any time. The host copies what decides (the message, its parts, its
 * texts) before it looks at it, takes no offset or size on trust, and checks tensors after they were copied. The file is sealed,
 * so that it cannot shrink under the host.
 */
#ifndef PX_INFRASTRUCTURE_ENGINES_PLUGIN_RING_H
#define PX_INFRASTRUCTURE_ENGINES_PLUGIN_RING_H

#include "application/ports/engine.h"

enum {
    PX_RING_MAGIC = 0x31525850, /* "PXR1" */
    PX_RING_VERSION = 1,
    PX_RING_HEAD = 4096,
    PX_RING_FD = 3,
    PX_RING_PARTS_MAX = 2 * PX_ENGINE_TENSORS_MAX,
    PX_RING_TEXTS_MAX = 1 << 20, /* bytes */
};

struct px_ring {
    uint32_t magic, version;
    uint64_t area;                           /* bytes of each area */
    uint64_t memory_max;                     /* of the child's address space; 0: any */
    uint32_t parent;                         /* process id */
    uint32_t spin_us;                        /* how long to look before sleeping */
    _Alignas(64) _Atomic uint32_t asked;     /* 64: number of the newest request */
    _Atomic uint32_t asked_sleeper;          /* 68: the child sleeps on `asked` */
    _Alignas(64) _Atomic uint32_t answered;  /* 128: number of the newest answer */
    _Atomic uint32_t answered_sleeper;       /* 132 */
    _Alignas(64) _Atomic uint32_t cancelled; /* 192: number of the request that nobody waits for */
};

enum px_ring_kind {
    PX_RING_LOAD = 1,
    PX_RING_RUN,
    PX_RING_STOP,
    PX_RING_READY = 16,
    PX_RING_DONE,
    PX_RING_FAILED,
};

struct px_ring_message {
    uint32_t kind, number;
    uint32_t n_inputs, n_outputs;
    uint32_t code;
    uint32_t flags; /* RUN: phx_run_flags; READY: phx_engine_flags */
    uint32_t texts_size, reserved;
    uint64_t size; /* of all of it */
    uint64_t deadline_ns, sequence;
    uint64_t reserved_end;
};

struct px_ring_part {
    uint32_t spec; /* which of the model's inputs or outputs */
    uint32_t datatype, n_dims;
    uint32_t flags; /* phx_spec_flags, of specs */
    int64_t dims[PX_TENSOR_DIMS_MAX];
    uint64_t at, size;
};

_Static_assert(sizeof(struct px_ring_message) == 64, "as the layout says");
_Static_assert(sizeof(struct px_ring_part) == 96, "as the layout says");

/* ---- writing: begin, then texts, then tensors, then end ---- */

struct px_ring_writer {
    char *area;
    size_t cap, at;
    struct px_ring_message message;
    size_t n_parts;
    bool full;
};

/* `message` says kind, number and counts. */
struct px_ring_writer px_ring_begin(char *area, size_t cap, const struct px_ring_message *message);
void px_ring_put_text(struct px_ring_writer *w, struct px_str text);
/* The next part; with `size` bytes there is a place for them, which is returned. NULL when the area is full. */
void *px_ring_put_part(struct px_ring_writer *w, const struct px_ring_part *part, size_t size);
/* Parts and texts of specs, the names apart. */
void px_ring_put_specs(struct px_ring_writer *w, const struct px_tensor_specs *specs);
void px_ring_put_names(struct px_ring_writer *w, const struct px_tensor_specs *specs);
/* False when it did not fit; `ret_size` says how much it would have been. */
bool px_ring_end(struct px_ring_writer *w, size_t *ret_size);

/* ---- reading ---- */

struct px_ring_view {
    struct px_ring_message message;
    const struct px_ring_part *parts; /* a copy */
    struct px_str texts;              /* a copy */
    const char *area;                 /* where the bytes of tensors are: shared memory */
};

/*
 * Copies a message out of an area and checks it: counts, sizes, that every tensor lies inside. PX_E_CORRUPT says what is
 * wrong, PX_E_NO_MEMORY.
 */
PX_MUST_USE enum px_code px_ring_read(const char *area, size_t cap, struct px_arena *arena,
                                      struct px_ring_view *ret, struct px_err *err);

/* The next text; empty when there is none. Texts of a read message are whole. */
struct px_str px_ring_next_text(struct px_str *texts);

/*
 * Specs of a READY or LOAD message: `n` parts from `first` on, whose names are the next texts. PX_E_CORRUPT names what is wrong.
 */
PX_MUST_USE enum px_code px_ring_read_specs(const struct px_ring_view *view, size_t first, size_t n,
                                            struct px_str *texts, struct px_arena *arena,
                                            struct px_tensor_specs *ret, struct px_err *err);

/*
 * The outputs of a DONE message into run->outputs: copied to memory of the run (memory.h), and only then checked against the specs.
 * PX_E_CORRUPT for what no plug-in's library would say, PX_E_INTERNAL for what the specs forbid.
 */
PX_MUST_USE enum px_code px_ring_read_outputs(const struct px_ring_view *view,
                                              const struct px_tensor_specs *gives,
                                              struct px_run *run, struct px_err *err);

/* ---- waiting ---- */

/*
 * How long a side looks before it sleeps. Looking spares a wake-up when the other side runs on another core and is quick; it takes
 * the core from the other side when there is no other core free. So it is learnt: a look in vain halves the time, one that
 * was worth it doubles it, and after many calls without any it is tried again.
 */
struct px_ring_patience {
    uint64_t most_ns, now_ns;
    unsigned n_without;
};
struct px_ring_patience px_ring_patience(uint32_t most_us);

/* Waits until the word is no longer `old`: looks first, then sleeps for at most `sleep_ns`. False when it still is. */
bool px_ring_wait(_Atomic uint32_t *word, _Atomic uint32_t *sleeper, uint32_t old,
                  struct px_ring_patience *patience, uint64_t sleep_ns);
/* Sets the word and wakes who sleeps on it. */
void px_ring_post(_Atomic uint32_t *word, _Atomic uint32_t *sleeper, uint32_t value);
/* Wakes whoever sleeps on the word, which stays as it is. */
void px_ring_wake(_Atomic uint32_t *word);

#endif
