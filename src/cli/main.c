/* SPDX-License-Identifier: Apache-2.0 */
/* The command `shardplan`. Apart from the rest of the room so that tests can link that. */
#include "cli/cli.h"

int main(int argc, char **argv)
{
    return (int)sp_cli_main(argc, argv);
}
