#include "einsum_equation.h"

bool md_einsum_take(struct md_span *text, const char *token)
{
    size_t size = strlen(token);
    while (text->size > 0 && *text->bytes == ' ') {
        text->bytes++;
        text->size--;
    }
    if (text->size < size || memcmp(text->bytes, token, size) != 0)
        return false;
    text->bytes += size;
    text->size -= size;
    return true;
}

/* The label of a letter, or -1. */
static int label_of(char letter)
{
    if (letter >= 'A' && letter <= 'Z')
        return letter - 'A';
    if (letter >= 'a' && letter <= 'z')
        return letter - 'a' + 26;
    return -1;
}

enum md_code md_einsum_term_parse(struct md_span *text, struct md_einsum_term *out_term,
                                  struct md_error *error)
{
    struct md_einsum_term term = { .ellipsis = -1 };
    for (;;) {
        if (md_einsum_take(text, "...")) {
            if (term.ellipsis >= 0)
                return md_fail(error, MD_INVALID_ARGUMENT, "a term of the equation has two ellipses");
            term.ellipsis = term.count;
            continue;
        }
        if (text->size == 0 || *text->bytes == ',' || *text->bytes == '-')
            break;
        int label = label_of(*text->bytes);
        if (label < 0)
            return md_fail(error, MD_INVALID_ARGUMENT, "character 0x%02x in the equation",
                           (unsigned char)*text->bytes);
        if (term.count == MD_MAX_RANK)
            return md_fail(error, MD_INVALID_ARGUMENT, "a term of the equation has more than %d letters",
                           MD_MAX_RANK);
        term.labels[term.count++] = (uint8_t)label;
        text->bytes++;
        text->size--;
    }
    *out_term = term;
    return MD_OK;
}
