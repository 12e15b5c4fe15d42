/* regex.c - RegexFullMatch (20), on PCRE2.
 *
 * RE2 promises time linear in the text. PCRE2's alternative algorithm (pcre2_dfa_match) follows all matches
 * at once instead of trying them one after the other, which keeps hostile patterns in bounds; what its limits
 * stop is RESOURCE_EXHAUSTED. The compiled pattern lives in the model's arena. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "arena.h"
#include "operator_table.h"
#include "parameters.h"
#include "regex_syntax.h"

enum {
    MAX_PATTERN = 1 << 16,
    WORKSPACE_INTS = 1 << 16, /* states alive at once */
    MATCH_LIMIT = 10000000,
    DEPTH_LIMIT = 1000,
    HEAP_LIMIT_KIB = 64 * 1024
};

struct regex_parameters {
    pcre2_code *code;
};

static void *arena_allocate(size_t size, void *arena)
{
    return md_arena_allocate(arena, size);
}

static void *run_allocate(size_t size, void *invocation)
{
    return md_run_allocate(invocation, size);
}

static void keep(void *memory, void *owner)
{
    (void)memory; /* goes with the arena, or the run */
    (void)owner;
}

static enum md_code compile(const struct md_configuration *configuration, struct md_span pattern,
                            pcre2_code **out_code)
{
    pcre2_general_context *memory = pcre2_general_context_create(arena_allocate, keep, configuration->arena);
    pcre2_compile_context *context = memory != NULL ? pcre2_compile_context_create(memory) : NULL;
    if (context == NULL || pcre2_set_newline(context, PCRE2_NEWLINE_LF) != 0)
        return md_fail_memory(configuration->error, "a regular expression");
    int reason;
    PCRE2_SIZE place;
    PCRE2_UCHAR text[128];
    *out_code = pcre2_compile((PCRE2_SPTR)pattern.bytes, pattern.size,
                              PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ANCHORED | PCRE2_ENDANCHORED |
                                  PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_AUTO_CAPTURE,
                              &reason, &place, context);
    if (*out_code != NULL)
        return MD_OK;
    if (reason == PCRE2_ERROR_HEAP_FAILED)
        return md_fail_memory(configuration->error, "a regular expression");
    (void)pcre2_get_error_message(reason, text, sizeof text); /* cut is fine */
    return md_fail(configuration->error, MD_INVALID_ARGUMENT, "the regular expression is not valid: %s",
                   (const char *)text);
}

static enum md_code regex_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct regex_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    struct md_span pattern, translated;
    MD_TRY(md_attribute_string(configuration->attributes, "pattern", "", &pattern, configuration->error));
    if (pattern.size > MAX_PATTERN)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                       "the regular expression has %zu bytes, the limit is %d", pattern.size, MAX_PATTERN);
    char *bytes = md_arena_allocate(configuration->arena, md_regex_room(pattern.size));
    if (bytes == NULL)
        return md_fail_memory(configuration->error, "a regular expression");
    MD_TRY(md_regex_translate(pattern, bytes, &translated.size, configuration->error));
    translated.bytes = bytes;
    return compile(configuration, translated, &parameters->code);
}

static enum md_code regex_prepare(struct md_invocation *invocation)
{
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_scratch(invocation, WORKSPACE_INTS * sizeof(int)));
    return md_output(invocation, 0, MD_BOOL, &md_input(invocation, 0)->shape);
}

static enum md_code match(struct md_invocation *invocation, struct md_span text, pcre2_match_data *data,
                          pcre2_match_context *context, uint8_t *out_match)
{
    const struct regex_parameters *parameters = invocation->parameters;
    static const char empty[1] = "";
    int result = pcre2_dfa_match(parameters->code, (PCRE2_SPTR)(text.size > 0 ? text.bytes : empty),
                                 text.size, 0, 0, data, context, invocation->scratch, WORKSPACE_INTS);
    *out_match = result >= 0;
    /* Text that is not UTF-8 (error codes UTF8_ERR1 to UTF8_ERR21) matches nothing. */
    if (result >= 0 || result == PCRE2_ERROR_NOMATCH ||
        (result <= PCRE2_ERROR_UTF8_ERR1 && result >= PCRE2_ERROR_UTF8_ERR21))
        return MD_OK;
    return md_fail(invocation->error, MD_RESOURCE_EXHAUSTED,
                   "matching a text of %zu bytes with a regular expression: PCRE2 gave up with code %d",
                   text.size, result);
}

static enum md_code regex_run(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    pcre2_general_context *memory = pcre2_general_context_create(run_allocate, keep, invocation);
    pcre2_match_context *context = memory != NULL ? pcre2_match_context_create(memory) : NULL;
    pcre2_match_data *data = memory != NULL ? pcre2_match_data_create(1, memory) : NULL;
    if (context == NULL || data == NULL)
        return md_fail_memory(invocation->error, "matching a regular expression");
    (void)pcre2_set_match_limit(context, MATCH_LIMIT); /* these always succeed */
    (void)pcre2_set_depth_limit(context, DEPTH_LIMIT);
    (void)pcre2_set_heap_limit(context, HEAP_LIMIT_KIB);
    for (size_t i = 0; i < input->count; i++)
        MD_TRY(match(invocation, md_elements(const struct md_span, input)[i], data, context,
                     &md_elements(uint8_t, output)[i]));
    return MD_OK;
}

/* clang-format off */
const struct md_operator md_operators_regex[] = {
    { MD_ONNX, "RegexFullMatch", 20, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPE(MD_BYTES), 0, 0,
      regex_configure, regex_prepare, regex_run },
    { 0 },
};
