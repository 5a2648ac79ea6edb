// SPDX-License-Identifier: Apache-2.0
// Building elements. Every text goes through text nodes, never through markup: model names, labels and
// error messages come from files and strangers.

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, properties, children) {
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, '');
    else if (value !== false && value != null) node.setAttribute(key, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return node;
}

/** An HTML element: attributes, `on…` listeners, children (nodes, text, arrays; null is skipped). */
export function h(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** The same for SVG. */
export function s(tag, properties, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

/** Sets text only when it differs, so that an unchanged page causes no layout. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A value with its unit set smaller: the formatters part the two by a no-break space. */
export function setFigure(node, text) {
  if (node.dataset.text === text) return;
  node.dataset.text = text;
  const [value, unit] = text.split('\u00a0');
  node.replaceChildren(value, unit ? h('span', { class: 'unit' }, '\u00a0' + unit) : '');
}

/** Copies text; the old way serves pages that were opened over plain HTTP from another machine. */
export async function copyText(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const range = document.createRange();
    range.selectNodeContents(shown);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    return document.execCommand('copy');
  }
}
