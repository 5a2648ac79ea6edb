/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to interfaces/grpc: calls with streams of messages.
 *
 * Words
 *   slot      one message of the client's on its way: its bytes, what it is decoded into, its answer. Slots come from the
 *             loop's pool and go back once their answer stands in the exchange's body, so a stream of any length needs
 *             memory for what it has under way only.
 *   parked    a slot whose answer comes with the wave. When many are parked on a loop, the wave is run early: that
 *             bounds their memory, whatever one read of a socket brought.
 *   dirty     a stream with something to send, or to end. That is done once, after the wave.
 *
 * Answers leave in the order of the messages. An answer is written straight into the body when it is the next one, else
 * it waits in its slot.
 *
 * Bounds. What messages hold until they are answered is charged to their loop. Where it would pass the loop's maximum
 * the wave is run early; if that does not help, the stream ends with RESOURCE_EXHAUSTED. A message that has begun must be
 * complete in PX_GRPC_MESSAGE_SECONDS, else a client could hold that memory for ever; between messages a stream may rest.
 *
 * Answers may be much longer than what asks for them, and the transport holds a client back only after what it has read. So
 * an answer that would be put behind PX_GRPC_BACKLOG_BYTES of others ends the stream with RESOURCE_EXHAUSTED instead. One
 * answer may have any length.
 *
 * End. The stream ends with OK once the client has sent its last message, or with an error at any time. Either way
 * what was taken before is answered first, and what the client still sends is read over.
 */
#ifndef PX_INTERFACES_GRPC_STREAM_H
#define PX_INTERFACES_GRPC_STREAM_H

#include "interfaces/grpc/message.h"

enum {
    PX_GRPC_SLOTS_KEPT = 64,         /* for reuse, by each loop */
    PX_GRPC_SLOTS_PARKED = 256,      /* on one loop, before the wave is run early */
    PX_GRPC_SLOT_BYTES_KEPT = 65536, /* of each of a slot's buffers */
    /* Of messages that one loop holds, at least; twice the longest message when that is more. */
    PX_GRPC_LOOP_BYTES = 64 << 20,
    PX_GRPC_BACKLOG_BYTES = 4 << 20, /* of answers that wait for the client; see "Bounds" */
    PX_GRPC_MESSAGE_SECONDS = 60,    /* from the first byte of a message to its last */
};

struct px_grpc_slot {
    struct px_grpc_slot *next;
    struct px_grpc_stream *stream;
    struct px_str message; /* as sent, or decompressed */
    struct px_arena arena; /* what the message is decoded into */
    void *state;           /* the method's own */
    /* private */
    struct px_buf bytes, plain, reply;
    struct px_err *end; /* not NULL: the stream ends here, instead of an answer */
    size_t mark;        /* of the answer in the body, when `direct` */
    size_t charged;     /* to the loop's slot_bytes */
    bool compressed, parked, done, direct, skipped;
};

struct px_grpc_stream {
    struct px_grpc_call call; /* first */
    union {
        struct {
            struct px_str service; /* in the exchange's arena */
            int last_status;
        } health;
    };
    /* private */
    unsigned char prefix[PX_GRPC_PREFIX];
    size_t n_prefix;
    uint32_t expected;            /* bytes of the message that is being read */
    struct px_grpc_slot *filling; /* it */
    uint64_t message_deadline_ns; /* when it must be complete; 0 between messages */
    struct px_grpc_slot *first, *last;
    size_t n_messages;
    bool half_closed, is_linked, is_dirty;
    bool is_ended;     /* takes no more messages */
    bool is_silent;    /* sends no more answers */
    struct px_err end; /* why, when code is not PX_OK */
    struct px_grpc_stream *next, *prev, *next_dirty;
    bool is_watching, has_looked;
    struct px_grpc_stream *next_watcher, *prev_watcher;
};

/* A streamed exchange begins; its method is known. */
void px_grpc_stream_open(struct px_grpc *grpc, struct px_http_exchange *exchange,
                         const struct px_grpc_method *method);
void px_grpc_stream_piece(struct px_grpc_stream *stream, struct px_str piece, bool is_last);
void px_grpc_stream_abandon(struct px_grpc_stream *stream, enum px_http_end why);
/* After the loop's wave: what is to be looked at, sent and ended. */
void px_grpc_streams_settle(struct px_grpc *grpc, unsigned number);
/* The server stops: every stream of the loop ends with PX_E_UNAVAILABLE. */
void px_grpc_streams_close(struct px_grpc *grpc, unsigned number);
void px_grpc_slots_free(struct px_grpc_loop *loop);

/* For methods. Where to write the answer of a slot, and that it is written; then the slot is gone. */
PX_MUST_USE struct px_buf *px_grpc_slot_begin(struct px_grpc_slot *slot);
void px_grpc_slot_done(struct px_grpc_slot *slot);
/* Takes back what was written since begin. */
void px_grpc_slot_cancel(struct px_grpc_slot *slot);
/* There is no answer. */
void px_grpc_slot_skip(struct px_grpc_slot *slot);
/* Instead of an answer: the stream ends with this error when the slot's turn comes. */
void px_grpc_slot_fail(struct px_grpc_slot *slot, const struct px_err *err);
/* The slot is answered later, in the wave; its method can `cancel`. */
void px_grpc_slot_park(struct px_grpc_slot *slot);
/* A message of the server's own. */
void px_grpc_stream_send(struct px_grpc_stream *stream, struct px_str message);
/* The stream hears of the server's readiness from now on, through its `look`. */
void px_grpc_stream_watch(struct px_grpc_stream *stream);
/* Ends the stream after what was taken so far. */
void px_grpc_stream_end(struct px_grpc_stream *stream, const struct px_err *err);

#endif
