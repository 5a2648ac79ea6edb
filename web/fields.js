// SPDX-License-Identifier: Apache-2.0
// The fields of the try-it form: a feature's control, and its value as text and as JSON.
//
// An empty text is a missing value. Numbers are sent exactly as typed, and what is no number is sent as
// text: the server's own message says what it expected.

import { h } from './dom.js';
import { integer } from './format.js';

const JSON_NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const LOCAL_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?$/;
const SELECT_MAX = 60; // categories: above this a text field with suggestions is quicker
const YES = /^(true|yes|1|t|y|on|1\.0)$/i; // as the server reads booleans
const NO = /^(false|no|0|f|n|off|0\.0)$/i;
const TYPE_HINTS = { number: '', boolean: 'true / false', datetime: 'UTC' };

function hintOf(feature) {
  if (feature.type !== 'category') return TYPE_HINTS[feature.type] ?? feature.type;
  return feature.categories ? `${integer(feature.categories.length)} categories` : 'category code';
}

/** A value of the sample row as the text of its field. */
export function textOf(feature, value) {
  if (value === null || value === undefined) return '';
  if (feature.type === 'datetime') return utcText(value);
  const text = String(value);
  if (feature.type !== 'boolean') return text;
  return YES.test(text) ? 'true' : NO.test(text) ? 'false' : text;
}

// The browser's date-time field knows no zones, so it holds UTC; a text that it cannot hold stays as it is.
function utcText(value) {
  const iso = typeof value === 'string' ? value.replace(' ', 'T') : value;
  const zoned = typeof iso !== 'string' || !iso.includes('T') || /(z|[+-]\d\d:?\d\d)$/i.test(iso);
  const time = new Date(typeof iso === 'number' ? iso * 1000 : zoned ? iso : iso + 'Z');
  return Number.isNaN(time.getTime()) ? String(value) : time.toISOString().replace(/(\.000)?Z$/, '');
}

/** The JSON of one value. */
export function literalOf(feature, text) {
  if (text === '') return 'null';
  if (feature.type === 'boolean' && /^(true|false)$/.test(text)) return text;
  if (feature.type === 'datetime' && LOCAL_TIME.test(text)) return JSON.stringify(text + 'Z');
  const isCode = feature.type === 'category' && !feature.categories;
  const isNumber = (feature.type === 'number' || isCode) && JSON_NUMBER.test(text);
  return isNumber ? text : JSON.stringify(text);
}

function selectOf(shared, values, current) {
  const all = values.includes(current) || current === '' ? values : [current, ...values];
  return h('select', shared, h('option', { value: '' }, '— missing —'), all.map((value) => h('option', { value }, value)));
}

/** The control of a feature: `id` ties it to its label. */
function controlOf(feature, id, text) {
  const shared = { id, name: feature.name, autocomplete: 'off' };
  if (feature.type === 'boolean') return selectOf(shared, ['true', 'false'], text);
  if (feature.categories?.length <= SELECT_MAX) return selectOf(shared, feature.categories, text);
  if (feature.type === 'datetime' && (text === '' || LOCAL_TIME.test(text))) {
    return h('input', { ...shared, type: 'datetime-local' });
  }
  const words = { ...shared, type: 'text', placeholder: 'missing', spellcheck: 'false' };
  if (feature.type === 'number') return h('input', { ...words, inputmode: 'decimal' });
  return h('input', { ...words, list: feature.categories ? `${id}-list` : null });
}

/** A labelled field over `values` (feature name to text); `changed` is called after each edit. */
export function fieldOf(feature, index, values, changed) {
  const id = `feature-${index}`;
  const control = controlOf(feature, id, values.get(feature.name));
  control.value = values.get(feature.name);
  control.classList.toggle('missing', control.value === '');
  const edited = () => {
    values.set(feature.name, feature.type === 'number' ? control.value.trim() : control.value);
    control.classList.toggle('missing', control.value === '');
    control.removeAttribute('aria-invalid');
    changed();
  };
  control.addEventListener('input', edited);
  control.addEventListener('change', edited); // some programs that fill forms fire only this
  const suggestions = control.getAttribute('list') &&
    h('datalist', { id: `${id}-list` }, feature.categories.map((value) => h('option', { value })));
  return h('div', { class: 'field' },
    h('label', { for: id }, h('span', { class: 'name', title: feature.name }, feature.name),
      h('span', { class: 'hint' }, hintOf(feature))), control, suggestions);
}
