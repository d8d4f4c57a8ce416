# SPDX-License-Identifier: Apache-2.0
"""Asks shardplan and the framework itself about the same random plans, and shows where they differ.

    python tests/engines/check_clients.py --engine megatron --n 200 --seed 1 --python CLIENTS/bin/python

shardplan's verdict is that of its rules for the engine alone: plans that its structure, canonical or
memory rules refuse are no question for a framework and are dropped. The framework gets the plan as
its own arguments or configuration (put_*.py). Half of the n plans are ones that the rules accept, half
ones that they refuse. Exit 1 where they disagree. --record writes the verdicts that
test_verdicts.c replays."""
import argparse
import collections
import datetime
import json
import os
import random
import subprocess
import sys
import tempfile

from draw import GPUS_OF_A_DOMAIN, QUESTIONS, draw_plan, models_of, plan_text

HERE = os.path.dirname(os.path.abspath(__file__))
HOME = os.path.dirname(os.path.dirname(HERE))
PUT = {"megatron": "put_megatron.py", "deepspeed": "put_deepspeed.py",
       "torchtitan": "put_torchtitan.py", "fsdp": "put_fsdp.py",
       "megatron-deepspeed": "put_deepspeed.py"}


def rule_ids(engine):
    with open(os.path.join(HOME, "configs", "engines", engine + ".json")) as f:
        return {rule["id"] for rule in json.load(f)["rules"]}


def ask_shardplan(binary, engine, question, texts):
    """The plans of one `shardplan estimate`, as it writes them."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as ids:
        ids.write("".join(text + "\n" for text in texts))
        ids.flush()
        flags = ["--model", os.path.join(HERE, "models", question["model"] + ".json")]
        for key in ("cluster", "gpus", "seq_len", "global_batch", "task"):
            flags += ["--" + key.replace("_", "-"), str(question[key])]
        done = subprocess.run([binary, "estimate", "--ids", ids.name, "--engine", engine, "--json",
                               "--headroom", "0"] + flags, stdout=subprocess.PIPE, check=False,
                              env=dict(os.environ, SHARDPLAN_HOME=HOME))
    if not done.stdout:
        sys.exit("shardplan gave no answer")
    return json.loads(done.stdout)["plans"]


def draw_questions(rng, engine, n):
    """n plans as (question, text), spread over models and questions."""
    drawn, seen = collections.defaultdict(list), set()
    for _ in range(n):
        question = dict(rng.choice(QUESTIONS), model=rng.choice(models_of(engine)))
        key = tuple(sorted(question.items()))
        text = plan_text(draw_plan(rng, engine, "moe" in question["model"]))
        if (key, text) not in seen:
            seen.add((key, text))
            drawn[key].append(text)
    return drawn


def judge_all(rng, binary, engine, n):
    """Those of n random plans that the engine's rules decide, with shardplan's verdict."""
    rules, judged = rule_ids(engine), []
    for key, texts in sorted(draw_questions(rng, engine, n).items()):
        for text, plan in zip(texts, ask_shardplan(binary, engine, dict(key), texts)):
            refused = plan["verdict"] == "refused"
            if refused and plan["rule"] not in rules:
                continue
            if plan["verdict"] not in ("refused", "fits", "tight"):
                continue
            judged.append({"question": dict(key), "text": text, "plan": plan,
                           "rule": plan["rule"] if refused else ""})
    rng.shuffle(judged)
    return judged


def balance(judged):
    """Plans that are accepted and refused by turns, the refused ones by turns of their rules."""
    by_rule = collections.defaultdict(list)
    for case in judged:
        by_rule[case["rule"]].append(case)
    accepted, refused = by_rule.pop("", []), []
    while any(by_rule.values()):
        for rule in sorted(by_rule):
            if by_rule[rule]:
                refused.append(by_rule[rule].pop())
    return accepted, refused


def line_for_client(engine, case):
    model = case["question"]["model"]
    with open(os.path.join(HERE, "models", model + ".json")) as f:
        config = json.load(f)
    axes = dict(case["plan"]["axes"])
    for axis in axes:
        if axis.startswith("offload_") and axis != "offload_target":
            axes[axis] = axes[axis] / 100 if axes[axis] > 1 else axes[axis]
    return json.dumps({"engine": engine, "axes": axes, "dp": case["plan"]["dp"],
                       "accumulation": case["plan"]["accumulation"], "question": case["question"],
                       "model": config, "domain": GPUS_OF_A_DOMAIN}) + "\n"


class Client:
    """A framework that answers one plan after another."""

    def __init__(self, python, engine, folder):
        self.engine = engine
        self.process = subprocess.Popen(
            [python, os.path.join(HERE, PUT[engine])], text=True, cwd=folder,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.name = self.read()["client"]

    def read(self):
        line = self.process.stdout.readline()
        if line == "":
            sys.exit("the client broke off; run %s by itself to see why" % PUT[self.engine])
        return json.loads(line)

    def put(self, case):
        self.process.stdin.write(line_for_client(self.engine, case))
        self.process.stdin.flush()
        answer = self.read()
        case.update(client=answer["verdict"], reason=answer["reason"])


def take(client, pile, n):
    """The first n plans that the client decides, and the undecided ones met on the way."""
    taken = []
    for case in pile:
        if n == 0:
            break
        client.put(case)
        taken.append(case)
        n -= case["client"] in ("accepts", "refuses")
    return taken


def show(case, out):
    question = case["question"]
    print("  %s, %d GPUs of %s, seq_len %d, global_batch %d, %s\n    %s" % (
        question["model"], question["gpus"], question["cluster"], question["seq_len"],
        question["global_batch"], question["task"], case["text"]), file=out)
    print("    shardplan: %s\n    client:    %s%s" % (
        "refused by " + case["rule"] if case["rule"] else "accepted", case["client"],
        ": " + case["reason"] if case["reason"] else ""), file=out)


def disagrees(case):
    """What the client has no setting for must be refused, too."""
    if case["client"] == "not checkable":
        return False
    return (case["client"] == "accepts") != (case["rule"] == "")


def report(client, engine, cases):
    counts = collections.Counter((bool(c["rule"]), c["client"]) for c in cases)
    print("%s: %s" % (engine, client))
    print("  %-18s %8s %8s %11s %14s" % ("shardplan", "accepts", "refuses", "no setting",
                                       "not checkable"))
    for refused, name in ((False, "accepts"), (True, "refuses")):
        print("  %-18s %8d %8d %11d %14d" % ((name,) + tuple(
            counts[refused, c] for c in ("accepts", "refuses", "no setting", "not checkable"))))
    rules = collections.Counter((c["rule"], c["client"]) for c in cases if c["rule"])
    for (rule, verdict), count in sorted(rules.items()):
        print("  %4d %-42s client: %s" % (count, rule, verdict))


def record(path, client, engine, seed, cases):
    """The plans that the client decided, as shardplan writes them."""
    cases = [case for case in cases if case["client"] in ("accepts", "refuses")]
    questions = sorted({json.dumps(c["question"], sort_keys=True) for c in cases})
    rows = [{"question": questions.index(json.dumps(c["question"], sort_keys=True)),
             "plan": c["plan"]["text"], "rule": c["rule"], "client": c["client"],
             "reason": c["reason"][:100]} for c in cases]
    with open(path, "w") as f:
        f.write('{\n"schema": "shardplan/client-verdicts/1",\n"engine": %s,\n"client": %s,\n'
                '"date": "%s",\n"seed": %d,\n' % (json.dumps(engine), json.dumps(client),
                                                  datetime.date.today(), seed))
        f.write('"questions": [\n%s\n],\n' % ",\n".join(questions))
        f.write('"plans": [\n%s\n]\n}\n' % ",\n".join(json.dumps(row) for row in rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", required=True, choices=sorted(PUT))
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--python", default=sys.executable, help="interpreter that has the clients")
    parser.add_argument("--shardplan", default=os.path.join(HOME, "build", "release", "shardplan"))
    parser.add_argument("--record", metavar="FILE", help="write the verdicts for test_verdicts.c")
    asked = parser.parse_args()
    rng = random.Random("%s %d" % (asked.engine, asked.seed))
    accepted, refused = balance(judge_all(rng, asked.shardplan, asked.engine, 40 * asked.n))
    with tempfile.TemporaryDirectory() as folder:  # some clients leave logs where they run
        client = Client(asked.python, asked.engine, folder)
        cases = take(client, accepted, asked.n // 2) + take(client, refused, asked.n // 2)
        client.process.kill()
    report(client.name, asked.engine, cases)
    wrong = [case for case in cases if disagrees(case)]
    print("%d disagreements" % len(wrong))
    for case in wrong:
        show(case, sys.stdout)
    if asked.record:
        record(asked.record, client.name, asked.engine, asked.seed, cases)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
