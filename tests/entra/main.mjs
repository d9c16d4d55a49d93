// Sign-in with Entra ID in a real browser: the owner comes in, lands where they wanted, signs out; somebody who is not
// known asks, is let in and renamed; and tokens with something wrong sign nobody in. `.ci/entra` has started Assay, once
// behind TLS as people reach it, and once as it runs on one's own machine: there only the owner's way is gone.

import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { Authority } from './authority.mjs';
import { Front } from './front.mjs';
import { LOOKS } from './look.mjs';
import { Person } from './person.mjs';
import { Report } from './report.mjs';

const { CHROMIUM, PICTURES, PORT, AUTHORITY_PORT, PLAIN_PORT, CERTIFICATE, KEY, KEY_HASH, LOG } = process.env;
const [base] = process.argv.slice(2);
const here = new URL(base);
const tls = here.protocol === 'https:';
const SESSION = tls ? '__Host-assay' : 'assay';
const [cert, key] = [CERTIFICATE, KEY].map((file) => readFileSync(file));
const report = new Report(PICTURES);
const authority = await Authority.start({ port: Number(AUTHORITY_PORT), cert, key, base });
const front = tls ? await Front.start({ tls: Number(here.port), plain: Number(PLAIN_PORT), upstream: Number(PORT), cert, key }) : undefined;
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking',
    // The name is not this machine's own to the browser, so that it is as strict with it as with any other.
    `--host-resolver-rules=MAP assay.test 127.0.0.1`,
    `--ignore-certificate-errors-spki-list=${KEY_HASH}`,
  ],
});

async function open(role, name) {
  const person = await Person.open(browser, base, report, role);
  return Object.assign(person, { name });
}

/** From the page that is wanted, by the button and the authority's form, back to Assay; the status of what answers there. */
async function signIn(person, who, wanted = '/api/portal/clients') {
  const { page } = person;
  await page.goto(wanted);
  const arrived = page.waitForResponse((response) => new URL(response.url()).pathname === '/api/portal/signed-in', { timeout: 20_000 });
  await page.getByRole('button', { name: 'Sign in with your organization' }).click();
  if (who) {
    await page.locator('input[name=login]').fill(who);
    await page.locator('input[name=password]').fill('anything');
    await page.locator('button[type=submit]').click();
  }
  const status = (await arrived).status();
  // The page of the button leads on by itself, so that one may be loaded: wait for what comes after the answer.
  await page.waitForURL((url) => url.origin === here.origin && url.pathname !== '/api/portal/sign-in');
  // What the authority's own pages do there is not ours to judge.
  person.complaints.splice(0);
  return status;
}

async function signOut(person) {
  await person.send(() => person.page.getByRole('button', { name: 'Sign out' }).click());
}

async function owner() {
  const person = await open('Owner', 'Olivia Hart');
  await person.look('sign-in-entra', '/api/portal/sign-in', { looks: LOOKS });
  const status = await signIn(person, 'olivia', '/api/portal/audit?after=AAAA');
  person.check('sign-in', 'status', status === 303, `answered ${status} instead of 303`);
  const landed = new URL(person.page.url());
  person.check('sign-in', 'target', landed.pathname + landed.search === '/api/portal/audit?after=AAAA', `landed on ${landed}`);
  person.check('sign-in', 'signed in', await person.page.getByText('Olivia Hart ·').isVisible(), 'the page does not name the person');
  // A browser keeps cookies by host, not by port: the authority of this run has some there too.
  const cookies = (await person.context.cookies(base)).filter((cookie) => cookie.name.includes('assay'));
  const [session] = cookies.filter((cookie) => cookie.name === SESSION);
  const own = session?.httpOnly && session.sameSite === 'Lax' && session.secure === tls && session.path === '/' && session.domain === here.hostname;
  person.check('sign-in', 'cookie', own, JSON.stringify(session));
  person.check('sign-in', 'no other cookie', cookies.length === 1, cookies.map((cookie) => cookie.name).join(', '));
  if (tls) await withoutTls(person);
  await signOut(person);
  person.check('sign-out', 'page', new URL(person.page.url()).pathname === '/api/portal/sign-in', `landed on ${person.page.url()}`);
  await person.page.goto('/api/portal/clients');
  person.check('sign-out', 'signed out', new URL(person.page.url()).pathname === '/api/portal/sign-in', 'still signed in');
  // The sign-in with the organization is still there: one button leads back in.
  await signIn(person);
  person.check('sign-in', 'again', await person.page.getByText('Olivia Hart ·').isVisible(), 'the second sign-in failed');
  return person;
}

/** The same host without TLS: a browser that was here once goes there no more (Strict-Transport-Security). */
async function withoutTls(person) {
  const window = await person.context.newPage();
  const went = await window.goto(`http://${here.hostname}:${PLAIN_PORT}/api/portal/clients`).then(() => true, () => false);
  await window.close();
  person.check('without TLS', 'nothing is asked there', !went && front.cookies.length === 0, `it went there: ${went}, ${front.cookies.length} requests`);
  // What the browser says of that is not ours to judge.
  person.complaints.splice(0);
  await person.page.goto('/api/portal/clients');
  person.check('without TLS', 'still signed in', await person.page.getByText('Olivia Hart ·').isVisible(), 'the session is gone');
}

/** Somebody the owner does not know yet. */
async function newcomer(olivia) {
  const person = await open('Newcomer', 'Priya Nair');
  const status = await signIn(person, 'priya');
  person.check('not known', 'status', status === 403, `answered ${status} instead of 403`);
  await person.lookHere('not-let-in');
  await olivia.page.goto('/api/portal/inbox');
  const told = olivia.page.getByRole('link', { name: /^People \(1\s*waiting/ });
  olivia.check('who asks', 'number', await told.isVisible(), 'the navigation does not say that somebody asks');
  await olivia.follow(() => told.click());
  await olivia.lookHere('people-who-ask', { looks: LOOKS });
  await olivia.send(() => olivia.page.getByRole('button', { name: 'Let in Priya Nair' }).click());
  await olivia.lookHere('people-let-in');
  await person.page.goto('/api/portal/sign-in');
  await signIn(person);
  person.check('let in', 'signed in', await person.page.getByText('Priya Nair ·').isVisible(), 'who was let in cannot sign in');
  await confirmed(olivia);
  await changed(olivia, person);
  await olivia.page.goto('/api/portal/people');
  await olivia.page.getByText(/^Take access away/).first().click();
  await olivia.send(() => olivia.page.getByRole('button', { name: /Take access away Priya Shah/ }).click());
  await person.page.goto('/api/portal/clients');
  person.check('access ended', 'signed out', new URL(person.page.url()).pathname === '/api/portal/sign-in', 'still signed in');
  await olivia.lookHere('people-ended');
  await person.close();
}

/** A proof of an hour ago is not enough to change who may do what: the owner is asked by their organization once more. */
async function confirmed(olivia) {
  const { page } = olivia;
  const save = () => olivia.send(() => page.getByRole('button', { name: 'Save' }).click());
  authority.twist = 'proved-long-ago';
  await signOut(olivia);
  await signIn(olivia);
  authority.twist = undefined;
  await page.goto('/api/portal/people');
  await olivia.follow(() => page.getByRole('link', { name: /Change .*: Priya Nair/ }).click());
  await page.getByLabel('Name').fill('Priya Nair-Shah');
  const refused = await save();
  olivia.check('confirm', 'refused', refused === 401, `answered ${refused} instead of 401`);
  await olivia.lookHere('confirm-that-it-is-you');
  const kept = await page.getByLabel('Name').inputValue();
  olivia.check('confirm', 'kept', kept === 'Priya Nair-Shah', `what was typed is "${kept}" now`);
  await olivia.follow(() => page.getByRole('link', { name: 'Confirm that it is you' }).click());
  await olivia.lookHere('confirm-sign-in');
  const arrived = page.waitForResponse((response) => new URL(response.url()).pathname === '/api/portal/signed-in', { timeout: 20_000 });
  await page.getByRole('button', { name: 'Confirm with your organization' }).click();
  // The authority shows its form although somebody is signed in there.
  await page.locator('input[name=login]').fill('olivia');
  await page.locator('input[name=password]').fill('anything');
  await page.locator('button[type=submit]').click();
  const status = (await arrived).status();
  await page.waitForURL((url) => url.origin === here.origin && url.pathname.startsWith('/api/portal/people/'));
  // What the authority's own pages do there is not ours to judge.
  olivia.complaints.splice(0);
  olivia.check('confirm', 'status', status === 303, `answered ${status} instead of 303`);
  await page.getByLabel('Name').fill('Priya Nair');
  const saved = await save();
  olivia.check('confirm', 'saved', saved === 303, `answered ${saved} instead of 303`);
}

/** What is written down of somebody: wrong first, then as it should be. */
async function changed(olivia, person) {
  const { page } = olivia;
  await page.goto('/api/portal/people');
  await olivia.follow(() => page.getByRole('link', { name: /Change .*: Priya Nair/ }).click());
  await olivia.lookHere('person', { looks: LOOKS });
  await page.getByLabel('Name').fill('Priya Shah');
  await page.getByLabel('E-mail').fill('priya at northgate');
  await page.getByLabel(/run its tools/).check();
  const save = () => olivia.send(() => page.getByRole('button', { name: 'Save' }).click());
  const wrong = await save();
  olivia.check('person', 'wrong', wrong === 422, `answered ${wrong} instead of 422`);
  await olivia.lookHere('person-errors', { looks: LOOKS });
  olivia.check('person', 'kept', (await page.getByLabel('Name').inputValue()) === 'Priya Shah', 'what was typed is gone');
  await page.getByLabel('E-mail').fill('priya.shah@northgate.example');
  const saved = await save();
  olivia.check('person', 'saved', saved === 303, `answered ${saved} instead of 303`);
  await olivia.lookHere('people-changed', { looks: LOOKS });
  await person.page.goto('/api/portal/connections');
  person.check('changed', 'tools', await person.page.getByText('Priya Shah ·').isVisible(), 'the change does not hold from the next click');
  const tools = new URL(person.page.url()).pathname === '/api/portal/connections' && (await person.page.getByRole('link', { name: 'Connections' }).isVisible());
  person.check('changed', 'connections', tools, 'who runs the tools now does not see them');
}

/** Why sign-ins were refused so far, as the log has it: the person is told the same of most of them. */
function reasons() {
  const lines = readFileSync(LOG, 'utf8').split('\n').filter((line) => line.includes('"a sign-in failed"'));
  return lines.map((line) => JSON.parse(line).error);
}

async function wrongTokens() {
  const person = await open('Stranger', 'Whose token does not hold');
  const refused = async (what, reason, sentence) => {
    const before = reasons().length;
    await person.context.clearCookies();
    const status = await signIn(person, 'olivia');
    person.check(what, 'status', status === 401, `answered ${status} instead of 401`);
    const said = reasons().slice(before);
    person.check(what, 'reason', said.length === 1 && said[0] === reason, `the log says "${said.join('", "')}" instead of "${reason}"`);
    person.check(what, 'sentence', await person.page.getByText(sentence).isVisible(), `the page does not say "${sentence}"`);
    person.check(what, 'nobody', (await person.context.cookies(base)).every((cookie) => cookie.name !== SESSION), 'somebody is signed in');
  };
  const [untrue, late] = ['What came back from the sign-in service does not hold', 'By Assay\'s clock your sign-in is not valid now'];
  for (const [twist, reason, sentence] of [
    ['audience', 'the token is for another app', untrue],
    ['nonce', 'the token belongs to another sign-in', untrue],
    ['expired', 'the token is expired', late],
    ['alg-none', 'the token is not signed with RS256', untrue],
    ['hs256', 'the token is not signed with RS256', untrue],
  ]) {
    authority.twist = twist;
    await refused(twist, reason, sentence);
  }
  await person.lookHere('sign-in-refused');
  authority.twist = undefined;
  authority.rotate();
  await person.context.clearCookies();
  const status = await signIn(person, 'olivia');
  person.check('rotated key', 'status', status === 303, `answered ${status} instead of 303`);
  // The keys were fetched anew three times in these minutes; that is enough.
  for (const rotation of ['rotated again', 'rotated a third time']) {
    authority.rotate();
    await person.context.clearCookies();
    const again = await signIn(person, 'olivia');
    person.check(rotation, 'status', again === 303, `answered ${again} instead of 303`);
  }
  authority.rotate();
  await refused('rotated too often', 'the token names a key that the authority does not have', untrue);
  const elsewhere = await person.page.goto('/api/portal/signed-in?code=x&state=y');
  person.check('made-up callback', 'status', elsewhere.status() === 401, `answered ${elsewhere.status()} instead of 401`);
  const begun = await person.page.getByText('was begun in another browser').isVisible();
  person.check('made-up callback', 'sentence', begun, 'the page does not say that the sign-in is not of this browser');
  await person.close();
}

try {
  const olivia = await owner();
  if (tls) await newcomer(olivia);
  await olivia.close();
  if (tls) await wrongTokens();
} catch (error) {
  report.check('the drive', 'goes through', error.stack);
} finally {
  await browser.close();
  authority.close();
  front?.close();
}
process.exitCode = report.end() ? 0 : 1;
