// Checks an entry of the audit log in the reader's own browser: content, entry, proof and checkpoint must fit together.
//
// It takes the exact bytes that lie in the page, makes every hash again (RFC 6962, C2SP tlog-tiles) and says in words what
// holds. It asks nobody for anything. What it cannot show is said on the page: page and script come from the same place.
'use strict';

(() => {
  const place = document.getElementById('check');
  const { subtle } = crypto;
  const utf8 = new TextEncoder();

  const bytesOf = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const bytesOfHex = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (two) => parseInt(two, 16));
  const hexOf = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const textOf = (bytes) => new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  const joined = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
  const sha256 = async (...parts) => new Uint8Array(await subtle.digest('SHA-256', joined(...parts)));
  const same = (a, b) => hexOf(a) === hexOf(b);

  class Wrong extends Error {}

  /** The entry's own commitment against the content that the page has. */
  async function content(leaf) {
    const { commitment } = JSON.parse(textOf(leaf));
    if (!('content' in place.dataset)) return 'The content is too long to lie in this page, and was not compared. Its file has it.';
    const made = await sha256(bytesOfHex(place.dataset.salt), bytesOf(place.dataset.content));
    if (hexOf(made) !== commitment) {
      throw new Wrong('The content is not what this entry committed to: the content, its salt or the entry was changed.');
    }
    return 'The content is what this entry committed to.';
  }

  /** What a checkpoint says: whose log, how long, and its root. */
  function checkpoint(note) {
    const end = note.lastIndexOf('\n\n');
    const [origin, size, root] = note.split('\n');
    if (end < 0 || !/^[1-9]\d{0,15}$/.test(size)) throw new Wrong('The checkpoint is in no form that this page knows.');
    return { origin, size: Number(size), root: bytesOf(root), text: note.slice(0, end + 1), lines: note.slice(end + 2).split('\n') };
  }

  /** From the entry up to the root, by the loop of RFC 9162 2.1.3.2. Numbers may be larger than 32 bits: no bit operators. */
  async function included(leaf, index, { size, root }) {
    const node = (left, right) => sha256([1], left, right);
    const half = (n) => Math.floor(n / 2);
    let [at, last, hash] = [index, size - 1, await sha256([0], leaf)];
    const path = place.dataset.hashes.split(' ').filter(Boolean).map(bytesOf);
    let holds = index < size;
    for (const other of path) {
      if (last === 0) holds = false;
      if (at % 2 === 1 || at === last) {
        hash = await node(other, hash);
        while (at % 2 === 0 && at !== 0) [at, last] = [half(at), half(last)];
      } else {
        hash = await node(hash, other);
      }
      [at, last] = [half(at), half(last)];
    }
    if (!holds || last !== 0 || !same(hash, root)) {
      throw new Wrong('The proof does not lead from this entry to the checkpoint: the entry, its number, the proof or the checkpoint was changed.');
    }
    return `The proof leads from this entry to the root of the checkpoint over ${size} ${size === 1 ? 'entry' : 'entries'}.`;
  }

  /** r and s of a DER signature (RFC 3279 2.2.3), 32 bytes each, as WebCrypto wants them. */
  function raw(der) {
    const integer = (at) => {
      if (der[at] !== 2) throw new Wrong('The signature of the checkpoint is damaged.');
      const digits = der.slice(at + 2, at + 2 + der[at + 1]);
      const plain = digits.slice(Math.max(0, digits.length - 32));
      return { bytes: joined(new Uint8Array(32 - plain.length), plain), end: at + 2 + der[at + 1] };
    };
    const r = integer(2);
    return joined(r.bytes, integer(r.end).bytes);
  }

  /** The line of the key that lies in a vault (ECDSA on P-256 with SHA-256). After a rotation there are several keys. */
  async function signed({ text, lines }) {
    for (const vkey of place.dataset.keys.split(' ').filter(Boolean)) {
      // Base64 may hold a plus, too.
      const [name, id, ...rest] = vkey.split('+');
      const key = rest.join('+');
      for (const line of lines.filter((each) => each.startsWith(`\u2014 ${name} `))) {
        const signature = bytesOf(line.split(' ')[2]);
        if (hexOf(signature.slice(0, 4)) !== id) continue;
        const imported = await subtle.importKey('spki', bytesOf(key).slice(1), { name: 'ECDSA', namedCurve: 'P-256' }, false, ['verify']);
        const holds = await subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, imported, raw(signature.slice(4)), utf8.encode(text));
        if (!holds) throw new Wrong(`The signature of the checkpoint does not hold for key ${id}: the checkpoint was changed, or somebody else signed it.`);
        return `The checkpoint is signed by the key whose number is ${id}, which is named below.`;
      }
    }
    return undefined;
  }

  const held = [];

  async function check() {
    const [leaf, index] = [bytesOf(place.dataset.leaf), Number(place.dataset.index)];
    const head = checkpoint(textOf(bytesOf(place.dataset.note)));
    held.push(await included(leaf, index, head));
    held.push(await content(leaf));
    const inclusion = `Included as entry ${index} of ${head.size} (the first is entry 0)`;
    const by = await signed(head);
    if (!by) return ['wait', `${inclusion}, but no key on this page is one that signed the checkpoint, so its signature was not looked at.`];
    held.push(by);
    return ['met', `${inclusion}.`];
  }

  const WORDS = { met: 'Checked here', wait: 'In part', not: 'Does not hold' };

  function say(state, text) {
    place.className = `outcome ${state}`;
    const said = document.getElementById('checked');
    const tag = document.createElement('span');
    tag.className = `tag ${state}`;
    tag.textContent = WORDS[state];
    said.replaceChildren(tag, ` ${text}`);
    document.getElementById('steps').replaceChildren(...held.map((step) => {
      const item = document.createElement('li');
      item.textContent = step;
      return item;
    }));
  }

  if (!subtle) {
    document.getElementById('checked').textContent = 'This browser offers its cryptography to pages by https only, so nothing was checked here.';
    return;
  }
  check().then(
    ([state, text]) => say(state, text),
    (error) => say('not', error instanceof Wrong ? error.message : 'What lies in this page is damaged and cannot be read.'),
  );
})();
