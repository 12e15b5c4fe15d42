/* consumer.c - somebody else's program: the installed header, C and C++, without the project's tree.
 * Its own md_fail must not meet the library's. */
#include <modeld/client.h>

#include <stdio.h>
#include <string.h>

int md_fail(void);
int md_fail(void)
{
    return 1;
}

int main(void)
{
    struct md_client *client = NULL;
    struct md_client_error error;
    struct md_client_call_options hurried = { 200, 0, NULL, { 0 } };
    enum md_client_health health;
    if (md_client_create("127.0.0.1:1", NULL, &client, &error) != MD_CLIENT_OK)
        return 1;
    enum md_client_code code = md_client_health_check(client, NULL, &hurried, &health, &error);
    md_client_destroy(client);
    if (code != MD_CLIENT_UNAVAILABLE || strstr(error.message, "is modeld running?") == NULL)
        return 1;
    printf("modeld-client %s: %s\n", md_client_library_version(), error.name);
    return md_fail() - 1;
}
