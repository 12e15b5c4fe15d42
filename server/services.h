/* services.h - what the handlers of every service work with. Made by main, borrowed by all, immutable but for
 * the phase. Adding a service is a file that ends in its table, and a line in method_tables.def. */
#ifndef MD_SERVICES_H
#define MD_SERVICES_H

#include "rpc.h"

#include <stdatomic.h>
#include <stddef.h>

struct md_catalogue;
struct md_log;
struct md_metrics;
struct md_model_manager;
struct md_pool;
struct md_registry;
struct md_scheduler;
struct md_shared_memory;

/* What the server as a whole is doing; it only goes forward. */
enum md_phase { MD_PHASE_RESTORING = 0, MD_PHASE_SERVING = 1, MD_PHASE_DRAINING = 2 };

struct md_services {
    const struct md_log *log;
    struct md_registry *registry;
    struct md_pool *pool;
    struct md_scheduler *scheduler;
    struct md_model_manager *manager;
    struct md_shared_memory *memory;
    struct md_catalogue *catalogue; /* the manager's */
    struct md_metrics *metrics;
    bool log_requests;
    uint64_t slow_request_us; /* an inference that takes longer is logged; 0: none is */
    atomic_int phase;               /* enum md_phase; relaxed: nothing else hangs on it */
};

#define MD_VERSION_TEXT "0.1.0"

static inline enum md_phase md_services_phase(const struct md_services *services)
{
    return (enum md_phase)atomic_load_explicit(&services->phase, memory_order_relaxed);
}

/* The tables of method_tables.def, each ended by a row without a path. */
#define MD_METHOD_TABLE(table) extern const struct md_rpc_method table[];
#include "method_tables.def"
#undef MD_METHOD_TABLE

/* The method with this path, or the first one of this service ("modeld.v1.ModelService"); NULL: none. */
const struct md_rpc_method *md_method_find(const char *path, size_t size);
const struct md_rpc_method *md_method_find_service(const char *service);

#endif
