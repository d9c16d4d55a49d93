// A mail filter that goes further than most: it opens the link of a mail in a real browser, runs what runs, follows every
// link of what it gets and sends every form by every button. Nothing may be decided, and the link must still work for its
// reader. In the demo anybody may pick who they are; that stands for the credentials which a filter does not have, so the
// forms that pick a person are the only ones left alone.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const MOST_PAGES = 60;

/** The link of the oldest mail that is still about this proposal, as it stands in the mail. */
export function linkOf(mailbox, base, name) {
  const files = readdirSync(mailbox, { recursive: true }).map((file) => join(mailbox, file));
  const mails = files.filter((file) => file.endsWith('.eml')).sort((a, b) => statSync(a).mtimeMs - statSync(b).mtimeMs);
  const mail = mails.map((file) => readFileSync(file, 'utf8')).find((text) => text.includes(`To: "${name}"`));
  return new URL(/https?:\/\/\S+\/api\/portal\/link\?token=[\w.-]+/.exec(mail)[0].replace(/^https?:\/\/[^/]+/, base));
}

/** What a link's token names: the client and the proposal. */
export function leadsTo(link) {
  const claims = JSON.parse(Buffer.from(link.searchParams.get('token').split('.')[1], 'base64url').toString());
  return `/api/portal/proposals/${claims.tid}/${claims.sub}`;
}

export async function scan(browser, base, report, link) {
  const check = (rule, holds, fault) => report.check('scanner', rule, holds ? undefined : fault);
  const context = await browser.newContext({ baseURL: base });
  const page = await context.newPage();
  const reply = await page.goto(link.href);
  check('neutral page', reply.status() === 200, `the link answers ${reply.status()}`);
  const words = await page.locator('body').innerText();
  check('names nobody', !/Harbor|Ridge|Nair|MET|3\.4\.1/.test(words), `the page says "${words}"`);
  check('no form', (await page.locator('form').count()) === 0, 'the page of a link has a form');

  const [seen, waiting] = [new Set(), [link.href]];
  let sent = 0;
  while (waiting.length > 0 && seen.size < MOST_PAGES) {
    const address = waiting.pop();
    if (seen.has(address)) continue;
    seen.add(address);
    await page.goto(address);
    const links = await page.locator('a[href]').evaluateAll((all) => all.map((a) => a.href));
    waiting.push(...links.filter((href) => href.startsWith(base)));
    const buttons = page.locator('form:not(:has([name="person"])) button');
    for (let at = 0; at < (await buttons.count()); at += 1) {
      await Promise.all([page.waitForEvent('load'), buttons.nth(at).click()]);
      sent += 1;
      await page.goto(address);
    }
  }
  // What a page's own script could send: the form of the decision, with what the link holds.
  const forged = await page.evaluate(async ([decide, token]) => {
    const body = new URLSearchParams({ decision: 'approve', version: '1', hash: 'x', token, permit: token });
    const answers = [];
    for (const address of [decide, location.href]) answers.push((await fetch(address, { method: 'POST', body }).catch(() => null))?.status ?? 'kept back');
    return answers;
  }, [`${leadsTo(link)}/decide`, link.searchParams.get('token')]);
  check('no forged decision', forged.every((answer) => [401, 403, 'kept back'].includes(answer)), `answered ${forged}`);
  const cookies = await context.cookies();
  check('no session', !cookies.some((cookie) => cookie.name.includes('assay')), 'the scanner was signed in');
  report.say(`a scanner: ${seen.size} pages opened, ${sent} forms sent`);
  await context.close();
}

/** The reader of the mail follows the same link: it was not spent, and what it leads to is still open. */
export async function followedByItsReader(person, link) {
  const { page } = person;
  await page.goto(link.href);
  person.check('link', 'leads on', page.url().endsWith(leadsTo(link)), `the link led to ${page.url()}`);
  const open = await page.getByRole('button', { name: /^Approve/ }).isVisible();
  person.check('link', 'undecided', open, 'what a scanner had opened is not open any more');
}
