#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Parameter counts of random configurations of every model type against the real client.

    check_model_types.py [--each N] [--seed S] [--types a,b] [--store FILE] [--keep DIR]
    check_model_types.py --again FILE

For each file of configs/model_types the default configuration of the client's class and N
variations of the keys in the file's "defaults" are built by transformers on torch's meta device and
counted: as they are written, as the client saves them again ("-saved", the config.json that people
have), and with every key that it knows ("-whole"). `shardplan validate params` counts them all at
once. Prints every count that differs (exit 1) and what only one side refuses, with its reason. --store writes the configurations and the
client's counts, which tests/spec/test_model_types.c replays without it. --again counts the
configurations of such a file anew: model_published_counts.json holds models as their makers
describe them, written down from their published dimensions.

Needs transformers and torch; SHARDPLAN_BIN (default build/release/shardplan) and SHARDPLAN_HOME
(default the source tree) say what is checked.
"""
import argparse, contextlib, copy, glob, io, json, os, random, subprocess, sys, tempfile, warnings

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOME = os.environ.get("SHARDPLAN_HOME", ROOT)
BINARY = os.environ.get("SHARDPLAN_BIN", os.path.join(ROOT, "build/release/shardplan"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
warnings.filterwarnings("ignore")

FIGURES = ("total", "embedding", "active")
# Types that the client has under another name.
ALIASES = {"kimi_k2": "deepseek_v3"}
# Parameters that no text token meets, by words in their names.
TOWER = ("visual", "vision", "multi_modal_projector", "embed_vision", "mm_projector", "audio")
EXPERT_KEYS = ("n_routed_experts", "num_local_experts", "num_experts", "moe_num_experts")
CHOICE_KEYS = ("num_experts_per_tok", "num_experts_per_token", "top_k_experts", "moe_top_k",
               "moe_topk", "moe_k")


def config_of(d):
    from transformers import AutoConfig, PretrainedConfig
    d = PretrainedConfig._decode_special_floats(d)  # Infinity, as from_pretrained reads it
    d = {k: v for k, v in d.items() if k not in ("dtype", "torch_dtype", "quantization_config")}
    name = d.pop("model_type")
    return AutoConfig.for_model(ALIASES.get(name, name), **d)


def model_of(config):
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING as seeing
    with torch.device("meta"):
        if type(config) in seeing:
            return seeing[type(config)]._from_config(config)
        return AutoModelForCausalLM.from_config(config)


def number_of(config, keys):
    """The first of the keys that holds a number, in the object of experts too."""
    for place in (config, getattr(config, "ffn_config", None)):
        for key in keys:
            value = getattr(place, key, None)
            if isinstance(value, list):
                value = max(value)
            if isinstance(value, int) and not isinstance(value, bool):
                return value
    return 0


def is_routed(name, tensor, experts):
    """A tensor of routed experts: all of them stacked, or one module for each."""
    if "shared" in name or experts < 2:
        return False
    if tensor.dim() >= 2 and tensor.shape[0] == experts and (
            "experts." in name or "block_sparse_moe.input_linear" in name
            or "block_sparse_moe.output_linear" in name):
        return True
    if ".experts." not in name:
        return False
    return name.split(".experts.")[1].split(".")[0].isdigit() or tensor.shape[0] % experts == 0


def count(d):
    """Counts of the client: tied tensors once; active leaves out the experts not chosen."""
    config = config_of(copy.deepcopy(d))
    model = model_of(config)
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    experts, chosen = number_of(text, EXPERT_KEYS), number_of(text, CHOICE_KEYS)
    table = {id(p) for p in model.get_input_embeddings().parameters()}
    total = embedding = routed = 0
    for name, tensor in model.named_parameters(remove_duplicate=True):
        total += tensor.numel()
        if any(word in name for word in TOWER):
            continue
        embedding += tensor.numel() if id(tensor) in table else 0
        routed += tensor.numel() if is_routed(name, tensor, experts) else 0
    idle = routed - routed * chosen // experts if experts > 1 and chosen else 0
    return {"total": total, "embedding": embedding, "active": total - idle}


def vary(value, draw):
    """Another value of the same kind; lists and null stay."""
    if isinstance(value, bool):
        return draw.random() < 0.5
    if isinstance(value, int) and value > 0 and draw.random() < 0.4:
        return max(1, draw.choice([value // 2, 2 * value, value + draw.choice([0, value])]))
    if isinstance(value, dict):
        return {k: vary(v, draw) for k, v in value.items() if v is not None and draw.random() < 0.7}
    return value


def variation(defaults, draw):
    """Some of the keys, and few layers: building all of a model takes the client seconds."""
    stated = {k: vary(v, draw) for k, v in defaults.items() if draw.random() < 0.7}
    for key in ("num_hidden_layers", "n_layer", "n_layers"):
        if isinstance(defaults.get(key), int):
            stated[key] = draw.randint(2, 9)
    return {k: v for k, v in stated.items() if v is not None and v != {} and not isinstance(v, list)}


def rewritten(name, d):
    """The configuration as the client saves it, and with all that it knows."""
    try:
        config = config_of(copy.deepcopy(d))
        yield name + "-saved", json.loads(config.to_json_string(use_diff=True))
        yield name + "-whole", json.loads(config.to_json_string(use_diff=False))
    except Exception as error:  # the class refuses the keys, or has no default
        print("note:", name, str(error)[:80].replace("\n", " "))


def with_rewritten(name, d):
    yield name, d
    for again, saved in rewritten(name, d):
        saved.pop("transformers_version", None)
        yield again, dict(saved, model_type=d["model_type"])


def configs_of(path, each, draw):
    with open(path) as f:
        file = json.load(f)
    name = file["model_type"]
    yield from with_rewritten(name + "-default", {"model_type": name})
    for i in range(each):
        d = dict(variation(file["defaults"], draw), model_type=name)
        yield from with_rewritten("%s-%d" % (name, i), d)


def counted(configs):
    """The client's counts by name, and of those it refuses the reason. What it reads from different
    files as the same is built once."""
    counts, refused, built = {}, {}, {}
    for name, config in configs:
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                read = config_of(copy.deepcopy(config)).to_json_string(use_diff=False)
                if read not in built:
                    built[read] = count(config)
            counts[name] = built[read]
        except Exception as error:
            refused[name] = "%s: %s" % (type(error).__name__, str(error)[:120].replace("\n", " "))
    return counts, refused


def ours(folder, configs, counts):
    os.makedirs(os.path.join(folder, "configs"), exist_ok=True)
    for name, config in configs:
        with open(os.path.join(folder, "configs", name + ".json"), "w") as f:
            json.dump(config, f)
    nothing = dict.fromkeys(FIGURES, 1)
    with open(os.path.join(folder, "expected.json"), "w") as f:
        json.dump({"models": {name: counts.get(name, nothing) for name, _ in configs}}, f)
    run = subprocess.run([BINARY, "validate", "params", folder, "--json", "--points"],
                         env=dict(os.environ, SHARDPLAN_HOME=HOME), capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(run.stderr)
    return {point["id"]: point for point in json.loads(run.stdout)["points"]}


def check(configs, folder, stored):
    """Prints what differs; the numbers of exact, wrong, and those that only we, or the client,
    refuse."""
    counts, refused = counted(configs)
    points = ours(folder, configs, counts)
    exact = wrong = unread = 0
    for name, config in configs:
        point = points[name]
        if name in refused:
            unbuilt = "Unrecognized configuration class" in refused[name]  # the inside of a wrapper
            if "predicted" in point and not unbuilt:
                print("only we read", name, refused[name])
        elif point.get("predicted") == counts[name]:
            exact += 1
            if not name.endswith(("-saved", "-whole")):  # long
                stored.append({"name": name, "config": config, "counts": counts[name]})
        elif "refused" in point:
            unread += 1
            print("only the client reads", name, point["refused"].split(".json:", 1)[-1])
        else:
            wrong += 1
            print("WRONG", name, {f: (point["predicted"][f], counts[name][f]) for f in FIGURES
                                  if point["predicted"][f] != counts[name][f]})
    return exact, wrong, unread, len(refused)


def store(path, stored):
    import transformers
    with open(path, "w") as f:
        f.write('{\n  "client": "transformers %s on the meta device",\n  "models": [\n' %
                transformers.__version__)
        f.write(",\n".join("    " + json.dumps(entry) for entry in stored))
        f.write("\n  ]\n}\n")


def again(path):
    """The configurations of a stored file, counted and stored anew."""
    with open(path) as f:
        configs = [(entry["name"], entry["config"]) for entry in json.load(f)["models"]]
    stored = []
    with tempfile.TemporaryDirectory() as temporary:
        found = check(configs, temporary, stored)
    store(path, stored)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--each", type=int, default=20, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--types", metavar="A,B")
    parser.add_argument("--store", metavar="FILE")
    parser.add_argument("--keep", metavar="DIR")
    parser.add_argument("--again", metavar="FILE")
    options = parser.parse_args()
    sums, stored = list(again(options.again)) if options.again else [0, 0, 0, 0], []
    for path in [] if options.again else sorted(glob.glob(os.path.join(HOME, "configs/model_types/[a-z]*.json"))):
        name = os.path.basename(path)[:-5]
        if options.types and name not in options.types.split(","):
            continue
        draw = random.Random("%s %d" % (name, options.seed))
        configs = list(configs_of(path, options.each, draw))
        with tempfile.TemporaryDirectory() as temporary:
            found = check(configs, os.path.join(options.keep or temporary, name), stored)
        sums = [a + b for a, b in zip(sums, found)]
        sys.stdout.flush()
    print("%d exact, %d wrong, %d read by the client only, %d refused by the client" % tuple(sums))
    if options.store:
        store(options.store, stored)
    sys.exit(sums[1] > 0)


if __name__ == "__main__":
    main()
