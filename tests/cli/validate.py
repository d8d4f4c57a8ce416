# SPDX-License-Identifier: Apache-2.0
"""Checks JSON files against a schema of configs/schema: python3 validate.py SCHEMA FILE..
Exit code 77 where the package jsonschema is missing."""
import json
import sys

try:
    import jsonschema
except ImportError:
    sys.exit(77)

with open(sys.argv[1], encoding="utf-8") as file:
    schema = json.load(file)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
failed = False
for name in sys.argv[2:]:
    with open(name, encoding="utf-8") as file:
        for error in validator.iter_errors(json.load(file)):
            print(f"{name}: {error.json_path}: {error.message[:200]}")
            failed = True
sys.exit(1 if failed else 0)
