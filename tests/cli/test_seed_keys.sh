#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every key that the configuration of GPU Memory Calculator accepts, and the four records that it
# refuses: in `shardplan memory` each changes the answer or is refused with a reason. Keys of serving
# engines are in tests/analysis/test_memory_seed.c.
set -eu
. "$(dirname "$0")/lib.sh"

base='memory llama-2-7b --hardware a100-sxm-80g --engine'

# changes ENGINE 'FLAGS OF BOTH' OPTION: the answer is another one.
changes() {
    "$SHARDPLAN_BIN" $base $1 $2 --json >"$work/before" 2>"$work/err" || [ $? -eq 4 ] || fail "$1 $2"
    [ -s "$work/before" ] || fail "no answer: $1 $2 $(cat "$work/err")"
    n_expected=$((n_expected + 1))
    "$SHARDPLAN_BIN" $base $1 $2 --option "$3" --json >"$work/after" 2>"$work/err" || [ $? -eq 4 ] || fail "$1 $2 $3"
    [ -s "$work/after" ] || fail "$3 is refused: $(cat "$work/err")"
    cmp -s "$work/before" "$work/after" && fail "$3 changes nothing" || :
}

# same ENGINE 'FLAGS' OPTION 'OUR FLAGS': it says what our flags say.
same() {
    n_expected=$((n_expected + 1))
    "$SHARDPLAN_BIN" $base $1 $2 --option "$3" --json >"$work/theirs" 2>"$work/err" || [ $? -eq 4 ] || fail "$1 $3"
    "$SHARDPLAN_BIN" $base $1 $2 $4 --json >"$work/ours" 2>"$work/err" || [ $? -eq 4 ] || fail "$1 $4"
    [ -s "$work/ours" ] || fail "no answer: $(cat "$work/err")"
    cmp -s "$work/theirs" "$work/ours" || fail "$3 is not $4"
}

# refused OPTION 'WORDS'
refused() {
    n_expected=$((n_expected + 1))
    if "$SHARDPLAN_BIN" $base deepspeed --gpus 8 --option "$1" >"$work/out" 2>"$work/err"; then fail "$1 is taken"; fi
    says err "$2"
}

# ---- training ----
changes deepspeed '--gpus 8' batch_size=4
changes deepspeed '--gpus 8 --set zero=2' gradient_accumulation_steps=4
same deepspeed '--gpus 8' gradient_accumulation_steps=4 '--accumulation 4'
same deepspeed '--gpus 8' optimizer=adam '--optimizer adamw'
same deepspeed '--gpus 8' optimizer=adamw '--optimizer adamw'
same megatron '--gpus 8' dtype=float16 '--set precision=fp16'
same megatron '--gpus 8' dtype=bfloat16 '--set precision=bf16'
refused dtype=int8 'not a value of precision'
refused dtype=int4 'not a value of precision'
refused dtype=fp32 'not a value of precision'
for level in 1 2 3 4; do
    changes megatron '--gpus 8' activation_checkpointing=$level
done
same deepspeed '--gpus 8' activation_checkpointing=0 '--checkpointing none'
same deepspeed '--gpus 8' activation_checkpointing=4 '--set recompute=full'

# ---- parallelism ----
changes megatron '--gpus 8' tensor_parallel_size=2
changes megatron '--gpus 8' pipeline_parallel_size=2
changes megatron '' data_parallel_size=8
refused data_parallel_size=3 'leave another number than --dp'
changes megatron '--gpus 8 --tp 2' sequence_parallel=true
same megatron '--gpus 8 --tp 2' sequence_parallel=false '--set sp=off'

# ---- engines ----
for stage in 0 2 3; do
    changes deepspeed '--gpus 8' zero_stage=$stage
done
same deepspeed '--gpus 8' zero_stage=1 '--set zero=1'
for engine in ddp deepspeed fsdp megatron megatron-deepspeed; do
    expect_code 0 memory llama-3.2-1b --hardware a100-sxm-80g --gpus 8 --engine $engine
done
changes deepspeed '--gpus 8 --set zero=3' offload_optimizer=cpu
changes deepspeed '--gpus 8 --set zero=3' offload_optimizer=nvme
changes deepspeed '--gpus 8 --set zero=3' offload_param=cpu
changes deepspeed '--gpus 8 --set zero=3' offload_param=nvme
same deepspeed '--gpus 8' offload_optimizer=none '--set offload_optimizer=0'
same deepspeed '--gpus 8' offload_param=none '--set offload_params=0'
changes fsdp '--gpus 8' sharding_strategy=shard_grad_op
same fsdp '--gpus 8' sharding_strategy=full_shard '--set zero=3'
same ddp '--gpus 8' sharding_strategy=no_shard '--set zero=0'
refused zero_init=true 'decides how weights come into being'
refused type=fsdp 'the engine decides which options there are: --engine'

# ---- hardware and nodes ----
changes deepspeed '' num_gpus=8
refused gpu_memory_gb=40 "--reserve takes some of it away"
refused total_gpu_memory_gb=640 'the number of GPUs times'
changes deepspeed '--gpus 8 --interconnect ib-hdr --nodes 2' num_nodes=4
refused gpus_per_node=8 'follows from --gpus and --nodes'
for link in infiniband ethernet_10g ethernet_25g ethernet_100g ethernet_200g nvlink; do
    expect_code 0 memory llama-3.2-1b --hardware a100-sxm-80g --engine deepspeed --gpus 16 --nodes 2 --option interconnect_type=$link
done
changes deepspeed '--gpus 16 --nodes 2 --interconnect 10' interconnect_type=ethernet_25g
changes deepspeed '--gpus 16 --nodes 2 --interconnect 10' interconnect_bandwidth_gbps=400

# ---- the model ----
changes deepspeed '--gpus 8' max_seq_len=4096
for key in num_layers=32 hidden_size=4096 num_attention_heads=32 vocab_size=32000 moe_enabled=true \
    num_experts=8 top_k=2 expert_intermediate_size=14336 shared_expert_intermediate_size=1; do
    refused $key "is the model's: name one, or the folder of its config.json"
done
refused name=llama2-7b 'the model is named by the first word'
refused num_parameters=7B 'shardplan memory quick SIZE'
refused largest_layer_params=1000000 'worked out layer by layer'

# ---- hybrid parallelism ----
refused auto_optimize=true 'shown beside the best of a search'
refused prefer_pipeline_parallel=true 'a search has no preferences'
same megatron '--gpus 8 --tp 2' enable_sequence_parallel=true '--set sp=on'
refused sequence_parallel_threshold=4096 'the search tries both'
refused target_gpu_utilization=0.9 '--headroom'
changes megatron '--gpus 8 --pp 2 --set schedule=interleaved' max_pipeline_chunks=4

# ---- the records that it refuses: gpumem-dev-139 to 142 ----
cat >"$work/config.json" <<'JSON'
{"model_type": "mixtral", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
 "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32000,
 "max_position_embeddings": 8192, "num_local_experts": 8, "num_experts_per_tok": 9}
JSON
expect_code 3 memory "$work/config.json" --hardware a100-sxm-80g --gpus 8 --engine deepspeed
says err 'num_experts_per_tok: out of range'
refused zero_stage=4 'allowed: 0 .. 3'
refused activation_checkpointing=5 'the number is out of range'
refused batch_size=1000000000 'out of range'

finish
