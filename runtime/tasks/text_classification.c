/* text_classification.c - a class, or several, for each text: sentiment, spam, topics.
 *
 * Output: logits [texts, classes]. One class of several: softmax. problem_type "multi_label_classification":
 * sigmoid of each. problem_type "regression", or one class and no problem_type: the number as it is. */
#include "task_internal.h"

#include "json_value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CLASSES = 1000000 };

/* ---- labels ---- */

/* Classes that the output's signature states; -1: it does not. */
static int64_t stated_classes(const struct md_task *task)
{
    const struct md_signature *output = md_session_output(task->session, task->output);
    return output->has_shape && output->shape.rank > 0 ? output->shape.dims[output->shape.rank - 1] : -1;
}

static enum md_code allocate_labels(struct md_task *task, size_t count, struct md_error *error)
{
    task->classes.labels = md_arena_allocate_zeroed(&task->arena, count, sizeof *task->classes.labels);
    task->classes.count = count;
    return task->classes.labels == NULL ? md_fail_memory(error, "labels") : MD_OK;
}

/* LABEL_0, LABEL_1, ... as the exporters have it. */
static enum md_code make_labels(struct md_task *task, struct md_error *error)
{
    int64_t count = stated_classes(task);
    if (count <= 0)
        return md_fail(
            error, MD_INVALID_ARGUMENT,
            "config.json: id2label: missing, and output \"%s\" does not say how many classes it has",
            md_session_output(task->session, task->output)->name);
    if (count > MAX_CLASSES)
        return md_fail(error, MD_INVALID_ARGUMENT, "%" PRId64 " classes, limit is %d", count, MAX_CLASSES);
    MD_TRY(allocate_labels(task, (size_t)count, error));
    for (size_t i = 0; i < task->classes.count; i++) {
        task->classes.labels[i] = md_arena_printf(&task->arena, "LABEL_%zu", i);
        if (task->classes.labels[i] == NULL)
            return md_fail_memory(error, "labels");
    }
    return md_task_add_entry(task, "labels", "model.onnx", error, "LABEL_0 to LABEL_%" PRId64, count - 1);
}

static enum md_code read_label(struct md_task *task, const struct md_json_value *json, const char *key,
                               struct md_error *error)
{
    char *end;
    unsigned long index = strtoul(key, &end, 10);
    struct md_span label;
    if (key[0] < '0' || key[0] > '9' || *end != '\0' || index >= task->classes.count)
        return md_json_fail(json, error, MD_INVALID_ARGUMENT, "the key is no index from 0 to %zu",
                            task->classes.count - 1);
    if (task->classes.labels[index] != NULL)
        return md_json_fail(json, error, MD_INVALID_ARGUMENT, "index %lu twice", index);
    MD_TRY(md_json_string(json, &label, error));
    task->classes.labels[index] = md_arena_copy_string(&task->arena, label.bytes, label.size);
    return task->classes.labels[index] == NULL ? md_fail_memory(error, "labels") : MD_OK;
}

/* The first labels, for people. */
static enum md_code describe_labels(struct md_task *task, const char *source, struct md_error *error)
{
    char text[256];
    size_t used = 0;
    for (size_t i = 0; i < task->classes.count && used < sizeof text; i++) {
        int size = snprintf(text + used, sizeof text - used, i == 0 ? "%s" : ", %s", task->classes.labels[i]);
        used = size < 0 ? sizeof text : used + (size_t)size;
    }
    return md_task_add_entry(task, "labels", source, error, "%zu: %s%s", task->classes.count, text,
                             used < sizeof text ? "" : "...");
}

static enum md_code read_labels(struct md_task *task, const struct md_task_files *files,
                                struct md_error *error)
{
    const char *source;
    struct md_json_value labels = md_task_setting(files, "id2label", &source);
    if (md_json_is_null(&labels))
        return make_labels(task, error);
    MD_TRY(md_json_expect(&labels, JSON_OBJECT, error));
    size_t count = json_object_size(labels.json);
    int64_t stated = stated_classes(task);
    if (count == 0 || count > MAX_CLASSES || (stated >= 0 && stated != (int64_t)count))
        return md_json_fail(&labels, error, MD_INVALID_ARGUMENT,
                            "%zu labels, output \"%s\" has %" PRId64 " classes", count,
                            md_session_output(task->session, task->output)->name, stated);
    MD_TRY(allocate_labels(task, count, error));
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)(uintptr_t)labels.json, key, item) { /* the macro wants a mutable object */
        struct md_json_value label = { .json = item, .parent = &labels, .key = key };
        MD_TRY(read_label(task, &label, key, error));
    }
    return describe_labels(task, source, error);
}

/* ---- from logits to scores ---- */

static enum md_code read_activation(struct md_task *task, const struct md_task_files *files,
                                    struct md_error *error)
{
    static const struct {
        const char *problem_type;
        enum md_activation activation;
        const char *name;
    } rows[] = {
        { "single_label_classification", MD_ACTIVATION_SOFTMAX, "softmax" },
        { "multi_label_classification", MD_ACTIVATION_SIGMOID, "sigmoid" },
        { "regression", MD_ACTIVATION_NONE, "none" },
    };
    const char *source;
    struct md_json_value type = md_task_setting(files, "problem_type", &source);
    struct md_span name = md_span_of(task->classes.count == 1 ? "regression" : "single_label_classification");
    if (md_json_is_null(&type))
        source = "number of classes";
    else
        MD_TRY(md_json_string(&type, &name, error));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!md_span_equal(name, md_span_of(rows[i].problem_type)))
            continue;
        task->classes.activation = rows[i].activation;
        /* The softmax of one number says nothing; its sigmoid does. */
        if (task->classes.count == 1 && rows[i].activation == MD_ACTIVATION_SOFTMAX) {
            task->classes.activation = MD_ACTIVATION_SIGMOID;
            return md_task_add_entry(task, "activation", source, error, "sigmoid");
        }
        return md_task_add_entry(task, "activation", source, error, "%s", rows[i].name);
    }
    return md_json_fail(&type, error, MD_INVALID_ARGUMENT, "\"%s\" is not known", name.bytes);
}

static enum md_code prepare(struct md_task *task, const struct md_task_files *files, struct md_error *error)
{
    const struct md_signature *output = md_session_output(task->session, task->output);
    if (!md_datatype_in(output->datatype, MD_TYPES_FLOAT))
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "output \"%s\" is %s, text classification needs a float type", output->name,
                       md_datatype_name(output->datatype));
    MD_TRY(read_labels(task, files, error));
    return read_activation(task, files, error);
}

static void softmax(struct md_class_score *classes, size_t count)
{
    float largest = classes[0].score;
    for (size_t i = 1; i < count; i++)
        if (classes[i].score > largest)
            largest = classes[i].score;
    float sum = 0;
    for (size_t i = 0; i < count; i++) {
        classes[i].score = expf(classes[i].score - largest);
        sum += classes[i].score;
    }
    for (size_t i = 0; i < count; i++)
        classes[i].score /= sum;
}

static float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

static int compare_classes(const void *left, const void *right)
{
    const struct md_class_score *a = left;
    const struct md_class_score *b = right;
    if (a->score != b->score) /* no NaN: it was refused */
        return a->score > b->score ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

static enum md_code read_answer(const struct md_task *task, const struct md_tensor *logits, size_t row,
                                const struct md_text_row *text, struct md_error *error)
{
    const struct md_task_options *options = &text->call->options;
    struct md_text_answer *answer = &text->call->answers[text->index];
    size_t count = task->classes.count;
    struct md_class_score *classes = md_arena_allocate_zeroed(text->call->arena, count, sizeof *classes);
    if (classes == NULL)
        return md_fail_memory(error, "classes");
    for (size_t i = 0; i < count; i++) {
        float score = (float)md_tensor_double(logits, row * count + i);
        if (isnan(score))
            return md_fail(error, MD_INTERNAL, "text %zu: the model gives NaN for class \"%s\"", text->index,
                           task->classes.labels[i]);
        classes[i] = (struct md_class_score){ task->classes.labels[i], score, (uint32_t)i };
    }
    if (task->classes.activation == MD_ACTIVATION_SOFTMAX)
        softmax(classes, count);
    for (size_t i = 0; i < count && task->classes.activation == MD_ACTIVATION_SIGMOID; i++)
        classes[i].score = sigmoid(classes[i].score);
    qsort(classes, count, sizeof *classes, compare_classes);
    answer->classes = classes;
    answer->class_count = options->top_k > 0 && options->top_k < count ? options->top_k : count;
    return MD_OK;
}

static enum md_code check_output(const struct md_task *task, const struct md_tensor *output, struct md_error *error)
{
    const struct md_shape *shape = &output->shape;
    char text[MD_SHAPE_TEXT_SIZE];
    bool one_number = shape->rank == 1 && task->classes.count == 1; /* [texts] */
    if (one_number || (shape->rank == 2 && shape->dims[1] == (int64_t)task->classes.count))
        return MD_OK;
    return md_fail(error, MD_INVALID_ARGUMENT, "output \"%s\" has shape %s, there are %zu labels",
                   md_session_output(task->session, task->output)->name, md_shape_text(shape, text, sizeof text),
                   task->classes.count);
}

const struct md_task_kind md_task_text_classification = {
    .name = "text-classification",
    .architecture_suffix = "ForSequenceClassification",
    .output_name = "logits",
    .prepare = prepare,
    .check_output = check_output,
    .read_answer = read_answer,
};
