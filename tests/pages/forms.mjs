// Forms as people misuse them: sent as they are, with nothing or nonsense in them. They come back with 422, say what is
// wrong, and hold to the same rules. The browser's own check is switched off, or it would keep the form to itself.

export const PHONE = { width: 360, height: 740 };

/** What is wrong is said where the person looks, not somewhere up or down the page. */
export async function checkAlert(person, title) {
  const box = await person.page.getByRole('alert').boundingBox();
  const inView = box && box.y >= 0 && box.y < person.page.viewportSize().height;
  person.check(title, 'errors', inView, box ? 'the alert is out of view' : 'no alert says what is wrong');
}

/** Fills the form of the open page and sends it; the status of the answer. */
async function send(person, fields) {
  const form = person.page.locator('main form.fields').last();
  for (const [name, value] of Object.entries(fields)) {
    const field = form.locator(`[name="${name}"]`);
    if ((await field.evaluate((element) => element.localName)) === 'select') await field.selectOption(value);
    else await field.fill(value);
  }
  await form.evaluate((element) => { element.noValidate = true; });
  return person.send(() => form.locator('button').last().click());
}

/** Sends the form with what cannot be taken, and looks at how it comes back. */
async function sendWrongly(person, title, fields) {
  await person.page.setViewportSize(PHONE);
  const status = await send(person, fields);
  person.check(title, 'status', status === 422, `answered ${status} instead of 422`);
  await checkAlert(person, title);
  await person.lookHere(title);
}

export async function newClient(person) {
  await person.page.goto('/api/portal/clients/new');
  await sendWrongly(person, 'new-client-errors', { name: '' });
}

export async function newConnections(person) {
  await person.page.goto('/api/portal/connections/new');
  const vendors = await person.page.locator('main a[href*="vendor="]').evaluateAll((links) => links.map((link) => link.href));
  person.check('connections-new', 'vendors', vendors.length > 0, 'no tool can be chosen');
  for (const vendor of vendors) {
    await person.page.goto(vendor);
    await sendWrongly(person, `new-${new URL(vendor).searchParams.get('vendor')}-errors`, { name: '', host: 'not a host' });
  }
}

export async function changeConnection(person) {
  await person.page.goto('/api/portal/connections');
  await person.follow(() => person.page.getByRole('link', { name: /^Change/ }).first().click());
  await sendWrongly(person, 'change-connection-errors', { name: '' });
}

/** A connection is tested, and all that Assay depends on is looked at: the page after it says at once what came of it. */
export async function firstDay(person) {
  const { page } = person;
  await page.goto('/api/portal/connections');
  await person.send(() => page.getByRole('button', { name: /^Test it now/ }).first().click());
  const tested = await page.getByRole('status').innerText();
  person.check('connection-tested', 'answer', tested.includes('It answered'), `it says "${tested}"`);
  await person.lookHere('connection-tested');
  await page.goto('/api/portal/health');
  await person.send(() => page.getByRole('button', { name: 'Look at all of it now' }).click());
  const looked = await page.getByRole('status').innerText();
  person.check('health-looked', 'answer', looked.includes('Looked at now'), `it says "${looked}"`);
  await person.lookHere('health-looked');
}

/** An engineer proposes an objective by hand, and sees that others decide on it. */
export async function propose(person) {
  const { page } = person;
  await page.goto('/api/portal/clients');
  await person.follow(() => page.locator('main tbody th a').first().click());
  await person.follow(() => page.locator('.cells a').first().click());
  await sendWrongly(person, 'propose-errors', { sha256: 'nonsense' });
  const objective = await page.locator('#objective option').nth(1).getAttribute('value');
  const status = await send(person, {
    objective,
    found: 'met',
    title: 'Access control policy',
    place: 'SharePoint, Policies, version 3',
    sha256: 'ab'.repeat(32),
    approved_on: new Date().toISOString().slice(0, 10),
    why: 'Section 2 names who may use the system and how that is reviewed.',
  });
  person.check('propose', 'status', status === 303, `answered ${status} instead of 303`);
  person.check('propose', 'not yours', await page.getByRole('status').isVisible(), 'the page does not say who decides');
  await person.lookHere('own-proposal');
}
