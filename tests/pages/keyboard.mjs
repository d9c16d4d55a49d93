// Where Tab leads: what is reached, in which order, and whether people see where they are.

const MAX_STOPS = 200;

/** Presses Tab until `wanted`. */
export async function tabTo(page, wanted) {
  for (let pressed = 0; pressed < MAX_STOPS; pressed += 1) {
    await page.keyboard.press('Tab');
    if (wanted(await page.evaluate(focused))) return;
  }
  throw new Error(`Tab does not reach what is sought on ${page.url()}: ${wanted}`);
}

/** Tabs through a freshly opened decision page. */
export async function checkStops(person, title, look) {
  const stops = await allStops(person.page);
  const first = stops[0];
  person.check(title, 'skip link first', first?.words === 'Skip to content' && first.inView, `first is "${first?.words}"`, look);

  const wanted = [(stop) => stop.id === 'comment', (stop) => stop.words.startsWith('Approve'), (stop) => stop.words.startsWith('Reject')];
  const at = wanted.map((is) => stops.findIndex(is));
  const all = stops.map((stop) => stop.words).join(', ');
  person.check(title, 'comment and both buttons', at.every((i) => i >= 0), `Tab reaches ${all}`, look);

  const [comment, approve, reject] = at.map((i) => stops[i]);
  const inOrder = at[0] < at[1] && at[1] < at[2] && isAfter(comment, approve) && isAfter(approve, reject);
  person.check(title, 'visual order', inOrder, 'Tab does not go from comment to Approve to Reject as they stand', look);

  const unseen = stops.filter((stop) => !stop.marked || !stop.inView);
  person.check(title, 'visible focus', unseen.length === 0, unseen.map((stop) => `${stop.tag} "${stop.words}"`).join(', '), look);
}

/** Below, or beside at the right. */
function isAfter(one, other) {
  return other.top >= one.bottom || (other.left >= one.right && other.bottom > one.top);
}

/** Everything that Tab reaches from the top of the page, in order. */
async function allStops(page) {
  await page.evaluate(() => {
    const mark = ({ outline, boxShadow }) => outline + boxShadow;
    window.unfocused = new Map([...document.querySelectorAll('*')].map((element) => [element, mark(getComputedStyle(element))]));
  });
  const stops = [];
  while (stops.length < MAX_STOPS) {
    await page.keyboard.press('Tab');
    const stop = await page.evaluate(focused);
    if (stop.tag === 'body' || stop.again) break;
    stops.push(stop);
  }
  return stops;
}

/** The element that has the focus. Sent into the browser, so it stands alone. */
function focused() {
  const element = document.activeElement;
  const { outline, outlineStyle, boxShadow } = getComputedStyle(element);
  const { top, bottom, left, right } = element.getBoundingClientRect();
  const again = element.dataset.reached === 'yes';
  element.dataset.reached = 'yes';
  return {
    tag: element.localName,
    id: element.id,
    href: element.href ?? '',
    words: element.innerText.trim(),
    inMain: Boolean(element.closest('main')),
    inView: bottom > 0 && right > 0 && top < innerHeight && left < innerWidth,
    marked: window.unfocused?.get(element) !== outline + boxShadow && (outlineStyle !== 'none' || boxShadow !== 'none'),
    again,
    top: top + scrollY,
    bottom: bottom + scrollY,
    left,
    right,
  };
}
