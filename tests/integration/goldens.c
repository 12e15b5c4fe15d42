/* goldens.c - see goldens.h. MD_TEST_GOLDENS is set by CMake. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "goldens.h"

#include "allocator.h"

#include <stdio.h>

json_t *md_goldens_read(const char *model)
{
    char path[512];
    json_error_t error;
    (void)snprintf(path, sizeof path, "%s/%s.json", MD_TEST_GOLDENS, model);
    json_t *document = json_load_file(path, 0, &error);
    if (document == NULL)
        fail_msg("%s:%d: %s", path, error.line, error.text);
    return document;
}

size_t md_goldens_count(const json_t *document)
{
    return json_array_size(json_object_get(document, "cases"));
}

double md_golden_value(const json_t *rows, size_t row, size_t column)
{
    return json_number_value(json_array_get(json_array_get(rows, row), column));
}

static int64_t *padded(const json_t *rows, size_t count, size_t width)
{
    int64_t *values = md_allocate_zeroed(md_process_allocator(), count * width, sizeof *values);
    assert_non_null(values);
    for (size_t row = 0; row < count; row++) {
        const json_t *one = json_array_get(rows, row);
        for (size_t column = 0; column < json_array_size(one); column++)
            values[row * width + column] = json_integer_value(json_array_get(one, column));
    }
    return values;
}

void md_golden_init(struct md_golden *golden, const json_t *document, size_t index)
{
    const json_t *found = json_array_get(json_object_get(document, "cases"), index);
    const json_t *texts = json_object_get(found, "texts"), *ids = json_object_get(found, "input_ids");
    *golden = (struct md_golden){ .text_count = json_array_size(texts),
                                  .scores = json_object_get(found, "scores"),
                                  .logits = json_object_get(found, "logits"),
                                  .labels = json_object_get(found, "labels") };
    assert_in_range(golden->text_count, 1, MD_GOLDEN_TEXTS_MAX);
    golden->class_count = json_array_size(json_array_get(golden->logits, 0));
    for (size_t i = 0; i < golden->text_count; i++) {
        size_t width = json_array_size(json_array_get(ids, i));
        golden->texts[i] = json_string_value(json_array_get(texts, i));
        golden->width = width > golden->width ? width : golden->width;
    }
    golden->input_ids = padded(ids, golden->text_count, golden->width);
    golden->attention_mask =
        padded(json_object_get(found, "attention_mask"), golden->text_count, golden->width);
}

void md_golden_cleanup(struct md_golden *golden)
{
    md_release(md_process_allocator(), golden->input_ids);
    md_release(md_process_allocator(), golden->attention_mask);
}
