/* oip_settings.c - TraceSetting and LogSettings: what is in effect; neither changes while the server runs. And the
 * calls for GPU memory, which say that there is none. */
#include "service_oip.h"

#include "log.h"
#include "services.h"

#include <inference/inference.pb-c.h>

typedef Inference__LogSettingsResponse__SettingsEntry log_entry;
typedef Inference__LogSettingsResponse__SettingValue log_value;
typedef Inference__TraceSettingResponse__SettingsEntry trace_entry;
typedef Inference__TraceSettingResponse__SettingValue trace_value;

enum md_code md_oip_cuda_memory(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    (void)services;
    (void)rpc;
    return md_fail(error, MD_UNIMPLEMENTED, "CUDA shared memory: models run on the CPU; use system shared memory");
}

enum md_code md_oip_trace_setting(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    (void)services;
    const Inference__TraceSettingRequest *request = (const Inference__TraceSettingRequest *)rpc->request;
    Inference__TraceSettingResponse *response = md_arena_allocate(&rpc->arena, sizeof *response);
    trace_entry **entries = md_arena_allocate(&rpc->arena, sizeof *entries);
    trace_entry *entry = md_arena_allocate(&rpc->arena, sizeof *entry);
    trace_value *value = md_arena_allocate(&rpc->arena, sizeof *value);
    char **texts = md_arena_allocate(&rpc->arena, sizeof *texts);
    if (request->n_settings > 0)
        return md_fail(error, MD_UNIMPLEMENTED, "trace setting \"%.128s\" cannot be changed while the server runs",
                       request->settings[0]->key);
    if (response == NULL || entries == NULL || entry == NULL || value == NULL || texts == NULL)
        return md_fail_memory(error, "answer");
    inference__trace_setting_response__init(response);
    inference__trace_setting_response__settings_entry__init(entry);
    inference__trace_setting_response__setting_value__init(value);
    entry->key = md_rpc_echo(&rpc->arena, "trace_level");
    texts[0] = md_rpc_echo(&rpc->arena, "OFF");
    if (entry->key == NULL || texts[0] == NULL)
        return md_fail_memory(error, "answer");
    value->value = texts;
    value->n_value = 1;
    entry->value = value;
    entries[0] = entry;
    response->settings = entries;
    response->n_settings = 1;
    rpc->response = &response->base;
    return MD_OK;
}

static enum md_code make_level(struct md_arena *arena, const char *key, bool is_on, log_entry **out_entry,
                               struct md_error *error)
{
    log_entry *entry = md_arena_allocate(arena, sizeof *entry);
    log_value *value = md_arena_allocate(arena, sizeof *value);
    if (entry == NULL || value == NULL)
        return md_fail_memory(error, "answer");
    inference__log_settings_response__settings_entry__init(entry);
    inference__log_settings_response__setting_value__init(value);
    value->parameter_choice_case = INFERENCE__LOG_SETTINGS_RESPONSE__SETTING_VALUE__PARAMETER_CHOICE_BOOL_PARAM;
    value->bool_param = is_on;
    entry->key = md_rpc_echo(arena, key);
    entry->value = value;
    *out_entry = entry;
    return entry->key == NULL ? md_fail_memory(error, "answer") : MD_OK;
}

enum md_code md_oip_log_settings(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    static const struct {
        const char *key;
        enum md_log_level level;
    } levels[] = { { "log_info", MD_LOG_INFO }, { "log_warning", MD_LOG_WARNING }, { "log_error", MD_LOG_ERROR } };
    enum { COUNT = sizeof levels / sizeof *levels };
    const Inference__LogSettingsRequest *request = (const Inference__LogSettingsRequest *)rpc->request;
    Inference__LogSettingsResponse *response = md_arena_allocate(&rpc->arena, sizeof *response);
    log_entry **entries = md_arena_allocate_zeroed(&rpc->arena, COUNT, sizeof *entries);
    if (request->n_settings > 0)
        return md_fail(error, MD_UNIMPLEMENTED, "log setting \"%.128s\" cannot be changed while the server runs",
                       request->settings[0]->key);
    if (response == NULL || entries == NULL)
        return md_fail_memory(error, "answer");
    inference__log_settings_response__init(response);
    for (size_t i = 0; i < COUNT; i++)
        MD_TRY(make_level(&rpc->arena, levels[i].key, services->log->level <= levels[i].level, &entries[i], error));
    response->settings = entries;
    response->n_settings = COUNT;
    rpc->response = &response->base;
    return MD_OK;
}
