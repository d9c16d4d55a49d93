// One signed-in demo person: a browser context of their own, what the browser complained about, and what was looked at.

import { AXE, lookAt } from './look.mjs';

export async function openAs(browser, base, report, role, options = {}) {
  const person = await Person.open(browser, base, report, role, options);
  await person.signIn();
  return person;
}

export class Person {
  addresses = 0;
  pages = 0;
  looks = 0;
  complaints = [];

  /** `options` are those of a browser context. */
  static async open(browser, base, report, role, options = {}) {
    const context = await browser.newContext({ baseURL: base, ...options });
    await context.addInitScript(AXE);
    return new Person(context, await context.newPage(), base, report, role);
  }

  constructor(context, page, base, report, role) {
    Object.assign(this, { context, page, base, report, role });
    page.on('console', (message) => {
      // The browser notes the status of the page itself; whether that is right is checked where the page is opened.
      const ownStatus = message.location().url === page.url() && message.text().startsWith('Failed to load resource');
      if (message.type() === 'error' && !ownStatus) this.complaints.push(message.text());
    });
    page.on('pageerror', (error) => this.complaints.push(String(error)));
    page.on('requestfailed', (request) => this.complaints.push(`${request.url()} failed: ${request.failure()?.errorText}`));
    page.on('request', (request) => {
      if (!request.url().startsWith(base) && !request.url().startsWith('data:')) this.complaints.push(`asks ${request.url()}`);
    });
  }

  async signIn() {
    await this.page.goto('/api/portal/sign-in');
    const choice = this.page.locator('form', { has: this.page.getByText(new RegExp(`^${this.role} `)) }).first();
    this.name = await choice.locator('h3').innerText();
    await this.send(() => choice.getByRole('button').click());
    const greeting = await this.page.getByText(`${this.name} ·`).isVisible();
    this.check('sign-in', 'signed in', greeting, 'the page after it does not name the person');
  }

  /** Opens an address, checks the status and looks at the page. */
  async look(title, address, { status = 200, ...how } = {}) {
    const reply = await this.page.goto(address);
    this.check(title, 'status', reply.status() === status, `answered ${reply.status()} instead of ${status}`);
    await this.lookHere(title, how);
  }

  /** Looks at the page that is open: after a form, say. */
  async lookHere(title, how = {}) {
    this.pages += 1;
    this.looks += await lookAt(this, title, how);
  }

  /** Does something with each item in tabs of this person's, side by side. Only for what changes nothing in the demo. */
  async inTabs(items, count, act) {
    const next = items.values();
    await Promise.all(Array.from({ length: count }, async () => {
      const tab = new Person(this.context, await this.context.newPage(), this.base, this.report, this.role);
      for (const item of next) await act(tab, item);
      await tab.page.close();
      this.pages += tab.pages;
      this.looks += tab.looks;
    }));
  }

  /** Whether something is so, as one more check of the report. `look` is a width and a scheme. */
  check(title, rule, holds, fault, look) {
    this.report.check(`${this.role.toLowerCase()} ${title}`, rule, holds ? undefined : fault, look);
  }

  /** Does what sends a form; the status of its answer, when the page after it is there. */
  async send(act) {
    const sent = this.page.waitForResponse((response) => response.request().method() === 'POST');
    const [reply] = await Promise.all([sent, this.page.waitForEvent('load'), act()]);
    return reply.status();
  }

  /** Does what leads to another page. */
  async follow(act) {
    await Promise.all([this.page.waitForEvent('load'), act()]);
  }

  /** A picture of what is in the window; only when pictures are asked for. */
  async picture(name, address, height) {
    if (!this.report.pictures) return;
    await this.page.setViewportSize({ width: 1280, height });
    await this.page.goto(address);
    await this.page.screenshot({ path: this.report.picture(name) });
  }

  async close() {
    const answered = this.addresses > 0 ? `${this.addresses} addresses answered, ` : '';
    this.report.say(`${this.name}, ${this.role.toLowerCase()}: ${answered}${this.pages} pages in ${this.looks} looks`);
    await this.context.close();
  }
}
