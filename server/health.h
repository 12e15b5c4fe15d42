/* health.h - what grpc.health.v1 says of a name: the server, a service, a model or a version of one.
 *
 *   ""                          SERVING from the end of the restore until the drain
 *   "modeld.v1.ModelService"    the same, for every service
 *   "bert", "bert/3"            SERVING while a version (that version) is READY and the server does not drain
 * Threads: any. Takes the catalogue's lock. */
#ifndef MD_HEALTH_H
#define MD_HEALTH_H

struct md_services;

/* Numbers of grpc.health.v1.HealthCheckResponse.ServingStatus. */
enum md_health { MD_HEALTH_SERVING = 1, MD_HEALTH_NOT_SERVING = 2, MD_HEALTH_SERVICE_UNKNOWN = 3 };

enum md_health md_health_of(const struct md_services *services, const char *name);

#endif
