/* load_report.c - see load_report.h. */
#include "load_report.h"

#include "clock.h"
#include "front_end.h"

#include <grpc/slice.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SAMPLE_US = 1000000, REPORT_SIZE = 4 * 9 };

/* Field numbers of OrcaLoadReport; all are doubles. */
enum { CPU_UTILIZATION = 1, MEM_UTILIZATION = 2, RPS_FRACTIONAL = 6, APPLICATION_UTILIZATION = 9 };

static int64_t processor_us(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

/* Resident bytes over those of the machine; 0: not known. */
static double memory_used(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long resident = 0;
    long all = sysconf(_SC_PHYS_PAGES);
    if (file == NULL)
        return 0;
    if (fscanf(file, "%*u %lu", &resident) != 1)
        resident = 0;
    (void)fclose(file); /* was only read */
    return all > 0 ? (double)resident / (double)all : 0;
}

static void take_sample(struct md_server *server, struct md_load_sampler *sampler, int64_t now_us)
{
    int64_t elapsed_us = now_us - atomic_load_explicit(&sampler->sampled_at_us, memory_order_relaxed);
    int64_t cpu_us = processor_us();
    uint64_t calls = atomic_load_explicit(&server->arrivals, memory_order_relaxed);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    double cpu = (double)(cpu_us - atomic_load_explicit(&sampler->processor_us, memory_order_relaxed)) /
                 (double)elapsed_us / (double)(cores > 0 ? cores : 1);
    uint64_t new_calls = calls - atomic_load_explicit(&sampler->calls, memory_order_relaxed);
    double rate = (double)new_calls * 1e6 / (double)elapsed_us;
    atomic_store_explicit(&sampler->cpu_permille, (uint32_t)(cpu * 1000), memory_order_relaxed);
    atomic_store_explicit(&sampler->millicalls, (uint32_t)(rate * 1000), memory_order_relaxed);
    atomic_store_explicit(&sampler->memory_permille, (uint32_t)(memory_used() * 1000), memory_order_relaxed);
    atomic_store_explicit(&sampler->processor_us, cpu_us, memory_order_relaxed);
    atomic_store_explicit(&sampler->calls, calls, memory_order_relaxed);
    atomic_store_explicit(&sampler->sampled_at_us, now_us, memory_order_relaxed);
}

static void sample(struct md_server *server)
{
    struct md_load_sampler *sampler = &server->load;
    int64_t now_us = md_clock_us();
    if (now_us - atomic_load_explicit(&sampler->sampled_at_us, memory_order_relaxed) < SAMPLE_US ||
        atomic_flag_test_and_set_explicit(&sampler->is_sampling, memory_order_acquire))
        return; /* fresh enough, or somebody is at it */
    if (now_us - atomic_load_explicit(&sampler->sampled_at_us, memory_order_relaxed) >= SAMPLE_US)
        take_sample(server, sampler, now_us);
    atomic_flag_clear_explicit(&sampler->is_sampling, memory_order_release);
}

static unsigned char *put_double(unsigned char *at, unsigned field, double value)
{
    *at = (unsigned char)(field << 3 | 1);
    memcpy(at + 1, &value, sizeof value); /* little-endian on the wire and here */
    return at + 1 + sizeof value;
}

static double permille(const atomic_uint_least32_t *value)
{
    return (double)atomic_load_explicit(value, memory_order_relaxed) / 1000;
}

static bool is_wanted(const grpc_metadata_array *metadata)
{
    for (size_t i = 0; i < metadata->count; i++)
        if (grpc_slice_str_cmp(metadata->metadata[i].key, "endpoint-load-metrics-format") == 0)
            return true;
    return false;
}

bool md_load_report(struct md_server *server, const grpc_metadata_array *metadata, grpc_metadata *out_report)
{
    unsigned char bytes[REPORT_SIZE], *at = bytes;
    if (!is_wanted(metadata))
        return false;
    sample(server);
    double inflight = (double)atomic_load_explicit(&server->inflight_calls, memory_order_relaxed);
    at = put_double(at, CPU_UTILIZATION, permille(&server->load.cpu_permille));
    at = put_double(at, MEM_UTILIZATION, permille(&server->load.memory_permille));
    at = put_double(at, RPS_FRACTIONAL, permille(&server->load.millicalls));
    at = put_double(at, APPLICATION_UTILIZATION, inflight / (double)server->options.max_inflight);
    memset(out_report, 0, sizeof *out_report);
    out_report->key = grpc_slice_from_static_string("endpoint-load-metrics-bin");
    out_report->value = grpc_slice_from_copied_buffer((const char *)bytes, (size_t)(at - bytes));
    return true;
}
