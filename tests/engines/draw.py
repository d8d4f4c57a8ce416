# SPDX-License-Identifier: Apache-2.0
"""Random plans for one engine: half of them from what the engine usually runs, half with one or two
axes drawn from everything that there is, so that single rules are broken."""
MODELS = ["dense", "dense-30", "moe", "latent-moe", "latent-moe-mtp"]
TITAN_MODELS = ["titan-dense", "titan-moe", "titan-latent-moe", "titan-latent-moe-mtp"]
QUESTIONS = [
    {"gpus": 8, "seq_len": 4096, "global_batch": 64, "cluster": "dgx-b200", "task": "pretrain"},
    {"gpus": 16, "seq_len": 1024, "global_batch": 64, "cluster": "dgx-b200", "task": "pretrain"},
    {"gpus": 32, "seq_len": 4096, "global_batch": 96, "cluster": "dgx-h100", "task": "pretrain"},
    {"gpus": 64, "seq_len": 2048, "global_batch": 256, "cluster": "dgx-b200", "task": "pretrain"},
    {"gpus": 16, "seq_len": 2048, "global_batch": 128, "cluster": "dgx-b200", "task": "pretrain"},
]
GPUS_OF_A_DOMAIN = 8
ALL = {
    "tp": [1, 2, 4, 8], "cp": [1, 2, 4], "pp": [1, 2, 3, 4, 8], "ep": [1, 2, 4, 8], "etp": [1, 2, 4],
    "placement": ["tp_dp_pp", "tp_pp_dp"], "micro_batch": [1, 2, 4],
    "recompute": ["none", "selective", "layernorm", "act", "layernorm_act", "mla_up", "mla_up_mlp",
                  "mlp", "ops", "full"],
    "recompute_layers": ["all", "1", "2", "3"], "zero": [0, 1, 2, 3],
    "shard_group": ["all", "2", "4"], "schedule": ["1f1b", "gpipe", "interleaved"],
    "vpp": [1, 2, 3], "stage_layers": ["even", "weighted"],
    "precision": ["bf16", "fp16", "fp8", "mxfp8", "nvfp4"],
    "offload_optimizer": ["0", "0.5", "1"], "offload_params": ["0", "0.5", "1"],
    "offload_activations": ["0", "0.5", "1"], "offload_target": ["host", "nvme"],
    "cp_kind": ["ring", "allgather", "ulysses", "hybrid"], "ep_overlap": ["off", "on"],
    "sp": ["off", "on"], "tp_overlap": ["off", "on"], "dp_overlap": ["off", "on"],
}
# What an engine usually runs: first values more often, axes not named at their defaults.
USUAL = {
    "megatron": {
        "tp": [1, 2, 4, 2], "cp": [1, 1, 2, 4], "pp": [1, 2, 4, 4], "ep": [1, 2, 4, 8],
        "etp": [1, 1, 2], "micro_batch": [1, 1, 2], "zero": [1, 1, 0],
        "recompute": ["none", "none", "selective", "full", "layernorm", "mlp", "mla_up"],
        "recompute_layers": ["all", "2"], "schedule": ["1f1b", "interleaved"], "vpp": [1, 2, 3],
        "stage_layers": ["even", "weighted"], "shard_group": ["all", "all", "2"],
        "precision": ["bf16", "bf16", "fp8", "mxfp8", "nvfp4", "fp16"],
        "offload_optimizer": ["0", "0", "0.5"], "offload_activations": ["0", "0", "0.5"],
        "cp_kind": ["ring", "allgather", "ulysses", "hybrid"], "sp": ["on"],
        "ep_overlap": ["off", "off", "on"], "tp_overlap": ["off", "on"], "dp_overlap": ["on", "off"],
        "placement": ["tp_dp_pp", "tp_dp_pp", "tp_pp_dp"]},
    "deepspeed": {
        "tp": [1, 1, 1, 2], "cp": [1, 1, 2, 4], "pp": [1, 1, 1, 2, 4], "ep": [1, 2, 4],
        "micro_batch": [1, 2], "zero": [1, 2, 3, 3, 0], "recompute": ["none", "full"],
        "precision": ["bf16", "fp16"], "cp_kind": ["ulysses"], "sp": ["off"],
        "offload_optimizer": ["0", "0", "1", "0.5"], "offload_params": ["0", "0", "1"],
        "offload_target": ["host", "nvme"], "dp_overlap": ["off", "on"],
        "shard_group": ["all", "all", "2"]},
    "torchtitan": {
        "etp": [1, 1, 2, 4],
        "tp": [1, 2, 4], "cp": [1, 1, 2], "pp": [1, 2, 4], "ep": [1, 2, 4],
        "micro_batch": [1, 2], "zero": [2, 3, 3], "recompute": ["none", "full", "ops", "selective"],
        "schedule": ["1f1b", "gpipe", "interleaved"], "vpp": [1, 2],
        "shard_group": ["all", "2"], "precision": ["bf16"], "sp": ["on"],
        "cp_kind": ["allgather"], "tp_overlap": ["off", "on"], "dp_overlap": ["on"],
        "stage_layers": ["even", "weighted"]},
    "fsdp": {
        "tp": [1, 1, 2], "cp": [1, 1, 2], "micro_batch": [1, 2], "zero": [2, 3],
        "recompute": ["none", "full"], "shard_group": ["all", "2", "4"],
        "precision": ["bf16", "fp16", "fp8"], "offload_optimizer": ["0", "1"],
        "offload_params": ["0", "1"], "cp_kind": ["allgather", "ulysses"], "dp_overlap": ["on"]},
    "megatron-deepspeed": {
        "tp": [1, 2, 4], "pp": [1, 1, 2], "ep": [1, 1, 2], "etp": [1, 2], "micro_batch": [1, 2],
        "zero": [1, 2, 3], "recompute": ["none", "full", "selective"], "cp": [1, 1, 2],
        "cp_kind": ["ulysses"], "precision": ["bf16", "fp16"], "sp": ["off", "on"],
        "offload_optimizer": ["0", "1"], "dp_overlap": ["off", "on"]},
}
# Axes that a plan in which they mean nothing leaves out.
NEEDS = {
    "sp": lambda p: p["tp"] > 1, "tp_overlap": lambda p: p["tp"] > 1,
    "cp_kind": lambda p: p["cp"] > 1, "schedule": lambda p: p["pp"] > 1,
    "vpp": lambda p: p.get("schedule") == "interleaved", "stage_layers": lambda p: p["pp"] > 1,
    "recompute_layers": lambda p: p.get("recompute") == "full",
    "shard_group": lambda p: p.get("zero", 1) > 0,
    "offload_target": lambda p: p.get("offload_optimizer", "0") != "0" or
                      p.get("offload_params", "0") != "0",
    "ep": lambda p: p["experts"], "etp": lambda p: p["experts"] and p["tp"] > 1,
    "ep_overlap": lambda p: p["experts"] and p.get("ep", 1) > 1,
}


def models_of(engine):
    """torchtitan has models of its own, which ours must equal."""
    return TITAN_MODELS if engine == "torchtitan" else MODELS


def draw_plan(random, engine, experts):
    """The axes of one plan, in the order of ALL; what means nothing is left out."""
    usual = USUAL[engine]
    wild = set(random.sample(sorted(ALL), random.choice([0, 0, 0, 1, 1, 1, 2])))
    plan = {"experts": experts}
    for axis, values in ALL.items():
        choice = random.choice(values if axis in wild else usual.get(axis, values[:1]))
        if axis == "vpp" and plan.get("schedule") == "interleaved" and choice == 1:
            choice = 2
        plan[axis] = choice
        if axis in NEEDS and not NEEDS[axis](plan):
            del plan[axis]
    del plan["experts"]
    return plan


def plan_text(plan):
    return ",".join("%s=%s" % item for item in plan.items())
