import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ValidateFunction } from 'ajv';
import Ajv2020 from 'ajv/dist/2020';
import addFormats from 'ajv-formats';
import { type Alert, makeAlert } from '../../src/alerts/alert';
import { type Answer, startTestApp, type TestApp } from '../support/app';
import { limitOf } from '../support/gate';
import { freePort } from '../support/ports';

/** As much of the document as is looked at here. */
interface Schema {
  $ref?: string;
  type?: string | string[];
  properties?: Record<string, Schema>;
  anyOf?: Schema[];
  additionalProperties?: unknown;
  readOnly?: boolean;
}
interface Content {
  [type: string]: { schema: Schema; example?: unknown };
}
interface Response {
  $ref?: string;
  description: string;
  content?: Content;
}
interface Operation {
  operationId: string;
  security?: Record<string, unknown>[];
  parameters?: { name: string; in: 'path' | 'query' | 'header'; required: boolean; schema: Schema; example?: string }[];
  requestBody?: { required: boolean; content: Content };
  responses: Record<string, Response>;
}
interface Document {
  webhooks: Record<string, { post: Operation }>;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema>; responses: Record<string, Response> };
}

/** A secret of the Standard Webhooks scheme. */
const SECRET = `whsec_${Buffer.from('a secret, 24 bytes long!').toString('base64')}`;

const committed = readFileSync(join(__dirname, '../../openapi.json'), 'utf8');
const document: Document = JSON.parse(committed);
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
);

/** An API that takes what Vonage says as it comes. */
const BELIEVING = { vonage: { signature: null } };

const ajv = new Ajv2020({ strict: true, strictTypes: false, allErrors: true });
addFormats(ajv);
// What OpenAPI adds to JSON Schema, and the document's own root.
ajv.addVocabulary(['example']);

function schemaAt<T extends { $ref?: string }>(value: T): T {
  if (value.$ref === undefined) return value;
  const found = value.$ref
    .replace('#/', '')
    .split('/')
    .reduce<unknown>((part, name) => (part as Record<string, unknown>)[name], document);
  if (found === undefined) throw new Error(`${value.$ref} leads nowhere`);
  return found as T;
}

const validators = new Map<string, ValidateFunction>();

/** Checks values against a schema of the document. Of an answer, fields that are not documented are errors here. */
function validatorOf(schema: Schema, side: 'request' | 'answer'): ValidateFunction {
  const key = `${side} ${JSON.stringify(schema)}`;
  let validator = validators.get(key);
  if (validator === undefined) {
    validator = ajv.compile(inlined(schema, side) as object);
    validators.set(key, validator);
  }
  return validator;
}

function inlined(value: unknown, side: 'request' | 'answer'): unknown {
  if (Array.isArray(value)) return value.map((item) => inlined(item, side));
  if (typeof value !== 'object' || value === null) return value;
  const { $ref } = value as Schema;
  if ($ref !== undefined) return inlined(schemaAt(value as Schema), side);
  const copy = Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, inlined(inner, side)]));
  const isClosed = side === 'answer' && copy.properties !== undefined && copy.additionalProperties === undefined;
  return isClosed && typeof copy.properties === 'object' && copy.type === 'object'
    ? { ...copy, additionalProperties: false }
    : copy;
}

/** Which answers have been seen: an operation's id and a status. */
const seen = new Set<string>();

/** Sees that an answer is one that the document has for the operation. */
function expectDocumented(method: string, path: string, operation: Operation, answer: Answer): void {
  const where = `${method} ${path} ${answer.status}`;
  const documented = operation.responses[answer.status];
  if (documented === undefined) throw new Error(`${where} is not documented: ${answer.text}`);
  const { content } = schemaAt(documented);
  seen.add(`${operation.operationId} ${answer.status}`);
  if (content === undefined) {
    expect([where, answer.text]).toEqual([where, '']);
    return;
  }
  const type = answer.headers['content-type']!.split(';')[0]!;
  expect([where, Object.keys(content)]).toEqual([where, [type]]);
  if (!type.endsWith('json')) return;
  const validator = validatorOf(content[type]!.schema, 'answer');
  validator(answer.body);
  expect([where, validator.errors ?? []]).toEqual([where, []]);
}

/** The operation that a path, as it was called, is of. */
function operationOf(method: string, called: string) {
  const path = called.replace(/\?.*$/, '');
  const fits = (template: string) => new RegExp(`^${template.replace(/\{\w+\}/g, '[^/]+')}$`).test(path);
  const found = operations
    .filter((one) => one.method === method && fits(one.path))
    .sort((a, b) => a.path.split('{').length - b.path.split('{').length)[0];
  if (found === undefined) throw new Error(`${method} ${path} is not documented`);
  return found;
}

/** A caller whose every answer is checked against the document. */
function checked(app: TestApp): TestApp['call'] {
  return async (method, path, body, headers) => {
    const answer = await app.call(method, path, body, headers);
    expectDocumented(method, path, operationOf(method, path).operation, answer);
    return answer;
  };
}

/** A path with an example for each of its parameters. */
function exampleOf(path: string, { parameters = [] }: Operation): string {
  return path.replace(/\{(\w+)\}/g, (_braces, name: string) => {
    const parameter = parameters.find((one) => one.name === name && one.in === 'path');
    if (parameter === undefined) throw new Error(`${path} does not document its parameter ${name}`);
    return encodeURIComponent(parameter.example ?? 'example-1');
  });
}

/** What takes fields that it does not know, and ignores them: Courier's contract and Segment's. */
const OPEN = /^(?:POST \/(?:send|inbound\/\w+(?:\/.*)?|profiles\/.*)|PUT \/profiles\/.*)$/;
/** What takes a body by any content type. */
const ANY_TYPE = /^POST \/inbound\//;

const bodyOf = ({ requestBody }: Operation) => requestBody?.content['application/json'];

let app: TestApp;
let call: TestApp['call'];
beforeAll(async () => {
  app = await startTestApp(BELIEVING);
  call = checked(app);
});
afterAll(() => app.stop());

test('the committed document is what the app serves', async () => {
  const { text } = await call('GET', '/openapi.json', undefined, { authorization: null });
  expect(text === committed || 'it differs: run `npm run build && npm run openapi`').toBe(true);
});

test('it has the routes of the app, every one at all of its paths, and no others', () => {
  const served = app.routes.flatMap(({ method, path, aliases = [] }) =>
    [path, ...aliases].map((one) => `${method.toUpperCase()} ${one}`),
  );
  expect(operations.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(served.sort());
});

test('every operation has a name of its own', () => {
  const names = operations.map(({ operation }) => operation.operationId);
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(name).toMatch(/^[a-z][A-Za-z]+$/);
});

test('every schema is one that can be checked against, and every component is used', () => {
  for (const [name, schema] of Object.entries(document.components.schemas)) {
    expect(() => validatorOf(schema, 'request')).not.toThrow();
    expect(committed).toContain(`"#/components/schemas/${name}"`);
  }
  for (const name of Object.keys(document.components.responses)) {
    expect(committed).toContain(`"#/components/responses/${name}"`);
  }
});

test('its patterns are regular expressions in every dialect, not in that of JavaScript alone', () => {
  const patterns = new Set(
    [...committed.matchAll(/"pattern": ("(?:[^"\\]|\\.)*")/g)].map(([, text]) => JSON.parse(text!)),
  );
  expect(patterns.size).toBeGreaterThan(0);
  for (const pattern of patterns) expect(pattern).not.toMatch(/\\p\{|\(\?/i);
});

test.each(operations.map((one) => [`${one.method} ${one.path}`, one] as const))(
  '%s is there, asks for the key that it says, and refuses bad input as it says',
  async (_name, { method, path, operation }) => {
    const example = exampleOf(path, operation);
    const { security } = operation;
    // None is asked for, or may be left out.
    const isOpen = security?.length === 0 || security?.some((key) => Object.keys(key).length === 0);
    const withoutKey = await call(method, example, bodyOf(operation)?.example, { authorization: null });
    if (isOpen) expect([200, 204]).toContain(withoutKey.status);
    else expect(withoutKey.status).toBe(401);
    // What comes there is not ours to bound: its bad input is in vonage-receipts.test.ts.
    if (path.startsWith('/providers/')) return;

    const namesOf = ({ body }: Answer): string[] => body.errors.map((error: { path: string }) => error.path);
    const expectBad = (answer: Answer, name: string) => {
      expect(answer.status).toBe(400);
      expect(namesOf(answer).map((one) => one.split('.')[0])).toContain(name);
    };
    expectBad(await call(method, `${example}?no_such=1`, bodyOf(operation)?.example), 'no_such');
    for (const { name, in: place, schema } of operation.parameters ?? []) {
      if (place === 'path') {
        const bad = path.replace(`{${name}}`, '%00').replace(/\{\w+\}/g, 'a');
        expectBad(await call(method, bad, bodyOf(operation)?.example), name);
      } else if (!JSON.stringify(schema).includes('"array"')) {
        expectBad(await call(method, `${example}?${name}=1&${name}=2`, bodyOf(operation)?.example), name);
      }
    }

    const body = bodyOf(operation);
    if (body === undefined) return;
    const asText = (await call(method, example, body.example, { 'content-type': 'text/plain' })).status;
    expect(asText).toBe(ANY_TYPE.test(`${method} ${path}`) ? 202 : 415);
    expect((await call(method, example, '{"')).status).toBe(400);
    expect((await call(method, example, [])).status).toBe(400);
    expect((await call(method, example, ' '.repeat(16_777_217))).status).toBe(413);
    const withUnknown = await call(method, example, { ...(body.example as object), no_such: 1 });
    if (OPEN.test(`${method} ${path}`)) expect([200, 202]).toContain(withUnknown.status);
    else expectBad(withUnknown, 'no_such');
    for (const [name, property] of Object.entries(schemaAt(body.schema).properties ?? {})) {
      if (property.readOnly) continue;
      const wrong = [property.type].flat().includes('string') ? 7 : 'x';
      expectBad(await call(method, example, { ...(body.example as object), [name]: wrong }), name);
    }
  },
);

test.each(
  operations.filter(({ operation }) => operation.requestBody).map((one) => [`${one.method} ${one.path}`, one] as const),
)('the example of %s is right by its schema, and served', async (_name, { method, path, operation }) => {
  const { schema, example } = bodyOf(operation)!;
  const validator = validatorOf(schema, 'request');
  validator(example);
  expect(validator.errors ?? []).toEqual([]);
  const own = await startTestApp(BELIEVING);
  try {
    // Somebody for POST /alerts/test to tell, who does not answer.
    const alert_webhooks = [{ url: `http://127.0.0.1:${await freePort()}/`, secret: SECRET }];
    await own.call('PATCH', '/settings', { alert_webhooks });
    const answer = await checked(own)(method, exampleOf(path, operation), example);
    expect([200, 201, 202, 204]).toContain(answer.status);
  } finally {
    await own.stop();
  }
});

test('every answer that is documented is given, and is as documented', async () => {
  const limit = { per: ['user'], period: 'day', max: 1 };
  await call('POST', '/limits', { id: 'user-daily', ...limit });
  await call('POST', '/limits', { id: 'user-daily', ...limit });
  await call('PUT', '/limits/user-daily', { ...limit, reason: 'because', where: null });
  await call('PUT', '/limits/twin', limit);
  await call('PUT', '/limits/other', {
    ...limit,
    period: 'month',
    where: { user: 'ann' },
    until: '2999-01-01T00:00:00+02:00',
    mode: 'shadow',
  });
  await call('GET', '/limits');
  await call('GET', '/limits/user-daily');
  await call('GET', '/limits/none');
  await call('POST', '/limits/preview', limit);
  await Promise.all([1, 2].map(() => call('POST', '/limits/simulate', { limits: [{ id: 'user-daily', ...limit }] })));
  await call('POST', '/limits/simulate', { limits: [{ id: 'twin', ...limit }] });
  await call('PUT', '/limits/user-daily', limit, { 'if-match': '"another"' });
  await call('DELETE', '/limits/user-daily', undefined, { 'if-match': '"another"' });
  await app.services.configuration.change({ id: 'file', name: null }, 'file', () => ({
    writes: [
      { id: 'from-file', value: limitOf({ id: 'from-file', per: ['topic'], period: 'day', max: 9, source: 'file' }) },
    ],
    events: [],
  }));
  await call('DELETE', '/limits/from-file');
  await call('GET', '/settings');
  await call('PATCH', '/settings', { week_start: 'monday' });
  await call('POST', '/alerts/test');
  const url = `http://127.0.0.1:${await freePort()}/`;
  await call('PATCH', '/settings', { alert_webhooks: [{ url, secret: SECRET, events: ['limit.throttled'] }] });
  await call('GET', '/settings');
  await call('POST', '/alerts/test', {});

  await call('POST', '/check', { user_id: 'ann', message_id: 'm-1', topic_id: 'news', account_id: 'acme' });
  await call('POST', '/check', { user_id: 'ann', message_id: 'm-1', topic_id: 'news', account_id: 'acme' });
  await call('POST', '/check', { user_id: 'bob', message_id: 'm-1' });
  await call('POST', '/check', { user_id: 'ann', message_id: 'm-2' });
  await call('POST', '/check?on_throttled=429', { user_id: 'ann', cost: 2, channel: 'email' });
  const messages = [{ user_id: 'bob' }, { user_id: 'bob' }, { user_id: 'bob', message_id: 'm-1' }];
  await call('POST', '/check/batch', { messages });
  await call('GET', '/usage?user_id=ann&topic_id=news');
  await call('POST', '/usage/reset', { per: { user: 'ann' }, period: 'day' });
  await call('DELETE', '/check/m-1');
  await call('DELETE', '/check/m-1');
  await call('DELETE', '/check/none');
  await app.alertStore.providerStopped({
    provider: 'log',
    code: '9',
    words: 'No credit.',
    untilMs: Date.now() + 1_000,
  });
  await noteDelivery((await call('GET', '/alerts')).body.items[0].alert);
  await call('GET', '/alerts');
  await call('GET', '/alerts?limit=1');
  await app.traffic.flush();
  await call('GET', '/overview?range=week');
  await call('GET', '/messages?limit=1&status=THROTTLED');
  await call('GET', '/messages/m-2');
  await call('GET', '/messages/none');
  await sendAndLook();

  for (const many of ['accounts', 'tenants']) {
    const idField = many === 'accounts' ? 'account_id' : 'tenant_id';
    for (const prefix of ['', '/membership']) {
      const ofUser = `${prefix}/users/ann/${many}`;
      await call('PUT', ofUser, { [many]: [{ [idField]: 'acme', profile: { a: [1] } }, { [idField]: 'bolt' }] });
      await call('PUT', `${ofUser}/cargo`);
      await call('GET', `${ofUser}?limit=2`);
      await call('GET', ofUser);
      await call('GET', `${ofUser}/acme`);
      await call('GET', `${ofUser}/none`);
      await call('GET', `${prefix}/${many}/acme/users`);
      await call('DELETE', `${ofUser}/acme`);
      await call('DELETE', ofUser);
    }
    await call('PUT', `/${many}/acme`, { timezone: 'Asia/Tokyo', properties: { plan: 'gold' } });
    await call('GET', `/${many}/acme`);
    await call('GET', `/${many}/none`);
    await call('GET', `/${many}`);
    await call('DELETE', `/${many}/acme`);
  }
  for (const method of ['POST', 'PUT']) await call(method, '/profiles/ann', { profile: { a: [null, {}] } });
  await call('GET', '/profiles/ann');
  await call('GET', '/profiles/none');
  await call('DELETE', '/profiles/ann');
  await call('PUT', '/inbound/mappings', { mappings: [{ event: 'a', account: 'b' }] });
  await call('GET', '/inbound/mappings');
  const events = [
    { type: 'page', userId: 'ann' },
    { type: 'track', userId: 'ann', event: 'Looked', messageId: 'e' },
    7,
  ];
  for (const source of ['segment', 'rudderstack']) {
    for (const path of ['', '/v1/batch', '/v1/track']) {
      for (const body of [events[0], events, { batch: events }, [7], {}])
        await call('POST', `/inbound/${source}${path}`, body);
    }
  }
  for (const about of ['', '/history', '/explain']) await call('GET', `/messages/e${about}`);

  await call('DELETE', '/limits/user-daily');
  await call('DELETE', '/limits/user-daily');
  const { results } = (await call('GET', '/audit-events?limit=100')).body;
  await call('GET', `/audit-events/${results[0].auditEventId}`);
  await call('GET', '/audit-events/none');
  for (const method of ['GET', 'POST', 'DELETE']) await call(method, '/session');
  for (const path of ['/healthz', '/readyz', '/metrics', '/openapi.json']) await call('GET', path);

  await receiveFromVonage();

  const away = await startTestApp({
    ...BELIEVING,
    redisUrl: `redis://127.0.0.1:${await freePort()}`,
    withoutRedis: true,
  });
  try {
    await expectUnavailable(checked(away));
  } finally {
    await away.stop();
  }

  const general = new Set(['400', '401', '403', '413', '415', '429', '500', '503']);
  const promised = operations.flatMap(({ operation }) =>
    Object.entries(operation.responses)
      .filter(([status, response]) => !general.has(status) || response.$ref === undefined)
      .filter(([status]) => !(operation.operationId === 'checkBatch' && status === '503'))
      .map(([status]) => `${operation.operationId} ${status}`),
  );
  expect(promised.filter((one) => !seen.has(one))).toEqual([]);
});

/** Notes that an alert was delivered. */
function noteDelivery({ type, data }: Alert): Promise<void> {
  const at = { atMs: Date.now(), tries: 1, status: null, error: null };
  return app.alertStore.noteDelivery(
    { receiver: { to: 'mail' }, alertId: data.alert_id, type, state: 'delivered', ...at },
    true,
  );
}

describe('the webhooks of alerts', () => {
  const threshold = {
    ...{ limit_id: 'daily', per: ['user' as const], period: 'day' as const, user_id: 'ann', max: 5, used: 4 },
    ...{ window_start: '2026-03-07T00:00:00.000Z', resets_at: '2026-03-08T00:00:00.000Z', mode: 'enforce' as const },
  };
  const common = { id: 'al_1', workspace: 'w', atMs: Date.UTC(2026, 2, 7) };
  const alerts: Alert[] = [
    makeAlert('limit.threshold', common, { ...threshold, threshold: 80 }),
    makeAlert('limit.throttled', common, { ...threshold, held: false }),
    makeAlert('provider.stopped', common, {
      ...{ provider: 'vonage', code: '9', reason: 'No credit.', until: '2026-03-08T00:00:00.000Z' },
    }),
    makeAlert('redis.degraded', common, { since: '2026-03-08T00:00:00.000Z', reason: 'timeout', replica: 'host:1' }),
    makeAlert('alert.test', common, { message: 'hello' }),
  ];

  test.each(alerts.map((alert) => [alert.type, alert] as const))('%s: what is sent is as documented', (type, alert) => {
    const { post } = document.webhooks[type]!;
    const validator = validatorOf(post.requestBody!.content['application/json']!.schema, 'answer');
    validator(JSON.parse(JSON.stringify(alert)));
    expect(validator.errors ?? []).toEqual([]);
    expect(post.parameters!.map(({ name }) => name)).toEqual(['webhook-id', 'webhook-timestamp', 'webhook-signature']);
  });

  test('are all that there are, each with a name of its own', () => {
    expect(Object.keys(document.webhooks).sort()).toEqual(alerts.map(({ type }) => type).sort());
    const names = Object.values(document.webhooks).map(({ post }) => post.operationId);
    expect(new Set([...names, ...operations.map(({ operation }) => operation.operationId)]).size).toBe(
      names.length + operations.length,
    );
  });
});

/** Hands over sends, and sees everything that is answered about them. */
async function sendAndLook(): Promise<void> {
  const send = async (message: object, headers = {}): Promise<string> => {
    const { body } = await call('POST', '/send', { message: { to: { user_id: 'sue' }, ...message } }, headers);
    return body.requestId;
  };
  await app.limit({ id: 'sue-daily', per: ['user'], period: 'day', max: 3, where: { user: 'sue' } });
  const key = { 'idempotency-key': 'k-1' };
  const sent = await send({ template: 'a', metadata: { tags: ['a'], event: 'e', trace_id: 't' } }, key);
  await send({ template: 'b' }, key);
  const routing = { channels: ['email'] };
  const [failed, canceled] = [await send({ routing }), await send({ preferences: { subscription_topic_id: 'news' } })];
  const ids = [sent, failed, canceled, await send({}), await send({ delay: { duration: 60_000 } })];
  const begin = async (id: string) => (await app.store.begin(id, 1))!;
  await call('GET', `/messages/${sent}`);
  const detail = { answer: 'ok' };
  await app.store.finish(sent, 1, await begin(sent), { kind: 'sent', detail, reference: 'r', keepPayload: false });
  await app.store.finish(failed, 1, await begin(failed), {
    ...{ kind: 'failed', detail: {}, error: 'no such address', reason: 'BOUNCED', refund: true },
  });
  await call('POST', `/messages/${canceled}/cancel`);
  for (const id of [...ids, 'm-2']) {
    for (const about of ['', '/history', '/explain']) await call('GET', `/messages/${id}${about}`);
  }
  await call('GET', '/messages?limit=100');
  await call('GET', '/messages/none/history');
  await call('GET', '/messages/none/explain');
  for (const id of [sent, 'none']) await call('POST', `/messages/${id}/cancel`);
  for (const id of [failed, sent, 'none']) await call('POST', `/messages/${id}/retry`);
}

const RECEIPTS = '/providers/vonage/receipts';
const RECEIPT = '?messageId=0A&status=delivered';

/** Sees what Vonage is answered: where it is believed, where it must sign, and where it is not configured. */
async function receiveFromVonage(): Promise<void> {
  const signature = { secret: 'secret', method: 'md5hash', maxAgeMs: 300_000 } as const;
  const others = await Promise.all([startTestApp({ vonage: { signature } }), startTestApp()]);
  try {
    for (const one of [app, ...others]) {
      for (const method of ['GET', 'POST']) await checked(one)(method, `${RECEIPTS}${RECEIPT}`);
    }
  } finally {
    await Promise.all(others.map((other) => other.stop()));
  }
}

/** Calls that need a query to get as far as Redis. */
const QUERIES: Record<string, string> = { 'GET /usage': '?user_id=ann', [`GET ${RECEIPTS}`]: RECEIPT };

/** Sees what is answered while Redis is away. */
async function expectUnavailable(callAway: TestApp['call']): Promise<void> {
  for (const { method, path, operation } of operations) {
    if (operation.responses['503'] === undefined) continue;
    const query = QUERIES[`${method} ${path}`] ?? '';
    const { status } = await callAway(method, `${exampleOf(path, operation)}${query}`, bodyOf(operation)?.example);
    // Each message of a batch is answered by itself, and whose key it is is known without Redis.
    expect([path, status]).toEqual([path, ['/check/batch', '/session'].includes(path) ? 200 : 503]);
  }
}
