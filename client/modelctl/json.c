/* json.c - JSON lines. Key names are those of modeld.v1. */
#include "command.h"

#include "utf8.h"

#include <string.h>

json_t *md_ctl_json_string(const char *text)
{
    size_t size = strlen(text);
    if (md_utf8_valid_prefix(text, size) == size)
        return json_string(text);
    char clean[4096];
    size_t used = 0;
    for (; used + 1 < sizeof clean && text[used] != '\0'; used++)
        clean[used] = (unsigned char)text[used] < 0x80 ? text[used] : '?';
    clean[used] = '\0';
    return json_string(clean);
}

int md_ctl_print_json(struct md_ctl_context *context, json_t *line)
{
    int written = line != NULL ? json_dumpf(line, context->out, JSON_COMPACT | JSON_REAL_PRECISION(9)) : -1;
    json_decref(line);
    if (written != 0) {
        (void)fputs("modelctl: cannot print JSON: out of memory or output closed\n", context->err);
        return MD_CTL_EXIT_USAGE;
    }
    (void)fputc('\n', context->out);
    return MD_CTL_EXIT_OK;
}

static json_t *signatures_json(const struct md_client_signature *signatures, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *shape = json_array();
        for (size_t d = 0; d < signatures[i].rank; d++)
            (void)json_array_append_new(shape, json_integer(signatures[i].shape[d]));
        (void)json_array_append_new(
            array, json_pack("{s:o, s:o, s:o}", "name", md_ctl_json_string(signatures[i].name), "datatype",
                             md_ctl_json_string(signatures[i].datatype), "shape", shape));
    }
    return array;
}

static json_t *settings_json(const struct md_client_setting *settings, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(array,
                                    json_pack("{s:o, s:o, s:o}", "key", md_ctl_json_string(settings[i].key),
                                              "value", md_ctl_json_string(settings[i].value), "source",
                                              md_ctl_json_string(settings[i].source)));
    return array;
}

json_t *md_ctl_json_version(const struct md_client_version *version)
{
    json_t *object = json_pack(
        "{s:o, s:I, s:s, s:o, s:o, s:o, s:I, s:o, s:I, s:I, s:I, s:I, s:o, s:f, s:o, s:o}", "model",
        md_ctl_json_string(version->model), "version", (json_int_t)version->version, "state",
        md_client_state_name(version->state), "reason", md_ctl_json_string(version->reason), "task",
        md_ctl_json_string(version->task), "sha256", md_ctl_json_string(version->sha256), "size_bytes",
        (json_int_t)version->size_bytes, "path", md_ctl_json_string(version->path), "memory_bytes",
        (json_int_t)version->memory_bytes, "loaded_at_us", (json_int_t)version->loaded_at_us, "request_count",
        (json_int_t)version->request_count, "error_count", (json_int_t)version->error_count, "precision",
        md_ctl_json_string(version->precision), "precision_difference", version->precision_difference, "inputs",
        signatures_json(version->inputs, version->input_count), "outputs",
        signatures_json(version->outputs, version->output_count));
    if (object != NULL && version->setting_count > 0)
        (void)json_object_set_new(object, "configuration",
                                  settings_json(version->settings, version->setting_count));
    return object;
}
