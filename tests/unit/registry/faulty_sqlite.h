/* faulty_sqlite.h - makes SQLite's disk and memory fail at a chosen moment.
 *
 * A VFS around the default one, whose writes, syncs and truncations fail, and an allocator around the default
 * one. Process-wide, as SQLite's configuration is: call faulty_sqlite_install before any other SQLite call.
 * Threads: arm and disarm on the test's thread; SQLite may run on others. */
#ifndef FAULTY_SQLITE_H
#define FAULTY_SQLITE_H

#include <stdbool.h>

void faulty_sqlite_install(void);

/* After `countdown` good operations one fails; unless `once`, all later ones do too. */
enum faulty_part { FAULTY_DISK, FAULTY_MEMORY };
void faulty_sqlite_arm(enum faulty_part part, long countdown, bool once);
/* Ends the failing and returns how many operations failed since arming. */
long faulty_sqlite_disarm(enum faulty_part part);
/* What a failing disk says: SQLITE_IOERR_WRITE (default), SQLITE_FULL, ... */
void faulty_sqlite_disk_result(int result);

#endif
