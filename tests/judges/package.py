"""Judges a package with programs that are not ours: package.py ZIP

Python's zipfile reads its directory; cyclonedx-python-lib and license-expression judge the bill of materials; where
../shared is there, jsonschema judges host.json and each function.json by Azure's schemas.
"""
import hashlib
import json
import os
import re
import sys
import zipfile

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from jsonschema import Draft7Validator
from license_expression import get_spdx_licensing

package = zipfile.ZipFile(sys.argv[1])
assert package.testzip() is None
names = package.namelist()
legal = {"LICENSE", "THIRD-PARTY-LICENSES.txt", "RUST-LIBRARY-COPYRIGHT.html", "sbom.cdx.json"}
functions = [name for name in names if re.fullmatch(r"[a-z]+/function\.json", name)]
assert len(functions) >= 9 and len(set(names)) == len(names), names
assert set(names) == {"host.json", "assay", *functions, *(f"legal/{name}" for name in legal)}, names
for file in package.infolist():
    mode = 0o100755 if file.filename == "assay" else 0o100644
    assert (file.create_system, file.external_attr >> 16) == (3, mode), file
    assert file.date_time == (1980, 1, 1, 0, 0, 0), file

# What is linked, what it says, and that it is said of this very program.
bill = package.read("legal/sbom.cdx.json").decode()
fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill)
assert fault is None, fault
bill = json.loads(bill)
program = package.read("assay")
assert bill["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(program).hexdigest()}]
licensing = get_spdx_licensing()
crates = [part for part in bill["components"] if part["purl"].startswith("pkg:cargo/")]
for part in crates:
    expression = part["licenses"][0]["expression"]
    assert not licensing.validate(expression).errors, (part["name"], expression)
    assert re.fullmatch("[0-9a-f]{64}", part["hashes"][0]["content"]), part
refs = {part["bom-ref"] for part in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
for line in bill["dependencies"]:
    assert {line["ref"], *line["dependsOn"]} <= refs, line
# A panic's message names the file that it is in, so a crate that is in the program and not in the bill shows.
linked = {f'{part["name"]}-{part["version"]}' for part in crates if part["scope"] == "required"}
found = {name.decode() for name in re.findall(rb"/cargo/registry/src/[^/]+/([A-Za-z0-9_.+-]+)/", program)}
assert found and found <= linked, found - linked

schemas = os.path.join(os.path.dirname(__file__), "../../../shared/schemas/functions")
if os.path.isdir(schemas):
    for name in ["host.json", *functions]:
        with open(os.path.join(schemas, os.path.basename(name).replace(".json", ".schema.json")), encoding="utf-8-sig") as file:
            # That of function.json calls itself draft-04 and has `const`, which only later drafts know.
            judge = Draft7Validator(json.load(file))
        faults = [f"{name}: {fault.json_path}: {fault.message}" for fault in judge.iter_errors(json.loads(package.read(name)))]
        assert not faults, faults
else:
    assert "CI_DEMANDS_SHARED" not in os.environ, "../shared is not there"
    print("package: Azure's schemas skipped: ../shared not there")
print(f"package: {len(crates)} crates, {len(linked)} of them linked ({len(found)} seen in the program), {len(names)} files")
