"""An independent check of an exported Assay audit log: Python 3, standard library only. Usage: verify_audit.py FOLDER...

The folder is a log of C2SP tlog-tiles. Every hash of every tile is made again from the entries (RFC 6962: SHA-256 over 0x00
and the entry, over 0x01 and two nodes), up to the checkpoint's root; every .tlog-proof is walked; disclosed content must be
what its entry commits to: SHA-256 of the 32 salt bytes and the content's exact bytes. It does not check the checkpoint's
signatures: for those there are the program in go/ and PyPI's aics-tlog. Written apart from the product, to judge it.
"""
import base64, hashlib, json, os, sys

def sha(*parts): return hashlib.sha256(b"".join(parts)).digest()
def node(left, right): return sha(b"\x01", left, right)
def fail(what): raise ValueError(what)
def read(*path): return open(os.path.join(*path), "rb").read()

def root(hashes):
    if len(hashes) < 2: return hashes[0] if hashes else sha()
    half = 1 << (len(hashes) - 1).bit_length() - 1
    return node(root(hashes[:half]), root(hashes[half:]))

def number(n):
    digits = str(n); digits = digits.zfill(-(-len(digits) // 3) * 3)
    parts = [digits[i:i + 3] for i in range(0, len(digits), 3)]
    return "/".join(["x" + part for part in parts[:-1]] + parts[-1:])

def parsed(text, what):
    try: return json.loads(text)
    except ValueError: fail(f"{what} is no JSON")

def path(level, n, width): return f"tile/{level}/{number(n)}" + ("" if width == 256 else f".p/{width}")

def entries_of(bundle, first):
    at, entries = 0, []
    while at < len(bundle):
        end = at + 2 + int.from_bytes(bundle[at:at + 2], "big")
        if end > len(bundle): fail(f"entry {first + len(entries)} is cut off")
        entries.append(bundle[at + 2:end]); at = end
    return entries

def walk(proof, leaf, index, size):
    at, last, found = index, size - 1, leaf
    for line in proof:
        other = base64.b64decode(line, validate=True)
        if at & 1 or at == last:
            found = node(other, found)
            while at and not at & 1: at, last = at >> 1, last >> 1
        else: found = node(found, other)
        at, last = at >> 1, last >> 1
    return found if last == 0 else None

def check(folder):
    note = read(folder, "checkpoint").decode()
    origin, size, top = note.split("\n\n")[0].split("\n")[:3]
    size, top, header = int(size), base64.b64decode(top, validate=True), json.loads(read(folder, "export.json"))
    if (header["format"], header["version"], header["origin"], header["entries"]) != ("assay-audit-export", 2, origin, size): fail("export.json and checkpoint differ")
    leaves, items, disclosed, erased, demo = [], set(), 0, 0, header["demo"]
    for first in range(0, size, 256):
        width = min(256, size - first)
        entries, tile = entries_of(read(folder, path("entries", first // 256, width)), first), read(folder, path(0, first // 256, width))
        if len(entries) != width or len(tile) != 32 * width: fail(f"the bundle or tile of entries {first}.. has another length")
        name = f"disclosed/{number(first // 256)}.jsonl"
        lines = [parsed(line, f"line {n} of {name}") for n, line in enumerate(read(folder, name).splitlines(), 1)] if header["disclosed"] else []
        for n, entry in enumerate(entries):
            index = first + n
            leaves.append(sha(b"\x00", entry))
            if leaves[-1] != tile[32 * n:32 * n + 32]: fail(f"entry {index} does not match its level 0 tile")
            leaf = json.loads(entry)
            if leaf["v"] != 1: fail(f"entry {index} has a leaf of an unknown version")
            if leaf["id"] in items: fail(f"entry {index} repeats an item")
            items.add(leaf["id"])
            demo = demo or leaf["kind"] == "demo.marked"  # the log holds it, whatever export.json says
            if not header["disclosed"]: continue
            if n >= len(lines) or lines[n]["index"] != index: fail(f"entry {index} is not disclosed")
            if lines[n].get("erased") is True: erased += 1; continue
            if sha(bytes.fromhex(lines[n]["salt"]), lines[n]["content"].encode()).hex() != leaf["commitment"]: fail(f"entry {index} discloses something else than it committed to")
            disclosed += 1
    if root(leaves) != top: fail("the entries lead to another root than the checkpoint's")
    level, hashes = 0, leaves
    while len(hashes) >= 256:
        level, hashes = level + 1, [root(hashes[i:i + 256]) for i in range(0, len(hashes) // 256 * 256, 256)]
        for n in range(0, len(hashes), 256):
            part = hashes[n:n + 256]
            if read(folder, path(level, n // 256, len(part))) != b"".join(part): fail(f"{path(level, n // 256, len(part))} is not made of the tiles below it")
    for index in range(size if header["proofs"] else 0):
        head, checkpoint = read(folder, f"proofs/{number(index // 256)}/{index}.tlog-proof").decode().split("\n\n", 1)
        first, named, *proof = head.split("\n")
        if (first, named, checkpoint) != ("c2sp.org/tlog-proof@v1", f"index {index}", note): fail(f"the proof of entry {index} is of something else")
        if walk(proof, leaves[index], index, size) != top: fail(f"the proof of entry {index} does not lead to the checkpoint")
    return f"{'DEMO. ' if demo else ''}HOLDS: {size} entries of {origin}, {disclosed} with content, {erased} erased, root {top.hex()}"

folders, broken = sys.argv[1:], 0
if not folders or folders[0].startswith("-"): sys.exit(__doc__)
for folder in folders:
    try: print(f"{folder}: {check(folder)}")
    except Exception as error:
        broken += 1
        print(f"{folder}: BROKEN: {error!r}" if type(error) is not ValueError else f"{folder}: BROKEN: {error}")
sys.exit(1 if broken else 0)
