# SPDX-License-Identifier: Apache-2.0
# Checkpoints on the command line: alone, beside a config.json, as a model for other commands.
. "$(dirname "$0")/lib.sh"

# u32 N, u64 N: little-endian bytes.
u32() { printf "$(printf '\\%03o\\%03o\\%03o\\%03o' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)))"; }
u64() { u32 "$1" && u32 0; }
zeros() { head -c "$1" /dev/zero; }
name() { u64 "${#1}" && printf %s "$1"; }

# safetensors FILE HEADER BYTES
safetensors() { { name "$2" && zeros "$3"; } >"$1"; }

# A Llama of hidden 8, 2 layers, 2 heads, feed-forward 16, vocabulary 10, tied:
# 10 x 8 + 2 (4 x 64 + 3 x 128 + 2 x 8) + 8 = 1,400 parameters.
mkdir "$work/tiny"
cat >"$work/tiny/config.json" <<'END'
{"model_type": "llama", "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
 "num_key_value_heads": 2, "intermediate_size": 16, "vocab_size": 10, "tie_word_embeddings": true,
 "max_position_embeddings": 64}
END
safetensors "$work/tiny/model.safetensors" \
    '{"all":{"dtype":"BF16","shape":[1400],"data_offsets":[0,2800]}}' 2800
expect_code 0 params "$work/tiny/"
says out 'The checkpoint has exactly the parameters of the model.'
expect_code 0 params "$work/tiny/" --json -o "$work/both.json"
expect_code 0 params "$work/tiny/model.safetensors" --json -o "$work/alone.json"
n_expected=$((n_expected + 1))
grep -q '"bits_per_parameter": 16,' "$work/alone.json" || fail 'bits of a bf16 checkpoint'

# The head once more, and a prediction layer.
safetensors "$work/tiny/model.safetensors" \
    '{"all":{"dtype":"BF16","shape":[1400],"data_offsets":[0,2800]},
      "lm_head.weight":{"dtype":"BF16","shape":[10,8],"data_offsets":[2800,2960]},
      "model.layers.2.w":{"dtype":"BF16","shape":[5],"data_offsets":[2960,2970]}}' 2970
expect_code 0 params "$work/tiny/"
says out 'The checkpoint has 85 parameters more than the model:'
says out '5  in multi-token prediction modules'
says out '80  in a head that is the embedding table once more'
expect_code 0 params "$work/tiny/" --json -o "$work/more.json"

# An index alone knows names and bytes.
printf '%s' '{"metadata":{"total_size":2800},"weight_map":{"all":"gone.safetensors"}}' \
    >"$work/model.safetensors.index.json"
expect_code 0 params "$work/model.safetensors.index.json"
says out '1 of 1 shards are not beside the index'
expect_code 0 params "$work/model.safetensors.index.json" --json -o "$work/index.json"

# key_u32 KEY N; the same model as GGUF, which names its tensors itself.
key_u32() { name "$1" && u32 4 && u32 "$2"; }
gguf() {
    printf GGUF && u32 3 && u64 1 && u64 7
    name general.architecture && u32 8 && name "$1"
    key_u32 "$1.block_count" 2
    key_u32 "$1.embedding_length" 8
    key_u32 "$1.feed_forward_length" 16
    key_u32 "$1.attention.head_count" 2
    key_u32 "$1.attention.head_count_kv" 2
    key_u32 "$1.context_length" 64
    name token_embd.weight && u32 2 && u64 8 && u64 10 && u32 1 && u64 0
    zeros 256
}
gguf llama >"$work/tiny.gguf"
expect_code 0 params "$work/tiny.gguf" --json -o "$work/gguf.json"
expect_code 0 params "$work/tiny.gguf"
says out '1,400'
says out 'The checkpoint has 1,320 parameters fewer than the model:'
expect_code 0 train --model "$work/tiny.gguf" --cluster l40s-8 --gpus 2 --seq-len 64 --global-batch 8
says out 'tiny'
gguf other >"$work/other.gguf"
expect_code 0 params "$work/other.gguf" --json -o "$work/other.json"
expect_code 0 params "$work/other.gguf"
says out 'the dimensions of the model were not read'
expect_code 2 train --model "$work/other.gguf" --cluster l40s-8 --gpus 2 --seq-len 64 --global-batch 8
says err 'models of this architecture cannot be read'
expect_code 3 params "$work/none.gguf"
says err 'cannot open the file'

# Weights are as wide as the files have them, unless something else is asked for.
mkdir "$work/narrow"
cp "$work/tiny/config.json" "$work/narrow"
safetensors "$work/narrow/model.safetensors" \
    '{"all":{"dtype":"F8_E4M3","shape":[1400],"data_offsets":[0,1400]}}' 1400
narrow="analyze $work/narrow/ --hardware h100-sxm --isl 16 --osl 8"
expect_code 0 $narrow --bits checkpoint,kv=8 --json
n_expected=$((n_expected + 1))
grep -q '"attention_weight": 8,' "$work/out" && grep -q '"kv_cache": 8,' "$work/out" || fail 'bits of narrow files'
expect_code 0 $narrow
says out '(both as the checkpoint has them)'
expect_code 0 $narrow --bits bf16 --json
n_expected=$((n_expected + 1))
grep -q '"ffn_weight": 16,' "$work/out" || fail 'bits that were asked for'
narrow="memory $work/narrow/ --hardware h100-sxm --isl 16 --osl 8 --engine hf --json"
expect_code 0 $narrow --bits checkpoint
cp "$work/out" "$work/eight.json"
expect_code 0 $narrow
same "$work/out" "$work/eight.json" 'memory without --bits'
expect_code 0 $narrow --bits bf16
n_expected=$((n_expected + 1))
python3 - "$work/eight.json" "$work/out" <<'PY' || fail 'weights of narrow files weigh half'
import json
import sys

narrow, wide = (json.load(open(name, encoding="utf-8"))["phases"]["load"]["bytes"] for name in sys.argv[1:])
assert narrow["embedding_weights"] == 80 and wide["embedding_weights"] == 160
# 2 layers of 3 x 8 x 16; their 2 norms of 8 stay at 2 bytes.
assert narrow["ffn_weights"] == 768 + 32 and wide["ffn_weights"] == 2 * 768 + 32
PY
expect_code 3 memory llama-3.1-8b --hardware h100-sxm --bits checkpoint
says err 'the width of its weights is not known'
expect_code 3 analyze llama-3.1-8b --hardware h100-sxm --bits checkpoint
says err 'the width of its weights is not known'

follows params.json "$work/both.json" "$work/alone.json" "$work/more.json" "$work/index.json" \
    "$work/gguf.json" "$work/other.json"
follows gguf.json configs/gguf/*.json
finish
