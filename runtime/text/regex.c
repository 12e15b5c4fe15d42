/* regex.c - see regex.h. The patterns of the usual models are compiled by PCRE2's JIT, and where the machine
 * forbids it, interpreted. Backtracking is bounded by match_limit in both. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "regex.h"

#include "allocator.h"
#include "unicode.h"

#include <string.h>

#include <pcre2.h>

enum { MATCH_LIMIT = 10000000, DEPTH_LIMIT = 100000, HEAP_LIMIT_KIB = 64 * 1024, MAX_PATTERN = 64 * 1024 };

struct md_regex {
    const struct md_allocator *allocator;
    pcre2_general_context *general;
    pcre2_code *code;
    pcre2_match_context *limits;
};

static void *allocate(PCRE2_SIZE size, void *allocator)
{
    return md_allocate(allocator, size);
}

static void release(void *memory, void *allocator)
{
    md_release(allocator, memory);
}

static pcre2_general_context *general_context(const struct md_allocator *allocator)
{
    return pcre2_general_context_create(allocate, release,
                                        (void *)(uintptr_t)allocator); /* given back as it is */
}

enum { MAX_GROWTH = 10 };

static size_t append(char *out, const char *text)
{
    size_t size = strlen(text);
    memcpy(out, text, size);
    return size;
}

/* Writes one escape, of which `rest` is what follows the backslash, as PCRE2 spells it; returns the bytes of `rest` that
 * it took. PCRE2 has no \u, and its \s has U+180E, which is no space any more. */
static size_t translate_escape(struct md_span rest, bool in_class, char *out, size_t *size)
{
    char letter = rest.bytes[0];
    if (letter == 'u' && rest.size >= 5) {
        *size += append(out + *size, "\\x{");
        memcpy(out + *size, rest.bytes + 1, 4);
        *size += 4;
        out[(*size)++] = '}';
        return 5;
    }
    if (letter == 's' || (letter == 'S' && !in_class)) {
        *size += append(out + *size, in_class ? "" : letter == 's' ? "[" : "[^");
        *size += append(out + *size, "\\t-\\r\\x85\\p{Z}");
        *size += append(out + *size, in_class ? "" : "]");
        return 1;
    }
    out[(*size)++] = '\\';
    out[(*size)++] = letter;
    return 1;
}

/* Oniguruma's spelling into PCRE2's; `out` has room for MAX_GROWTH times the pattern. */
static size_t translate(struct md_span pattern, char *out)
{
    size_t size = 0;
    size_t class_start = 0; /* index of its bracket + 1; 0: not in a class */
    for (size_t i = 0; i < pattern.size; i++) {
        char letter = pattern.bytes[i];
        if (letter == '\\' && i + 1 < pattern.size) {
            struct md_span rest = { pattern.bytes + i + 1, pattern.size - i - 1 };
            i += translate_escape(rest, class_start > 0, out, &size);
            continue;
        }
        if (letter == '[' && class_start == 0)
            class_start = i + 1 + (i + 1 < pattern.size && pattern.bytes[i + 1] == '^');
        else if (letter == ']' && i > class_start)
            class_start = 0;
        out[size++] = letter;
    }
    return size;
}

static enum md_code compile(struct md_regex *regex, struct md_span pattern, struct md_error *error)
{
    pcre2_compile_context *context = pcre2_compile_context_create(regex->general);
    if (context == NULL)
        return md_fail_memory(error, "regular expression");
    (void)pcre2_set_newline(context, PCRE2_NEWLINE_LF); /* a constant that is always valid */
    int reason;
    PCRE2_SIZE offset;
    char *translated = md_allocate(regex->allocator, pattern.size * MAX_GROWTH);
    if (translated == NULL) {
        pcre2_compile_context_free(context);
        return md_fail_memory(error, "regular expression");
    }
    regex->code = pcre2_compile((PCRE2_SPTR)translated, translate(pattern, translated),
                                PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &reason,
                                &offset, context);
    md_release(regex->allocator, translated);
    pcre2_compile_context_free(context);
    if (regex->code != NULL)
        return MD_OK;
    if (reason == PCRE2_ERROR_HEAP_FAILED)
        return md_fail_memory(error, "regular expression");
    PCRE2_UCHAR text[128] = "";
    (void)pcre2_get_error_message(reason, text, sizeof text); /* cutting is fine */
    return md_fail(error, MD_INVALID_ARGUMENT, "regular expression: %s at byte %zu", (const char *)text,
                   offset);
}

enum md_code md_regex_create(const struct md_allocator *allocator, struct md_span pattern,
                             struct md_regex **out_regex, struct md_error *error)
{
    if (pattern.size > MAX_PATTERN)
        return md_fail(error, MD_INVALID_ARGUMENT, "regular expression of %zu bytes, limit is %d",
                       pattern.size, MAX_PATTERN);
    struct md_regex *regex = md_allocate_zeroed(allocator, 1, sizeof *regex);
    if (regex == NULL)
        return md_fail_memory(error, "regular expression");
    regex->allocator = allocator;
    regex->general = general_context(allocator);
    enum md_code code = regex->general == NULL ? md_fail_memory(error, "regular expression")
                                               : compile(regex, pattern, error);
    if (code != MD_OK)
        goto fail;
    regex->limits = pcre2_match_context_create(regex->general);
    if (regex->limits == NULL) {
        code = md_fail_memory(error, "regular expression");
        goto fail;
    }
    (void)pcre2_set_match_limit(regex->limits, MATCH_LIMIT);
    (void)pcre2_set_depth_limit(regex->limits, DEPTH_LIMIT);
    (void)pcre2_set_heap_limit(regex->limits, HEAP_LIMIT_KIB);
    (void)pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE); /* without it the pattern is interpreted */
    *out_regex = regex;
    return MD_OK;
fail:
    md_regex_destroy(regex);
    return code;
}

void md_regex_destroy(struct md_regex *regex)
{
    if (regex == NULL)
        return;
    pcre2_match_context_free(regex->limits);
    pcre2_code_free(regex->code);
    pcre2_general_context_free(regex->general);
    md_release(regex->allocator, regex);
}

void md_regex_match_init(struct md_regex_match *match, const struct md_allocator *allocator)
{
    *match = (struct md_regex_match){ .allocator = allocator };
}

void md_regex_match_cleanup(struct md_regex_match *match)
{
    pcre2_match_data_free(match->found);
    pcre2_general_context_free(match->general);
    md_regex_match_init(match, match->allocator);
}

static enum md_code match_prepare(struct md_regex_match *match, struct md_error *error)
{
    if (match->general == NULL)
        match->general = general_context(match->allocator);
    if (match->general != NULL && match->found == NULL)
        match->found = pcre2_match_data_create(1, match->general);
    return match->found != NULL ? MD_OK : md_fail_memory(error, "regular expression match");
}

static enum md_code find(const struct md_regex *regex, struct md_span text, size_t from,
                         struct md_regex_match *match, bool *out_found, size_t *out_start, size_t *out_end,
                         struct md_error *error)
{
    int count = pcre2_match(regex->code, (PCRE2_SPTR)text.bytes, text.size, from, PCRE2_NO_UTF_CHECK,
                            match->found, regex->limits);
    if (count == PCRE2_ERROR_JIT_STACKLIMIT) /* the interpreter has more room */
        count = pcre2_match(regex->code, (PCRE2_SPTR)text.bytes, text.size, from,
                            PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, match->found, regex->limits);
    *out_found = count >= 0;
    if (count == PCRE2_ERROR_NOMATCH)
        return MD_OK;
    if (count == PCRE2_ERROR_NOMEMORY)
        return md_fail_memory(error, "regular expression match");
    if (count < 0)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "a regular expression of tokenizer.json needs too many steps at byte %zu of the text",
                       from);
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(match->found);
    *out_start = ends[0];
    *out_end = ends[1] < ends[0] ? ends[0] : ends[1]; /* \K in a lookahead may turn them round */
    return MD_OK;
}

enum md_code md_regex_next(const struct md_regex *regex, struct md_span text, size_t from,
                           size_t previous_end, struct md_regex_match *match, bool *out_found,
                           size_t *out_start, size_t *out_end, struct md_error *error)
{
    MD_TRY(match_prepare(match, error));
    while (from <= text.size) {
        MD_TRY(find(regex, text, from, match, out_found, out_start, out_end, error));
        if (!*out_found || *out_start != *out_end || *out_end != previous_end)
            return MD_OK;
        from += from < text.size ? md_utf8_length(text.bytes[from]) : 1;
    }
    *out_found = false;
    return MD_OK;
}
