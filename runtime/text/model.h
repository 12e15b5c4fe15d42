/* model.h - what turns a word into tokens: tokenizer.json "model".
 *
 * Each kind is a file that ends in its row; model.c lists the rows. Threads: immutable after read. */
#ifndef MD_TOKEN_MODEL_H
#define MD_TOKEN_MODEL_H

#include "span.h"
#include "status.h"
#include "trie.h"
#include "vocabulary.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_allocator;
struct md_json_cut;
struct md_json_value;
struct md_piece;
struct md_token_model;
struct md_working_memory;

struct md_token_model_kind {
    const char *type;
    /* Fills a zeroed model; on failure md_token_model_cleanup follows. The vocabulary is in `cut`. */
    enum md_code (*read)(const struct md_allocator *allocator, const struct md_json_value *json,
                         const struct md_json_cut *cut, struct md_token_model *model, struct md_error *error);
    /* Appends the tokens of one piece of working->text. */
    enum md_code (*tokenize)(const struct md_token_model *model, struct md_working_memory *working,
                             struct md_piece piece, struct md_error *error);
};
extern const struct md_token_model_kind md_token_model_bpe;
extern const struct md_token_model_kind md_token_model_unigram;
extern const struct md_token_model_kind md_token_model_wordlevel;
extern const struct md_token_model_kind md_token_model_wordpiece;

/* One pair of tokens that becomes one. */
struct md_bpe_merge {
    int32_t left; /* MD_NO_ID: a free slot */
    int32_t right;
    int32_t merged;
    uint32_t rank;
};

struct md_token_model {
    const struct md_token_model_kind *kind;
    const struct md_allocator *allocator;
    struct md_vocabulary vocabulary;
    char *unknown_token; /* owned; NULL: none */
    int32_t unknown_id;  /* MD_NO_ID: not in the vocabulary */
    char *prefix;        /* owned; of a word's continuing parts; "" for none */
    size_t prefix_size;
    size_t max_characters;       /* WordPiece: of a word; longer ones are unknown */
    char *suffix;                /* BPE: owned; of a word's last part; "" for none */
    size_t suffix_size;
    struct md_bpe_merge *merges; /* BPE: a hash table */
    size_t merge_mask;
    struct md_trie trie;         /* WordPiece, Unigram */
    uint32_t prefix_node;        /* WordPiece: of the prefix; MD_TRIE_NONE: no token has it */
    double *scores;              /* Unigram: by id; owned */
    double unknown_score;        /* Unigram */
    bool fuse_unknown;
    bool ignore_merges;
    bool byte_fallback;
    int32_t byte_ids[256];       /* BPE, Unigram: of "<0x00>" to "<0xFF>"; MD_NO_ID: not in the vocabulary */
};

/* Release with md_token_model_cleanup in any case. UNIMPLEMENTED: a kind that is not known, with the path. */
MD_NODISCARD enum md_code md_token_model_read(const struct md_allocator *allocator,
                                              const struct md_json_value *json, const struct md_json_cut *cut,
                                              struct md_token_model *out_model, struct md_error *error);
void md_token_model_cleanup(struct md_token_model *model);

/* For the kinds. Owned copy of an optional member; absent: that of `absent`, which may be NULL. */
MD_NODISCARD enum md_code md_token_model_read_string(const struct md_allocator *allocator,
                                                     const struct md_json_value *json, const char *key,
                                                     const char *absent, char **out_text, size_t *out_size,
                                                     struct md_error *error);
/* Reads "vocab" and "unk_token". */
MD_NODISCARD enum md_code md_token_model_read_vocabulary(const struct md_allocator *allocator,
                                                         const struct md_json_value *json,
                                                         const struct md_json_cut *cut,
                                                         const char *default_unknown,
                                                         struct md_token_model *model,
                                                         struct md_error *error);
/* Fills byte_ids. */
void md_token_model_find_bytes(struct md_token_model *model);
/* Appends the unknown token over the whole piece. INVALID_ARGUMENT: the vocabulary has none. */
MD_NODISCARD enum md_code md_token_model_add_unknown(const struct md_token_model *model,
                                                     struct md_working_memory *working, struct md_piece piece,
                                                     struct md_error *error);

#endif
