/* truncation.c - see truncation.h. */
#include "truncation.h"

#include "json_value.h"

static enum md_code read_name(const struct md_json_value *json, const char *key, const char *const *names,
                              size_t count, size_t *out_index, struct md_error *error)
{
    struct md_span name;
    MD_TRY(md_json_optional_string(json, key, names[0], &name, error));
    for (size_t i = 0; i < count; i++)
        if (md_span_equal(name, md_span_of(names[i]))) {
            *out_index = i;
            return MD_OK;
        }
    struct md_json_value value = md_json_member(json, key);
    return md_json_fail(&value, error, MD_INVALID_ARGUMENT, "\"%s\" is not known", name.bytes);
}

enum md_code md_truncation_read(const struct md_json_value *json, struct md_truncation *out_truncation,
                                struct md_error *error)
{
    static const char *const strategies[] = { "LongestFirst", "OnlyFirst", "OnlySecond" };
    static const char *const directions[] = { "Right", "Left" };
    *out_truncation = (struct md_truncation){ .max_tokens = SIZE_MAX };
    if (md_json_is_null(json))
        return MD_OK;
    MD_TRY(md_json_expect(json, JSON_OBJECT, error));
    struct md_json_value length = md_json_member(json, "max_length");
    int64_t max_length;
    size_t strategy = 0;
    size_t direction = 0;
    MD_TRY(md_json_integer(&length, 0, INT64_MAX, &max_length, error));
    MD_TRY(read_name(json, "strategy", strategies, 3, &strategy, error));
    MD_TRY(read_name(json, "direction", directions, 2, &direction, error));
    out_truncation->max_tokens = (size_t)max_length;
    out_truncation->strategy = (enum md_truncation_strategy)strategy;
    out_truncation->from_left = direction == 1;
    return MD_OK;
}

/* The longer one is cut first; if both must be, they share the limit. */
static void cut_longest(size_t limit, size_t *first, size_t *second)
{
    bool swapped = *first > *second;
    size_t shorter = swapped ? *second : *first;
    size_t longer = shorter;
    if (shorter <= limit && limit - shorter > shorter)
        longer = limit - shorter;
    if (shorter + longer > limit) {
        shorter = limit / 2;
        longer = shorter + limit % 2;
    }
    *first = swapped ? longer : shorter;
    *second = swapped ? shorter : longer;
}

enum md_code md_truncation_split(const struct md_truncation *truncation, size_t limit, bool is_pair,
                                 size_t *first, size_t *second, struct md_error *error)
{
    size_t total = *first + *second;
    if (total <= limit)
        return MD_OK;
    if (limit == 0) {
        *first = 0;
        *second = 0;
        return MD_OK;
    }
    if (truncation->strategy == MD_TRUNCATE_LONGEST_FIRST) {
        if (is_pair)
            cut_longest(limit, first, second);
        else
            *first = limit;
        return MD_OK;
    }
    size_t *target = truncation->strategy == MD_TRUNCATE_ONLY_FIRST ? first : second;
    const char *name = target == first ? "first" : "second";
    if (*target <= total - limit)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "%zu tokens, limit is %zu, and only the %s text with %zu tokens may be cut", total,
                       limit, name, *target);
    *target -= total - limit;
    return MD_OK;
}
