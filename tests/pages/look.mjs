// One page at every width and color scheme, by axe-core (WCAG 2.0 to 2.2, A and AA) and by rules of our own.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { faultsOfPage } from './rules.mjs';

/** axe-core's script. A browser context puts it into each page that it opens. */
export const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const AXE_RULES = {
  runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] },
  resultTypes: ['violations'],
};
const HEIGHT = 900;

/** A phone and a laptop, by day and by night. */
export const LOOKS = [
  { width: 360, scheme: 'light' },
  { width: 360, scheme: 'dark' },
  { width: 1280, scheme: 'light' },
  { width: 1280, scheme: 'dark' },
];

/** Also a large screen, and a 1280 px window at 200 % zoom, which is laid out as 640 CSS px. */
export const EVERY_LOOK = [...LOOKS, { width: 1920, scheme: 'light' }, { width: 640, scheme: 'light' }];

/** How many looks were taken. */
export async function lookAt(person, title, { looks = LOOKS } = {}) {
  const { page, report } = person;
  const who = `${person.role.toLowerCase()} ${title}`;
  if (report.pictures) await takePictures(person, title, looks);
  // What is folded away must hold too.
  await page.evaluate(() => document.querySelectorAll('details').forEach((details) => { details.open = true; }));
  for (const { width, scheme } of looks) {
    const look = `${width} px ${scheme}`;
    await page.setViewportSize({ width, height: HEIGHT });
    await page.emulateMedia({ colorScheme: scheme });
    for (const [rule, faults] of Object.entries(await page.evaluate(faultsOfPage))) {
      report.check(who, rule, faults.join('; '), look);
    }
    const violations = await page.evaluate(async (rules) => (await window.axe.run(document, rules)).violations, AXE_RULES);
    report.check(who, 'axe', violations.map(inWords).join('; '), look);
  }
  report.check(who, 'browser', [...new Set(person.complaints.splice(0))].join('; '));
  return looks.length;
}

function inWords({ id, nodes }) {
  const places = nodes.map(({ target, any }) => `${target.join(' ')} ${any[0]?.message ?? ''}`.trim());
  return `${id} at ${places.slice(0, 3).join(', ')}${places.length > 3 ? ` and ${places.length - 3} more` : ''}`;
}

async function takePictures({ page, report, role }, title, looks) {
  for (const { width, scheme } of looks) {
    await page.setViewportSize({ width, height: HEIGHT });
    await page.emulateMedia({ colorScheme: scheme });
    await page.screenshot({ path: report.picture(`${role.toLowerCase()}-${title}-${width}-${scheme}`), fullPage: true });
  }
  await page.emulateMedia({ colorScheme: 'light' });
}
