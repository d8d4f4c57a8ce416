# SPDX-License-Identifier: Apache-2.0
"""Puts plans to Megatron-LM (megatron-core's wheel), without a GPU: its parser, validate_args, the
configuration classes that it fills, and its process groups over a pretended world. What is not
there is answered: the GPU's capability and the version of Transformer Engine. Reads plans as JSON
lines, writes verdicts as JSON lines."""
import contextlib
import io
import os
import sys
import types

from put import NoSetting, serve

os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1", NO_VCS_VERSION="1",
                  CUDA_DEVICE_MAX_CONNECTIONS="1", NVTE_CPU_OFFLOAD_V1="1")
RECOMPUTE = {"selective": "core_attn", "layernorm": "layernorm", "act": "moe_act",
             "layernorm_act": "layernorm moe_act", "mla_up": "mla_up_proj",
             "mla_up_mlp": "mla_up_proj mlp", "mlp": "mlp"}
CP_KINDS = {"ring": "p2p", "allgather": "allgather", "ulysses": "a2a", "hybrid": "a2a+p2p"}
PRECISIONS = {"bf16": "--bf16", "fp16": "--fp16",
              "fp8": "--bf16 --fp8-format hybrid --fp8-recipe tensorwise",
              "mxfp8": "--bf16 --fp8-format e4m3 --fp8-recipe mxfp8",
              "nvfp4": "--bf16 --fp4-format e2m1 --fp4-recipe nvfp4"}


def model_words(m):
    words = ["--num-layers", m["num_hidden_layers"], "--hidden-size", m["hidden_size"],
             "--ffn-hidden-size", m["intermediate_size"],
             "--num-attention-heads", m["num_attention_heads"],
             "--max-position-embeddings", m["max_position_embeddings"], "--swiglu",
             "--normalization", "RMSNorm", "--disable-bias-linear", "--no-rope-fusion",
             "--position-embedding-type", "rope", "--untie-embeddings-and-output-weights",
             "--attention-dropout", 0, "--hidden-dropout", 0, "--no-bias-swiglu-fusion"]
    if "kv_lora_rank" in m:
        words += ["--multi-latent-attention", "--kv-lora-rank", m["kv_lora_rank"]]
    else:
        words += ["--group-query-attention", "--num-query-groups", m["num_key_value_heads"]]
    if m.get("num_nextn_predict_layers"):
        words += ["--mtp-num-layers", m["num_nextn_predict_layers"]]
    return words


def expert_words(m):
    n = m.get("num_local_experts", m.get("n_routed_experts"))
    if n is None:
        return []
    dense = m.get("first_k_dense_replace", 0)
    freq = "([0]*%d+[1]*%d)" % (dense, m["num_hidden_layers"] - dense)
    words = ["--num-experts", n, "--moe-router-topk", m["num_experts_per_tok"],
             "--moe-ffn-hidden-size", m.get("moe_intermediate_size", m["intermediate_size"]),
             "--moe-layer-freq", freq, "--moe-grouped-gemm",
             "--moe-token-dispatcher-type", "alltoall"]
    if m.get("n_shared_experts"):
        words += ["--moe-shared-expert-intermediate-size",
                  m["n_shared_experts"] * m["moe_intermediate_size"]]
    return words


def layout(plan):
    """--pipeline-model-parallel-layout: chunks in the order of the model, stage after stage. The
    odd layers lie in the middle; weighted takes one more from the end."""
    m, axes = plan["model"], plan["axes"]
    chunks, layers = axes["pp"] * axes["vpp"], m["num_hidden_layers"]
    counts = [layers // chunks] * chunks
    counts[-1] -= axes["stage_layers"] == "weighted" and counts[-1] > 1
    for i in range(layers - sum(counts)):
        counts[(1 + i) % (chunks - 1)] += 1
    text = ["t" * n for n in counts]
    text[0] = "E" + text[0]
    text[-1] += "m" * m.get("num_nextn_predict_layers", 0) + "L"
    return "|".join(text)


def pipeline_words(plan):
    m, axes = plan["model"], plan["axes"]
    pp, vpp = axes["pp"], axes["vpp"]
    words = ["--pipeline-model-parallel-size", pp]
    if axes["schedule"] == "gpipe":
        raise NoSetting("schedules are 1F1B and interleaved 1F1B")
    if pp == 1:
        return words
    even = axes["stage_layers"] == "even" and m["num_hidden_layers"] % (pp * vpp) == 0
    if even and not m.get("num_nextn_predict_layers"):
        return words + (["--num-virtual-stages-per-pipeline-rank", vpp] if vpp > 1 else [])
    return words + ["--pipeline-model-parallel-layout", layout(plan)]


def recompute_words(axes):
    kind = axes["recompute"]
    if kind == "none":
        return []
    if kind == "ops":
        raise NoSetting("--recompute-modules knows no products to keep")
    if kind == "full":
        n = axes["recompute_layers"]
        if n == 0:
            return ["--recompute-granularity", "full", "--recompute-method", "uniform",
                    "--recompute-num-layers", 1]
        if n % axes["vpp"] != 0:
            raise NoSetting("--recompute-num-layers counts the layers of each chunk")
        return ["--recompute-granularity", "full", "--recompute-method", "block",
                "--recompute-num-layers", n // axes["vpp"]]
    return ["--recompute-granularity", "selective",
            "--recompute-modules"] + RECOMPUTE[kind].split()


def state_words(plan):
    axes, copies = plan["axes"], plan["dp"] * plan["axes"]["cp"]
    words = []
    if axes["zero"] > 1:
        raise NoSetting("--use-distributed-optimizer shards the optimizer alone")
    if axes["offload_params"] > 0 or (axes["offload_optimizer"] > 0 and
                                      axes["offload_target"] != "host"):
        raise NoSetting("only optimizer states go to the host")
    if axes["zero"] == 1 or (axes["offload_optimizer"] > 0 and copies == 1):
        words += ["--use-distributed-optimizer"]
    if axes["shard_group"] != 0:
        words += ["--num-distributed-optimizer-instances", copies // axes["shard_group"]]
    if axes["offload_optimizer"] > 0:
        words += ["--optimizer-cpu-offload", "--use-precision-aware-optimizer",
                  "--optimizer-offload-fraction", axes["offload_optimizer"]]
    if axes["offload_activations"] > 0:
        words += ["--fine-grained-activation-offloading", "--offload-modules", "attn_norm",
                  "core_attn", "attn_proj", "mlp_norm",
                  "--activation-offload-fraction", axes["offload_activations"]]
    return words


def words_of(plan):
    m, axes, question = plan["model"], plan["axes"], plan["question"]
    words = model_words(m) + expert_words(m) + pipeline_words(plan)
    words += recompute_words(axes) + state_words(plan) + PRECISIONS[axes["precision"]].split()
    words += ["--tensor-model-parallel-size", axes["tp"], "--context-parallel-size", axes["cp"],
              "--micro-batch-size", axes["micro_batch"],
              "--global-batch-size", question["global_batch"], "--seq-length", question["seq_len"],
              "--train-iters", 10, "--lr", 1e-4, "--tokenizer-type", "NullTokenizer",
              "--vocab-size", m["vocab_size"], "--mock-data"]
    if expert_words(m):
        words += ["--expert-model-parallel-size", axes["ep"],
                  "--expert-tensor-parallel-size", axes["etp"]]
    if axes["cp"] > 1:
        words += ["--cp-comm-type", CP_KINDS[axes["cp_kind"]]]
    if axes["cp"] > 1 and axes["cp_kind"] == "hybrid":
        inner = max(1, min(axes["cp"], plan["domain"] // axes["tp"]))
        words += ["--hierarchical-context-parallel-sizes", inner, axes["cp"] // inner]
    if axes["placement"] == "tp_pp_dp":
        words += ["--use-tp-pp-dp-mapping"]
    for axis, flag in (("sp", "--sequence-parallel"), ("tp_overlap", "--tp-comm-overlap"),
                       ("ep_overlap", "--overlap-moe-expert-parallel-comm"),
                       ("dp_overlap", "--overlap-grad-reduce")):
        words += [flag] if axes[axis] == "on" else []
    if axes["dp_overlap"] == "on" and axes["zero"] == 1:
        words += ["--overlap-param-gather"]
    return [str(word) for word in words]


def fake_machine():
    import torch
    import megatron.core.utils as utils
    from packaging.version import Version
    # Of Blackwell for its formats: what a GPU computes in is shardplan's rule, not Megatron's.
    properties = types.SimpleNamespace(major=10, minor=0, total_memory=180 << 30, name="pretended",
                                       multi_processor_count=148)
    torch.cuda.get_device_properties = lambda *_, **__: properties
    torch.cuda.get_device_capability = lambda *_, **__: (10, 0)
    utils.get_te_version = lambda: Version("2.9.0")
    utils._te_version = Version("2.9.0")


def build_groups(args):
    """Megatron's own groups of ranks, with a process group that only pretends."""
    import torch
    from megatron.core import parallel_state
    from torch.testing._internal.distributed.fake_pg import FakeStore
    torch.distributed.init_process_group("fake", rank=0, world_size=args.world_size,
                                         store=FakeStore())
    try:
        parallel_state.initialize_model_parallel(
            args.tensor_model_parallel_size, args.pipeline_model_parallel_size,
            args.virtual_pipeline_model_parallel_size,
            context_parallel_size=args.context_parallel_size,
            hierarchical_context_parallel_sizes=args.hierarchical_context_parallel_sizes,
            expert_model_parallel_size=args.expert_model_parallel_size,
            num_distributed_optimizer_instances=args.num_distributed_optimizer_instances,
            expert_tensor_parallel_size=args.expert_tensor_parallel_size,
            order="tp-cp-ep-pp-dp" if args.use_tp_pp_dp_mapping else "tp-cp-ep-dp-pp",
            create_gloo_process_groups=False)
    finally:
        parallel_state.destroy_model_parallel()
        torch.distributed.destroy_process_group()


def check(plan):
    from megatron.core.num_microbatches_calculator import ConstantNumMicroBatchesCalculator
    from megatron.core.optimizer import OptimizerConfig
    from megatron.training.arguments import (core_transformer_config_from_args, parse_args,
                                             validate_args)
    import dataclasses
    os.environ["WORLD_SIZE"] = str(plan["axes"]["gpus"])
    sys.argv = ["pretrain_gpt.py"] + words_of(plan)
    with contextlib.redirect_stdout(io.StringIO()):
        args = validate_args(parse_args())
        core_transformer_config_from_args(args)
        ConstantNumMicroBatchesCalculator(args.global_batch_size, args.micro_batch_size,
                                          args.data_parallel_size, False, 0)
        OptimizerConfig(**{f.name: getattr(args, f.name)
                           for f in dataclasses.fields(OptimizerConfig) if hasattr(args, f.name)})
        build_groups(args)


def version():
    import importlib.metadata
    return "megatron-core " + importlib.metadata.version("megatron-core")


if __name__ == "__main__":
    fake_machine()
    serve(version(), check)
