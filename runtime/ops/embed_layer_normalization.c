/* embed_layer_normalization.c - EmbedLayerNormalization of com.microsoft: the sum of word, position and segment
 * embeddings of BERT, normalised. Outputs: result [batch, sequence, hidden], mask_index [batch] (how many tokens the
 * mask keeps), the sum of embeddings. */
#include "elementwise.h"
#include "operator_table.h"

#include "parameters.h"
#include "row_normalization.h"

enum { IDS, SEGMENTS, WORDS, POSITIONS, SEGMENT_TABLE, GAMMA, BETA, MASK, POSITION_IDS, INPUTS };

struct embed_parameters {
    float epsilon;
};

static enum md_code embed_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct embed_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    return md_attribute_float(configuration->attributes, "epsilon", 1e-12f, &parameters->epsilon,
                              configuration->error);
}

static enum md_code expect_table(struct md_invocation *invocation, size_t input, int64_t hidden)
{
    const struct md_tensor *table = md_input(invocation, input);
    if (table == NULL)
        return MD_OK;
    MD_TRY(md_expect_same_datatype(invocation, WORDS, input));
    if (table->shape.rank >= 1 && table->shape.rank <= 2 && table->shape.dims[table->shape.rank - 1] == hidden)
        return MD_OK;
    char text[MD_SHAPE_TEXT_SIZE];
    return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %zu has shape %s: the hidden size is %lld", input,
                   md_shape_text(&table->shape, text, sizeof text), (long long)hidden);
}

static enum md_code embed_prepare(struct md_invocation *invocation)
{
    static const size_t required[] = { IDS, WORDS, POSITIONS, GAMMA, BETA };
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++)
        MD_TRY(md_expect_tensor(invocation, required[i]));
    MD_TRY(md_expect_rank(invocation, IDS, 2, 2));
    MD_TRY(md_expect_datatype(invocation, WORDS, MD_TYPES_FLOAT));
    MD_TRY(md_expect_rank(invocation, WORDS, 2, 2));
    MD_TRY(md_expect_rank(invocation, POSITIONS, 2, 2));
    MD_TRY(md_expect_rank(invocation, SEGMENT_TABLE, 2, 2));
    MD_TRY(md_expect_rank(invocation, GAMMA, 1, 1));
    MD_TRY(md_expect_rank(invocation, BETA, 1, 1));
    const struct md_tensor *ids = md_input(invocation, IDS), *words = md_input(invocation, WORDS);
    const struct md_tensor *segments = md_input(invocation, SEGMENTS), *mask = md_input(invocation, MASK);
    const struct md_tensor *positions = md_input(invocation, POSITION_IDS);
    const int64_t hidden = words->shape.dims[1];
    for (size_t i = POSITIONS; i <= BETA; i++)
        MD_TRY(expect_table(invocation, i, hidden));
    for (size_t i = 0; i < INPUTS; i++)
        if (i == IDS || i == SEGMENTS || i == MASK || i == POSITION_IDS)
            MD_TRY(md_expect_datatype(invocation, i, MD_TYPES_INDEX));
    if ((segments != NULL && (segments->count != ids->count || md_input(invocation, SEGMENT_TABLE) == NULL)) ||
        (mask != NULL && mask->count != ids->count))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "segment ids and mask must have the %zu elements of input 0, and segments a table", ids->count);
    if (positions != NULL && positions->count != ids->count && positions->count != (size_t)ids->shape.dims[1])
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %d has %zu position ids for %lld positions",
                       POSITION_IDS, positions->count, (long long)ids->shape.dims[1]);
    struct md_shape output = { 3, { ids->shape.dims[0], ids->shape.dims[1], hidden } };
    struct md_shape batch = { 1, { ids->shape.dims[0] } };
    MD_TRY(md_output(invocation, 1, MD_INT32, &batch));
    MD_TRY(md_output(invocation, 2, words->datatype, &output));
    return md_output(invocation, 0, words->datatype, &output);
}

/* The row of a table, or INVALID_ARGUMENT when the id is none of its rows. */
static enum md_code find_row(struct md_invocation *invocation, size_t table_input, int64_t id, const void **out_row)
{
    const struct md_tensor *table = md_input(invocation, table_input);
    const int64_t rows = table->shape.dims[0];
    if (id < 0 || id >= rows)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "id %lld: input %zu has rows [0,%lld]", (long long)id,
                       table_input, (long long)rows - 1);
    *out_row = (const char *)table->bytes +
               (size_t)id * (size_t)table->shape.dims[1] * md_datatype_size(table->datatype);
    return MD_OK;
}

#define ADD_EMBEDDINGS(type)                                                                                 \
    static void add_embeddings_##type(size_t count, const type *word, const type *position,                  \
                                      const type *segment, type *out)                                        \
    {                                                                                                        \
        for (size_t i = 0; i < count; i++)                                                                   \
            out[i] = word[i] + position[i] + (segment != NULL ? segment[i] : 0);                             \
    }

ADD_EMBEDDINGS(float)
ADD_EMBEDDINGS(double)

static enum md_code embed_token(struct md_invocation *invocation, size_t token, void *out_sum)
{
    const struct md_tensor *ids = md_input(invocation, IDS), *segments = md_input(invocation, SEGMENTS),
                           *positions = md_input(invocation, POSITION_IDS), *words = md_input(invocation, WORDS);
    const size_t length = (size_t)ids->shape.dims[1], place = token % length;
    const void *word = NULL, *position = NULL, *segment = NULL;
    int64_t position_id = (int64_t)place;
    if (positions != NULL)
        position_id = md_index_at(positions, positions->count == ids->count ? token : place);
    MD_TRY(find_row(invocation, WORDS, md_index_at(ids, token), &word));
    MD_TRY(find_row(invocation, POSITIONS, position_id, &position));
    if (segments != NULL)
        MD_TRY(find_row(invocation, SEGMENT_TABLE, md_index_at(segments, token), &segment));
    if (words->datatype == MD_FP32)
        add_embeddings_float((size_t)words->shape.dims[1], word, position, segment, out_sum);
    else
        add_embeddings_double((size_t)words->shape.dims[1], word, position, segment, out_sum);
    return MD_OK;
}

static void count_masked(const struct md_invocation *invocation, struct md_tensor *output)
{
    const struct md_tensor *mask = md_input(invocation, MASK);
    const size_t length = (size_t)md_input(invocation, IDS)->shape.dims[1];
    for (size_t b = 0; b < output->count; b++) {
        int32_t kept = 0;
        for (size_t i = 0; mask != NULL && i < length; i++)
            kept += md_index_at(mask, b * length + i) == 1;
        md_elements(int32_t, output)[b] = kept;
    }
}

static enum md_code embed_run(struct md_invocation *invocation)
{
    const struct embed_parameters *parameters = invocation->parameters;
    const struct md_tensor *words = md_input(invocation, WORDS);
    struct md_tensor *output = md_output_tensor(invocation, 0), *mask_index = md_output_tensor(invocation, 1),
                     *sums = md_output_tensor(invocation, 2);
    if (mask_index != NULL)
        count_masked(invocation, mask_index);
    if (output == NULL || output->count == 0)
        return MD_OK;
    const struct md_row_normalization normalization = {
        .datatype = words->datatype,
        .length = (size_t)words->shape.dims[1],
        .epsilon = (double)parameters->epsilon,
        .centered = true,
        .scale = md_input(invocation, GAMMA)->bytes,
        .bias = md_input(invocation, BETA)->bytes,
    };
    const size_t row_size = normalization.length * md_datatype_size(words->datatype);
    for (size_t token = 0; token < md_input(invocation, IDS)->count; token++) {
        char *out = (char *)output->bytes + token * row_size;
        char *sum = sums != NULL ? (char *)sums->bytes + token * row_size : out;
        MD_TRY(embed_token(invocation, token, sum));
        (void)md_row_normalize(&normalization, sum, out); /* nobody asks for the moments */
    }
    return MD_OK;
}

const struct md_operator md_operators_embed_layer_normalization[] = {
    /* half precision is never that of the ids: it makes the executor widen the tables */
    { MD_MICROSOFT, "EmbedLayerNormalization", 1, MD_OPSET_MICROSOFT, 1, 9, 1, 3, MD_TYPES_INDEX | MD_TYPES_HALF,
      MD_TYPES_INDEX, 0, embed_configure, embed_prepare, embed_run },
    { 0 },
};
