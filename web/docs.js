// SPDX-License-Identifier: Apache-2.0
// The page at /docs: what /openapi.json says, by tag, with a form that sends requests.
// The address names the operation (#/operationId), so every one can be linked to.
import { copyText, h } from './dom.js';

const STREAM_READ_MS = 3000; // of a stream that would not end by itself: the server has few of them
const STREAM_SHOWN = 20000; // characters
const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
const list = document.getElementById('list');
const main = document.getElementById('main');
const find = document.getElementById('find');
let api;
let operations = [];
const typed = new Map(); // values of path segments, kept from one operation to the next

/** The object that a $ref names; anything else as it is. */
function resolve(value) {
  if (!value?.$ref) return value;
  return value.$ref.slice(2).split('/').reduce((at, key) => at[key], api);
}

function collect() {
  return Object.entries(api.paths).flatMap(([path, methods]) =>
    METHODS.filter((method) => methods[method]).map((method) => ({ path, method, ...methods[method] })));
}

// ---- the list

function entry(operation) {
  return h('a', { class: 'entry', href: `#/${operation.operationId}`, title: operation.summary },
    h('span', { class: 'method', 'data-method': operation.method }, operation.method),
    h('code', null, operation.path));
}

function showList() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (operation) => {
    const text = `${operation.method} ${operation.path} ${operation.summary} ${operation.tags}`.toLowerCase();
    return words.every((word) => text.includes(word));
  };
  list.replaceChildren(...api.tags.flatMap((tag) => {
    const some = operations.filter((operation) => operation.tags.includes(tag.name) && fits(operation));
    return some.length ? [h('h2', { title: tag.description }, tag.name), ...some.map(entry)] : [];
  }));
  if (!list.children.length) list.append(h('p', { class: 'note' }, 'Nothing fits.'));
  markCurrent();
}

function markCurrent() {
  for (const link of list.querySelectorAll('.entry')) {
    if (link.hash === location.hash) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
}

// ---- schemas

function typeOf(schema) {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  return [schema.type ?? 'any'].flat().join(' | ');
}

/** A schema as nested lists; one that was opened on the way here is only named. */
function schemaView(given, name, required, seen = []) {
  const schema = resolve(given);
  const title = given.$ref?.split('/').pop();
  const head = [name && h('span', null, name), required && h('span', { class: 'required' }, ' *'), name && ': ',
    h('span', { class: 'type' }, title && !schema.type ? title : typeOf(schema)),
    schema.description && h('span', { class: 'says' }, `  ${schema.description}`)];
  if (title && seen.includes(title)) return h('li', null, head);
  const below = title ? [...seen, title] : seen;
  const parts = [
    ...Object.entries(schema.properties ?? {}).map(([key, value]) =>
      schemaView(value, key, schema.required?.includes(key), below)),
    ...(schema.items ? [schemaView(schema.items, '[each]', false, below)] : []),
    ...(typeof schema.additionalProperties === 'object' ? [schemaView(schema.additionalProperties, '{each}', false, below)] : []),
    ...(schema.anyOf ?? schema.oneOf ?? []).map((value) => schemaView(value, 'or', false, below)),
    ...(schema.allOf ?? []).map((value) => schemaView(value, 'and', false, below)),
  ];
  if (!parts.length) return h('li', null, head);
  return h('li', null, h('details', { open: below.length < 2 }, h('summary', null, head), h('ul', null, parts)));
}

function contentView(content) {
  return Object.entries(content ?? {}).map(([type, value]) => [
    h('h3', null, type), h('ul', { class: 'schema' }, schemaView(value.schema))]);
}

function responsesView(responses) {
  return h('section', null, h('h2', null, 'Answers'), Object.entries(responses).map(([status, given]) => {
    const response = resolve(given);
    return [h('h3', null, status === 'default' ? 'Any error' : status, h('span', { class: 'quiet' }, `  ${response.description}`)),
      contentView(response.content)];
  }));
}

// ---- the form

function exampleOf(content, type) {
  const examples = resolve(content[type].schema).examples;
  return type.includes('json') && examples ? JSON.stringify(examples[0], null, 1) : '';
}

function parameterField(parameter) {
  const options = parameter.schema.enum;
  const id = `parameter-${parameter.name}`;
  const control = options
    ? h('select', { id, name: parameter.name }, h('option', { value: '' }, ''), options.map((value) => h('option', { value }, value)))
    : h('input', { id, name: parameter.name, value: typed.get(parameter.name) ?? '', autocomplete: 'off', spellcheck: 'false', required: parameter.required });
  control.addEventListener('input', () => typed.set(parameter.name, control.value));
  return h('div', { class: 'field' }, h('label', { for: id }, h('code', null, parameter.name), h('span', { class: 'quiet' }, ` ${parameter.in}`)),
    control, parameter.description && h('span', { class: 'note' }, parameter.description));
}

/** What the form asks for: {url, method, headers, body}. */
function requestOf(operation, form) {
  let path = operation.path;
  const query = new URLSearchParams();
  for (const parameter of operation.parameters.map(resolve)) {
    const value = form.elements[parameter.name].value;
    if (parameter.in === 'path') path = path.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (value) query.set(parameter.name, value);
  }
  const url = location.origin + path + (query.size ? `?${query}` : '');
  const headers = operation.requestBody ? { 'Content-Type': form.elements['media-type'].value } : {};
  return { url, method: operation.method.toUpperCase(), headers, body: operation.requestBody ? form.elements.body.value : undefined };
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function curlOf(request) {
  const parts = ['curl', '-sS', ...(request.method === 'GET' ? [] : ['-X', request.method])];
  for (const [name, value] of Object.entries(request.headers)) parts.push('-H', quoted(`${name}: ${value}`));
  if (request.body !== undefined) parts.push('--data-binary', quoted(request.body));
  return [...parts, quoted(request.url)].join(' ');
}

function pretty(text, type) {
  if (!type?.includes('json')) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 1);
  } catch {
    return text; // NaN and Infinity are no JSON for a browser
  }
}

/** Shows a stream as it comes, and closes it after a few seconds. Resolves to its text with a line that says so. */
async function readStream(reply, abort, shown) {
  const decoder = new TextDecoder();
  let text = '';
  let closed = false;
  const timer = setTimeout(() => { closed = true; abort.abort(); }, STREAM_READ_MS);
  try {
    for (const reader = reply.body.getReader();;) {
      const { done, value } = await reader.read();
      if (done) break;
      text += decoder.decode(value, { stream: true });
      shown.textContent = text.slice(0, STREAM_SHOWN);
    }
  } catch (error) {
    if (!closed) throw error;
  }
  clearTimeout(timer);
  const cut = text.length > STREAM_SHOWN ? '…\n' : '';
  return text.slice(0, STREAM_SHOWN) + cut + (closed ? `(this page closed the stream after ${STREAM_READ_MS / 1000} s)` : '');
}

async function send(operation, form, result, button) {
  const { url, ...options } = requestOf(operation, form);
  const abort = new AbortController();
  button.disabled = true;
  const begun = performance.now();
  try {
    const reply = await fetch(url, { ...options, signal: abort.signal });
    const type = reply.headers.get('Content-Type');
    const shown = h('pre', { tabindex: '0' });
    if (type?.startsWith('text/event-stream')) result.replaceChildren(shown);
    const text = await (shown.parentNode ? readStream(reply, abort, shown) : reply.text());
    const took = (performance.now() - begun).toFixed(1);
    result.replaceChildren(
      h('p', { class: 'result', 'data-good': String(reply.ok) }, `${reply.status} ${reply.statusText}`,
        h('span', { class: 'quiet' }, `  ${type ?? 'no body'} · ${text.length} characters · ${took} ms`)),
      h('pre', { tabindex: '0' }, pretty(text, type)));
  } catch (error) {
    result.replaceChildren(h('p', { class: 'result', 'data-good': 'false' }, `No answer: ${error.message}`));
  } finally {
    button.disabled = false;
  }
}

function bodyFields(content) {
  const types = Object.keys(content);
  const body = h('textarea', { name: 'body', 'aria-label': 'Body', spellcheck: 'false' }, exampleOf(content, types[0]));
  const type = h('select', { id: 'media-type', name: 'media-type' }, types.map((value) => h('option', { value }, value)));
  type.addEventListener('change', () => { body.value = exampleOf(content, type.value); });
  return [h('div', { class: 'field' }, h('label', { for: 'media-type' }, 'Content-Type'), type), body];
}

function formView(operation) {
  const result = h('div', { 'aria-live': 'polite' });
  const button = h('button', { class: 'primary', type: 'submit', title: 'Ctrl+Enter' }, 'Send');
  const copy = h('button', { type: 'button' }, 'Copy as curl');
  const form = h('form', { novalidate: true }, operation.parameters.map(resolve).map(parameterField),
    operation.requestBody ? bodyFields(operation.requestBody.content) : null, h('div', { class: 'bar' }, button, copy));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    send(operation, form, result, button);
  });
  form.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  copy.addEventListener('click', () => {
    const shown = h('pre', { tabindex: '0' }, curlOf(requestOf(operation, form)));
    result.replaceChildren(shown);
    copyText(shown.textContent, shown);
  });
  return h('section', { 'aria-label': 'Try it' }, h('h2', null, 'Try it'), form, result);
}

// ---- the page

function show() {
  const operation = operations.find((one) => location.hash === `#/${one.operationId}`) ?? operations[0];
  document.title = `${operation.method.toUpperCase()} ${operation.path} · Phoenix`;
  main.replaceChildren(h('article', { class: 'operation' },
    h('div', { class: 'operation-head' }, h('span', { class: 'method', 'data-method': operation.method }, operation.method),
      h('h1', null, operation.path)),
    h('p', { class: 'quiet' }, operation.summary),
    formView(operation),
    operation.requestBody && h('section', null, h('h2', null, 'Body'), contentView(operation.requestBody.content)),
    responsesView(operation.responses)));
  markCurrent();
}

async function start() {
  const about = document.getElementById('about');
  try {
    const [reply, models] = await Promise.all([fetch('/openapi.json'), fetch('/v1/models')]);
    api = await reply.json();
    const [first] = models.ok ? (await models.json()).models : [];
    if (first) typed.set('model', first);
  } catch (error) {
    about.textContent = `The description cannot be read: ${error.message}`;
    return;
  }
  operations = collect();
  about.textContent = `API ${api.info.version} · ${operations.length} operations`;
  showList();
  show();
  find.addEventListener('input', showList);
  addEventListener('hashchange', () => {
    if (location.hash.startsWith('#/')) show();
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
  });
  addEventListener('keydown', (event) => {
    if (event.key !== '/' || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
    event.preventDefault();
    find.focus();
  });
}

start();
