// The page that matters most, used in three ways: wrongly, without JavaScript, and without a mouse.

import { checkAlert, PHONE } from './forms.mjs';
import { checkStops, tabTo } from './keyboard.mjs';

const TRIES = 300;
const BETWEEN_TRIES = 100; // ms: another process carries it out

/** A rejection needs a reason: the page comes back and says so. */
export async function rejectWithoutReason(person, proposal) {
  const { page } = person;
  await page.setViewportSize(PHONE);
  await page.goto(proposal);
  const status = await person.send(() => page.getByRole('button', { name: /^Reject/ }).click());
  person.check('proposal', 'reason needed', status === 422, `answered ${status} instead of 422`);
  await checkAlert(person, 'proposal');
  await person.lookHere('proposal-errors');
}

/** A person whose browser runs no script has signed in; now they decide. */
export async function withoutScript(person, proposal) {
  const { page } = person;
  await page.goto(proposal);
  await page.getByLabel('Comment').fill('Checked against the purchase list');
  await person.send(() => page.getByRole('button', { name: /^Approve/ }).click());
  await checkOutcome(person, 'proposal without script');
  await person.context.close();
}

/** From the inbox to a decision with Tab and Enter alone. */
export async function byKeyboard(person) {
  const { page } = person;
  await page.goto('/api/portal/inbox');
  await tabTo(page, (stop) => stop.inMain && /\/proposals\//.test(stop.href));
  await person.follow(() => page.keyboard.press('Enter'));
  const proposal = page.url();
  for (const width of [360, 1280]) {
    await page.setViewportSize({ width, height: 900 });
    await page.goto(proposal);
    await checkStops(person, 'proposal by keyboard', `${width} px`);
  }
  await page.goto(proposal);
  await tabTo(page, (stop) => stop.id === 'comment');
  await page.keyboard.type('Read with the keyboard, and agreed');
  await tabTo(page, (stop) => stop.words.startsWith('Approve'));
  await person.send(() => page.keyboard.press('Enter'));
  await checkOutcome(person, 'proposal by keyboard');
  await person.lookHere('proposal-decided');
}

async function checkOutcome(person, title) {
  const outcome = await person.page.getByRole('status').innerText();
  person.check(title, 'decision', /You\s+approved/.test(outcome), `the page says "${outcome}"`);
}

/** What was decided is carried out, and shows wherever it should. */
export async function afterwards(person, proposal) {
  const { page } = person;
  const done = page.getByText('Carried out');
  for (let tries = 0; tries < TRIES; tries += 1) {
    await page.goto(proposal);
    if (await done.isVisible()) break;
    await page.waitForTimeout(BETWEEN_TRIES);
  }
  person.check('proposal', 'carried out', await done.isVisible(), 'the approval was not carried out');
  await person.lookHere('proposal-carried-out');
  await person.follow(() => page.locator('main a[href*="/requirements/"]').first().click());
  person.check('requirement', 'finding', await page.getByText('Finding').first().isVisible(), 'the finding is not shown');
  await person.lookHere('requirement-with-finding');
  await person.look('inbox-with-decisions', '/api/portal/inbox');
  await person.look('clients-after', '/api/portal/clients');
}
