// SPDX-License-Identifier: Apache-2.0
// A model of tensors or a graph of models: what goes in and comes out, and a form that sends a request of the Open
// Inference Protocol. Its inputs and outputs come from the model's metadata, which every engine has.

import { fetchMetadata, infer, inferPath } from './api.js';
import { h, setFigure, setText } from './dom.js';
import { micros } from './format.js';
import { copyButton, curlText, failureView } from './tryit.js';

const ENGINES = { graph: 'Graph of models', onnxruntime: 'ONNX Runtime' };
const ANSWER_SHOWN = 20000; // characters
const NUMBERS = ['threads', 'workers']; // the others count on, and the facts are written once

export const isTensorModel = (model) => !model.forest;

export const engineName = (model) => ENGINES[model.engine.name] ?? model.engine.name;

// What only this engine says of itself and stays as it is.
function isDetail([key, value]) {
  if (key === 'name' || key === 'last_end') return false;
  return typeof value === 'number' ? NUMBERS.includes(key) : typeof value !== 'object';
}

function detailsOf(engine) {
  return Object.entries(engine).filter(isDetail)
    .map(([key, value]) => [key.charAt(0).toUpperCase() + key.slice(1).replaceAll('_', ' '), String(value)]);
}

function stepText(step) {
  return step.model ? `${step.name} (${step.model})` : step.name;
}

/** [[term, text]] for the list of facts. */
export function tensorFacts(model) {
  const { engine } = model;
  return [['Engine', engineName(model)], ['Steps', engine.steps?.map(stepText).join(' · ')], ...detailsOf(engine)];
}

const sizeOf = (size) => (size < 0 ? 'any' : String(size));

function tensorRow({ name, datatype, shape }) {
  return h('li', null, h('code', null, name), h('span', { class: 'quiet' }, `${datatype} [${shape.map(sizeOf).join(', ')}]`));
}

function tensorList(className, title, tensors) {
  return h('div', { class: className }, h('h3', null, title), h('ul', { class: 'tensors' }, tensors.map(tensorRow)));
}

/** The inputs and outputs, as one node that fills itself. */
export function tensorsView(model) {
  const node = h('div', { class: 'signature' }, h('p', { class: 'quiet' }, 'Loading…'));
  fetchMetadata(model).then(
    ({ inputs, outputs }) => node.replaceChildren(
      tensorList('inputs', 'Inputs', inputs ?? []), tensorList('outputs', 'Outputs', outputs ?? [])),
    (error) => node.replaceChildren(h('p', { class: 'message' }, `The inputs and outputs are not known: ${error.message}`)));
  return node;
}

// A tensor per line: its data may be long, and a line per number would hide the rest.
function exampleText(sample) {
  const inputs = (sample?.inputs ?? []).map((input) => `  ${JSON.stringify(input)}`);
  return inputs.length ? `{"inputs": [\n${inputs.join(',\n')}\n]}` : '{"inputs": []}';
}

function answerText(reply) {
  const text = `{\n${Object.entries(reply).map(([key, value]) => `  ${JSON.stringify(key)}: ${
    Array.isArray(value) ? `[\n${value.map((one) => `    ${JSON.stringify(one)}`).join(',\n')}\n  ]` : JSON.stringify(value)}`).join(',\n')}\n}`;
  return text.length > ANSWER_SHOWN ? `${text.slice(0, ANSWER_SHOWN)}\n… ${text.length - ANSWER_SHOWN} more characters` : text;
}

function answerView(reply, tookUs) {
  const took = h('span', { class: 'took' });
  setFigure(took, micros(tookUs));
  return [h('pre', { class: 'answer', id: 'answer', tabindex: '0', 'aria-label': 'The answer' }, answerText(reply)),
    h('p', { class: 'totals' }, 'Round trip from this browser ', took)];
}

/** The form and its result, as one node. */
export function createTensorTryIt(model) {
  const body = h('textarea', { class: 'request', name: 'body', 'aria-label': 'Body of the request', spellcheck: 'false', rows: '10' });
  const nothing = model.sample ? 'The example is filled in; Send shows the answer' : 'This model has no example; write its inputs';
  const result = h('div', { class: 'result', 'aria-live': 'polite' }, h('p', { class: 'nothing' }, nothing));
  const curl = h('pre', { class: 'curl', tabindex: '0', 'aria-label': 'The same request with curl' });
  const button = h('button', { type: 'submit', class: 'primary' }, 'Send');
  const showCurl = () => setText(curl, curlText(inferPath(model), body.value));
  const fill = () => {
    body.value = exampleText(model.sample);
    showCurl();
  };
  const show = (children, isError) => {
    result.classList.toggle('error', isError);
    result.replaceChildren(...children.filter(Boolean));
  };
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    const start = performance.now();
    try {
      const reply = await infer(model, body.value);
      show(answerView(reply, (performance.now() - start) * 1000), false);
    } catch (error) {
      show(failureView(error, 'request'), true);
    }
    button.disabled = false;
    button.focus({ preventScroll: true });
  };
  body.addEventListener('input', showCurl);
  fill();
  const form = h('form', { onsubmit: submit, novalidate: true }, body,
    h('div', { class: 'actions' }, button, h('button', { type: 'button', onclick: fill }, 'Example'),
      h('span', { class: 'quiet' }, 'A request of the Open Inference Protocol.')));
  return h('div', { class: 'try-body' }, form,
    h('div', { class: 'try-side' }, result,
      h('div', { class: 'curl-head' }, h('h3', null, 'The same with curl'), copyButton(curl)), curl));
}
