/* SPDX-License-Identifier: Apache-2.0 */
/* The matrix of `nvidia-smi topo -m`: which GPUs NVLink joins, which sit behind one PCIe switch,
 * and how many network ports are near them. Leaves out affinities of processors, and the number of
 * links a pair has: the rate of a link is that of the part. */
#include "spec/spec.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_COLUMNS  (2 * SP_DOMAIN_MAX)
#define MAX_BYTES    (4u << 20)

/* How far apart two devices are, nearest first. */
typedef enum distance {
    SELF,
    NVLINK, /* NV4: four links                                     */
    SWITCH, /* PIX, PXB: no further than PCIe switches             */
    HOST,   /* PHB, NODE, SYS: through a host bridge or processors */
    NO_DISTANCE
} distance;

typedef struct matrix {
    const char *file;
    int line;
    uint32_t n_gpus, n_columns;
    uint8_t cell[SP_DOMAIN_MAX][MAX_COLUMNS]; /* row: GPU; column: GPUs, then network ports */
} matrix;

/* Underlines and colours go: ESC [ ... letter. */
static void strip_escapes(char *text)
{
    char *to = text;
    for (const char *at = text; *at != '\0';) {
        if (at[0] == '\033' && at[1] == '[') {
            at += 2;
            while (*at != '\0' && !isalpha((unsigned char)*at)) {
                at++;
            }
            at += *at != '\0';
        } else {
            *to++ = *at++;
        }
    }
    *to = '\0';
}

static bool is_numbered(const char *word, const char *stem)
{
    const size_t n = strlen(stem);
    if (strncmp(word, stem, n) != 0 || !isdigit((unsigned char)word[n])) {
        return false;
    }
    return word[n + strspn(word + n, "0123456789")] == '\0';
}

static distance read_distance(const char *word)
{
    static const struct {
        const char *name;
        distance of;
    } names[] = {
        {"X",    SELF  },
        {"PIX",  SWITCH},
        {"PXB",  SWITCH},
        {"PHB",  HOST  },
        {"NODE", HOST  },
        {"SYS",  HOST  },
        {"SOC",  HOST  },
    };
    for (size_t i = 0; i < COUNT(names); i++) {
        if (strcmp(word, names[i].name) == 0) {
            return names[i].of;
        }
    }
    return is_numbered(word, "NV") ? NVLINK : NO_DISTANCE;
}

static sp_status refuse(const matrix *m, sp_status status, const char *value, const char *why,
                        sp_error *err)
{
    (void)sp_fail(err, status, "%s", why);
    (void)sp_fail_value(err, "%s", value);
    err->line = m->line;
    return sp_fail_file(err, m->file);
}

/* The header: GPU0 GPU1 ... NIC0 ... CPU Affinity ...; an older one names ports mlx5_0. */
static sp_status read_header(matrix *m, char *line, sp_error *err)
{
    char *rest = NULL;
    for (char *word = strtok_r(line, " \t", &rest); word != NULL && strcmp(word, "CPU") != 0;
         word = strtok_r(NULL, " \t", &rest)) {
        const bool gpu = is_numbered(word, "GPU");
        if (m->n_columns == MAX_COLUMNS || (gpu && m->n_gpus == SP_DOMAIN_MAX)) {
            return refuse(m, SP_E_RANGE, word, "more devices than a node has", err);
        }
        if (gpu && m->n_gpus != m->n_columns) {
            return refuse(m, SP_E_SYNTAX, word, "the GPUs must stand before the network ports",
                          err);
        }
        m->n_gpus += gpu;
        m->n_columns++;
    }
    return SP_OK;
}

static sp_status read_row(matrix *m, uint32_t gpu, char *line, sp_error *err)
{
    char *rest = NULL;
    const char *name = strtok_r(line, " \t", &rest);
    for (uint32_t c = 0; c < m->n_columns; c++) {
        const char *word = strtok_r(NULL, " \t", &rest);
        if (word == NULL) {
            return refuse(m, SP_E_SYNTAX, name, "the row is shorter than the header", err);
        }
        const distance d = read_distance(word);
        if (d == NO_DISTANCE || (d == SELF) != (c == gpu)) {
            (void)refuse(m, SP_E_UNKNOWN_NAME, word, "no connection of two devices is called so",
                         err);
            return sp_fail_range(err, "NV1 .. NV36, PIX, PXB, PHB, NODE, SYS; X of a device to "
                                      "itself");
        }
        m->cell[gpu][c] = (uint8_t)d;
    }
    return SP_OK;
}

/* The rows follow the header; what else the tool prints (ports among themselves, a legend) is
 * passed over. */
static sp_status read_lines(matrix *m, char *text, sp_error *err)
{
    uint32_t n_rows = 0;
    char *rest = NULL;
    for (char *line = text; line != NULL; line = rest) {
        rest = strchr(line, '\n');
        if (rest != NULL) {
            *rest++ = '\0';
        }
        m->line++;
        line += strspn(line, " \t");
        line[strcspn(line, "\r")] = '\0';
        if (strncmp(line, "GPU", 3) != 0 || !isdigit((unsigned char)line[3])) {
            continue;
        }
        if (m->n_columns == 0) {
            SP_TRY(read_header(m, line, err));
        } else if ((uint32_t)strtoul(line + 3, NULL, 10) == n_rows && n_rows < m->n_gpus) {
            SP_TRY(read_row(m, n_rows++, line, err));
        } else {
            return refuse(m, SP_E_SYNTAX, line, "the rows are not those of the header", err);
        }
    }
    if (n_rows > 0 && n_rows == m->n_gpus) {
        return SP_OK;
    }
    (void)sp_fail(err, SP_E_SYNTAX,
                  "this is not the output of nvidia-smi topo -m: %u rows of GPUs, "
                  "%u columns",
                  n_rows, m->n_gpus);
    return sp_fail_file(err, m->file);
}

static sp_status check_symmetry(const matrix *m, sp_error *err)
{
    for (uint32_t a = 0; a < m->n_gpus; a++) {
        for (uint32_t b = 0; b < a; b++) {
            if (m->cell[a][b] != m->cell[b][a]) {
                (void)sp_fail(err, SP_E_INCONSISTENT,
                              "GPU%u sees GPU%u otherwise than GPU%u sees GPU%u", a, b, b, a);
                return sp_fail_file(err, m->file);
            }
        }
    }
    return SP_OK;
}

static sp_domains joined_by(const matrix *m, distance furthest)
{
    sp_domains domains = sp_domains_of(m->n_gpus);
    for (uint32_t a = 0; a < m->n_gpus; a++) {
        for (uint32_t b = 0; b < a; b++) {
            if (m->cell[a][b] <= furthest) {
                sp_domains_join(&domains, a, b);
            }
        }
    }
    return domains;
}

/* Ports behind a PCIe switch with a GPU carry its traffic; others (storage, management) only where
 * there are no such ports. */
static uint32_t count_ports(const matrix *m, sp_notes *notes)
{
    uint32_t near = 0;
    for (uint32_t c = m->n_gpus; c < m->n_columns; c++) {
        bool beside = false;
        for (uint32_t g = 0; g < m->n_gpus; g++) {
            beside = beside || m->cell[g][c] <= SWITCH;
        }
        near += beside;
    }
    const uint32_t all = m->n_columns - m->n_gpus;
    if (near > 0 && near < all) {
        sp_notes_add(notes, "%u of %u network ports count, those behind a PCIe switch with a GPU",
                     near, all);
    }
    return near > 0 ? near : all;
}

static sp_status read_matrix(matrix *m, char *text, sp_machine *machine, sp_notes *notes,
                             sp_error *err)
{
    strip_escapes(text);
    SP_TRY(read_lines(m, text, err));
    SP_TRY(check_symmetry(m, err));
    machine->node_gpus = m->n_gpus;
    const sp_domains nvlink = joined_by(m, NVLINK);
    const sp_domains switches = joined_by(m, SWITCH);
    machine->nvlink_gpus = sp_domains_common(&nvlink, "NVLinks", notes);
    machine->switch_gpus =
        sp_domains_common(&switches, "NVLinks and PCIe switches",
                          memcmp(&nvlink, &switches, sizeof nvlink) == 0 ? NULL : notes);
    machine->network_ports = count_ports(m, notes);
    return SP_OK;
}

sp_status sp_machine_read_smi(struct sp_arena *arena, const char *file, sp_machine *machine,
                              sp_notes *notes, sp_error *err)
{
    sp_text text = {0};
    matrix *const m = sp_arena_alloc(arena, sizeof *m);
    if (m == NULL) {
        return sp_fail(err, SP_E_MEMORY, "out of memory");
    }
    m->file = file;
    sp_text_add(&text, ""); /* an empty file is a text too */
    sp_status status = sp_file_read(file, MAX_BYTES, &text, err);
    if (status == SP_OK) {
        status = text.failed ? sp_fail(err, SP_E_MEMORY, "out of memory")
                             : read_matrix(m, text.data, machine, notes, err);
    }
    sp_text_fini(&text);
    return status;
}
