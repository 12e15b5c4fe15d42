/* tfidf.c - TfIdfVectorizer (9): counts n-grams of a pool in rows of strings or integers.
 * The pool is sorted at load, per length of n-gram; a row is looked up by binary search. */
#include "index_sort.h"
#include "operator_table.h"
#include "parameters.h"

enum tfidf_mode { MODE_TF, MODE_IDF, MODE_TFIDF };

struct tfidf_parameters {
    enum tfidf_mode mode;
    int64_t shortest, longest, skips;
    const struct md_span *words; /* one of the two pools is NULL */
    const int64_t *numbers;
    size_t pool_size;
    struct md_int_list starts; /* by length - 1: where those n-grams start in the pool */
    struct md_int_list coordinates;
    const float *weights; /* by n-gram, or NULL */
    size_t width;         /* of the output */
    int64_t *order;       /* n-gram numbers, sorted by content within each length */
    size_t *first;        /* by length - 1: number of the first n-gram; starts.count + 1 entries */
};

/* ---- n-grams ---- */
static size_t pool_at(const struct tfidf_parameters *parameters, size_t length, size_t ngram)
{
    return (size_t)parameters->starts.values[length - 1] + (ngram - parameters->first[length - 1]) * length;
}

static int compare_words(struct md_span a, struct md_span b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common > 0 ? memcmp(a.bytes, b.bytes, common) : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

struct ngram_order {
    const struct tfidf_parameters *parameters;
    size_t length;
};

static bool ngram_before(const void *owner, int64_t a, int64_t b)
{
    const struct ngram_order *order = owner;
    const struct tfidf_parameters *parameters = order->parameters;
    size_t x = pool_at(parameters, order->length, (size_t)a),
           y = pool_at(parameters, order->length, (size_t)b);
    for (size_t i = 0; i < order->length; i++) {
        int64_t p = parameters->numbers != NULL ? parameters->numbers[x + i] : 0;
        int64_t q = parameters->numbers != NULL ? parameters->numbers[y + i] : 0;
        int result = parameters->words != NULL
                         ? compare_words(parameters->words[x + i], parameters->words[y + i])
                         : (p > q) - (p < q);
        if (result != 0)
            return result < 0;
    }
    return false;
}

/* ---- configure ---- */
static enum md_code read_pool(const struct md_configuration *configuration,
                              struct tfidf_parameters *parameters)
{
    size_t words, numbers;
    MD_TRY(md_attribute_strings(configuration->attributes, "pool_strings", &parameters->words, &words,
                                configuration->error));
    MD_TRY(md_attribute_ints(configuration->attributes, "pool_int64s", &parameters->numbers, &numbers,
                             configuration->error));
    if ((words == 0) == (numbers == 0))
        return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                       "pool_strings has %zu entries, pool_int64s %zu: one of "
                       "them must have some",
                       words, numbers);
    if (words == 0)
        parameters->words = NULL;
    else
        parameters->numbers = NULL;
    parameters->pool_size = words + numbers;
    return MD_OK;
}

static enum md_code read_options(const struct md_configuration *configuration,
                                 struct tfidf_parameters *parameters)
{
    static const char *const modes[] = { "TF", "IDF", "TFIDF" };
    const struct md_attributes *attributes = configuration->attributes;
    struct md_span mode;
    MD_TRY(md_attribute_string(attributes, "mode", "", &mode, configuration->error));
    MD_TRY(md_attribute_int(attributes, "min_gram_length", 1, &parameters->shortest, configuration->error));
    MD_TRY(md_attribute_int(attributes, "max_gram_length", 1, &parameters->longest, configuration->error));
    MD_TRY(md_attribute_int(attributes, "max_skip_count", 0, &parameters->skips, configuration->error));
    MD_TRY(md_int_list_read(configuration, "ngram_counts", &parameters->starts));
    MD_TRY(md_int_list_read(configuration, "ngram_indexes", &parameters->coordinates));
    if (parameters->shortest < 1 || parameters->longest < parameters->shortest || parameters->skips < 0 ||
        parameters->skips > INT32_MAX || (uint64_t)parameters->longest > parameters->starts.count)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                       "n-grams of %lld to %lld with %lld skips, %zu entries of ngram_counts",
                       (long long)parameters->shortest, (long long)parameters->longest,
                       (long long)parameters->skips, parameters->starts.count);
    for (int i = 0; i < 3; i++)
        if (md_span_equal(mode, md_span_of(modes[i]))) {
            parameters->mode = (enum tfidf_mode)i;
            return MD_OK;
        }
    return md_fail(configuration->error, MD_INVALID_ARGUMENT, "mode \"%.*s\": known are TF, IDF, TFIDF",
                   (int)mode.size, mode.bytes);
}

/* Fills `first` from ngram_counts and checks that the pool divides into n-grams. */
static enum md_code count_ngrams(const struct md_configuration *configuration,
                                 struct tfidf_parameters *parameters)
{
    size_t lengths = parameters->starts.count;
    parameters->first =
        md_arena_allocate_zeroed(configuration->arena, lengths + 1, sizeof *parameters->first);
    if (parameters->first == NULL)
        return md_fail_memory(configuration->error, "n-grams");
    for (size_t i = 0; i < lengths; i++) {
        int64_t start = parameters->starts.values[i];
        int64_t end = i + 1 < lengths ? parameters->starts.values[i + 1] : (int64_t)parameters->pool_size;
        if (start < 0 || end < start || (uint64_t)end > parameters->pool_size ||
            (uint64_t)(end - start) % (i + 1) != 0)
            return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                           "the pool of %zu entries has no whole %zu-grams from %lld to %lld",
                           parameters->pool_size, i + 1, (long long)start, (long long)end);
        parameters->first[i + 1] = parameters->first[i] + (size_t)(end - start) / (i + 1);
    }
    if (parameters->first[lengths] != parameters->coordinates.count)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                       "ngram_indexes has %zu entries for %zu n-grams", parameters->coordinates.count,
                       parameters->first[lengths]);
    return MD_OK;
}

static enum md_code read_coordinates(const struct md_configuration *configuration,
                                     struct tfidf_parameters *parameters)
{
    size_t count;
    MD_TRY(md_attribute_floats(configuration->attributes, "weights", &parameters->weights, &count,
                               configuration->error));
    if (count != 0 && count != parameters->coordinates.count)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "weights has %zu entries for %zu n-grams",
                       count, parameters->coordinates.count);
    for (size_t i = 0; i < parameters->coordinates.count; i++) {
        int64_t coordinate = parameters->coordinates.values[i];
        if (coordinate < 0 || coordinate >= INT32_MAX)
            return md_fail(configuration->error, MD_INVALID_ARGUMENT, "entry %zu of ngram_indexes is %lld", i,
                           (long long)coordinate);
        parameters->width =
            (size_t)coordinate >= parameters->width ? (size_t)coordinate + 1 : parameters->width;
    }
    return MD_OK;
}

static enum md_code tfidf_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct tfidf_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    MD_TRY(read_pool(configuration, parameters));
    MD_TRY(read_options(configuration, parameters));
    MD_TRY(count_ngrams(configuration, parameters));
    MD_TRY(read_coordinates(configuration, parameters));
    size_t count = parameters->coordinates.count;
    parameters->order = md_arena_allocate_zeroed(configuration->arena, count, sizeof(int64_t));
    int64_t *spare = md_arena_allocate_zeroed(configuration->arena, count, sizeof(int64_t));
    if (parameters->order == NULL || spare == NULL)
        return md_fail_memory(configuration->error, "n-grams");
    for (size_t i = 0; i < count; i++)
        parameters->order[i] = (int64_t)i;
    for (size_t length = 1; length <= parameters->starts.count; length++) {
        struct ngram_order order = { parameters, length };
        size_t first = parameters->first[length - 1];
        md_index_sort(parameters->order + first, spare, parameters->first[length] - first, ngram_before,
                      &order);
    }
    return MD_OK;
}

/* ---- run ---- */
static enum md_code tfidf_prepare(struct md_invocation *invocation)
{
    const struct tfidf_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor_rank(invocation, 0, 1, 2));
    const struct md_tensor *input = md_input(invocation, 0);
    if ((input->datatype == MD_BYTES) != (parameters->words != NULL))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input of %s for a pool of %s",
                       md_datatype_name(input->datatype), parameters->words != NULL ? "strings" : "integers");
    struct md_shape shape = input->shape;
    shape.dims[shape.rank - 1] = (int64_t)parameters->width;
    return md_output(invocation, 0, MD_FP32, &shape);
}

/* n-gram `ngram` of the pool against every `step`th item of the row from `at` on. */
static int compare_at(const struct tfidf_parameters *parameters, size_t length, size_t ngram,
                      const struct md_tensor *input, size_t at, size_t step)
{
    size_t pool = pool_at(parameters, length, ngram);
    for (size_t i = 0; i < length; i++, at += step) {
        int result;
        if (parameters->words != NULL) {
            result = compare_words(parameters->words[pool + i], md_elements(const struct md_span, input)[at]);
        } else {
            int64_t item = md_index_at(input, at), number = parameters->numbers[pool + i];
            result = (number > item) - (number < item);
        }
        if (result != 0)
            return result;
    }
    return 0;
}

/* Counts every n-gram of the pool that equals the items at hand (a pool may list one twice). */
static void count_at(const struct tfidf_parameters *parameters, size_t length, const struct md_tensor *input,
                     size_t at, size_t step, float *row)
{
    size_t low = parameters->first[length - 1], end = parameters->first[length], high = end;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_at(parameters, length, (size_t)parameters->order[middle], input, at, step) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < end && compare_at(parameters, length, (size_t)parameters->order[low], input, at, step) == 0;
         low++)
        row[parameters->coordinates.values[parameters->order[low]]] += 1;
}

static void count_row(const struct tfidf_parameters *parameters, const struct md_tensor *input, size_t first,
                      size_t items, float *row)
{
    for (int64_t length = parameters->shortest; length <= parameters->longest; length++) {
        int64_t steps = length == 1 ? 1 : parameters->skips + 1; /* a single item skips nothing */
        for (int64_t step = 1; step <= steps && (size_t)step < items + 1; step++) {
            size_t span = 0;
            if (__builtin_mul_overflow((size_t)(length - 1), (size_t)step, &span) || span >= items)
                break;
            for (size_t at = 0; at + span < items; at++)
                count_at(parameters, (size_t)length, input, first + at, (size_t)step, row);
        }
    }
}

/* weights[i] belongs to n-gram i of the pool and so to output ngram_indexes[i]. */
static void weigh(const struct tfidf_parameters *parameters, float *row)
{
    if (parameters->mode == MODE_TF)
        return;
    for (size_t i = 0; parameters->mode == MODE_IDF && i < parameters->width; i++)
        row[i] = row[i] > 1 ? 1 : row[i];
    for (size_t i = 0; parameters->weights != NULL && i < parameters->coordinates.count; i++)
        row[parameters->coordinates.values[i]] *= parameters->weights[i];
}

static enum md_code tfidf_run(struct md_invocation *invocation)
{
    const struct tfidf_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    memset(output->bytes, 0, md_tensor_size(output));
    size_t rows = output->count / parameters->width, items = input->count / rows;
    for (size_t i = 0; i < rows; i++) {
        float *row = md_elements(float, output) + i * parameters->width;
        count_row(parameters, input, i * items, items, row);
        weigh(parameters, row);
    }
    return MD_OK;
}

/* clang-format off */
const struct md_operator md_operators_tfidf[] = {
    { MD_ONNX, "TfIdfVectorizer", 9, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPE(MD_BYTES) | MD_TYPES_INDEX, 0, 0,
      tfidf_configure, tfidf_prepare, tfidf_run },
    { 0 },
};
