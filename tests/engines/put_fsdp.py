# SPDX-License-Identifier: Apache-2.0
"""Puts plans of plain PyTorch FSDP2 to accelerate, the launcher that most use it by: its FSDP plugin
and ParallelismConfig, with meshes over a fake process group. accelerate adds tensor and context
parallelism to FSDP2; the rest of its Accelerator needs a GPU."""
import os
import types

from put import NoSetting, NotCheckable, serve

os.environ["ACCELERATE_USE_CPU"] = "true"


def replicas(plan):
    """Ranks that hold copies, and those that shard beside cp."""
    axes, dp = plan["axes"], plan["dp"]
    if axes["shard_group"] == 0:
        return 1, dp
    if axes["shard_group"] % axes["cp"] != 0:
        raise NoSetting("FSDP always shards over cp ranks: dp_shard_size would be a fraction")
    shard = axes["shard_group"] // axes["cp"]
    return dp // shard, shard


def say_what_has_no_setting(plan):
    axes = plan["axes"]
    copies = plan["dp"] * axes["cp"]
    silent = [
        (axes["pp"] > 1, "no pipelines"),
        (axes["ep"] > 1 or axes["etp"] not in (1, axes["tp"]), "no expert parallelism"),
        (copies > 1 and axes["zero"] < 2, "fully_shard shards weights and gradients"),
        (axes["cp"] > 1 and axes["cp_kind"] not in ("allgather", "ring"),
         "cp_comm_strategy is allgather or alltoall, a ring"),
        (axes["placement"] != "tp_dp_pp", "ranks are laid out tp, cp, dp"),
        (axes["recompute"] not in ("none", "full") or axes["recompute_layers"] != 0,
         "activation_checkpointing wraps each layer"),
        (axes["offload_params"] != axes["offload_optimizer"] or axes["offload_params"] not in (0, 1),
         "CPUOffloadPolicy takes weights, gradients and optimizer states, whole"),
        (axes["offload_target"] != "host", "no storage"),
        (axes["precision"] in ("mxfp8", "nvfp4"), "mixed_precision is fp8, fp16, bf16"),
        (axes["tp_overlap"] == "on", "no setting"),
        (axes["ep_overlap"] == "on", "no setting"),
        (axes["tp"] > 1 and axes["sp"] == "on", "a tp_plan of transformers keeps whole sequences"),
    ]
    for met, reason in silent:
        if met:
            raise NoSetting(reason)
    if axes["offload_activations"] not in (0, 1):
        raise NoSetting("activation_checkpointing_offload takes all that checkpointing keeps")
    if plan["model"]["num_key_value_heads"] % axes["tp"] != 0:
        raise NotCheckable("transformers cuts key and value heads when it loads the model")


def build_mesh(parallelism, gpus):
    import torch
    from torch.testing._internal.distributed.fake_pg import FakeStore
    torch.distributed.init_process_group("fake", rank=0, world_size=gpus, store=FakeStore())
    try:
        parallelism.get_device_mesh("cpu")
        accelerator = types.SimpleNamespace(multi_device=True, num_processes=gpus,
                                            is_fsdp2=True, device=torch.device("cpu"))
        parallelism._validate_accelerator(accelerator)
    finally:
        torch.distributed.destroy_process_group()


def check(plan):
    from accelerate.parallelism_config import ParallelismConfig
    from accelerate.utils import FullyShardedDataParallelPlugin, TorchContextParallelConfig
    axes = plan["axes"]
    replicate, shard = replicas(plan)
    kind = {"allgather": "allgather", "ring": "alltoall"}.get(axes["cp_kind"], "allgather")
    offload_activations = axes["offload_activations"] > 0
    FullyShardedDataParallelPlugin(
        fsdp_version=2, reshard_after_forward=axes["zero"] == 3,
        cpu_offload=axes["offload_params"] == 1,
        activation_checkpointing=axes["recompute"] == "full",
        **({"activation_checkpointing_offload": True} if offload_activations else {}))
    parallelism = ParallelismConfig(
        dp_replicate_size=replicate, dp_shard_size=shard, tp_size=axes["tp"], cp_size=axes["cp"],
        cp_handler=TorchContextParallelConfig(cp_comm_strategy=kind) if axes["cp"] > 1 else None)
    if axes["pp"] == 1:
        build_mesh(parallelism, axes["gpus"])
    say_what_has_no_setting(plan)


def version():
    import accelerate
    import torch
    return "accelerate %s, torch %s" % (accelerate.__version__, torch.__version__)


if __name__ == "__main__":
    serve(version(), check)
