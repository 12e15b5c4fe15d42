/* main.c - modelctl: the operator's command line. Everything is in commands.c and one file per command. */
#include "command.h"

#include <locale.h>
#include <signal.h>

int main(int argc, char **argv)
{
    (void)setlocale(LC_TIME, ""); /* the C locale serves too */
    (void)signal(SIGPIPE, SIG_DFL);
    return md_ctl_run(argc, (const char *const *)argv, stdout, stderr);
}
