/* SPDX-License-Identifier: Apache-2.0 */
/* The XML of `lstopo --of xml`, read by hwloc itself: GPUs, network ports and memory of a node. A
 * GPU is a PCI device with an operating-system device of a GPU library; where lstopo was built
 * without any, a PCI device of the classes that only accelerators have. */
#include "spec/spec.h"

#if SHARDPLAN_HWLOC

#include <hwloc.h>

#include <assert.h>
#include <string.h>

#define PCI_3D_CONTROLLER          0x0302
#define PCI_PROCESSING_ACCELERATOR 0x1200

static bool has_device(hwloc_obj_t pci, hwloc_obj_osdev_type_t type, const char *const *stems,
                       hwloc_obj_t *found)
{
    for (hwloc_obj_t os = pci->io_first_child; os != NULL; os = os->next_sibling) {
        if (os->type != HWLOC_OBJ_OS_DEVICE || os->attr->osdev.type != type) {
            continue;
        }
        for (size_t i = 0; stems[i] != NULL; i++) {
            if (os->name != NULL && strncmp(os->name, stems[i], strlen(stems[i])) == 0) {
                *found = os;
                return true;
            }
        }
    }
    return false;
}

/* "cuda0", "opencl0d1" are co-processors for hwloc, "nvml0" and "rsmi0" GPUs. */
static hwloc_obj_t gpu_device(hwloc_obj_t pci)
{
    static const char *const computing[] = {"cuda", "opencl", "ze", NULL};
    static const char *const managing[] = {"nvml", "rsmi", NULL};
    hwloc_obj_t found = NULL;
    if (!has_device(pci, HWLOC_OBJ_OSDEV_COPROC, computing, &found)) {
        (void)has_device(pci, HWLOC_OBJ_OSDEV_GPU, managing, &found);
    }
    return found;
}

static bool has_port(hwloc_obj_t pci)
{
    static const char *const any[] = {"", NULL};
    hwloc_obj_t found = NULL;
    return has_device(pci, HWLOC_OBJ_OSDEV_OPENFABRICS, any, &found);
}

typedef struct tally {
    uint32_t gpus, accelerators, ports;
    const char *gpu; /* model of the first */
    bool mixed;
} tally;

static void count_gpu(tally *t, hwloc_obj_t device)
{
    const char *model = hwloc_obj_get_info_by_name(device, "GPUModel");
    t->gpus++;
    t->mixed = t->mixed || (model != NULL && t->gpu != NULL && strcmp(model, t->gpu) != 0);
    t->gpu = t->gpu != NULL ? t->gpu : model;
}

static tally count_devices(hwloc_topology_t topology)
{
    tally t = {0};
    for (hwloc_obj_t pci = hwloc_get_next_pcidev(topology, NULL); pci != NULL;
         pci = hwloc_get_next_pcidev(topology, pci)) {
        const unsigned kind = pci->attr->pcidev.class_id;
        hwloc_obj_t device = gpu_device(pci);
        if (device != NULL) {
            count_gpu(&t, device);
        }
        t.accelerators += kind == PCI_3D_CONTROLLER || kind == PCI_PROCESSING_ACCELERATOR;
        t.ports += has_port(pci);
    }
    return t;
}

/* hwloc gives the memory of GPUs too where it is a NUMA node of its own, as on Grace: those have no
 * processors. */
static double host_memory_bytes(hwloc_topology_t topology)
{
    double bytes = 0.0;
    hwloc_obj_t node = NULL;
    while ((node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node)) != NULL) {
        if (node->cpuset != NULL && !hwloc_bitmap_iszero(node->cpuset)) {
            bytes += (double)node->attr->numanode.local_memory;
        }
    }
    return bytes;
}

static sp_status take(sp_arena *arena, hwloc_topology_t topology, const char *file,
                      sp_machine *machine, sp_notes *notes, sp_error *err)
{
    const tally t = count_devices(topology);
    if (t.mixed) {
        (void)sp_fail(err, SP_E_NOT_YET, "nodes with several kinds of GPU are not yet supported");
        return sp_fail_file(err, file);
    }
    machine->node_gpus = t.gpus > 0 ? t.gpus : t.accelerators;
    machine->network_ports = t.ports;
    machine->host_memory_bytes = host_memory_bytes(topology);
    if (machine->node_gpus == 0) {
        (void)sp_fail(err, SP_E_INCONSISTENT,
                      "the file shows no GPU; lstopo must see PCI devices (--whole-io)");
        return sp_fail_file(err, file);
    }
    if (t.gpus == 0) {
        sp_notes_add(notes, "lstopo knows no GPU library: its %u accelerators on PCI are the GPUs",
                     t.accelerators);
    }
    return sp_text_keep(arena, t.gpu != NULL ? t.gpu : "", &machine->gpu, err);
}

sp_status sp_machine_read_hwloc(struct sp_arena *arena, const char *file, sp_machine *machine,
                                sp_notes *notes, sp_error *err)
{
    hwloc_topology_t topology = NULL;
    if (!sp_file_exists(file)) {
        (void)sp_fail(err, SP_E_IO, "there is no such file");
        return sp_fail_file(err, file);
    }
    if (hwloc_topology_init(&topology) != 0) {
        return sp_fail(err, SP_E_MEMORY, "out of memory");
    }
    sp_status status = SP_OK;
    if (hwloc_topology_set_xml(topology, file) != 0 ||
        hwloc_topology_set_io_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_ALL) != 0 ||
        hwloc_topology_load(topology) != 0) {
        (void)sp_fail(err, SP_E_SYNTAX, "this is not the XML of lstopo --of xml");
        status = sp_fail_file(err, file);
    } else {
        status = take(arena, topology, file, machine, notes, err);
    }
    hwloc_topology_destroy(topology);
    return status;
}

#else

sp_status sp_machine_read_hwloc(struct sp_arena *arena, const char *file, sp_machine *machine,
                                sp_notes *notes, sp_error *err)
{
    (void)arena;
    (void)machine;
    (void)notes;
    (void)sp_fail(err, SP_E_NOT_YET, "this program was built without hwloc");
    return sp_fail_file(err, file);
}

#endif
