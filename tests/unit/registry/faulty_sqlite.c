/* faulty_sqlite.c - see faulty_sqlite.h. */
#include "faulty_sqlite.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Test process only: SQLite's configuration is global, so this is too. */
static struct {
    atomic_long countdown; /* negative: never fails */
    atomic_long failed;
    atomic_bool once;
} parts[2] = { { .countdown = -1 }, { .countdown = -1 } };
static atomic_int disk_result = SQLITE_IOERR_WRITE;
static sqlite3_mem_methods real_memory;
static sqlite3_vfs *real_vfs;

void faulty_sqlite_arm(enum faulty_part part, long countdown, bool once)
{
    atomic_store(&parts[part].failed, 0);
    atomic_store(&parts[part].once, once);
    atomic_store(&parts[part].countdown, countdown);
}

long faulty_sqlite_disarm(enum faulty_part part)
{
    atomic_store(&parts[part].countdown, -1);
    return atomic_load(&parts[part].failed);
}

void faulty_sqlite_disk_result(int result)
{
    atomic_store(&disk_result, result);
}

static bool fails(enum faulty_part part)
{
    long left = atomic_load(&parts[part].countdown);
    if (left < 0)
        return false;
    if (left > 0 || atomic_load(&parts[part].once))
        atomic_fetch_sub(&parts[part].countdown, 1);
    if (left > 0)
        return false;
    atomic_fetch_add(&parts[part].failed, 1);
    return true;
}

/* ---- memory ---- */

static void *faulty_malloc(int size)
{
    return fails(FAULTY_MEMORY) ? NULL : real_memory.xMalloc(size);
}

static void *faulty_realloc(void *memory, int size)
{
    return fails(FAULTY_MEMORY) ? NULL : real_memory.xRealloc(memory, size);
}

/* ---- disk ---- */

struct faulty_file {
    sqlite3_file base;  /* must be first */
    sqlite3_file *real; /* the bytes that follow */
};

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct faulty_file *)file)->real;
}

static int file_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int file_read(sqlite3_file *file, void *bytes, int size, sqlite3_int64 offset)
{
    return real_of(file)->pMethods->xRead(real_of(file), bytes, size, offset);
}

/* A write that fails is torn: its first half is on the disk. */
static int file_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 offset)
{
    bool torn = fails(FAULTY_DISK);
    int result = real_of(file)->pMethods->xWrite(real_of(file), bytes, torn ? size / 2 : size, offset);
    return torn ? atomic_load(&disk_result) : result;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return fails(FAULTY_DISK) ? SQLITE_IOERR_TRUNCATE
                              : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int file_sync(sqlite3_file *file, int flags)
{
    return fails(FAULTY_DISK) ? SQLITE_IOERR_FSYNC : real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int file_lock(sqlite3_file *file, int lock)
{
    return real_of(file)->pMethods->xLock(real_of(file), lock);
}

static int file_unlock(sqlite3_file *file, int lock)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), lock);
}

static int file_check_lock(sqlite3_file *file, int *reserved)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), reserved);
}

static int file_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int file_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **memory)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, memory);
}

static int file_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int file_shm_unmap(sqlite3_file *file, int delete_flag)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), delete_flag);
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    static const sqlite3_io_methods methods = {
        .iVersion = 2,
        .xClose = file_close,
        .xRead = file_read,
        .xWrite = file_write,
        .xTruncate = file_truncate,
        .xSync = file_sync,
        .xFileSize = file_size,
        .xLock = file_lock,
        .xUnlock = file_unlock,
        .xCheckReservedLock = file_check_lock,
        .xFileControl = file_control,
        .xSectorSize = file_sector_size,
        .xDeviceCharacteristics = file_characteristics,
        .xShmMap = file_shm_map,
        .xShmLock = file_shm_lock,
        .xShmBarrier = file_shm_barrier,
        .xShmUnmap = file_shm_unmap,
    };
    struct faulty_file *faulty = (struct faulty_file *)file;
    (void)vfs;
    faulty->real = (sqlite3_file *)(faulty + 1);
    int result = real_vfs->xOpen(real_vfs, name, faulty->real, flags, out_flags);
    faulty->base.pMethods = result == SQLITE_OK ? &methods : NULL;
    return result;
}

void faulty_sqlite_install(void)
{
    static sqlite3_vfs vfs;
    (void)sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory); /* cannot fail before SQLite is used */
    sqlite3_mem_methods memory = real_memory;
    memory.xMalloc = faulty_malloc;
    memory.xRealloc = faulty_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &memory) != SQLITE_OK)
        abort(); /* SQLite was used before */
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = "faulty";
    vfs.szOsFile = real_vfs->szOsFile + (int)sizeof(struct faulty_file);
    vfs.xOpen = vfs_open;
    if (sqlite3_vfs_register(&vfs, 1) != SQLITE_OK)
        abort(); /* no memory for a test */
}
