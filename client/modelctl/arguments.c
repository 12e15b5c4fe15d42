/* arguments.c - see arguments.h. */
#include "arguments.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_COMPARED = 32, NAMES_MAX = 64 };

static unsigned least_of(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein distance of two short names, one row at a time. */
static unsigned edit_distance(const char *a, const char *b)
{
    unsigned row[NAME_MAX_COMPARED + 1];
    size_t a_size = strlen(a), b_size = strlen(b);
    if (a_size > NAME_MAX_COMPARED || b_size > NAME_MAX_COMPARED)
        return NAME_MAX_COMPARED;
    for (unsigned j = 0; j <= b_size; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a_size; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b_size; j++) {
            unsigned above = row[j];
            row[j] = least_of(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_size];
}

const char *md_ctl_nearest(const char *name, const char *const *names, size_t count)
{
    const char *nearest = NULL;
    unsigned best = 3;
    for (size_t i = 0; i < count; i++) {
        unsigned distance = edit_distance(name, names[i]);
        if (distance < best && distance < strlen(name)) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}

static const struct md_ctl_option *find_option(const struct md_ctl_option *const *tables, size_t table_count,
                                               const char *name, size_t size)
{
    for (size_t t = 0; t < table_count; t++)
        for (const struct md_ctl_option *option = tables[t]; option != NULL && option->name != NULL; option++)
            if (strlen(option->name) == size && memcmp(option->name, name, size) == 0)
                return option;
    return NULL;
}

static enum md_code unknown_option(const char *name, const struct md_ctl_option *const *tables,
                                   size_t table_count, struct md_error *error)
{
    const char *names[NAMES_MAX];
    size_t count = 0;
    for (size_t t = 0; t < table_count; t++)
        for (const struct md_ctl_option *option = tables[t]; option != NULL && option->name != NULL; option++)
            if (count < NAMES_MAX)
                names[count++] = option->name;
    const char *nearest = md_ctl_nearest(name, names, count);
    if (nearest != NULL)
        return md_fail(error, MD_INVALID_ARGUMENT, "unknown option \"--%s\"; did you mean \"--%s\"?", name,
                       nearest);
    return md_fail(error, MD_INVALID_ARGUMENT, "unknown option \"--%s\"", name);
}

/* Reads the option at argv[*index] and leaves *index on the last word it used. */
static enum md_code parse_option(struct md_ctl_arguments *arguments, const char *const *argv, size_t count,
                                 size_t *index, const struct md_ctl_option *const *tables, size_t table_count,
                                 struct md_error *error)
{
    const char *name = argv[*index] + 2;
    const char *equals = strchr(name, '=');
    size_t size = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const struct md_ctl_option *option = find_option(tables, table_count, name, size);
    if (option == NULL) {
        char word[64];
        (void)snprintf(word, sizeof word, "%.*s", (int)size, name); /* cut: only for the message */
        return unknown_option(word, tables, table_count, error);
    }
    const char *value = "";
    if (option->value_name == NULL && equals != NULL)
        return md_fail(error, MD_INVALID_ARGUMENT, "option \"--%s\" takes no value", option->name);
    if (option->value_name != NULL) {
        if (equals == NULL && *index + 1 >= count)
            return md_fail(error, MD_INVALID_ARGUMENT, "option \"--%s\" needs a value (%s)", option->name,
                           option->value_name);
        value = equals != NULL ? equals + 1 : argv[++*index];
    }
    if (arguments->given_count >= MD_CTL_OPTIONS_MAX)
        return md_fail(error, MD_INVALID_ARGUMENT, "more than %d options", MD_CTL_OPTIONS_MAX);
    arguments->given[arguments->given_count].name = option->name;
    arguments->given[arguments->given_count++].value = value;
    return MD_OK;
}

enum md_code md_ctl_arguments_parse(struct md_ctl_arguments *arguments, const char *const *argv, size_t count,
                                    const struct md_ctl_option *const *tables, size_t table_count,
                                    bool stop_at_operand, const char **operands, size_t *out_used,
                                    struct md_error *error)
{
    bool only_operands = false;
    size_t i = 0;
    arguments->operands = operands;
    arguments->operand_count = 0;
    for (; i < count; i++) {
        const char *word = argv[i];
        if (!only_operands && strcmp(word, "--") == 0) {
            only_operands = true;
        } else if (only_operands || word[0] != '-' || word[1] == '\0') {
            if (stop_at_operand)
                break;
            operands[arguments->operand_count++] = word;
        } else if (word[1] != '-') {
            return md_fail(error, MD_INVALID_ARGUMENT,
                           "unknown option \"%s\": options are long, and \"--\" ends them", word);
        } else {
            MD_TRY(parse_option(arguments, argv, count, &i, tables, table_count, error));
        }
    }
    *out_used = i;
    return MD_OK;
}

const char *md_ctl_arguments_value(const struct md_ctl_arguments *arguments, const char *name)
{
    for (size_t i = arguments->given_count; i > 0; i--)
        if (strcmp(arguments->given[i - 1].name, name) == 0)
            return arguments->given[i - 1].value;
    return NULL;
}

bool md_ctl_arguments_has(const struct md_ctl_arguments *arguments, const char *name)
{
    return md_ctl_arguments_value(arguments, name) != NULL;
}

/* Digits only: strtoull takes signs and spaces too. */
static bool parse_number(const char *text, uint64_t *out_value)
{
    if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text))
        return false;
    errno = 0;
    *out_value = strtoull(text, NULL, 10);
    return errno == 0;
}

enum md_code md_ctl_arguments_number(const struct md_ctl_arguments *arguments, const char *name,
                                     uint64_t least, uint64_t most, uint64_t *out_value,
                                     struct md_error *error)
{
    const char *text = md_ctl_arguments_value(arguments, name);
    uint64_t value = 0;
    if (text == NULL)
        return MD_OK;
    if (!parse_number(text, &value) || value < least || value > most)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "option \"--%s\": \"%s\" is not a number from %llu to %llu", name, text,
                       (unsigned long long)least, (unsigned long long)most);
    *out_value = value;
    return MD_OK;
}

enum md_code md_ctl_arguments_milliseconds(const struct md_ctl_arguments *arguments, const char *name,
                                           uint32_t *out_value, struct md_error *error)
{
    const char *text = md_ctl_arguments_value(arguments, name);
    if (text == NULL)
        return MD_OK;
    char *end = NULL;
    double seconds = strtod(text, &end);
    bool plain = text[0] != '\0' && strspn(text, "0123456789.") == strlen(text) && *end == '\0';
    if (!plain || !(seconds >= 0.001 && seconds <= 3600.0))
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "option \"--%s\": \"%s\" is not a number of seconds from 0.001 to 3600", name, text);
    *out_value = (uint32_t)lround(seconds * 1000.0);
    return MD_OK;
}

enum md_code md_ctl_model_parse(const char *text, bool need_number, struct md_ctl_model *out_model,
                                struct md_error *error)
{
    struct md_ctl_model model = { 0 };
    const char *colon = strrchr(text, ':');
    size_t size = colon != NULL ? (size_t)(colon - text) : strlen(text);
    if (size == 0 || (colon != NULL && colon[1] == '\0'))
        return md_fail(error, MD_INVALID_ARGUMENT, "\"%s\" is not MODEL or MODEL:VERSION", text);
    if (size >= sizeof model.name || (colon != NULL && strlen(colon + 1) >= sizeof model.version))
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "the model's name has %zu bytes, limit is %zu (version: %zu)", size,
                       sizeof model.name - 1, sizeof model.version - 1);
    memcpy(model.name, text, size);
    if (colon != NULL)
        memcpy(model.version, colon + 1, strlen(colon + 1));
    if (!parse_number(model.version, &model.number))
        model.number = 0;
    if (need_number && colon != NULL && model.number == 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "version \"%s\" of \"%s\" is not a number from 1",
                       model.version, model.name);
    *out_model = model;
    return MD_OK;
}
