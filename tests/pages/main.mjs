// Drives the demo's pages as its people do: the owner, an engineer who asks for something, an approver who decides.
// `.ci/pages` starts the demo and says where it and the first approval are. Each part of the drive takes the demo as the
// one before left it, so their order matters.

import { chromium } from 'playwright-core';
import { crawl } from './crawl.mjs';
import * as decide from './decide.mjs';
import * as forms from './forms.mjs';
import { gallery } from './gallery.mjs';
import { EVERY_LOOK, LOOKS } from './look.mjs';
import { openAs } from './person.mjs';
import { Report } from './report.mjs';
import * as proof from './proof.mjs';
import { followedByItsReader, linkOf, scan } from './scanner.mjs';

const { CHROMIUM, GALLERY, MAILBOX, PICTURES } = process.env;
const [base, firstApproval] = process.argv.slice(2);
const report = new Report(PICTURES);
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking'],
});

async function owner() {
  const person = await openAs(browser, base, report, 'Owner');
  await person.look('sign-in', '/api/portal/sign-in', { looks: EVERY_LOOK });
  await crawl(person, { looks: EVERY_LOOK });
  await person.look('not-found', '/api/portal/nothing-here', { status: 404 });
  await forms.newClient(person);
  await forms.newConnections(person);
  await forms.firstDay(person);
  await person.close();
}

async function engineer() {
  const person = await openAs(browser, base, report, 'Engineer');
  await crawl(person, { looks: LOOKS });
  await forms.changeConnection(person);
  await forms.propose(person);
  await person.close();
}

async function approver() {
  const person = await openAs(browser, base, report, 'Approver');
  // The two pictures of README.md.
  await person.picture('dashboard', '/api/portal/clients', 560);
  await person.picture('approval', firstApproval, 1020);
  await crawl(person, { looks: LOOKS });
  await person.look('forbidden', '/api/portal/connections', { status: 403 });
  await followedByItsReader(person, linkOf(MAILBOX, base, person.name));
  await decide.rejectWithoutReason(person, firstApproval);
  await decide.withoutScript(await openAs(browser, base, report, 'Approver', { javaScriptEnabled: false }), firstApproval);
  await decide.byKeyboard(person);
  await decide.afterwards(person, firstApproval);
  await proof.holds(person);
  await proof.damaged(person);
  await proof.found(person);
  await proof.withoutScript(await openAs(browser, base, report, 'Approver', { javaScriptEnabled: false }));
  await person.close();
}

async function drive() {
  await scan(browser, base, report, linkOf(MAILBOX, base, 'Priya Nair'));
  await owner();
  await engineer();
  await approver();
}

// The gallery takes nothing from the demo but its style, so it is looked at beside the drive.
const parts = { 'the drive': drive(), 'the gallery': gallery(browser, base, report, GALLERY, LOOKS) };
// What was found before one got stuck is printed all the same, and so is what the other finds.
await Promise.all(Object.entries(parts).map(([name, part]) => part.catch((error) => report.check(name, 'goes through', error.stack))));
await browser.close();
process.exitCode = report.end() ? 0 : 1;
