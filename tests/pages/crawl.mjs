// Every address that a person can reach by links: each must answer and have its own title and one heading; of each
// kind of page the shortest and the longest are looked at.

import { gzipSync } from 'node:zlib';

const START = '/api/portal/clients';
const ID = /[0-9a-f]{32}/g;
const PAGE_OF_A_LIST = /^(after|before|on)$/;
const AT_ONCE = 2; // cores of a small machine
const MOST_BYTES = 20 * 1024; // of a page, compressed

export async function crawl(person, how) {
  const kinds = new Map();
  const titles = new Map();
  const seen = new Set([START]);
  for (const address of seen) {
    const html = await answer(person, address, titles);
    const kind = kindOf(address);
    kinds.set(kind, [...(kinds.get(kind) ?? []), { address, length: html.length }]);
    linksOf(html, address).forEach((link) => seen.add(link));
  }
  person.addresses = seen.size;
  await person.inTabs([...kinds].flatMap(chosen), AT_ONCE, (tab, [title, address]) => tab.look(title, address, how));
}

/** The longest and the shortest page of a kind, each with a title. */
function chosen([kind, pages]) {
  pages.sort((a, b) => b.length - a.length);
  const [longest, shortest] = [pages[0].address, pages.at(-1).address];
  return longest === shortest ? [[kind, longest]] : [[`${kind}-long`, longest], [kind, shortest]];
}

/** The HTML at an address that must be there. */
async function answer(person, address, titles) {
  const reply = await person.context.request.get(address);
  const html = await reply.text();
  const [, title] = html.match(/<title>([^<]*)<\/title>/) ?? [];
  // Not the address: one that leads to another page has the title of that page, and so have pages of one list.
  const path = new URL(reply.url()).pathname;
  person.check(address, 'status', reply.status() === 200, `answered ${reply.status()} instead of 200`);
  person.check(address, 'headings', html.match(/<h1/g)?.length === 1, 'not exactly one h1');
  const bytes = gzipSync(html).length;
  person.check(address, 'weight', bytes <= MOST_BYTES, `${bytes} bytes compressed`);
  const other = titles.get(title);
  person.check(address, 'title', title && (!other || other === path), title ? `"${title}" is also the title of ${other}` : 'there is none');
  titles.set(title, path);
  return html;
}

function linksOf(html, address) {
  // A file to take along is no page.
  const anchors = [...html.matchAll(/<a [^>]*href="([^"]*)"[^>]*>/g)].filter(([anchor]) => !/ download\b/.test(anchor));
  const links = anchors.map(([, href]) => new URL(href.replaceAll('&amp;', '&'), `http://here${address}`));
  return links.filter((link) => link.host === 'here' && link.pathname.startsWith('/api/portal/')).map((link) => link.pathname + link.search);
}

/** `/api/portal/clients/{id}/requirements/AC.L2-3.1.1` is a `clients-id-requirements-id`. */
function kindOf(address) {
  const { pathname, searchParams } = new URL(address, 'http://here');
  const path = pathname.replace('/api/portal/', '').replace(ID, 'id').replace(/(requirements)\/.*/, '$1-id').replace(/(entry)\/\d+/, '$1-n').replaceAll('/', '-');
  const words = [...searchParams].map(([name, value]) => (PAGE_OF_A_LIST.test(name) ? 'next' : value.replace(ID, 'id').slice(0, 24)));
  return [path, ...words].join('-').replace(/[^\w-]/g, '');
}
