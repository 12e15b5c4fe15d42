/* task_internal.h - what a task is made of, and what a kind of task provides; shared by the files of this
 * folder.
 *
 *   texts --(tokenizer)--> rows of ids --(text_batch.c: batches, padding)--> session --(the kind)--> answers
 */
#ifndef MD_TASK_INTERNAL_H
#define MD_TASK_INTERNAL_H

#include "mutex.h"
#include "session.h"
#include "task.h"
#include "tokenizer.h"

struct json_t; /* jansson's */
struct md_json_value;

/* Column of the batch that an input of the session takes. */
enum md_text_feature {
    MD_FEATURE_IDS,
    MD_FEATURE_MASK,
    MD_FEATURE_TYPES,
    MD_FEATURE_POSITIONS,
    MD_FEATURE_COUNT
};

enum { MD_MAX_ENTRIES = 24, MD_KEPT_ENCODINGS = 64 };

struct md_text_input {
    enum md_text_feature feature;
    bool is_int32; /* else INT64 */
};

enum md_activation { MD_ACTIVATION_SOFTMAX, MD_ACTIVATION_SIGMOID, MD_ACTIVATION_NONE };

struct md_task {
    const struct md_allocator *allocator;
    const struct md_task_kind *kind;
    const struct md_session *session; /* borrowed */
    struct md_tokenizer *tokenizer;   /* owned */
    struct md_arena arena;            /* labels, entries and their texts */
    struct md_configuration_entry entries[MD_MAX_ENTRIES];
    size_t entry_count;
    struct md_text_input *inputs;     /* one per input of the session */
    size_t output;                    /* index of the output that the kind reads */
    size_t max_tokens;                /* of a text; 0: the tokenizer's own limit */
    int64_t fixed_rows;               /* the session takes exactly so many texts at once; -1: any number */
    int64_t fixed_tokens;             /* ... and so many tokens; -1: any number */
    int32_t pad_id;
    struct {                          /* of text-classification */
        const char **labels;
        size_t count;
        enum md_activation activation;
    } classes;
    struct {                          /* touch only with synced.lock held */
        struct md_mutex lock;
        struct md_encoding *free_encodings[MD_KEPT_ENCODINGS];
        size_t free_count;
    } synced;
};

/* The files that a kind reads; values are absent (json NULL) when there is no such file. */
struct md_task_files {
    const struct md_json_value *config; /* config.json */
    const struct md_json_value *model;  /* model.json, whose keys come first */
};

struct md_text_row;

struct md_task_kind {
    const char *name;                /* "text-classification" */
    const char *architecture_suffix; /* of config.json `architectures`: "ForSequenceClassification" */
    const char *output_name;         /* preferred output; else the session's first */
    /* Reads labels and the like and checks them against the session. */
    enum md_code (*prepare)(struct md_task *task, const struct md_task_files *files, struct md_error *error);
    /* Reads the answer of row `row` of the output, which is that of texts[...]: classes and the like, in `call`. */
    enum md_code (*read_answer)(const struct md_task *task, const struct md_tensor *output, size_t row,
                                const struct md_text_row *text, struct md_error *error);
    /* Is the output's shape that of a batch of `rows`? */
    enum md_code (*check_output)(const struct md_task *task, const struct md_tensor *output, struct md_error *error);
};
extern const struct md_task_kind md_task_text_classification;

/* ---- load_settings.c ---- */

enum { MD_TASK_PATH_SIZE = 4096 };

/* out = directory "/" name. */
MD_NODISCARD enum md_code md_task_join(char out_path[MD_TASK_PATH_SIZE], const char *directory, const char *name,
                                       struct md_error *error);
/* An object, owned by the caller (json_decref). *out_json NULL with OK: there is no such file. */
MD_NODISCARD enum md_code md_task_read_json(const struct md_allocator *allocator, const char *directory,
                                            const char *name, struct json_t **out_json, struct md_error *error);
/* The same of model.json, with every key known. */
MD_NODISCARD enum md_code md_task_read_model_json(const struct md_allocator *allocator, const char *directory,
                                                  struct json_t **out_json, struct md_error *error);

/* ---- task_config.c ---- */

/* Adds a line of the effective configuration; value is printf's. */
MD_NODISCARD MD_PRINTF(5, 6) enum md_code md_task_add_entry(struct md_task *task, const char *key,
                                                            const char *source, struct md_error *error,
                                                            const char *format, ...);
/* The member of model.json if it has it, else that of config.json; *out_source is the file's name. */
struct md_json_value md_task_setting(const struct md_task_files *files, const char *key,
                                     const char **out_source);
/* Limits, padding and the mapping of inputs. */
MD_NODISCARD enum md_code md_task_configure_inputs(struct md_task *task, const struct md_task_files *files,
                                                   struct md_error *error);
MD_NODISCARD enum md_code md_task_configure_limits(struct md_task *task, const struct md_task_files *files,
                                                   struct md_error *error);
MD_NODISCARD enum md_code md_task_configure_output(struct md_task *task, struct md_error *error);

/* ---- text_batch.c ---- */

/* One encoded text of a request. */
struct md_text_row {
    struct md_text_call *call;
    size_t index; /* of the text in the request */
    size_t count; /* tokens */
    int32_t *ids;
    int32_t *type_ids;
};

/* Tokenizes the texts into call->rows and fills in the token counts of the answers. `pairs` NULL: none. */
MD_NODISCARD enum md_code md_text_batch_encode(const struct md_task *task, const struct md_span *texts,
                                               const struct md_span *pairs, struct md_text_call *call,
                                               struct md_error *error);
/* Runs the session over the rows of all calls, in batches of rows of like length, and reads the answers. */
MD_NODISCARD enum md_code md_text_batch_run(const struct md_task *task, struct md_run *run,
                                            struct md_text_call *const *calls, size_t call_count,
                                            struct md_error *error);

#endif
