# SPDX-License-Identifier: Apache-2.0
"""Puts plans to DeepSpeed, without a GPU: DeepSpeedConfig over a pretended world, and the checks of
deepspeed.initialize, PipelineEngine and AutoEP that come before a model is built. Plans of
Megatron-DeepSpeed go the same way; Megatron's own part is not installed, so what only that decides
is not checkable. Settings that DeepSpeed reads and then ignores count as no setting."""
import os
import types

from put import NoSetting, NotCheckable, serve

os.environ["DS_ACCELERATOR"] = "cpu"
os.environ.setdefault("DEEPSPEED_LOG_LEVEL", "error")


def experts(m):
    return m.get("num_local_experts", m.get("n_routed_experts", 0))


def say_what_has_no_setting(plan, megatron):
    """What neither the JSON file nor the calls around it can say."""
    axes = plan["axes"]
    silent = [
        (axes["schedule"] != "1f1b", "TrainSchedule is 1F1B"),
        (axes["placement"] != "tp_dp_pp", "ranks are laid out tp, dp, pp"),
        (axes["cp"] > 1 and axes["cp_kind"] != "ulysses", "sequence parallelism is Ulysses"),
        (axes["precision"] not in ("bf16", "fp16"), "no section for smaller formats"),
        (axes["ep_overlap"] == "on", "expert_parallel does not overlap"),
        (axes["zero"] == 0 and axes["offload_optimizer"] > 0, "stage 0 turns offload off"),
        (axes["zero"] == 0 and axes["dp_overlap"] == "on", "stage 0 turns overlap_comm off"),
        (axes["pp"] > 1 and axes["dp_overlap"] == "on", "pipelines turn overlap_comm off"),
        (axes["offload_params"] not in (0, 1), "offload_param has no ratio"),
        (axes["zero"] < 3 and axes["offload_target"] == "nvme", "nvme is read as cpu"),
        (axes["offload_activations"] > 0 and (axes["recompute"] != "full" or
                                              axes["offload_activations"] < 1),
         "cpu_checkpointing takes all that checkpointing keeps"),
    ]
    if not megatron:
        silent += [
            (axes["sp"] == "on" and axes["tp"] > 1, "AutoTP has no sequence parallelism"),
            (axes["recompute"] not in ("none", "full"), "layers are checkpointed as a whole"),
            (axes["recompute_layers"] != 0, "no count of layers"),
            (axes["tp"] > 1 and axes["pp"] > 1, "AutoTP does not split a PipelineModule"),
            (axes["tp"] > 1 and axes["cp"] > 1, "AutoTP replaces the mpu of Ulysses"),
        ]
    silent += [(axes["ep"] > 1 and axes["pp"] > 1, "AutoEP finds experts outside PipelineModule")]
    for met, reason in silent:
        if met:
            raise NoSetting(reason)


def say_what_megatron_decides(plan):
    """Refusals of Megatron-DeepSpeed's arguments.py, which is not installed."""
    axes, m = plan["axes"], plan["model"]
    if axes["pp"] > 1 and m["num_hidden_layers"] % axes["pp"] != 0:
        raise NotCheckable("layers % stages is checked by Megatron-DeepSpeed")
    if m["num_key_value_heads"] % axes["tp"] != 0 or "kv_lora_rank" in m:
        raise NotCheckable("attention is Megatron-DeepSpeed's")
    if axes["etp"] not in (1, axes["tp"]) or \
            axes["recompute"] not in ("none", "selective", "full"):
        raise NotCheckable("an argument of Megatron-DeepSpeed")


def config_of(plan, megatron):
    axes, question = plan["axes"], plan["question"]
    zero = {"stage": axes["zero"]}
    if axes["zero"] > 0:
        zero["overlap_comm"] = axes["dp_overlap"] == "on"
    device = {"host": "cpu", "nvme": "nvme"}[axes["offload_target"]]
    where = dict({"device": device}, **({"nvme_path": "/tmp"} if device == "nvme" else {}))
    if axes["offload_optimizer"] > 0:
        zero["offload_optimizer"] = dict(where, ratio=axes["offload_optimizer"])
    if axes["offload_params"] > 0:
        zero["offload_param"] = where
    if axes["shard_group"] != 0:
        zero["mics_shard_size"] = axes["shard_group"]
    config = {"train_batch_size": question["global_batch"],
              "train_micro_batch_size_per_gpu": axes["micro_batch"],
              "gradient_accumulation_steps": plan["accumulation"],
              "fp16" if axes["precision"] == "fp16" else "bf16": {"enabled": True},
              "zero_optimization": zero,
              "optimizer": {"type": "AdamW", "params": {"lr": 1e-4}}}
    if axes["offload_activations"] > 0:
        config["activation_checkpointing"] = {"partition_activations": True,
                                              "cpu_checkpointing": True}
    if axes["tp"] > 1 and not megatron:
        config["tensor_parallel"] = {"autotp_size": axes["tp"]}
    if axes["ep"] > 1 and not megatron:
        config["expert_parallel"] = {"enabled": True, "autoep_size": axes["ep"],
                                     "expert_tensor_parallel_size": axes["etp"]}
    return config


def pretend_world(plan):
    import deepspeed.comm as dist
    dist.get_rank = lambda *_, **__: 0
    dist.get_world_size = lambda *_, **__: plan["axes"]["gpus"]
    dist.is_initialized = lambda *_, **__: True
    dist.init_distributed = lambda *_, **__: None
    axes = plan["axes"]
    return types.SimpleNamespace(get_data_parallel_world_size=lambda: plan["dp"],
                                 get_sequence_parallel_world_size=lambda: axes["cp"])


class Reached(Exception):
    """The checks are passed; what follows builds the model."""


def check_pipeline(plan, settings, mpu):
    """deepspeed.initialize with a PipelineModule, up to where PipelineEngine counts its batches."""
    import deepspeed
    import torch
    from deepspeed.runtime.engine import DeepSpeedEngine
    from deepspeed.runtime.pipe.module import PipelineModule
    module = PipelineModule.__new__(PipelineModule)
    torch.nn.Module.__init__(module)
    module.mpu = lambda: types.SimpleNamespace(get_data_parallel_world_size=lambda: plan["dp"])

    def begin(engine, *_, config_class=None, **__):
        torch.nn.Module.__init__(engine)
        engine.module, engine._config, engine.optimizer = module, config_class, None

    def stop(*_):
        raise Reached

    kept = DeepSpeedEngine.__init__, DeepSpeedEngine.train_micro_batch_size_per_gpu
    DeepSpeedEngine.__init__, DeepSpeedEngine.train_micro_batch_size_per_gpu = begin, stop
    try:
        deepspeed.initialize(model=module, config=settings, mpu=mpu, dist_init_required=False)
    except Reached:
        pass
    finally:
        DeepSpeedEngine.__init__, DeepSpeedEngine.train_micro_batch_size_per_gpu = kept


def check_experts(plan, config, native):
    """AutoEP's own checks, or those of stage 3 with layers of deepspeed.moe."""
    import torch
    from deepspeed.moe.layer import MoE
    from deepspeed.module_inject.auto_ep_config import validate_autoep_config
    from deepspeed.module_inject.auto_ep_folding import build_folding_spec, validate_folding_global
    from deepspeed.module_inject.auto_ep_layer import AutoEPMoELayer
    from deepspeed.runtime.engine import DeepSpeedEngine
    axes = plan["axes"]
    layer = (MoE if native else AutoEPMoELayer).__new__(MoE if native else AutoEPMoELayer)
    torch.nn.Module.__init__(layer)
    if not native:
        validate_autoep_config(config.expert_parallel_config, axes["gpus"], axes["pp"], axes["tp"],
                               axes["cp"])
        spec = build_folding_spec(world_size=axes["gpus"], pp_size=axes["pp"], tp_size=axes["tp"],
                                  ep_size=axes["ep"], etp_size=axes["etp"],
                                  mp_mode="tp" if axes["tp"] > 1 else "sp")
        validate_folding_global(
            spec, zero_stage=axes["zero"], sp_size=axes["cp"], autoep_enabled=True,
            zero_offload_optimizer=axes["offload_optimizer"] > 0,
            zero_offload_param=axes["offload_params"] > 0)
    if axes["zero"] == 3:
        engine = types.SimpleNamespace(
            has_moe_layers=True, module=torch.nn.ModuleList([layer]), _config=config,
            sequence_parallel_size=axes["cp"], zero_quantized_gradients=lambda: False)
        DeepSpeedEngine._validate_zero3_moe_compatibility(engine)


def check(plan):
    from deepspeed.runtime.config import DeepSpeedConfig
    axes, megatron = plan["axes"], plan["engine"] == "megatron-deepspeed"
    mpu = pretend_world(plan)
    settings = config_of(plan, megatron)
    config = DeepSpeedConfig(settings, mpu)
    if axes["pp"] > 1:
        check_pipeline(plan, settings, mpu if axes["cp"] > 1 else None)
    if axes["ep"] > 1:
        check_experts(plan, config, megatron)
    say_what_has_no_setting(plan, megatron)
    if megatron:
        say_what_megatron_decides(plan)


def version():
    import deepspeed
    return "deepspeed " + deepspeed.__version__


if __name__ == "__main__":
    serve(version(), check)
