/* SPDX-License-Identifier: Apache-2.0 */
/* --site-factor: two numbers, or the file in which `calibrate steps --site` wrote them. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static sp_status read_site(const sp_json *root, sp_question *q, sp_error *err)
{
    SP_TRY(sp_json_schema(root, "shardplan/site/1", err));
    SP_TRY(sp_json_double(root, "factor", 0.1, 10.0, &q->site_factor, err));
    return sp_json_double(root, "step_error_ratio", 0.0, 0.999, &q->site_error_ratio, err);
}

static sp_status read_file(const char *file, sp_question *q, sp_error *err)
{
    sp_json_doc *doc = NULL;
    SP_TRY(sp_json_load_file(file, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_site(&root, q, err);
    sp_json_free(doc);
    return status;
}

static bool is_file(const char *text)
{
    const size_t n = strlen(text);
    return n > 5 && strcmp(text + n - 5, ".json") == 0;
}

sp_status sp_site_factor_read(const char *text, sp_question *q, sp_error *err)
{
    char factor[64];
    if (is_file(text)) return read_file(text, q, err);
    const size_t length = strcspn(text, ":");
    (void)snprintf(factor, sizeof factor, "%.*s", (int)length, text);
    SP_TRY(sp_parse_amount(factor, &q->site_factor, err));
    return text[length] == ':' ? sp_parse_ratio(text + length + 1, &q->site_error_ratio, err)
                               : SP_OK;
}
