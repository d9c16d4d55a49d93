// Every page in every state, also those that a demo does not get into: expired, superseded, with dead letters. The
// gallery is laid out by a test (tests/stories/gallery/) and answered from its files under the policy of real pages.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Person } from './person.mjs';

export async function gallery(browser, base, report, folder, looks) {
  const states = readdirSync(folder).filter((file) => file.endsWith('.html'));
  const reader = await Person.open(browser, base, report, 'Gallery');
  reader.name = 'Every state';
  const real = await reader.context.request.get('/api/portal/sign-in');
  const policy = real.headers()['content-security-policy'];
  await reader.page.route('**/gallery/*', (route) =>
    // One page has a script of ours beside it.
    route.fulfill({
      path: join(folder, new URL(route.request().url()).pathname.split('/').pop()),
      headers: { 'content-security-policy': `${policy}; script-src 'self'` },
    }));
  for (const state of states) await reader.look(state.replace('.html', ''), `/gallery/${state}`, { looks });
  report.check('gallery', 'states', states.length === 0 && 'there is none');
  await reader.close();
}
