// Our own rules of a page. This function is sent into the browser, so it stands alone: no import, nothing from outside.

/** Rule by rule, the places where the open page breaks it. */
export function faultsOfPage() {
  const SMALLEST_TEXT = 12; // CSS px
  const SMALLEST_TARGET = 24; // CSS px, WCAG 2.5.8
  const TARGETS = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [role=button], [role=link]';

  const shown = (element) => {
    const { width, height } = element.getBoundingClientRect();
    // A box of one pixel is text for screen readers only.
    return element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && width > 1 && height > 1;
  };
  const place = (element) => {
    const own = element.id ? `#${element.id}` : [element.localName, ...element.classList].join('.');
    const words = element.textContent.trim().replace(/\s+/g, ' ').slice(0, 30);
    return `${element.parentElement?.localName ?? ''} > ${own}${words && ` "${words}"`}`;
  };
  const texts = () => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT, (node) =>
      node.data.trim() && !node.parentElement.closest('option, script, style') ? NodeFilter.FILTER_ACCEPT : NodeFilter.FILTER_SKIP);
    const found = new Set();
    while (walker.nextNode()) found.add(walker.currentNode.parentElement);
    return [...found].filter(shown);
  };
  // Text in a drawing shrinks and grows with it.
  const scale = (element) => (element.ownerSVGElement ? element.getScreenCTM().a : 1);
  const textSize = (element) => parseFloat(getComputedStyle(element).fontSize) * scale(element);

  // A link in a sentence may be as high as its line.
  const inSentence = (link) => {
    if (getComputedStyle(link).display !== 'inline') return false;
    let block = link.parentElement;
    while (getComputedStyle(block).display === 'inline') block = block.parentElement;
    const copy = block.cloneNode(true);
    copy.querySelectorAll('a, button, .tag, .hide').forEach((other) => other.remove());
    return /\p{L}{2}/u.test(copy.textContent);
  };
  const tooSmall = (target) => {
    const { width, height } = target.getBoundingClientRect();
    return Math.round(width) < SMALLEST_TARGET || Math.round(height) < SMALLEST_TARGET;
  };
  const size = (element) => {
    const { width, height } = element.getBoundingClientRect();
    return `${Math.round(width)}x${Math.round(height)}`;
  };

  // What does not fit its box and is not shown beyond it.
  const cut = (element) => {
    const drawing = element.ownerSVGElement;
    const box = (drawing ?? element).getBoundingClientRect();
    const { left, right } = element.getBoundingClientRect();
    const hides = /hidden|clip/.test(getComputedStyle(drawing ?? element).overflowX);
    return hides && (drawing ? left < box.left - 1 || right > box.right + 1 : element.scrollWidth > element.clientWidth + 1);
  };

  const root = document.scrollingElement;
  const wide = root.scrollWidth > root.clientWidth;
  const headings = [...document.querySelectorAll('h1')].filter(shown);
  const beyond = (element) => element.getBoundingClientRect().right > root.clientWidth + 1 && !element.closest('.scroll, .hide, .skip');
  return {
    'one heading of first level': headings.length === 1 ? [] : [`${headings.length} are there`],
    'no sideways scroll': wide ? [...document.body.querySelectorAll('*')].filter(beyond).slice(0, 3).map(place).concat(`${root.scrollWidth} px wide`) : [],
    'readable text': texts().filter((e) => textSize(e) < SMALLEST_TEXT).map((e) => `${place(e)} ${textSize(e).toFixed(1)} px`),
    'no cut text': texts().filter(cut).map(place),
    'target size': [...document.querySelectorAll(TARGETS)].filter((t) => shown(t) && tooSmall(t) && !inSentence(t)).map((t) => `${place(t)} ${size(t)}`),
  };
}
