# SPDX-License-Identifier: Apache-2.0
"""Puts plans to torchtitan, without a GPU: its ConfigManager, then its own Trainer over the fake
process group that torchtitan brings for dry runs, on the meta device: meshes, batch and sequence
checks, pipeline split and schedule, tensor, context and expert sharding. fully_shard is left out,
since torchtitan 0.3 needs a newer torch there than the released one, and it is stopped where memory
would be taken. Formats of torchao are not checkable, for torchao is not installed."""
import os
import types

from put import NoSetting, NotCheckable, serve

CONFIGS = {"titan-dense": ("llama3", "llama3_8b"), "titan-moe": ("qwen3", "qwen3_moe_debug"),
           "titan-latent-moe": ("deepseek_v3", "deepseek_v3_debugmodel"),
           "titan-latent-moe-mtp": ("deepseek_v3", "deepseek_v3_debugmodel_mtp")}
SCHEDULES = {"1f1b": "1F1B", "gpipe": "GPipe", "interleaved": "Interleaved1F1B"}


class Reached(Exception):
    """The checks are passed; what follows takes memory."""


def stages(plan):
    """--parallelism.module_fqns_per_model_part: one list a chunk, in the order of the model."""
    axes, layers = plan["axes"], plan["model"]["num_hidden_layers"]
    chunks = axes["pp"] * axes["vpp"]
    counts = [layers // chunks + (1 <= i <= layers % chunks) for i in range(chunks)]
    counts[0] += layers - sum(counts)
    parts, first = [], 0
    for count in counts:
        parts.append(["layers.%d" % i for i in range(first, first + count)])
        first += count
    parts[0].insert(0, "tok_embeddings")
    parts[-1] += ["norm", "lm_head"]
    return parts


def replicas(plan):
    """Ranks that hold copies, and those that shard, of the data-parallel ones."""
    axes, dp = plan["axes"], plan["dp"]
    if axes["zero"] == 0:
        return dp, 1
    if axes["shard_group"] == 0:
        return 1, dp
    if axes["shard_group"] % axes["cp"] != 0:
        raise NoSetting("cp ranks always shard: data_parallel_shard_degree would be a fraction")
    shard = axes["shard_group"] // axes["cp"]
    return dp // shard, shard


def words_of(plan):
    axes, question = plan["axes"], plan["question"]
    module, config = CONFIGS[question["model"]]
    replicate, shard = replicas(plan)
    local = axes["micro_batch"] * (plan["accumulation"] if axes["pp"] > 1 else 1)
    words = ["--module", module, "--config", config, "--comm.mode", "fake_backend",
             "--training.disable_cuda_graphs", "--training.seq_len", question["seq_len"],
             "--training.local_batch_size", local,
             "--training.global_batch_size", question["global_batch"],
             "--parallelism.data_parallel_replicate_degree", replicate,
             "--parallelism.data_parallel_shard_degree", shard,
             "--parallelism.tensor_parallel_degree", axes["tp"],
             "--parallelism.context_parallel_degree", axes["cp"],
             "--parallelism.pipeline_parallel_degree", axes["pp"],
             "--parallelism.expert_parallel_degree", axes["ep"],
             "--parallelism.pipeline_parallel_schedule", SCHEDULES[axes["schedule"]],
             "--parallelism.pipeline_parallel_microbatch_size", axes["micro_batch"],
             "--parallelism.fsdp_reshard_after_forward",
             "always" if axes["zero"] == 3 else "never",
             "--validator.freq", 1000]
    if axes["tp"] > 1 and axes["sp"] == "off":
        words += ["--parallelism.no-enable_sequence_parallel"]
    if axes["tp_overlap"] == "on":
        words += ["--compile.enable", "--compile.enable_async_tensor_parallel"]
    if axes["offload_params"] == 1 and axes["offload_optimizer"] == 1:
        words += ["--training.enable_cpu_offload"]
    if axes["precision"] == "fp16":
        words += ["--training.mixed_precision_param", "float16"]
    words += {"full": ["activation-checkpoint:full"], "ops": ["activation-checkpoint:selective"]}.get(
        axes["recompute"], [])
    return [str(word) for word in words]


def say_what_has_no_setting(plan):
    axes = plan["axes"]
    experts = "num_experts" in plan["model"] or "n_routed_experts" in plan["model"]
    silent = [
        (axes["zero"] == 1 and plan["dp"] * axes["cp"] > 1, "FSDP shards gradients, too"),
        (axes["zero"] == 0 and axes["cp"] > 1, "cp ranks always shard"),
        (experts and axes["etp"] != (1 if axes["ep"] > 1 else axes["tp"]),
         "experts are whole with ep, and cut by tp without"),
        (axes["cp"] > 1 and axes["cp_kind"] != "allgather", "flex attention gathers keys and values"),
        (axes["placement"] != "tp_dp_pp", "stages are the outermost mesh axis"),
        (axes["recompute"] not in ("none", "full", "ops"), "full, selective (ops), memory-budget"),
        (axes["recompute_layers"] != 0, "all layers are wrapped"),
        (axes["offload_params"] != axes["offload_optimizer"] or axes["offload_params"] not in (0, 1),
         "enable_cpu_offload takes weights, gradients and optimizer states, whole"),
        (axes["offload_target"] != "host", "no storage"),
        (axes["offload_activations"] > 0, "no offload of activations"),
        (axes["ep_overlap"] == "on", "no overlap with these schedules"),
    ]
    for met, reason in silent:
        if met:
            raise NoSetting(reason)


def say_what_has_no_kernels(plan):
    if plan["axes"]["precision"] not in ("bf16", "fp16"):
        raise NotCheckable("torchao is not installed")


def prepare():
    """A CPU takes the place of the GPU, and Trainer stops before it takes memory."""
    import torch
    from torchtitan.tools import utils
    utils.device_type, utils.device_module = "cpu", torch.cpu
    from torchtitan.components import metrics

    def stop(*_, **__):
        raise Reached
    metrics.build_device_memory_monitor = lambda: types.SimpleNamespace(
        device_name="NVIDIA H100", reset_peak_stats=lambda: None)
    torch.nn.Module.to_empty = stop
    from torchtitan.models.deepseek_v3 import parallelize as deepseek
    from torchtitan.models.llama3 import parallelize as llama
    from torchtitan.models.qwen3 import parallelize as qwen
    for module in (deepseek, llama, qwen):
        for name in ("apply_fsdp_to_decoder", "apply_fsdp_to_mtp_decoder"):
            if hasattr(module, name):
                setattr(module, name, lambda *_, **__: None)


def shrink(config, plan):
    """Layers of the flavour beyond those of our model go."""
    model = config.model_spec.model
    del model.layers[plan["model"]["num_hidden_layers"]:]
    if plan["axes"]["pp"] > 1:
        config.parallelism.module_fqns_per_model_part = stages(plan)
    if plan["axes"]["recompute"] == "none":
        config.activation_checkpoint = None
    config.debug.enable_structured_logging = False
    return config


def check(plan):
    import torch
    from torchtitan.config.manager import ConfigManager
    from torchtitan.trainer import Trainer
    say_what_has_no_setting(plan)  # first, for a Trainer takes its time
    os.environ.update(NGPU=str(plan["axes"]["gpus"]), WORLD_SIZE=str(plan["axes"]["gpus"]))
    config = shrink(ConfigManager().parse_args(words_of(plan)), plan)
    try:
        Trainer(config)
    except Reached:
        pass
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    say_what_has_no_kernels(plan)


def version():
    import importlib.metadata
    return "torchtitan " + importlib.metadata.version("torchtitan")


if __name__ == "__main__":
    os.environ.update(RANK="0", LOCAL_RANK="0", MASTER_ADDR="localhost", MASTER_PORT="29511")
    prepare()
    serve(version(), check)
