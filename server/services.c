/* services.c - see services.h: the one list of all methods. */
#include "services.h"

#include <string.h>

static const struct md_rpc_method *const tables[] = {
#define MD_METHOD_TABLE(table) table,
#include "method_tables.def"
#undef MD_METHOD_TABLE
};

const struct md_rpc_method *md_method_find(const char *path, size_t size)
{
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const struct md_rpc_method *row = tables[t]; row->path != NULL; row++)
            if (strlen(row->path) == size && memcmp(row->path, path, size) == 0)
                return row;
    return NULL;
}

const struct md_rpc_method *md_method_find_service(const char *service)
{
    size_t size = strlen(service);
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
        const struct md_rpc_method *row = tables[t]; /* one table, one service */
        if (row->path != NULL && strncmp(row->path + 1, service, size) == 0 && row->path[1 + size] == '/')
            return row;
    }
    return NULL;
}
