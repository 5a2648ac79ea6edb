// SPDX-License-Identifier: Apache-2.0
// The try-it form: one field per feature of the model, filled with the server's sample row.
//
// The values live in a map of texts and the fields are a view of it, because a model may have
// thousands of features: only the first FIELDS_MAX that match the filter are on the page, the rest is
// sent all the same.

import { ApiError, predict, predictPath } from './api.js';
import { copyText, h, setFigure, setText } from './dom.js';
import { fieldOf, literalOf, textOf } from './fields.js';
import { integer, micros, percent } from './format.js';

const FIELDS_MAX = 60;
const FILTER_FROM = 25;   // features: below this everything is in sight anyway
const CLASSES_SHOWN = 10;

function bodyText(model, values) {
  const pairs = model.signature.features.map((feature) =>
    `${JSON.stringify(feature.name)}: ${literalOf(feature, values.get(feature.name))}`);
  return `{"instances": [{${pairs.join(', ')}}]}`;
}

const shellQuoted = (text) => (/^[\w:/.,@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

export function curlText(path, body) {
  return `curl ${shellQuoted(location.origin + path)} \\\n` +
    `  -H 'content-type: application/json' \\\n  -d ${shellQuoted(body)}`;
}

/** Classes with their scores: [{ label, score, share }], or null when the score is one plain number. */
function classesOf(model, prediction) {
  const name = (i) => model.signature.labels?.[i] ?? `class ${i}`;
  if (Array.isArray(prediction)) return prediction.map((score, i) => ({ label: name(i), score }));
  const isShare = typeof prediction === 'number' && prediction >= 0 && prediction <= 1;
  if (model.signature.task !== 'binary' || !isShare) return null;
  return [{ label: name(1), score: prediction }, { label: name(0), score: 1 - prediction, derived: true }];
}

function classRow({ label, score, derived }, best) {
  const bar = h('i');
  const isShare = score >= 0 && score <= 1;
  bar.style.width = `${isShare ? score * 100 : 0}%`;
  const shown = isShare ? percent(score) : String(score);
  return h('li', { class: best ? 'best' : null, title: derived ? null : String(score) },
    h('span', { class: 'name' }, label), h('span', { class: 'value' }, shown), h('span', { class: 'track' }, bar));
}

function scoreView(model, prediction, tookUs, previous) {
  const classes = classesOf(model, prediction);
  const ranked = classes?.toSorted((a, b) => b.score - a.score);
  const single = !Array.isArray(prediction);
  const figure = h('strong', { class: 'score', id: 'score' });
  setText(figure, single ? String(prediction) : ranked[0].label);
  const what = single ? (classes ? `score of “${classes[0].label}”` : model.signature.output) : 'most likely class';
  const change = typeof prediction === 'number' && previous !== null && previous !== prediction &&
    h('span', { class: 'change' }, `${prediction > previous ? '+' : '−'}${Math.abs(prediction - previous).toPrecision(3)} since the last`);
  const took = h('span', { class: 'took' });
  setFigure(took, micros(tookUs));
  return [
    h('p', { class: 'score-line' }, figure, h('span', { class: 'quiet' }, what), change),
    ranked && h('ul', { class: 'classes' }, ranked.slice(0, CLASSES_SHOWN).map((row, i) => classRow(row, i === 0))),
    ranked?.length > CLASSES_SHOWN && h('p', { class: 'quiet' }, `and ${integer(ranked.length - CLASSES_SHOWN)} more classes`),
    h('p', { class: 'totals' }, 'Round trip from this browser ', took),
  ];
}

export function failureView(error, what) {
  const heading = error instanceof ApiError && error.status
    ? `The server refused this ${what} (HTTP ${error.status})` : 'The server did not answer';
  return [h('p', { class: 'refusal' }, heading), h('p', { class: 'message', id: 'message' }, error.message),
    error.hint && h('p', { class: 'hinted' }, error.hint)];
}

/** Copies the text of a node; says so beside the button. */
export function copyButton(shown) {
  const note = h('span', { class: 'copied', role: 'status' });
  const copy = async () => {
    setText(note, await copyText(shown.textContent, shown) ? 'Copied' : 'Selected: copy with the keyboard');
    setTimeout(() => setText(note, ''), 2500);
  };
  return [note, h('button', { type: 'button', class: 'small', onclick: copy }, 'Copy')];
}

class TryIt {
  #model;
  #features;
  #values = new Map();
  #fields = h('div', { class: 'fields' });
  #more = h('p', { class: 'quiet more' });
  #filter = h('input', { type: 'search', placeholder: 'Filter features', 'aria-label': 'Filter features' });
  #result = h('div', { class: 'result', 'aria-live': 'polite' },
    h('p', { class: 'nothing' }, 'The sample row is filled in; Predict shows its score'));
  #curl = h('pre', { class: 'curl', tabindex: '0', 'aria-label': 'The same request with curl' });
  #button = h('button', { type: 'submit', class: 'primary' }, 'Predict');
  #previous = null;

  constructor(model) {
    this.#model = model;
    this.#features = model.signature.features;
    this.#fill(model.sample ?? {});
  }

  view() {
    const filter = this.#features.length >= FILTER_FROM && this.#filter;
    this.#filter.addEventListener('input', () => this.#showFields());
    const form = h('form', { onsubmit: (event) => this.#submit(event), novalidate: true },
      filter, this.#fields, this.#more,
      h('div', { class: 'actions' }, this.#button,
        h('button', { type: 'button', onclick: () => this.#fill(this.#model.sample ?? {}) }, 'Sample row'),
        h('button', { type: 'button', onclick: () => this.#fill({}) }, 'All missing'),
        h('span', { class: 'quiet' }, 'An empty field is a missing value.')));
    return h('div', { class: 'try-body' }, form,
      h('div', { class: 'try-side' }, this.#result,
        h('div', { class: 'curl-head' }, h('h3', null, 'The same with curl'), copyButton(this.#curl)), this.#curl));
  }

  #fill(row) {
    for (const feature of this.#features) this.#values.set(feature.name, textOf(feature, row[feature.name]));
    this.#showFields();
    this.#showCurl();
  }

  #showFields() {
    const wanted = this.#filter.value.trim().toLowerCase();
    const matching = this.#features.map((feature, index) => ({ feature, index }))
      .filter(({ feature }) => feature.name.toLowerCase().includes(wanted));
    const shown = matching.slice(0, FIELDS_MAX);
    this.#fields.replaceChildren(...shown.map(({ feature, index }) =>
      fieldOf(feature, index, this.#values, () => this.#showCurl())));
    const hidden = matching.length - shown.length;
    this.#more.hidden = hidden === 0 && matching.length > 0;
    setText(this.#more, matching.length === 0 ? 'No feature has this in its name.'
      : `${integer(hidden)} more; filter to see them. They are sent with their sample values.`);
  }

  #showCurl() {
    setText(this.#curl, curlText(predictPath(this.#model), bodyText(this.#model, this.#values)));
  }

  async #submit(event) {
    event.preventDefault();
    this.#button.disabled = true;
    const start = performance.now();
    try {
      const prediction = await predict(this.#model, bodyText(this.#model, this.#values));
      const tookUs = (performance.now() - start) * 1000;
      this.#show(scoreView(this.#model, prediction, tookUs, this.#previous), false);
      this.#previous = typeof prediction === 'number' ? prediction : null;
    } catch (error) {
      this.#show(failureView(error, 'row'), true);
      this.#markNamed(error.message);
    }
    this.#button.disabled = false;
    this.#button.focus({ preventScroll: true });
  }

  #show(children, isError) {
    this.#result.classList.toggle('error', isError);
    this.#result.replaceChildren(...children.filter(Boolean));
    if (!isError) for (const control of this.#fields.querySelectorAll('[aria-invalid]')) control.removeAttribute('aria-invalid');
  }

  // The server's messages quote the feature that they are about.
  #markNamed(message) {
    for (const control of this.#fields.querySelectorAll('[name]')) {
      const named = message.includes(`'${control.name}'`) || message.includes(`"${control.name}"`);
      if (named) control.setAttribute('aria-invalid', 'true');
      else control.removeAttribute('aria-invalid');
    }
  }
}

/** The form and its result, as one node. */
export function createTryIt(model) {
  return new TryIt(model).view();
}
