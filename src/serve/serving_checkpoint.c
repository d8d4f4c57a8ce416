/* SPDX-License-Identifier: Apache-2.0 */
/* The number format that a model's own weights are in: what its config.json or its GGUF file
 * states, what is known of the published weights of that name, else 16 bits. */
#include "serve/serving_formats.h"
#include "shardplan/checkpoint.h"

#include <stdio.h>
#include <string.h>

static bool matches(const char *pattern, const char *name)
{
    const size_t n = strlen(pattern);
    if (n > 0 && pattern[n - 1] == '*') return strncmp(pattern, name, n - 1) == 0;
    return strcmp(pattern, name) == 0;
}

static const char *by_name(const sp_formats_file *file, const char *name)
{
    for (uint32_t i = 0; i < file->n_patterns; i++) {
        if (matches(file->patterns[i].model, name)) return file->patterns[i].format;
    }
    return NULL;
}

static uint64_t whole_number(const sp_json *object, const char *key)
{
    const sp_json value = sp_json_get(object, key);
    int64_t whole = 0;
    double real = 0.0;
    if (!sp_json_number(&value, &whole, &real)) return 0;
    return whole > 0 ? (uint64_t)whole : 0;
}

/* "quantization_config" as Hugging Face transformers writes it; NULL: of a method unknown here. */
static const char *by_method(const sp_json *quantised)
{
    sp_error unread = {0};
    const char *method = NULL;
    if (sp_json_string_or(quantised, "quant_method", NULL, &method, &unread) != SP_OK) return NULL;
    if (method == NULL) return NULL;
    if (strcmp(method, "mxfp4") == 0) return "mxfp4";
    if (strcmp(method, "fp8") == 0 || strcmp(method, "fbgemm_fp8") == 0) {
        return sp_json_has(quantised, "weight_block_size") ? "fp8_block" : "fp8";
    }
    if (strcmp(method, "awq") == 0 || strcmp(method, "gptq") == 0) {
        return whole_number(quantised, "bits") == 8 ? "w8a16" : "int4";
    }
    return NULL;
}

static sp_status read_config(const sp_json *root, const char **format, sp_error *err)
{
    const sp_json quantised = sp_json_get(root, "quantization_config");
    if (!sp_json_is_object(&quantised)) return SP_OK;
    *format = by_method(&quantised);
    if (*format != NULL) return SP_OK;
    return sp_json_fail(&quantised, err, SP_E_UNKNOWN_NAME,
                        "the number format of the weights is not known by this method; say --set "
                        "weight_dtype=NAME");
}

/* Where the name is a config.json or a folder with one. */
static sp_status by_config(const char *ref, const char **format, sp_error *err)
{
    char path[4096];
    sp_json_doc *doc = NULL;
    const char *inside = sp_dir_exists(ref) ? "/config.json" : "";
    const int n = snprintf(path, sizeof path, "%s%s", ref, inside);
    if (n < 0 || (size_t)n >= sizeof path || !sp_file_exists(path)) return SP_OK;
    SP_TRY(sp_json_load_file(path, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_config(&root, format, err);
    sp_json_free(doc);
    return status;
}

/* Blocks of GGUF weights are unpacked into 16 bits: the nearest width that is measured. */
static sp_status by_gguf(const char *ref, const char **format, sp_error *err)
{
    sp_arena scratch = {0};
    const sp_checkpoint *weights = NULL;
    const sp_status status = sp_checkpoint_read(&scratch, ref, &weights, err);
    if (status == SP_OK && weights->bits_per_parameter > 0.0) {
        const double bits = weights->bits_per_parameter;
        *format = bits < 6.0 ? "int4" : bits < 12.0 ? "w8a16" : "bf16";
    }
    sp_arena_fini(&scratch);
    return status;
}

sp_status sp_checkpoint_format_of(const sp_serving_problem *problem, const sp_formats_file *file,
                                  const char **name, sp_error *err)
{
    const char *ref = problem->question.model;
    *name = NULL;
    if (ref != NULL && sp_checkpoint_is_gguf(ref)) {
        SP_TRY(by_gguf(ref, name, err));
    } else if (ref != NULL) {
        SP_TRY(by_config(ref, name, err));
    }
    if (*name == NULL) *name = by_name(file, problem->model->name);
    if (*name == NULL) *name = "bf16";
    return SP_OK;
}
