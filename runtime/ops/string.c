/* string.c - StringNormalizer (10), StringConcat, StringSplit (20). RegexFullMatch is in regex.c.
 * New strings live until the end of the run (md_run_allocate). */
#include "arena.h"
#include "letter_case.h"
#include "operator_table.h"
#include "parameters.h"

/* ---- StringNormalizer ---- */
struct normalizer_parameters {
    enum md_letter_case letter_case;
    bool case_sensitive;
    size_t stopword_count;
    struct md_span *stopwords; /* in lower case unless case_sensitive */
};

static enum md_code read_stopwords(const struct md_configuration *configuration,
                                   struct normalizer_parameters *parameters)
{
    const struct md_span *words;
    MD_TRY(md_attribute_strings(configuration->attributes, "stopwords", &words, &parameters->stopword_count,
                                configuration->error));
    parameters->stopwords =
        md_arena_allocate_zeroed(configuration->arena, parameters->stopword_count, sizeof *words);
    if (parameters->stopwords == NULL)
        return md_fail_memory(configuration->error, "stopwords");
    for (size_t i = 0; i < parameters->stopword_count; i++) {
        char *bytes = md_arena_allocate(configuration->arena, md_letter_case_room(words[i].size));
        if (bytes == NULL)
            return md_fail_memory(configuration->error, "stopwords");
        enum md_letter_case folded = parameters->case_sensitive ? MD_CASE_KEEP : MD_CASE_LOWER;
        parameters->stopwords[i] = (struct md_span){ bytes, md_letter_case_map(words[i], folded, bytes) };
    }
    return MD_OK;
}

static enum md_code normalizer_configure(const struct md_configuration *configuration,
                                         const void **out_parameters)
{
    static const char *const actions[] = { "NONE", "LOWER", "UPPER" };
    struct normalizer_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    struct md_span action;
    int64_t sensitive;
    MD_TRY(md_attribute_string(configuration->attributes, "case_change_action", "NONE", &action,
                               configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "is_case_sensitive", 0, &sensitive,
                            configuration->error));
    parameters->case_sensitive = sensitive != 0;
    for (int i = 0; i < 3; i++)
        if (md_span_equal(action, md_span_of(actions[i]))) {
            parameters->letter_case = (enum md_letter_case)i;
            return read_stopwords(configuration, parameters);
        }
    return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                   "case_change_action \"%.*s\": known are NONE, LOWER, UPPER", (int)action.size,
                   action.bytes);
}

static enum md_code normalizer_prepare(struct md_invocation *invocation)
{
    MD_TRY(md_expect_tensor_rank(invocation, 0, 1, 2));
    const struct md_tensor *input = md_input(invocation, 0);
    if (input->shape.rank == 2 && input->shape.dims[0] != 1)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "StringNormalizer of [%lld,%lld]: it takes [C] and [1,C]",
                       (long long)input->shape.dims[0], (long long)input->shape.dims[1]);
    return md_scratch(invocation, input->count * sizeof(struct md_span));
}

static enum md_code map_case(struct md_invocation *invocation, struct md_span text,
                             enum md_letter_case letter_case, struct md_span *out_text)
{
    char *bytes = md_run_allocate(invocation, md_letter_case_room(text.size));
    if (bytes == NULL)
        return md_fail_memory(invocation->error, "strings");
    *out_text = (struct md_span){ bytes, md_letter_case_map(text, letter_case, bytes) };
    return MD_OK;
}

static enum md_code is_stopword(struct md_invocation *invocation, struct md_span text, bool *out_stop)
{
    const struct normalizer_parameters *parameters = invocation->parameters;
    *out_stop = false;
    if (parameters->stopword_count == 0)
        return MD_OK;
    if (!parameters->case_sensitive)
        MD_TRY(map_case(invocation, text, MD_CASE_LOWER, &text));
    for (size_t i = 0; i < parameters->stopword_count && !*out_stop; i++)
        *out_stop = md_span_equal(text, parameters->stopwords[i]);
    return MD_OK;
}

static enum md_code normalizer_run(struct md_invocation *invocation)
{
    const struct normalizer_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_span *kept = invocation->scratch, empty = { "", 0 };
    size_t count = 0;
    if (!md_wants_output(invocation, 0))
        return MD_OK;
    for (size_t i = 0; i < input->count; i++) {
        struct md_span text = md_elements(const struct md_span, input)[i];
        bool stop;
        MD_TRY(is_stopword(invocation, text, &stop));
        if (stop)
            continue;
        if (parameters->letter_case != MD_CASE_KEEP)
            MD_TRY(map_case(invocation, text, parameters->letter_case, &text));
        kept[count++] = text;
    }
    struct md_shape shape = input->shape; /* nothing left: one empty string */
    shape.dims[shape.rank - 1] = count > 0 ? (int64_t)count : 1;
    MD_TRY(md_output_now(invocation, 0, MD_BYTES, &shape));
    memcpy(md_output_tensor(invocation, 0)->bytes, count > 0 ? kept : &empty,
           (count > 0 ? count : 1) * sizeof *kept);
    return MD_OK;
}

/* ---- StringConcat ---- */
static enum md_code join(struct md_invocation *invocation, struct md_span a, struct md_span b,
                         struct md_span *out_text)
{
    size_t size;
    char *bytes = __builtin_add_overflow(a.size, b.size, &size) ? NULL : md_run_allocate(invocation, size);
    if (bytes == NULL)
        return md_fail_memory(invocation->error, "strings");
    if (a.size > 0)
        memcpy(bytes, a.bytes, a.size);
    if (b.size > 0)
        memcpy(bytes + a.size, b.bytes, b.size);
    *out_text = (struct md_span){ bytes, size };
    return MD_OK;
}

static enum md_code concat_run(struct md_invocation *invocation)
{
    const struct md_tensor *a = md_input(invocation, 0), *b = md_input(invocation, 1);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    int64_t a_strides[MD_MAX_RANK], b_strides[MD_MAX_RANK], position[MD_MAX_RANK] = { 0 }, a_at = 0, b_at = 0;
    md_broadcast_strides(&a->shape, &output->shape, a_strides);
    md_broadcast_strides(&b->shape, &output->shape, b_strides);
    for (size_t k = 0; k < output->count; k++) {
        MD_TRY(join(invocation, md_elements(const struct md_span, a)[a_at],
                    md_elements(const struct md_span, b)[b_at], &md_elements(struct md_span, output)[k]));
        for (int32_t i = output->shape.rank - 1; i >= 0; i--) {
            a_at += a_strides[i];
            b_at += b_strides[i];
            if (++position[i] < output->shape.dims[i])
                break;
            a_at -= a_strides[i] * position[i];
            b_at -= b_strides[i] * position[i];
            position[i] = 0;
        }
    }
    return MD_OK;
}

/* ---- StringSplit ---- */
struct split_parameters {
    struct md_span delimiter; /* empty: white space */
    int64_t maxsplit;         /* negative: no limit */
};

static enum md_code split_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct split_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    MD_TRY(md_attribute_string(configuration->attributes, "delimiter", "", &parameters->delimiter,
                               configuration->error));
    return md_attribute_int(configuration->attributes, "maxsplit", -1, &parameters->maxsplit,
                            configuration->error);
}

static size_t skip_space(struct md_span text, size_t at)
{
    size_t size;
    while ((size = md_white_space((struct md_span){ text.bytes + at, text.size - at })) > 0)
        at += size;
    return at;
}

/* Splits on white space, as Python's str.split() does; writes to `out` (unless NULL) and returns how many
 * parts. */
static size_t split_space(struct md_span text, int64_t maxsplit, struct md_span *out)
{
    size_t count = 0, at = text.size > 0 ? skip_space(text, 0) : 0;
    while (at < text.size) {
        size_t end = at;
        bool rest = maxsplit >= 0 && count == (size_t)maxsplit;
        while (end < text.size &&
               (rest || md_white_space((struct md_span){ text.bytes + end, text.size - end }) == 0))
            end += md_character_size((struct md_span){ text.bytes + end, text.size - end });
        if (out != NULL)
            out[count] = (struct md_span){ text.bytes + at, end - at };
        count++;
        at = skip_space(text, end);
    }
    return count;
}

static size_t split_text(const struct split_parameters *parameters, struct md_span text, struct md_span *out)
{
    struct md_span delimiter = parameters->delimiter;
    if (delimiter.size == 0)
        return split_space(text, parameters->maxsplit, out);
    size_t count = 0;
    for (;;) {
        bool rest = parameters->maxsplit >= 0 && count == (size_t)parameters->maxsplit;
        const char *found =
            rest || text.size == 0 ? NULL : memmem(text.bytes, text.size, delimiter.bytes, delimiter.size);
        size_t size = found != NULL ? (size_t)(found - text.bytes) : text.size;
        if (out != NULL)
            out[count] = (struct md_span){ text.bytes, size };
        count++;
        if (found == NULL)
            return count;
        text.bytes = found + delimiter.size;
        text.size -= size + delimiter.size;
    }
}

static enum md_code split_prepare(struct md_invocation *invocation)
{
    const struct split_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor_rank(invocation, 0, 0, MD_MAX_RANK - 1));
    const struct md_tensor *input = md_input(invocation, 0);
    size_t longest = 0;
    for (size_t i = 0; i < input->count; i++) {
        size_t count = split_text(parameters, md_elements(const struct md_span, input)[i], NULL);
        longest = count > longest ? count : longest;
    }
    struct md_shape shape = input->shape;
    shape.dims[shape.rank++] = (int64_t)longest;
    MD_TRY(md_output(invocation, 0, MD_BYTES, &shape));
    return md_output(invocation, 1, MD_INT64, &input->shape);
}

static enum md_code split_run(struct md_invocation *invocation)
{
    const struct split_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *parts = md_output_tensor(invocation, 0), *counts = md_output_tensor(invocation, 1);
    size_t longest = parts != NULL ? (size_t)parts->shape.dims[parts->shape.rank - 1] : 0;
    for (size_t i = 0; i < input->count; i++) {
        struct md_span *row = parts != NULL ? md_elements(struct md_span, parts) + i * longest : NULL;
        size_t count = split_text(parameters, md_elements(const struct md_span, input)[i], row);
        for (size_t k = count; row != NULL && k < longest; k++)
            row[k] = (struct md_span){ "", 0 };
        if (counts != NULL)
            md_elements(int64_t, counts)[i] = (int64_t)count;
    }
    return MD_OK;
}

/* clang-format off */
const struct md_operator md_operators_string[] = {
    { MD_ONNX, "StringNormalizer", 10, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPE(MD_BYTES), 0, 0,
      normalizer_configure, normalizer_prepare, normalizer_run },
    { MD_ONNX, "StringConcat", 20, MD_OPSET_NEWEST, 2, 2, 1, 1, MD_TYPE(MD_BYTES), 0, 0,
      NULL, md_prepare_broadcast, concat_run },
    { MD_ONNX, "StringSplit", 20, MD_OPSET_NEWEST, 1, 1, 1, 2, MD_TYPE(MD_BYTES), 0, 0,
      split_configure, split_prepare, split_run },
    { 0 },
};
