"""An independent check of an Assay audit export: Python 3, standard library only. Usage: verify_audit.py FILE...

The file is JSON Lines: a header, one line per entry, an end with the SHA-256 of every byte before it. Each entry's hash
is SHA-256 of "assay audit entry 1\n", the 32 bytes of the hash before it, and the leaf's exact bytes; the first one
continues SHA-256 of "assay audit log 1\n" and the owner. Disclosed content belongs to an entry when SHA-256 of the 32
salt bytes and the content's exact bytes is the leaf's commitment. Written apart from the product, to judge it.
"""
import hashlib, json, sys

def sha(*parts): return hashlib.sha256(b"".join(parts)).hexdigest()
def fail(what): raise ValueError(what)

def check(file):
    lines = open(file, "rb").read().split(b"\n")
    if len(lines) < 3 or lines.pop() != b"": fail("the file is cut off")
    header, end = json.loads(lines[0]), json.loads(lines[-1])
    if (header["format"], header["version"]) != ("assay-audit-export", 1): fail("not an export of version 1")
    if end != {"end": "assay-audit-export", "sha256": sha(*(line + b"\n" for line in lines[:-1]))}: fail("the checksum of the file")
    if header["entries"] != len(lines) - 2: fail(f"the header promises {header['entries']} entries, {len(lines) - 2} are there")
    items, disclosed, demo, previous = set(), 0, header["demo"], sha(b"assay audit log 1\n", header["owner"].encode())
    for seq, line in enumerate(lines[1:-1]):
        entry = json.loads(line)
        leaf = json.loads(entry["leaf"])
        if entry["seq"] != seq: fail(f"entry {entry['seq']} stands in the place of entry {seq}")
        if entry["previous"] != previous: fail(f"entry {seq} does not continue the one before it")
        previous = sha(b"assay audit entry 1\n", bytes.fromhex(previous), entry["leaf"].encode())
        if entry["hash"] != previous: fail(f"entry {seq} was changed")
        if leaf["v"] != 1: fail(f"entry {seq} has a leaf of an unknown version")
        if leaf["id"] in items: fail(f"entry {seq} repeats an item")
        items.add(leaf["id"])
        demo = demo or leaf["kind"] == "demo.marked"  # the chain holds it, whatever the header says
        if "disclosed" in entry:
            salt, content = entry["disclosed"]["salt"], entry["disclosed"]["content"]
            if sha(bytes.fromhex(salt), content.encode()) != leaf["commitment"]: fail(f"entry {seq} discloses something else than it committed to")
            disclosed += 1
    if previous != header["head"]: fail("the header names another head")
    return f"{'DEMO. ' if demo else ''}HOLDS: {len(items)} entries of {header['owner']}, {disclosed} with content, head {previous}"

files, broken = sys.argv[1:], 0
if not files or files[0].startswith("-"): sys.exit(__doc__)
for file in files:
    try: print(f"{file}: {check(file)}")
    except Exception as error:
        broken += 1
        print(f"{file}: BROKEN: {error!r}" if not type(error) is ValueError else f"{file}: BROKEN: {error}")
sys.exit(1 if broken else 0)
