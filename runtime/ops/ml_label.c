/* ml_label.c - LabelEncoder and CategoryMapper of ai.onnx.ml: a map from elements to elements.
 *
 * The map is a hash table made at load: open addressing, at most half full, slots hold 1 + the index of a key. Keys
 * that repeat: the last one counts. Every NaN is the same key, and so are 0.0 and -0.0. */
#include "ml_classes.h"
#include "operator_table.h"
#include "parameters.h"

#include <math.h>

/* A list of elements of one type; bytes are borrowed from the model's arena. */
struct label_list {
    enum md_datatype datatype;
    size_t count;
    const void *bytes;
};

struct label_map {
    struct label_list keys, values;
    struct label_list absent; /* one element of the values' type */
    uint32_t *slots;
    size_t slot_count; /* a power of two */
};

/* ---- elements as what is hashed and compared ---- */
static struct md_span element_at(const struct label_list *list, size_t index, uint64_t *number)
{
    const void *bytes = list->bytes;
    double real = 0;
    switch (list->datatype) {
    case MD_BYTES:
        return ((const struct md_span *)bytes)[index];
    case MD_FP32:
        real = (double)((const float *)bytes)[index];
        break;
    case MD_FP64:
        real = ((const double *)bytes)[index];
        break;
    case MD_INT64:
        *number = (uint64_t)((const int64_t *)bytes)[index];
        break;
    case MD_INT32:
        *number = (uint64_t)((const int32_t *)bytes)[index];
        break;
    default:
        *number = (uint64_t)((const int16_t *)bytes)[index];
        break;
    }
    if (list->datatype == MD_FP32 || list->datatype == MD_FP64) {
        real = isnan(real) ? (double)NAN : real == 0 ? 0 : real;
        memcpy(number, &real, sizeof real);
    }
    return (struct md_span){ (const char *)number, sizeof *number };
}

static size_t hash_of(struct md_span element)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < element.size; i++)
        hash = (hash ^ (unsigned char)element.bytes[i]) * 1099511628211u;
    return (size_t)(hash ^ hash >> 32);
}

/* The slot of the element, or the empty slot where it belongs. */
static size_t find_slot(const struct label_map *map, struct md_span element)
{
    size_t slot = hash_of(element) & (map->slot_count - 1);
    while (map->slots[slot] != 0) {
        uint64_t number = 0;
        if (md_span_equal(element_at(&map->keys, map->slots[slot] - 1, &number), element))
            break;
        slot = (slot + 1) & (map->slot_count - 1);
    }
    return slot;
}

static enum md_code map_build(const struct md_configuration *configuration, struct label_map *map)
{
    if (map->keys.count != map->values.count || map->keys.count >= UINT32_MAX / 4)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "%zu keys for %zu values", map->keys.count,
                       map->values.count);
    map->slot_count = 2;
    while (map->slot_count < 2 * map->keys.count)
        map->slot_count *= 2;
    map->slots = md_arena_allocate_zeroed(configuration->arena, map->slot_count, sizeof *map->slots);
    if (map->slots == NULL)
        return md_fail_memory(configuration->error, "label map");
    for (size_t i = 0; i < map->keys.count; i++) {
        uint64_t number = 0;
        map->slots[find_slot(map, element_at(&map->keys, i, &number))] = (uint32_t)i + 1;
    }
    return MD_OK;
}

/* ---- attributes ---- */
/* Finds prefix_int64s, prefix_floats, prefix_strings or prefix_tensor. */
static enum md_code list_read(const struct md_configuration *configuration, const char *const names[4],
                              struct label_list *out_list)
{
    const struct md_attributes *attributes = configuration->attributes;
    const int64_t *integers = NULL;
    const float *floats = NULL;
    const struct md_span *strings = NULL;
    const struct md_tensor *tensor = NULL;
    size_t counts[3] = { 0 };
    MD_TRY(md_attribute_ints(attributes, names[0], &integers, &counts[0], configuration->error));
    MD_TRY(md_attribute_floats(attributes, names[1], &floats, &counts[1], configuration->error));
    MD_TRY(md_attribute_strings(attributes, names[2], &strings, &counts[2], configuration->error));
    MD_TRY(md_attribute_tensor(attributes, names[3], &tensor, configuration->error));
    if (tensor != NULL)
        *out_list = (struct label_list){ tensor->datatype, tensor->count, tensor->bytes };
    else if (counts[0] > 0)
        *out_list = (struct label_list){ MD_INT64, counts[0], integers };
    else if (counts[1] > 0)
        *out_list = (struct label_list){ MD_FP32, counts[1], floats };
    else if (counts[2] > 0)
        *out_list = (struct label_list){ MD_BYTES, counts[2], strings };
    else
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "one of the attributes %s, %s, %s and %s must be set",
                       names[0], names[1], names[2], names[3]);
    const unsigned types = MD_TYPES_ML | MD_TYPE(MD_BYTES) | MD_TYPE(MD_INT16);
    if (!md_datatype_in(out_list->datatype, types))
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute %s has type %s", names[3],
                       md_datatype_name(out_list->datatype));
    return MD_OK;
}

/* The default for elements that are no key, as one element of the values' type. */
static enum md_code absent_read(const struct md_configuration *configuration, struct label_map *map)
{
    const struct md_attributes *attributes = configuration->attributes;
    const struct md_tensor *tensor = NULL;
    union {
        double real;
        struct md_span string;
    } *element = md_parameters_new(configuration, sizeof *element);
    struct md_tensor target = { .datatype = map->values.datatype, .count = 1, .bytes = element };
    int64_t integer = -1;
    float real = -0.0f;
    if (element == NULL)
        return MD_RESOURCE_EXHAUSTED;
    map->absent = (struct label_list){ map->values.datatype, 1, element };
    MD_TRY(md_attribute_tensor(attributes, "default_tensor", &tensor, configuration->error));
    if (tensor != NULL) {
        if (tensor->datatype != map->values.datatype || tensor->count != 1)
            return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                           "attribute default_tensor must have one element of type %s",
                           md_datatype_name(map->values.datatype));
        map->absent.bytes = tensor->bytes;
        return MD_OK;
    }
    if (map->values.datatype == MD_BYTES)
        return md_attribute_string(attributes, "default_string", "_Unused", &element->string, configuration->error);
    MD_TRY(md_attribute_int(attributes, "default_int64", -1, &integer, configuration->error));
    MD_TRY(md_attribute_float(attributes, "default_float", -0.0f, &real, configuration->error));
    if (map->values.datatype == MD_INT64)
        memcpy(element, &integer, sizeof integer);
    else if (md_datatype_in(map->values.datatype, MD_TYPES_FLOAT))
        md_tensor_set_double(&target, 0, (double)real);
    else
        md_tensor_set_double(&target, 0, -1);
    return MD_OK;
}

static enum md_code encoder_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    static const char *const keys[] = { "keys_int64s", "keys_floats", "keys_strings", "keys_tensor" };
    static const char *const values[] = { "values_int64s", "values_floats", "values_strings", "values_tensor" };
    struct label_map *map = md_parameters_new(configuration, sizeof *map);
    if (map == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(list_read(configuration, keys, &map->keys));
    MD_TRY(list_read(configuration, values, &map->values));
    MD_TRY(absent_read(configuration, map));
    *out_parameters = map;
    return map_build(configuration, map);
}

/* ---- both ways between strings and integers: LabelEncoder 1 and CategoryMapper ---- */
struct two_maps {
    struct label_map to_integers, to_strings;
};

static enum md_code two_maps_build(const struct md_configuration *configuration, struct label_list strings,
                                   struct label_list integers, const void **out_parameters)
{
    struct two_maps *maps = md_parameters_new(configuration, sizeof *maps);
    if (maps == NULL)
        return MD_RESOURCE_EXHAUSTED;
    maps->to_integers.keys = maps->to_strings.values = strings;
    maps->to_integers.values = maps->to_strings.keys = integers;
    MD_TRY(absent_read(configuration, &maps->to_integers));
    MD_TRY(absent_read(configuration, &maps->to_strings));
    MD_TRY(map_build(configuration, &maps->to_integers));
    *out_parameters = maps;
    return map_build(configuration, &maps->to_strings);
}

/* Integers are positions in classes_strings. */
static enum md_code encoder_configure_1(const struct md_configuration *configuration, const void **out_parameters)
{
    struct label_list strings = { MD_BYTES, 0, NULL };
    const struct md_span *classes = NULL;
    MD_TRY(md_attribute_strings(configuration->attributes, "classes_strings", &classes, &strings.count,
                                configuration->error));
    strings.bytes = classes;
    int64_t *positions = md_arena_allocate_zeroed(configuration->arena, strings.count, sizeof *positions);
    if (positions == NULL)
        return md_fail_memory(configuration->error, "label map");
    for (size_t i = 0; i < strings.count; i++)
        positions[i] = (int64_t)i;
    return two_maps_build(configuration, strings, (struct label_list){ MD_INT64, strings.count, positions },
                          out_parameters);
}

static enum md_code mapper_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct label_list strings = { MD_BYTES, 0, NULL }, integers = { MD_INT64, 0, NULL };
    const struct md_span *names = NULL;
    const int64_t *numbers = NULL;
    MD_TRY(md_attribute_strings(configuration->attributes, "cats_strings", &names, &strings.count,
                                configuration->error));
    MD_TRY(md_attribute_ints(configuration->attributes, "cats_int64s", &numbers, &integers.count,
                             configuration->error));
    strings.bytes = names;
    integers.bytes = numbers;
    return two_maps_build(configuration, strings, integers, out_parameters);
}

/* ---- run ---- */
static enum md_code map_prepare(struct md_invocation *invocation, const struct label_map *map)
{
    MD_TRY(md_expect_tensor(invocation, 0));
    const struct md_tensor *input = md_input(invocation, 0);
    if (input->datatype != map->keys.datatype)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input 0 has type %s, the keys have %s",
                       md_datatype_name(input->datatype), md_datatype_name(map->keys.datatype));
    return md_output(invocation, 0, map->values.datatype, &input->shape);
}

static enum md_code map_run(struct md_invocation *invocation, const struct label_map *map)
{
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    const struct label_list elements = { input->datatype, input->count, input->bytes };
    if (output == NULL || output->count == 0)
        return MD_OK;
    const size_t size = md_datatype_size(output->datatype);
    for (size_t i = 0; i < input->count; i++) {
        uint64_t number = 0;
        const uint32_t found = map->slots[find_slot(map, element_at(&elements, i, &number))];
        const char *from = found != 0 ? (const char *)map->values.bytes + (found - 1) * size : map->absent.bytes;
        memcpy((char *)output->bytes + i * size, from, size);
    }
    return MD_OK;
}

static enum md_code encoder_prepare(struct md_invocation *invocation)
{
    return map_prepare(invocation, invocation->parameters);
}

static enum md_code encoder_run(struct md_invocation *invocation)
{
    return map_run(invocation, invocation->parameters);
}

static const struct label_map *map_for(const struct md_invocation *invocation)
{
    const struct two_maps *maps = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    return input != NULL && input->datatype == MD_BYTES ? &maps->to_integers : &maps->to_strings;
}

static enum md_code two_maps_prepare(struct md_invocation *invocation)
{
    return map_prepare(invocation, map_for(invocation));
}

static enum md_code two_maps_run(struct md_invocation *invocation)
{
    return map_run(invocation, map_for(invocation));
}

#define TYPES_TWO     (MD_TYPE(MD_BYTES) | MD_TYPE(MD_INT64))
#define TYPES_ENCODER (MD_TYPES_ML | MD_TYPE(MD_BYTES) | MD_TYPE(MD_INT16))

const struct md_operator md_operators_ml_label[] = {
    { MD_ONNX_ML, "LabelEncoder", 1, 1, 1, 1, 1, 1, TYPES_TWO, 0, 0, encoder_configure_1, two_maps_prepare,
      two_maps_run },
    { MD_ONNX_ML, "LabelEncoder", 2, MD_OPSET_ML_NEWEST, 1, 1, 1, 1, TYPES_ENCODER, 0, 0, encoder_configure,
      encoder_prepare, encoder_run },
    { MD_ONNX_ML, "CategoryMapper", 1, MD_OPSET_ML_NEWEST, 1, 1, 1, 1, TYPES_TWO, 0, 0, mapper_configure,
      two_maps_prepare, two_maps_run },
    { 0 },
};
