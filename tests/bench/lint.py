"""Definitions of others under three advisors: what does each find that the others do not, and what does it find wrongly?

    python3 tests/bench/lint.py STEPSCOPE

Every definition of `tests/corpora/asl` goes to stepscope, to `asl-validator` (npm) and to `cfn-lint` (PyPI; the definition inside a
template). `verdicts.csv` says which of them AWS takes. Then a definition of a megabyte is made up, and reading and checking it timed.
"""

import csv
import json
import os
import pathlib
import subprocess
import sys
import time
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORPUS = ROOT / "tests/corpora/asl"
CACHE = pathlib.Path(os.environ.get("STEPSCOPE_CACHE") or pathlib.Path.home() / ".cache/stepscope") / "bench-lint"

VALIDATE = """
import validator from 'asl-validator';
import fs from 'fs';
import JSON5 from 'json5';
import YAML from 'yaml';
const validate = validator.default ?? validator;
const said = {}, values = {};
for (const [name, path] of JSON.parse(fs.readFileSync(0, 'utf8'))) {
  const text = fs.readFileSync(path, 'utf8');
  try {
    values[name] = /ya?ml$/.test(path) ? YAML.parse(text, {logLevel: 'silent'}) : JSON5.parse(text);
    said[name] = validate(JSON.parse(JSON.stringify(values[name]))).isValid;
  } catch (error) { said[name] = false; }
}
console.log(JSON.stringify({said, values}));
"""


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def tools():
    """Installs both, once."""
    node, python = CACHE / "node", CACHE / "python"
    if not (node / "node_modules/asl-validator").exists():
        node.mkdir(parents=True, exist_ok=True)
        run("npm", "install", "--silent", "--no-audit", "asl-validator@4.0.0", "json5", "yaml", cwd=node)
    (node / "validate.mjs").write_text(VALIDATE)
    if not (python / "bin/cfn-lint").exists():
        venv.create(python, with_pip=True)
        run(python / "bin/pip", "install", "--quiet", "cfn-lint==1.58.0")
    return node, python / "bin/cfn-lint"


def by_stepscope(binary, names):
    found = json.loads(run(binary, "lint", CORPUS, "--fail-on", "never", "-o", "json"))["findings"]
    errors = {str(pathlib.Path(it["source"]).relative_to(CORPUS)) for it in found if it["severity"] == "error"}
    advice = {}
    for it in found:
        if it["severity"] != "error":
            advice[it["rule"]] = advice.get(it["rule"], 0) + 1
    return {name: name not in errors for name in names}, advice


def by_cfn_lint(cfn_lint, values, folder):
    said = {}
    paths = {}
    for index, (name, value) in enumerate(values.items()):
        path = folder / f"{index}.template.json"
        machine = {"Type": "AWS::StepFunctions::StateMachine", "Properties": {"RoleArn": "arn:aws:iam::123456789012:role/a", "Definition": value}}
        path.write_text(json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"Machine": machine}}))
        paths[str(path)] = name
        said[name] = True
    # Only what it says of the definition itself.
    done = subprocess.run([cfn_lint, "--format", "json", "--include-checks", "E", "--", *paths], capture_output=True, text=True)
    for it in json.loads(done.stdout or "[]"):
        if it["Level"] == "Error" and it["Rule"]["Id"] in ("E3601", "E3002", "E3003", "E3012"):
            said[paths[it["Filename"]]] = False
    return said


def large_definition(path):
    """A megabyte of Tasks in a row, in Parallels of ten branches."""
    states, n = {}, 0
    while n < 1_000_000:
        index = len(states)
        branch = {"StartAt": f"T{index}", "States": {f"T{index}": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "TimeoutSeconds": 30, "Parameters": {"FunctionName": "charge", "Payload.$": "$"}, "Retry": [{"ErrorEquals": ["States.ALL"]}], "End": True}}}
        states[f"P{index}"] = {"Type": "Parallel", "Branches": [branch], "Next": f"P{index + 1}"}
        n += len(json.dumps(states[f"P{index}"])) + 10
    states[f"P{len(states)}"] = {"Type": "Succeed"}
    path.write_text(json.dumps({"StartAt": "P0", "States": states}))
    return len(states)


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    rows = [it for it in csv.DictReader(open(CORPUS / "verdicts.csv")) if it["verdict"] != "fragment"]
    names = [it["path"] for it in rows]
    node, cfn_lint = tools()
    answer = json.loads(run("node", "validate.mjs", cwd=node, input=json.dumps([[name, str(CORPUS / name)] for name in names])))
    said = {}
    said["stepscope"], advice = by_stepscope(binary, names)
    said["asl-validator 4.0.0"] = answer["said"]
    folder = CACHE / "templates"
    folder.mkdir(parents=True, exist_ok=True)
    said["cfn-lint 1.58.0"] = {name: False for name in names} | by_cfn_lint(cfn_lint, answer["values"], folder)
    print(f"{len(rows)} definitions, {sum(it['verdict'] == 'invalid' for it in rows)} of them invalid\n")
    print("| advisor | invalid ones found | valid ones refused | found by it alone |")
    print("| --- | ---: | ---: | ---: |")
    invalid = {it["path"] for it in rows if it["verdict"] == "invalid"}
    found = {tool: {name for name in names if not valid.get(name, True)} for tool, valid in said.items()}
    for tool, refused in found.items():
        others = set().union(*(found[it] for it in found if it != tool))
        print(f"| {tool} | {len(refused & invalid)} | {len(refused - invalid)} | {len((refused & invalid) - others)} |")
    print("\nmissed by stepscope:", sorted(invalid - found["stepscope"]) or "none")
    for tool in list(found)[1:]:
        print(f"missed by {tool}:", ", ".join(sorted(pathlib.Path(it).stem for it in invalid - found[tool])))
    print(f"\nadvice beside errors, which neither of the others gives: {sum(advice.values())} findings of {len(advice)} rules")
    large = CACHE / "large.asl.json"
    n_states = large_definition(large)
    took = []
    for _ in range(5):
        begun = time.perf_counter()
        run(binary, "lint", large, "--min-severity", "error")
        took.append(time.perf_counter() - begun)
    begun = time.perf_counter()
    run("node", "validate.mjs", cwd=node, input=json.dumps([["large", str(large)]]))
    node_took = time.perf_counter() - begun
    print(f"\n{large.stat().st_size / 1e6:.2f} MB, {n_states} states: whole command {min(took) * 1e3:.0f} ms, asl-validator {node_took * 1e3:.0f} ms ({node_took / min(took):.1f}x)")


if __name__ == "__main__":
    main()
