/* parameters.h - what configure functions share. */
#ifndef MD_PARAMETERS_H
#define MD_PARAMETERS_H

#include "arena.h"
#include "operator.h"

/* Zeroed parameters in the model's arena; NULL, with the error written, when there is no memory. */
static inline void *md_parameters_new(const struct md_configuration *configuration, size_t size)
{
    void *parameters = md_arena_allocate_zeroed(configuration->arena, 1, size);
    if (parameters == NULL) {
        enum md_code code = md_fail_memory(configuration->error, "operator parameters");
        (void)code; /* NULL says the same */
    }
    return parameters;
}

/* Input i must be present, a tensor, and of a rank in [low,high]. */
MD_NODISCARD static inline enum md_code md_expect_tensor_rank(struct md_invocation *invocation, size_t input,
                                                              int32_t low, int32_t high)
{
    MD_TRY(md_expect_tensor(invocation, input));
    return md_expect_rank(invocation, input, low, high);
}

/* A list of integers that is an attribute in older opsets and an input in newer ones. */
struct md_int_list {
    bool present;
    size_t count;
    const int64_t *values; /* of the model's arena */
};

MD_NODISCARD static inline enum md_code md_int_list_read(const struct md_configuration *configuration,
                                                         const char *name, struct md_int_list *out_list)
{
    out_list->present = md_attribute_find(configuration->attributes, name) != NULL;
    return md_attribute_ints(configuration->attributes, name, &out_list->values, &out_list->count,
                             configuration->error);
}

/* Element i of an INT32 or INT64 tensor, the two types that ONNX allows for indices. */
static inline int64_t md_index_at(const struct md_tensor *tensor, size_t i)
{
    return tensor->datatype == MD_INT32 ? md_elements(const int32_t, tensor)[i]
                                        : md_elements(const int64_t, tensor)[i];
}

enum { MD_TYPES_INDEX = (1 << MD_INT32) | (1 << MD_INT64) };

#endif
