/* predict_tensors.c - `modelctl predict --input name=DTYPE[shape]:values`. */
#include "predict.h"

#include "allocator.h"
#include "tensor_text.h"

#include <stdlib.h>
#include <string.h>

enum { ELEMENTS_SHOWN = 64, ELEMENT_SIZE = 128 };

static void print_output(struct md_ctl_context *context, const struct md_client_tensor *tensor)
{
    char shape[128], element[ELEMENT_SIZE];
    size_t count = 0, cursor = 0, shown = 0;
    (void)fprintf(context->out, "%s %s%s:", tensor->name, tensor->datatype,
                  md_ctl_format_shape(tensor->shape, tensor->rank, shape, sizeof shape));
    if (!md_ctl_shape_count(tensor->shape, tensor->rank, &count))
        count = 0;
    while (shown < count && shown < ELEMENTS_SHOWN &&
           md_ctl_tensor_element(tensor, &cursor, element, sizeof element)) {
        (void)fputc(' ', context->out);
        md_ctl_print_clean(context->out, element);
        shown++;
    }
    if (shown < count)
        (void)fprintf(context->out, " ... (%zu more, %zu bytes in all)", count - shown,
                      tensor->contents_size);
    (void)fputc('\n', context->out);
}

static json_t *output_json(const struct md_client_tensor *tensor)
{
    json_t *shape = json_array(), *values = json_array();
    size_t count = 0, cursor = 0;
    char element[4096];
    bool text = strcmp(tensor->datatype, "BYTES") == 0, real = strncmp(tensor->datatype, "FP", 2) == 0;
    for (size_t i = 0; i < tensor->rank; i++)
        (void)json_array_append_new(shape, json_integer(tensor->shape[i]));
    if (!md_ctl_shape_count(tensor->shape, tensor->rank, &count))
        count = 0;
    for (size_t i = 0; i < count && md_ctl_tensor_element(tensor, &cursor, element, sizeof element); i++) {
        json_t *value = text   ? md_ctl_json_string(element)
                        : real ? json_real(strtod(element, NULL))
                               : json_integer(strtoll(element, NULL, 10));
        (void)json_array_append_new(values, value != NULL ? value : json_null()); /* NaN and infinity: null */
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "name", md_ctl_json_string(tensor->name), "datatype",
                     md_ctl_json_string(tensor->datatype), "shape", shape, "values", values);
}

static int print_outputs(struct md_ctl_context *context, const struct md_client_prediction *prediction)
{
    if (!context->json) {
        for (size_t i = 0; i < prediction->output_count; i++)
            print_output(context, &prediction->outputs[i]);
        md_ctl_print_timings(context, prediction);
        return MD_CTL_EXIT_OK;
    }
    json_t *outputs = json_array();
    for (size_t i = 0; i < prediction->output_count; i++)
        (void)json_array_append_new(outputs, output_json(&prediction->outputs[i]));
    return md_ctl_print_json(context,
                             json_pack("{s:o, s:I, s:o, s:o}", "model", md_ctl_json_string(prediction->model),
                                       "version", (json_int_t)prediction->version, "outputs", outputs,
                                       "timings", md_ctl_json_timings(prediction)));
}

int md_ctl_predict_tensors(struct md_ctl_context *context, const struct md_ctl_arguments *arguments,
                           const struct md_ctl_model *model)
{
    struct md_client_tensor inputs[MD_CTL_OPTIONS_MAX];
    size_t count = 0;
    struct md_arena arena;
    md_arena_init(&arena, md_process_allocator(), 0);
    int exit_code = MD_CTL_EXIT_OK;
    for (size_t i = 0; i < arguments->given_count && exit_code == MD_CTL_EXIT_OK; i++) {
        struct md_error usage;
        if (strcmp(arguments->given[i].name, "input") != 0)
            continue;
        if (md_ctl_tensor_parse(arguments->given[i].value, &arena, &inputs[count++], &usage) != MD_OK)
            exit_code = md_ctl_usage(context, "predict", "%s", usage.message);
    }
    struct md_client_prediction *prediction = NULL;
    struct md_client_error error;
    if (exit_code == MD_CTL_EXIT_OK) {
        if (md_client_predict_tensors(context->client, model->name, model->version, inputs, count, NULL,
                                      &context->call, &prediction, &error) != MD_CLIENT_OK)
            exit_code = md_ctl_refused(context, &error);
        else
            exit_code = print_outputs(context, prediction);
    }
    md_client_prediction_destroy(prediction);
    md_arena_cleanup(&arena);
    return exit_code;
}
