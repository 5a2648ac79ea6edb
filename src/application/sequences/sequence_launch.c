/* SPDX-License-Identifier: Apache-2.0 */
#include "application/sequences/sequence_launch.h"

#include "application/sequences/sequence_flight.h"
#include "application/sequences/sequence_queue.h"
#include "application/sequences/sequence_watch.h"
#include "shared/alloc.h"
#include "shared/clock.h"

enum { SPARE_MAX = 8 };

/* ---- flights ---- */

void px_flight_free(struct px_flight *flight)
{
    if (!flight)
        return;
    px_arena_deinit(&flight->arena);
    px_free(flight->rows);
    px_free(flight);
}

static struct px_flight *make_flight(struct px_sequencer *self)
{
    struct px_flight *flight = px_alloc(1, sizeof *flight);
    if (!flight)
        return NULL;
    flight->arena = px_arena(PX_FLIGHT_BYTES_MAX);
    flight->rows = px_alloc(px_sequences_batch_max(&self->table.rules), sizeof *flight->rows);
    if (flight->rows)
        return flight;
    px_flight_free(flight);
    return NULL;
}

/* With the mutex; a flight that was used before has memory already. */
static struct px_flight *take_flight(struct px_sequencer *self)
{
    struct px_flight *flight = self->spare;
    if (!flight)
        return make_flight(self);
    self->spare = flight->next;
    self->n_spare--;
    return flight;
}

static void put_flight(struct px_sequencer *self, struct px_flight *flight)
{
    if (!flight->ended || flight->n_holds > 0)
        return;
    if (self->n_spare == SPARE_MAX) {
        px_flight_free(flight);
        return;
    }
    px_arena_reset(&flight->arena);
    flight->next = self->spare;
    self->spare = flight;
    self->n_spare++;
}

/* ---- landing and stopping ---- */

/* `done` of the inner run. */
static void landed(struct px_run *inner_run)
{
    struct px_flight *flight = inner_run->owner;
    struct px_sequencer *self = flight->sequencer;
    struct px_sequence_ended ended = {0};
    px_flight_unload(flight);
    px_sequencer_lock(self);
    uint64_t now_ns = px_clock_monotonic_ns();
    for (size_t i = 0; i < flight->n_rows; i++) {
        const struct px_flight_row *row = &flight->rows[i];
        if (row->live && row->run)
            px_sequence_conclude(self, row->live, row->run, now_ns, &ended);
    }
    flight->ended = true;
    self->n_flights--;
    put_flight(self, flight);
    px_sequence_watch_idle(self);
    px_sequencer_wake(self);
    px_sequencer_unlock(self);
    px_sequence_finish(&ended);
}

/* Does nobody want any step of the flight? */
static bool is_unwanted(const struct px_flight *flight)
{
    for (size_t i = 0; i < flight->n_rows; i++) {
        const struct px_run *run = flight->rows[i].run;
        if (run && !atomic_load_explicit(&run->cancelled, memory_order_relaxed))
            return false;
    }
    return true;
}

void px_flight_stop(struct px_sequencer *self, struct px_flight *flight)
{
    if (!flight->started || flight->ended || !is_unwanted(flight))
        return;
    flight->n_holds++;
    px_sequencer_unlock(self);
    px_engine_cancel(self->inner, &flight->run);
    px_sequencer_lock(self);
    flight->n_holds--;
    put_flight(self, flight);
}

/* ---- boarding ---- */

/* The first step of a chosen sequence becomes a row, unless nobody wants it. */
static void board(struct px_sequencer *self, struct px_flight *flight, size_t row,
                  struct px_sequence_live *live, struct px_sequence_ended *ended)
{
    struct px_run *run = px_sequence_dequeue(self, live);
    run->code = px_sequence_check_wanted(run, "while the request waited for its turn in the "
                                              "sequence");
    if (run->code != PX_OK) {
        px_sequence_conclude(self, live, run, px_clock_monotonic_ns(), ended);
        return;
    }
    run->state = flight;
    flight->rows[row] = (struct px_flight_row){live, run};
    flight->n_steps++;
    if (row >= flight->n_rows)
        flight->n_rows = row + 1;
}

static void board_all(struct px_sequencer *self, struct px_flight *flight, size_t n,
                      struct px_sequence_ended *ended)
{
    struct px_flight_row *rows = flight->rows;
    bool direct = self->table.rules.scheduler == PX_SEQUENCE_DIRECT;
    struct px_arena arena = flight->arena;
    memset(rows, 0,
           flight->n_rows * sizeof *rows); /* what lies behind was never used, or cleared */
    *flight = (struct px_flight){.sequencer = self, .arena = arena, .rows = rows, .n_holds = 1};
    for (size_t i = 0; i < n; i++) {
        size_t row = direct ? self->chosen[i]->place : flight->n_rows;
        board(self, flight, row, px_sequence_live_of(self->chosen[i]), ended);
    }
    flight->run.done = landed;
    flight->run.owner = flight;
}

static void fail_chosen(struct px_sequencer *self, size_t n, struct px_sequence_ended *ended)
{
    for (size_t i = 0; i < n; i++) {
        struct px_sequence_live *live = px_sequence_live_of(self->chosen[i]);
        struct px_run *run = px_sequence_dequeue(self, live);
        run->code = px_err_set(&run->err, PX_E_NO_MEMORY, "no memory for a batch of sequences");
        px_sequence_conclude(self, live, run, px_clock_monotonic_ns(), ended);
    }
}

/* ---- starting ---- */

/* With the mutex, which is given up while the batch is joined and started. */
static void take_off(struct px_sequencer *self, struct px_flight *flight)
{
    self->n_flights++;
    self->counts.batches++;
    px_sequencer_unlock(self);
    enum px_code code = px_flight_load(flight);
    flight->asked = code == PX_OK;
    if (code == PX_OK)
        px_engine_start(self->inner, &flight->run);
    else
        px_run_finish(&flight->run, code);
    px_sequencer_lock(self);
    flight->started = true;
    px_flight_stop(self, flight); /* cancels that came before there was something to stop */
}

void px_flight_launch(struct px_sequencer *self, size_t n)
{
    struct px_sequence_ended ended = {0};
    struct px_flight *flight = take_flight(self);
    if (flight)
        board_all(self, flight, n, &ended);
    else
        fail_chosen(self, n, &ended);
    if (ended.first) {
        px_sequence_watch_idle(self);
        px_sequencer_unlock(self);
        px_sequence_finish(&ended);
        px_sequencer_lock(self);
    }
    if (!flight)
        return;
    if (flight->n_steps > 0)
        take_off(self, flight);
    else
        flight->ended = true;
    flight->n_holds--;
    put_flight(self, flight);
}
