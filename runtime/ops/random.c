/* random.c - RandomNormal, RandomUniform, their Like forms, Multinomial, Bernoulli.
 *
 * The `seed` attribute makes a node's numbers the same in every run; without it the run gives a seed. The
 * generator is xoshiro256** (Blackman, Vigna), seeded through splitmix64. */
#include "operator_table.h"
#include "parameters.h"

#include <math.h>

struct random_parameters {
    bool seeded;
    float seed;
    float first, second; /* mean and scale, or low and high */
    int64_t datatype;    /* 0: the default of the operator */
    int64_t sample_size;
    struct md_int_list shape;
};

struct generator {
    uint64_t state[4];
};

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static struct generator generator_of(struct md_invocation *invocation)
{
    const struct random_parameters *parameters = invocation->parameters;
    uint64_t seed = 0;
    uint32_t bits;
    memcpy(&bits, &parameters->seed, sizeof bits);
    seed = parameters->seeded ? bits : invocation->services->random_seed(invocation);
    struct generator generator;
    for (int i = 0; i < 4; i++)
        generator.state[i] = splitmix(&seed);
    return generator;
}

static uint64_t rotate(uint64_t x, int count)
{
    return x << count | x >> (64 - count);
}

/* In [0,1), 53 bits. */
static double next_uniform(struct generator *generator)
{
    uint64_t *s = generator->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9, shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 45);
    return (double)(result >> 11) * 0x1p-53;
}

/* Box and Muller; the second number of each pair is not used, which keeps the generator without memory. */
static double next_normal(struct generator *generator)
{
    double radius = sqrt(-2 * log(1 - next_uniform(generator)));
    return radius * cos(2 * acos(-1.0) * next_uniform(generator));
}

/* ---- configure ---- */
static enum md_code random_configure(const struct md_configuration *configuration, const char *first,
                                     float first_absent, const char *second, float second_absent,
                                     const void **out_parameters)
{
    struct random_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    const struct md_attributes *attributes = configuration->attributes;
    struct md_error *error = configuration->error;
    parameters->seeded = md_attribute_find(attributes, "seed") != NULL;
    MD_TRY(md_attribute_float(attributes, "seed", 0, &parameters->seed, error));
    MD_TRY(md_attribute_float(attributes, first, first_absent, &parameters->first, error));
    MD_TRY(md_attribute_float(attributes, second, second_absent, &parameters->second, error));
    MD_TRY(md_attribute_int(attributes, "dtype", 0, &parameters->datatype, error));
    MD_TRY(md_attribute_int(attributes, "sample_size", 1, &parameters->sample_size, error));
    MD_TRY(md_int_list_read(configuration, "shape", &parameters->shape));
    if (parameters->datatype < 0 || parameters->datatype >= MD_DATATYPE_COUNT ||
        (parameters->datatype != 0 &&
         !md_datatype_in((enum md_datatype)parameters->datatype, MD_TYPES_NUMBER | MD_TYPE(MD_BOOL))))
        return md_fail(error, MD_INVALID_ARGUMENT, "dtype %lld is not a number type",
                       (long long)parameters->datatype);
    return MD_OK;
}

static enum md_code normal_configure(const struct md_configuration *configuration,
                                     const void **out_parameters)
{
    return random_configure(configuration, "mean", 0, "scale", 1, out_parameters);
}

static enum md_code uniform_configure(const struct md_configuration *configuration,
                                      const void **out_parameters)
{
    return random_configure(configuration, "low", 0, "high", 1, out_parameters);
}

/* ---- RandomNormal, RandomUniform ---- */
static enum md_code random_prepare(struct md_invocation *invocation)
{
    const struct random_parameters *parameters = invocation->parameters;
    enum md_datatype datatype = parameters->datatype != 0 ? (enum md_datatype)parameters->datatype : MD_FP32;
    if (!parameters->shape.present || parameters->shape.count > MD_MAX_RANK)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "shape has %zu entries: range is [0,%d]",
                       parameters->shape.count, MD_MAX_RANK);
    struct md_shape shape = md_shape_of((int32_t)parameters->shape.count, parameters->shape.values);
    return md_output(invocation, 0, datatype, &shape);
}

static enum md_code like_prepare(struct md_invocation *invocation)
{
    const struct random_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor(invocation, 0));
    const struct md_tensor *input = md_input(invocation, 0);
    enum md_datatype datatype =
        parameters->datatype != 0 ? (enum md_datatype)parameters->datatype : input->datatype;
    if (!md_datatype_in(datatype, MD_TYPES_NUMBER | MD_TYPE(MD_BOOL)))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "random numbers of type %s",
                       md_datatype_name(datatype));
    return md_output(invocation, 0, datatype, &input->shape);
}

/* Integer outputs are no part of the definition, but legal for Like forms by their input: the value is cut
 * off, and kept where every integer type has it. */
static void store(struct md_tensor *output, size_t index, double value)
{
    if (!md_datatype_in(output->datatype, MD_TYPES_FLOAT)) {
        double low = md_datatype_in(output->datatype, MD_TYPES_SIGNED) ? -128 : 0;
        double high = output->datatype == MD_BOOL ? 1 : 127;
        value = !(value > low) ? low : value > high ? high : trunc(value);
    }
    md_tensor_set_double(output, index, value);
}

static enum md_code normal_run(struct md_invocation *invocation)
{
    const struct random_parameters *parameters = invocation->parameters;
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct generator generator = generator_of(invocation);
    for (size_t i = 0; output != NULL && i < output->count; i++)
        store(output, i, (double)parameters->first + (double)parameters->second * next_normal(&generator));
    return MD_OK;
}

static enum md_code uniform_run(struct md_invocation *invocation)
{
    const struct random_parameters *parameters = invocation->parameters;
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct generator generator = generator_of(invocation);
    double low = (double)parameters->first, range = (double)parameters->second - low;
    for (size_t i = 0; output != NULL && i < output->count; i++)
        store(output, i, low + range * next_uniform(&generator));
    return MD_OK;
}

/* ---- Bernoulli ---- */
static enum md_code bernoulli_run(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct generator generator = generator_of(invocation);
    for (size_t i = 0; output != NULL && i < output->count; i++)
        md_tensor_set_double(output, i, next_uniform(&generator) < md_tensor_double(input, i) ? 1 : 0);
    return MD_OK;
}

/* ---- Multinomial ---- */
static enum md_code multinomial_prepare(struct md_invocation *invocation)
{
    const struct random_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor_rank(invocation, 0, 2, 2));
    const struct md_tensor *input = md_input(invocation, 0);
    enum md_datatype datatype = parameters->datatype != 0 ? (enum md_datatype)parameters->datatype : MD_INT32;
    if (!md_datatype_in(datatype, MD_TYPES_INDEX) || parameters->sample_size < 0 || input->shape.dims[1] < 1)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "%lld samples of %lld classes as %s",
                       (long long)parameters->sample_size, (long long)input->shape.dims[1],
                       md_datatype_name(datatype));
    if ((uint64_t)input->shape.dims[1] > PTRDIFF_MAX / sizeof(double))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "%lld classes are too many",
                       (long long)input->shape.dims[1]);
    struct md_shape shape = { .rank = 2, .dims = { input->shape.dims[0], parameters->sample_size } };
    MD_TRY(md_scratch(invocation, (size_t)input->shape.dims[1] * sizeof(double)));
    return md_output(invocation, 0, datatype, &shape);
}

/* The inputs are unnormalised log probabilities; sums[i] becomes the weight of classes 0 to i. */
static double cumulate(const struct md_tensor *input, size_t first, size_t classes, double *sums)
{
    double largest = -INFINITY, sum = 0;
    for (size_t i = 0; i < classes; i++)
        largest = fmax(largest, md_tensor_double(input, first + i));
    for (size_t i = 0; i < classes; i++) {
        double weight = exp(md_tensor_double(input, first + i) - largest);
        sum += weight > 0 ? weight : 0; /* NaN weighs nothing */
        sums[i] = sum;
    }
    return sum;
}

static enum md_code multinomial_run(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    struct generator generator = generator_of(invocation);
    size_t classes = (size_t)input->shape.dims[1], samples = (size_t)output->shape.dims[1];
    double *sums = invocation->scratch, sum = 0;
    for (size_t i = 0; i < output->count; i++) {
        if (i % samples == 0)
            sum = cumulate(input, i / samples * classes, classes, sums);
        double drawn = next_uniform(&generator) * sum;
        size_t low = 0, high = classes - 1; /* first class whose sum exceeds the number drawn */
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (sums[middle] > drawn)
                high = middle;
            else
                low = middle + 1;
        }
        md_tensor_set_double(output, i, (double)low);
    }
    return MD_OK;
}

/* clang-format off */
enum { ANY = MD_TYPES_ALL, RANDOM = MD_NONDETERMINISTIC };

const struct md_operator md_operators_random[] = {
    { MD_ONNX, "RandomNormal", 1, MD_OPSET_NEWEST, 0, 0, 1, 1, 0, 0, RANDOM,
      normal_configure, random_prepare, normal_run },
    { MD_ONNX, "RandomUniform", 1, MD_OPSET_NEWEST, 0, 0, 1, 1, 0, 0, RANDOM,
      uniform_configure, random_prepare, uniform_run },
    { MD_ONNX, "RandomNormalLike", 1, MD_OPSET_NEWEST, 1, 1, 1, 1, ANY, 0, RANDOM,
      normal_configure, like_prepare, normal_run },
    { MD_ONNX, "RandomUniformLike", 1, MD_OPSET_NEWEST, 1, 1, 1, 1, ANY, 0, RANDOM,
      uniform_configure, like_prepare, uniform_run },
    { MD_ONNX, "Multinomial", 7, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPES_FLOAT, 0, RANDOM,
      uniform_configure, multinomial_prepare, multinomial_run },
    { MD_ONNX, "Bernoulli", 15, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPES_FLOAT, 0, RANDOM,
      uniform_configure, like_prepare, bernoulli_run },
    { 0 },
};
