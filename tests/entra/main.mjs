// Sign-in with Entra ID in a real browser: the owner comes in, lands where they wanted, signs out; somebody who is not
// known asks and is let in; and tokens with something wrong sign nobody in. `.ci/entra` has started Assay.

import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { Authority } from './authority.mjs';
import { LOOKS } from './look.mjs';
import { Person } from './person.mjs';
import { Report } from './report.mjs';

const { CHROMIUM, PICTURES, AUTHORITY_PORT, CERTIFICATE, KEY } = process.env;
const [base] = process.argv.slice(2);
const report = new Report(PICTURES);
const authority = await Authority.start({ port: Number(AUTHORITY_PORT), cert: readFileSync(CERTIFICATE), key: readFileSync(KEY), base });
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking'],
});

async function open(role, name) {
  const person = await Person.open(browser, base, report, role, { ignoreHTTPSErrors: true });
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
  await page.waitForURL((url) => url.origin === new URL(base).origin && url.pathname !== '/api/portal/sign-in');
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
  const [session] = cookies.filter((cookie) => cookie.name === 'assay');
  person.check('sign-in', 'cookie', session?.httpOnly && session.sameSite === 'Lax', JSON.stringify(session));
  person.check('sign-in', 'no other cookie', cookies.length === 1, cookies.map((cookie) => cookie.name).join(', '));
  await signOut(person);
  person.check('sign-out', 'page', new URL(person.page.url()).pathname === '/api/portal/sign-in', `landed on ${person.page.url()}`);
  await person.page.goto('/api/portal/clients');
  person.check('sign-out', 'signed out', new URL(person.page.url()).pathname === '/api/portal/sign-in', 'still signed in');
  // The sign-in with the organization is still there: one button leads back in.
  await signIn(person);
  person.check('sign-in', 'again', await person.page.getByText('Olivia Hart ·').isVisible(), 'the second sign-in failed');
  return person;
}

/** Somebody the owner does not know yet. */
async function newcomer(olivia) {
  const person = await open('Newcomer', 'Priya Nair');
  const status = await signIn(person, 'priya');
  person.check('not known', 'status', status === 403, `answered ${status} instead of 403`);
  await person.lookHere('not-let-in');
  await olivia.look('people-who-ask', '/api/portal/people', { looks: LOOKS });
  await olivia.send(() => olivia.page.getByRole('button', { name: 'Let in Priya Nair' }).click());
  await olivia.lookHere('people-let-in');
  await person.page.goto('/api/portal/sign-in');
  await signIn(person);
  person.check('let in', 'signed in', await person.page.getByText('Priya Nair ·').isVisible(), 'who was let in cannot sign in');
  await olivia.page.goto('/api/portal/people');
  await olivia.page.getByText(/^Take access away/).first().click();
  await olivia.send(() => olivia.page.getByRole('button', { name: /Take access away Priya Nair/ }).click());
  await person.page.goto('/api/portal/clients');
  person.check('access ended', 'signed out', new URL(person.page.url()).pathname === '/api/portal/sign-in', 'still signed in');
  await olivia.lookHere('people-ended');
  await person.close();
}

async function wrongTokens() {
  const person = await open('Stranger', 'Whose token does not hold');
  const refused = async (twist, expected) => {
    authority.twist = twist;
    await person.context.clearCookies();
    const status = await signIn(person, 'olivia');
    person.check(twist, 'status', status === expected, `answered ${status} instead of ${expected}`);
    person.check(twist, 'nobody', (await person.context.cookies(base)).every((cookie) => cookie.name !== 'assay'), 'somebody is signed in');
  };
  for (const twist of ['audience', 'nonce', 'expired', 'alg-none', 'hs256']) await refused(twist, 401);
  await person.lookHere('sign-in-refused');
  authority.twist = undefined;
  authority.rotate();
  await person.context.clearCookies();
  const status = await signIn(person, 'olivia');
  person.check('rotated key', 'status', status === 303, `answered ${status} instead of 303`);
  // The keys were fetched anew three times in these minutes; that is enough.
  for (const expected of [303, 303, 401]) {
    authority.rotate();
    await person.context.clearCookies();
    const again = await signIn(person, 'olivia');
    person.check('rotated again', 'status', again === expected, `answered ${again} instead of ${expected}`);
  }
  const elsewhere = await person.page.goto('/api/portal/signed-in?code=x&state=y');
  person.check('made-up callback', 'status', elsewhere.status() === 401, `answered ${elsewhere.status()} instead of 401`);
  await person.close();
}

try {
  const olivia = await owner();
  await newcomer(olivia);
  await olivia.close();
  await wrongTokens();
} catch (error) {
  report.check('the drive', 'goes through', error.stack);
} finally {
  await browser.close();
  authority.close();
}
process.exitCode = report.end() ? 0 : 1;
