/* nearest_name.c - see nearest_name.h. Optimal string alignment distance with three rolling rows. */
#include "nearest_name.h"

#include <string.h>

enum { MAX_DISTANCE = 4 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ASCII only: names of models and inputs. */
static char lower(char letter)
{
    return letter >= 'A' && letter <= 'Z' ? (char)(letter - 'A' + 'a') : letter;
}

static size_t distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t rows[3][MD_NEAREST_NAME_LIMIT + 1];
    size_t *before = rows[0];
    size_t *above = rows[1];
    size_t *row = rows[2];
    for (size_t j = 0; j <= b_size; j++)
        above[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            char left = lower(a[i - 1]);
            char right = lower(b[j - 1]);
            row[j] = smaller(smaller(above[j], row[j - 1]) + 1, above[j - 1] + (left != right));
            if (i > 1 && j > 1 && left == lower(b[j - 2]) && lower(a[i - 2]) == right)
                row[j] = smaller(row[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[b_size];
}

const char *md_nearest_name(const char *name, const char *const *candidates, size_t count)
{
    size_t size = strlen(name);
    if (size > MD_NEAREST_NAME_LIMIT)
        return NULL;
    /* Less than the whole name: "a" is no slip of "b". */
    size_t limit = smaller(smaller(1 + size / 4, MAX_DISTANCE), size > 0 ? size - 1 : 0);
    const char *nearest = NULL;
    for (size_t i = 0; i < count; i++) {
        size_t candidate_size = strlen(candidates[i]);
        if (candidate_size > MD_NEAREST_NAME_LIMIT || candidate_size > size + limit)
            continue;
        size_t apart = distance(name, size, candidates[i], candidate_size);
        if (apart > limit || (nearest != NULL && apart == limit))
            continue;
        nearest = candidates[i];
        limit = apart;
    }
    return nearest;
}
