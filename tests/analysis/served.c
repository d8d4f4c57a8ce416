/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/served.h"

#include "common/shipped.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

void serve_model(served *s, const sp_model *model, const char *gpu, const char *engine)
{
    const char *home = source_home();
    sp_error err = {0};
    *s = (served){.question = {.model = model}};
    must(sp_gpu_find(&s->arena, home, gpu, &s->question.gpu, &err), &err);
    must(sp_server_load(&s->arena, home, engine, &s->question.server, &err), &err);
    sp_footprint_defaults(&s->question);
}

void serve(served *s, const char *model, const char *gpu, const char *engine)
{
    sp_error err = {0};
    serve_model(s, NULL, gpu, engine);
    must(sp_model_find(&s->arena, source_home(), model, &s->question.model, &err), &err);
}

void serve_option(served *s, const char *option)
{
    sp_error err = {0};
    must(sp_server_set(&s->arena, source_home(), option, &s->question.server, &err), &err);
}

const sp_footprint *serve_ask(served *s)
{
    sp_error err = {0};
    must(sp_footprint_check(&s->question, &err), &err);
    sp_footprint_evaluate(&s->question, &s->out);
    return &s->out;
}

void serve_fini(served *s)
{
    sp_arena_fini(&s->arena);
}
