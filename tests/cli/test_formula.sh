#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# formula: values, expansions and oddities of module files, as text and as JSON.
. "$(dirname "$0")/lib.sh"

cat >"$work/sizes.json" <<'EOF'
{"tiny": {"batch_size": 1, "seq_len": 3, "cache_len": 2, "a_bytes": 2, "w_bytes": 0.5, "index_bytes": 8,
          "config": {"hidden_size": 8, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4,
                     "intermediate_size": 16, "num_hidden_layers": 2, "vocab_size": 32}}}
EOF
cat >"$work/norm.json" <<'EOF'
{"class_name": "Norm", "kernels": [
  {"kernel_type": "fused", "operation": "norm", "analysis": "",
   "flops": "4 * {n} ** 2 * 9007199254740993", "memory_access": {"read": "{n} / 2", "write": "{n} * 2 +"}}]}
EOF

expect_code 0 formula eval "$work/norm.json" --bind "$work/sizes.json"
says out '! n: a variable has no value'
says out '! the formula ends where a value is expected'
says out '3 formulas, 3 without a value'
is_empty err

echo '{"n": 1}' >"$work/n.json"
expect_code 0 formula eval "$work/norm.json" --bind "$work/n.json" --json -o "$work/eval.json"
follows formulas.json "$work/eval.json"
cp "$work/eval.json" "$work/out"
says out '"value": "36028797018963972"'
says out '"value": {"num": "1", "den": "2"}'
says out '"error": {"code": "syntax"'

expect_code 0 formula expand configs/modules/*.json --bind "$work/sizes.json#tiny" --class CausalLM --class RMSNorm
says out '    flops  10728'
says out '! a variable has no value: tokens has no value in RMSNorm'
lacks out SwiGLU

expect_code 0 formula expand configs/modules/*.json --bind "$work/sizes.json#tiny" --json -o "$work/expand.json"
follows formulas.json "$work/expand.json"

# A signature gives positional arguments their meaning, a map a class another name.
echo '{"class_name": "Root", "kernels": [{"kernel_type": "composite", "operation": "", "analysis": "",
  "flops": "${nn.Linear}(2, 3, 5, 7)", "memory_access": {"read": "0", "write": "0"}}]}' >"$work/root.json"
echo '{"nn.Linear": "Linear"}' >"$work/map.json"
echo '{"Linear": [{"parameters": ["tokens", "in_features", "heads", "width"],
                   "where": {"out_features": "heads * width", "has_bias": 0}}]}' >"$work/signatures.json"
expect_code 0 formula expand "$work/root.json" configs/modules/layers.json --class Root --map "$work/map.json"
says out '    flops  70'
sed 's/nn.Linear/Linear/' "$work/root.json" >"$work/direct.json"
expect_code 0 formula expand "$work/direct.json" configs/modules/layers.json --class Root --signatures "$work/signatures.json"
says out '    flops  420'

expect_code 0 formula lint configs/modules/*.json
says out '0 errors, 0 oddities'
expect_code 0 formula lint "$work/norm.json" --json
says out 'kernel_type \"fused\" is neither basic nor composite'
cp "$work/out" "$work/lint.json"
follows formulas.json "$work/lint.json"
echo '[{"class_name": "Norm", "kernels": []}]' >"$work/again.json"
expect_code 3 formula lint "$work/norm.json" "$work/again.json"
says out 'error: values contradict each other: "Norm" is described in'
follows modules.json configs/modules/*.json
finish
