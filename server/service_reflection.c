/* service_reflection.c - grpc.reflection.v1 and v1alpha: what services there are, and their descriptors. Both have
 * the same messages, so one handler answers both. */
#include "descriptor_set.h"
#include "services.h"

#include <grpc/reflection/v1/reflection.pb-c.h>
#include <string.h>

typedef Grpc__Reflection__V1__ServerReflectionRequest request_message;
typedef Grpc__Reflection__V1__ServerReflectionResponse response_message;

enum { FILE_LIMIT = 16, SERVICE_LIMIT = 32 };

static char *copy_span(struct md_arena *arena, struct md_span span)
{
    return md_arena_copy_string(arena, span.bytes, span.size);
}

/* ---- files ---- */

/* The file and, after it, what it imports, each once. */
static void add_file(struct md_span file, Grpc__Reflection__V1__FileDescriptorResponse *files)
{
    struct md_span name, import;
    for (size_t i = 0; i < files->n_file_descriptor_proto; i++)
        if (files->file_descriptor_proto[i].data == (const uint8_t *)file.bytes)
            return;
    if (files->n_file_descriptor_proto == FILE_LIMIT)
        return;
    files->file_descriptor_proto[files->n_file_descriptor_proto++] =
        (ProtobufCBinaryData){ file.size, (uint8_t *)(uintptr_t)file.bytes }; /* only read */
    for (size_t at = 0; md_descriptor_next_import(&file, &at, &name);)
        if (md_descriptor_find_file(name, &import))
            add_file(import, files);
}

static enum md_code answer_files(struct md_arena *arena, struct md_span file, response_message *response,
                                 struct md_error *error)
{
    Grpc__Reflection__V1__FileDescriptorResponse *files = md_arena_allocate(arena, sizeof *files);
    if (files == NULL)
        return md_fail_memory(error, "answer");
    grpc__reflection__v1__file_descriptor_response__init(files);
    files->file_descriptor_proto = md_arena_allocate(arena, FILE_LIMIT * sizeof *files->file_descriptor_proto);
    if (files->file_descriptor_proto == NULL)
        return md_fail_memory(error, "answer");
    add_file(file, files);
    response->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
    response->file_descriptor_response = files;
    return MD_OK;
}

static enum md_code find_file(struct md_arena *arena, const char *name, response_message *response,
                              struct md_error *error)
{
    struct md_span file;
    if (!md_descriptor_find_file(md_span_of(name), &file))
        return md_fail(error, MD_NOT_FOUND, "unknown file \"%.128s\"", name);
    return answer_files(arena, file, response, error);
}

static enum md_code find_symbol(struct md_arena *arena, const char *name, response_message *response,
                                struct md_error *error)
{
    struct md_span file;
    if (!md_descriptor_find_symbol(md_span_of(name), &file))
        return md_fail(error, MD_NOT_FOUND, "unknown symbol \"%.128s\"", name);
    return answer_files(arena, file, response, error);
}

/* ---- services and extensions ---- */

static enum md_code add_service(struct md_arena *arena, struct md_span package, struct md_span name,
                                Grpc__Reflection__V1__ListServiceResponse *list, struct md_error *error)
{
    Grpc__Reflection__V1__ServiceResponse *service = md_arena_allocate(arena, sizeof *service);
    if (service == NULL || list->n_service == SERVICE_LIMIT)
        return md_fail_memory(error, "answer");
    grpc__reflection__v1__service_response__init(service);
    service->name = md_arena_printf(arena, "%.*s.%.*s", (int)package.size, package.bytes, (int)name.size, name.bytes);
    list->service[list->n_service++] = service;
    return service->name == NULL ? md_fail_memory(error, "answer") : MD_OK;
}

static enum md_code list_services(struct md_arena *arena, response_message *response, struct md_error *error)
{
    Grpc__Reflection__V1__ListServiceResponse *list = md_arena_allocate(arena, sizeof *list);
    struct md_span file, name;
    if (list == NULL)
        return md_fail_memory(error, "answer");
    grpc__reflection__v1__list_service_response__init(list);
    list->service = md_arena_allocate_zeroed(arena, SERVICE_LIMIT, sizeof *list->service);
    if (list->service == NULL)
        return md_fail_memory(error, "answer");
    for (bool has = md_descriptor_next_file(NULL, &file); has; has = md_descriptor_next_file(&file, &file))
        for (size_t at = 0; md_descriptor_next_service(&file, &at, &name);)
            MD_TRY(add_service(arena, md_descriptor_package(&file), name, list, error));
    response->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
    response->list_services_response = list;
    return MD_OK;
}

/* proto3 has no extensions: a message has none. */
static enum md_code list_extensions(struct md_arena *arena, const char *type, response_message *response,
                                    struct md_error *error)
{
    Grpc__Reflection__V1__ExtensionNumberResponse *numbers = md_arena_allocate(arena, sizeof *numbers);
    if (!md_descriptor_is_message(md_span_of(type)))
        return md_fail(error, MD_NOT_FOUND, "unknown message \"%.128s\"", type);
    if (numbers == NULL)
        return md_fail_memory(error, "answer");
    grpc__reflection__v1__extension_number_response__init(numbers);
    numbers->base_type_name = copy_span(arena, md_span_of(type));
    response->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ALL_EXTENSION_NUMBERS_RESPONSE;
    response->all_extension_numbers_response = numbers;
    return numbers->base_type_name == NULL ? md_fail_memory(error, "answer") : MD_OK;
}

/* ---- the handler ---- */

static enum md_code reflect(struct md_arena *arena, const request_message *request, response_message *response,
                            struct md_error *error)
{
    switch (request->message_request_case) {
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
        return find_file(arena, request->file_by_filename, response, error);
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
        return find_symbol(arena, request->file_containing_symbol, response, error);
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION:
        return md_fail(error, MD_NOT_FOUND, "no message has extensions");
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
        return list_extensions(arena, request->all_extension_numbers_of_type, response, error);
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
        return list_services(arena, response, error);
    default:
        return md_fail(error, MD_INVALID_ARGUMENT, "the request asks for nothing");
    }
}

static response_message *make_response(struct md_rpc *rpc)
{
    response_message *response = md_arena_allocate(&rpc->arena, sizeof *response);
    if (response == NULL)
        return NULL;
    grpc__reflection__v1__server_reflection_response__init(response);
    request_message *request = (request_message *)(uintptr_t)rpc->request; /* echoed, only read */
    response->original_request = request;
    if (request != NULL) {
        response->valid_host = md_rpc_echo(&rpc->arena, request->host);
        if (response->valid_host == NULL)
            return NULL;
    }
    return response;
}

static enum md_code reflection_info(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    (void)services;
    response_message *response = make_response(rpc);
    if (response == NULL)
        return md_fail_memory(error, "answer");
    MD_TRY(reflect(&rpc->arena, (const request_message *)rpc->request, response, error));
    rpc->response = &response->base;
    return MD_OK;
}

static ProtobufCMessage *failure(struct md_rpc *rpc, enum md_code code, const char *message)
{
    response_message *response = make_response(rpc);
    Grpc__Reflection__V1__ErrorResponse *problem = md_arena_allocate(&rpc->arena, sizeof *problem);
    if (response == NULL || problem == NULL)
        return NULL;
    grpc__reflection__v1__error_response__init(problem);
    problem->error_code = (int32_t)code;
    problem->error_message = md_rpc_echo(&rpc->arena, message);
    response->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
    response->error_response = problem;
    return problem->error_message == NULL ? NULL : &response->base;
}

#define ROW(package)                                                                                         \
    {                                                                                                        \
        "/" package ".ServerReflection/ServerReflectionInfo",                                                \
            &grpc__reflection__v1__server_reflection_request__descriptor,                                    \
            &grpc__reflection__v1__server_reflection_response__descriptor, reflection_info,                  \
            MD_RPC_STREAM | MD_RPC_INLINE, failure, NULL                                                     \
    }

const struct md_rpc_method md_methods_reflection[] = { ROW("grpc.reflection.v1"), { 0 } };
const struct md_rpc_method md_methods_reflection_v1alpha[] = { ROW("grpc.reflection.v1alpha"), { 0 } };
