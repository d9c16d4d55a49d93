// What was checked and what was wrong. A fault names person and page, the rule, the place, and the looks it shows in.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

const SHOWN = 100;

export class Report {
  passed = 0;
  failed = 0;
  faults = new Map();

  constructor(pictures) {
    this.pictures = pictures || undefined;
    if (this.pictures) mkdirSync(this.pictures, { recursive: true });
  }

  /** One thing that was checked; `fault` is what was wrong with it, or nothing. `look` is a width and a scheme. */
  check(page, rule, fault, look) {
    if (!fault) {
      this.passed += 1;
      return;
    }
    this.failed += 1;
    const words = `${page}: ${rule}: ${fault}`;
    this.faults.set(words, [...(this.faults.get(words) ?? []), ...(look ? [look] : [])]);
  }

  picture(name) {
    return join(this.pictures, `${name}.png`);
  }

  say(line) {
    console.log(`pages: ${line}`);
  }

  /** Prints the faults and the total; whether all was good. */
  end() {
    const lines = [...this.faults].map(([words, looks]) => (looks.length > 0 ? `${words} (${looks.join(', ')})` : words));
    for (const line of lines.slice(0, SHOWN)) this.say(line);
    if (lines.length > SHOWN) this.say(`... and ${lines.length - SHOWN} more`);
    this.say(`${this.passed} passed, ${this.failed} failed`);
    return this.failed === 0 && this.passed > 0;
  }
}
