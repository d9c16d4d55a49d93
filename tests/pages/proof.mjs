// The record view of the audit trail: its own script checks the proof in the browser, says so in words, and names what
// was changed. Without a script the page says how to check.

const PROOF = '#check';
const OUTCOME = '#checked';

/** What may be changed in the page's data, and what the page then says. */
const CHANGES = [
  ['data-leaf', /The proof does not lead from this entry to the checkpoint/],
  ['data-hashes', /The proof does not lead from this entry to the checkpoint/],
  ['data-content', /The content is not what this entry committed to/],
  ['data-salt', /The content is not what this entry committed to/],
  ['data-note', /The signature of the checkpoint does not hold/],
];

/** The record of an entry in the first client's trail. */
async function anEntry(person) {
  const { page } = person;
  await page.goto('/api/portal/audit');
  await person.follow(() => page.getByRole('link', { name: /^in the log, entry/ }).nth(3).click());
  return page.url();
}

export async function holds(person) {
  const { page } = person;
  const address = await anEntry(person);
  await page.locator(`${PROOF}.met`).waitFor();
  const outcome = await page.locator(OUTCOME).innerText();
  const [, index] = address.match(/entry\/(\d+)$/);
  const included = new RegExp(`Included as entry ${index} of \\d+`).test(outcome);
  person.check('audit record', 'included', included, `the page says "${outcome}"`);
  const steps = await page.locator('#steps').innerText();
  for (const step of ['The proof leads from this entry to the root', 'The content is what this entry committed to', 'The checkpoint is signed by the key']) {
    person.check('audit record', step, steps.includes(step), `the page says "${steps}"`);
  }
  await person.lookHere('audit-record-checked');
  for (const name of [/\.tlog-proof$/, /\.json$/]) {
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name }).click()]);
    person.check('audit record', `takes along ${name}`, name.test(download.suggestedFilename()), download.suggestedFilename());
  }
  person.complaints.length = 0; // A download ends the request of a page that was never to come.
}

/** One character of the data is another, as if somebody had changed it on the way or in the store. */
export async function damaged(person) {
  const { page } = person;
  const address = await anEntry(person);
  for (const [attribute, says] of CHANGES) {
    await page.route(address, async (route) => {
      const reply = await route.fetch();
      await route.fulfill({ response: reply, body: flipped(await reply.text(), attribute) });
    });
    await page.goto(address);
    await page.locator(`${PROOF}.not`).waitFor();
    const outcome = await page.locator(OUTCOME).innerText();
    person.check('audit record', `changed ${attribute}`, says.test(outcome), `the page says "${outcome}"`);
    if (attribute === 'data-content') await person.lookHere('audit-record-changed');
    await page.unroute(address);
  }
}

/** One bit of one byte is another: early in the data, which of a checkpoint is the log's name. */
function flipped(html, attribute) {
  const form = attribute === 'data-salt' ? 'hex' : 'base64';
  return html.replace(new RegExp(`(${attribute}=")([^" ]*)`), (_, before, value) => {
    const bytes = Buffer.from(value, form);
    bytes[10] ^= 1;
    return before + bytes.toString(form);
  });
}

/** A browser that runs no script is told that nothing was checked, and how to check. */
export async function withoutScript(person) {
  await anEntry(person);
  const said = await person.page.locator(PROOF).innerText();
  person.check('audit record', 'without script', /Nothing was checked/.test(said) && /assay verify/.test(said), `the page says "${said}"`);
  await person.context.close();
}

/** Looking for entries. */
export async function found(person) {
  const { page } = person;
  await page.goto('/api/portal/audit');
  await page.getByText('Find entries').click();
  await page.getByLabel('What happened').selectOption('proposal.approved');
  await person.follow(() => page.getByRole('button', { name: 'Find' }).click());
  const said = await page.getByRole('status').innerText();
  person.check('audit', 'found', /Found [1-9]\d* among the \d+ entries/.test(said), `the page says "${said}"`);
  const others = await page.locator('.line li', { hasNotText: 'approved a proposal' }).count();
  person.check('audit', 'nothing else is found', others === 0, `${others} others`);
  await person.lookHere('audit-found');
  await person.follow(() => page.getByRole('link', { name: /^in the log, entry/ }).first().click());
  await person.look('audit-of-one-person', await page.getByRole('link', { name: 'all of theirs' }).getAttribute('href'));
}
