/* executor.h - the inside of a session and of a run, and the loop that runs a program. Private to session/. */
#ifndef MD_EXECUTOR_H
#define MD_EXECUTOR_H

#include "program.h"
#include "run_memory.h"
#include "session.h"

struct md_session {
    const struct md_allocator *allocator;
    struct md_model *model;       /* owned */
    struct md_program *program;   /* in the model's arena */
    size_t program_count;
    struct md_prepared prepared;  /* likewise */
    enum md_packed_cache packed_cache;
    size_t max_run_bytes;
    struct md_thread_pool *thread_pool; /* or NULL */
    size_t input_count, output_count;
    struct md_signature *inputs;  /* in the model's arena */
    struct md_signature *outputs;
};

/* The values of one execution of one program. */
struct md_frame {
    struct md_frame *next_idle;
    struct md_value *values; /* graph->value_count */
};

struct md_run {
    const struct md_session *session;
    const struct md_allocator *allocator;
    struct md_run_memory_pool memory;
    struct md_frame **idle_frames; /* per program */
    struct md_frame *frame;        /* of the main graph; outputs live here until the next execution */
    struct md_value *inputs;       /* borrowed; buffer is &borrowed */
    bool *input_set;
    bool *output_wanted;
    bool *step_needed;             /* main graph: by output_wanted */
    struct md_buffer borrowed;     /* marks memory of the caller: never freed, never written */
    const atomic_bool *cancelled;
    int64_t deadline_us;
    uint64_t random_state;
    size_t node_count;             /* of this execution */
    unsigned char *key;            /* of this execution's shapes */
    size_t key_size, key_capacity;
};

/* Runs `program` in `frame`, whose inputs and captures are set. `needed` NULL: the steps' own `needed`. */
MD_NODISCARD enum md_code md_execute(struct md_run *run, const struct md_program *program, struct md_frame *frame,
                                     const bool *needed, struct md_error *error);
/* A frame with all values NONE. */
MD_NODISCARD enum md_code md_frame_take(struct md_run *run, const struct md_program *program,
                                        struct md_frame **out_frame, struct md_error *error);
/* Clears the values. */
void md_frame_give_back(struct md_run *run, const struct md_program *program, struct md_frame *frame);

#endif
