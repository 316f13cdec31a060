import Courier from '@trycourier/courier';
import { ADMIN_KEY, startTestApp, type TestApp } from '../support/app';

let app: TestApp;
let courier: Courier;
beforeEach(async () => {
  app = await startTestApp({ logRequests: true });
  // Nothing else is changed.
  courier = new Courier({ apiKey: ADMIN_KEY, baseURL: app.url });
});
afterEach(() => app.stop());

/** Says whether a value is what a type promises. */
type Check<T> = (value: unknown) => value is T;
/** A check for each field that the SDK's types name: one that they name in another version does not compile. */
type Promised<T> = { [Field in keyof Required<T>]: Check<T[Field]> };

const isText: Check<string> = (value) => typeof value === 'string';
const isBoolean: Check<boolean> = (value) => typeof value === 'boolean';
const isObject: Check<Record<string, unknown>> = (value): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isEpochMs: Check<number> = (value): value is number =>
  Number.isInteger(value) && (value as number) > Date.UTC(2020) && (value as number) < Date.UTC(2200);

function oneOf<const T>(...values: T[]): Check<T> {
  return (value): value is T => values.includes(value as T);
}
function absentOr<T>(check: Check<T>): Check<T | undefined> {
  return (value): value is T | undefined => value === undefined || check(value);
}
function nullOr<T>(check: Check<T>): Check<T | null | undefined> {
  return (value): value is T | null | undefined => value === undefined || value === null || check(value);
}
function listOf<T>(check: Check<T>): Check<T[]> {
  return (value): value is T[] => Array.isArray(value) && value.every(check);
}
function shaped<T>(promised: Promised<T>): Check<T> {
  return (value): value is T => isObject(value) && faults(value, promised).length === 0;
}

/** The fields of a value that are not what the SDK's types promise. */
function faults<T>(value: object, promised: Promised<T>): string[] {
  return Object.entries<Check<unknown>>(promised)
    .filter(([field, check]) => !check((value as Record<string, unknown>)[field]))
    .map(([field]) => `${field}: ${JSON.stringify((value as Record<string, unknown>)[field])}`);
}

function expectPromised<T>(value: T & object, promised: Promised<T>): void {
  expect(faults(value, promised)).toEqual([]);
}

const MESSAGE: Promised<Courier.MessageDetails> = {
  id: isText,
  enqueued: isEpochMs,
  event: isText,
  notification: isText,
  recipient: isText,
  status: oneOf('CANCELED', 'DELAYED', 'DELIVERED', 'ENQUEUED', 'FILTERED', 'SENT', 'THROTTLED', 'UNDELIVERABLE'),
  clicked: absentOr(isEpochMs),
  delivered: absentOr(isEpochMs),
  error: nullOr(isText),
  opened: absentOr(isEpochMs),
  reason: nullOr(oneOf('BOUNCED', 'FAILED', 'FILTERED', 'PROVIDER_ERROR')),
  sent: absentOr(isEpochMs),
};
const WHOLE_MESSAGE: Promised<Courier.MessageRetrieveResponse> = { ...MESSAGE, providers: nullOr(listOf(isObject)) };
const PAGING: Promised<Courier.Paging> = { more: isBoolean, cursor: nullOr(isText) };
const MESSAGES: Promised<Courier.MessageListResponse> = { paging: shaped(PAGING), results: listOf(shaped(MESSAGE)) };
const HISTORY: Promised<Courier.MessageHistoryResponse> = { results: listOf(isObject) };
const AUDIT_EVENT: Promised<Courier.AuditEvent> = {
  actor: shaped<Courier.AuditEvent.Actor>({ id: isText, email: nullOr(isText) }),
  auditEventId: isText,
  source: isText,
  target: isText,
  timestamp: isText,
  type: isText,
};
const AUDIT_EVENTS: Promised<Courier.AuditEventListResponse> = {
  paging: shaped(PAGING),
  results: listOf(shaped(AUDIT_EVENT)),
};
const TENANT: Promised<Courier.Tenant> = {
  id: isText,
  name: isText,
  brand_id: nullOr(isText),
  default_preferences: nullOr(isObject),
  parent_tenant_id: nullOr(isText),
  properties: nullOr(isObject),
  user_profile: nullOr(isObject),
};
const ASSOCIATION: Promised<Courier.TenantAssociation> = {
  tenant_id: isText,
  profile: nullOr(isObject),
  type: nullOr(oneOf('user')),
  user_id: nullOr(isText),
};
const LIST = {
  has_more: isBoolean,
  type: oneOf('list'),
  url: isText,
  cursor: nullOr(isText),
  next_url: nullOr(isText),
};
const TENANTS: Promised<Courier.TenantListResponse> = { ...LIST, items: listOf(shaped(TENANT)) };
const ASSOCIATIONS: Promised<Courier.TenantListUsersResponse> = { ...LIST, items: nullOr(listOf(shaped(ASSOCIATION))) };

const ID = expect.stringMatching(/^[0-9a-z]{25}$/);
const send = async (message: Courier.SendMessageParams.Message, options?: Courier.RequestOptions) =>
  (await courier.send.message({ message }, options)).requestId;
const perUser = (max: number) => app.limit({ id: 'user-daily', per: ['user'], period: 'day', max });

/** Does what a worker does with a message. */
async function deliver(id: string, arrives: boolean): Promise<void> {
  const begun = (await app.store.begin(id, 1))!;
  await app.store.finish(
    ...([id, 1, begun] as const),
    arrives
      ? { kind: 'sent', detail: { answer: 'ok' }, reference: null, keepPayload: false }
      : { kind: 'failed', detail: {}, error: 'no such phone', reason: 'PROVIDER_ERROR', refund: true },
  );
}

/** How many requests there have been. */
const requests = () => app.log.filter(({ message }) => message === 'Request').length;

/** What a call of the SDK throws. */
async function thrown(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => {
      throw new Error('it was answered');
    },
    (error: unknown) => error,
  );
}

test('the SDK asks with nothing but its base URL and its key changed, and takes our answers as Courier’s', async () => {
  expect(courier.maxRetries).toBe(2);
  expect(await courier.messages.list()).toEqual({ paging: { cursor: null, more: false }, results: [] });
});

describe('send.message', () => {
  test('sends to one user: the requestId is the message’s id', async () => {
    const answer = await courier.send.message({
      message: { to: { user_id: 'ann' }, template: 'order-shipped', data: { order: 81 } },
    });
    expectPromised<Courier.SendMessageResponse>(answer, { requestId: isText });
    expect(answer).toEqual({ requestId: ID });
    expect(await courier.messages.retrieve(answer.requestId)).toMatchObject({
      ...{ id: answer.requestId, status: 'ENQUEUED', recipient: 'ann', notification: 'order-shipped' },
    });
  });

  test('sends to several: each is a message', async () => {
    await send({
      to: [{ user_id: 'ann' }, { user_id: 'bob', data: { vip: true } }],
      content: { title: 'a', body: 'b' },
    });
    const { results } = await courier.messages.list();
    expect(results.map(({ recipient, status }) => [recipient, status])).toEqual([
      ['bob', 'ENQUEUED'],
      ['ann', 'ENQUEUED'],
    ]);
  });

  test('takes every field of the SDK’s types, each null or said', async () => {
    const nothing: Omit<Required<Courier.SendMessageParams.Message>, 'to' | 'content'> = {
      ...{ brand_id: null, channels: null, context: null, data: null, delay: null, expiry: null, metadata: null },
      ...{ preferences: null, providers: null, routing: null, template: null, timeout: null },
    };
    const nobody: Omit<Required<Courier.UserRecipient>, 'user_id'> = {
      ...{ account_id: null, context: null, data: null, email: null, list_id: null, locale: null },
      ...{ phone_number: null, preferences: null, tenant_id: null },
    };
    const plain = await send({ ...nothing, to: { ...nobody, user_id: 'ann' } });
    expect(await courier.messages.retrieve(plain)).toMatchObject({ status: 'ENQUEUED', recipient: 'ann', event: '' });
    const to: Required<Courier.UserRecipient> = {
      ...{
        account_id: 'acme',
        context: { tenant_id: 'acme' },
        data: { a: [1] },
        email: 'ann@example.com',
        list_id: 'l',
      },
      ...{ locale: 'de', phone_number: '+43 1', tenant_id: 'acme', user_id: 'ann' },
      preferences: { notifications: { news: { status: 'OPTED_IN' } }, categories: null },
    };
    const message: Required<Courier.SendMessageParams.Message> = {
      to: [to],
      ...{ brand_id: 'b', template: 't', data: { n: 1 }, context: { tenant_id: 'bolt' } },
      channels: { email: { providers: ['log'], routing_method: 'single' } },
      content: { version: '2022-01-01', elements: [{ type: 'text', if: null }] },
      delay: { duration: 0, timezone: 'Asia/Tokyo', until: null },
      expiry: { expires_in: 'P1D', expires_at: null },
      metadata: { event: 'e', tags: ['a', 'b'], trace_id: 'tr', utm: { source: 's', campaign: null } },
      preferences: { subscription_topic_id: 'news' },
      providers: { log: { override: {}, timeouts: 5 } },
      routing: { method: 'single', channels: [{ method: 'all', channels: ['email'] }, 'sms'] },
      timeout: { channel: { email: 1 }, criteria: 'delivered', escalation: 1, message: 1, provider: null },
    };
    const id = await send(message);
    expect(await courier.messages.retrieve(id)).toMatchObject({
      ...{ status: 'ENQUEUED', recipient: 'ann', account_id: 'acme', topic: 'news', channel: 'email', event: 'e' },
      ...{ tags: ['a', 'b'], trace_id: 'tr', notification: 't' },
    });
  });

  test('is said twice and sent once under an Idempotency-Key, and a conflict is thrown at once', async () => {
    // This version of the SDK knows an idempotencyKey for a call, and sends no header for it.
    const options = { headers: { 'Idempotency-Key': 'order-81' } };
    const id = await send({ to: { user_id: 'ann' } }, options);
    expect(await send({ to: { user_id: 'ann' } }, options)).toBe(id);
    const before = requests();
    const error = await thrown(send({ to: { user_id: 'bob' } }, options));
    expect(requests()).toBe(before + 1);
    expect(error).toBeInstanceOf(Courier.ConflictError);
    expect(error).toMatchObject({ status: 409, error: { title: 'Idempotency key in use' } });
    expect((await courier.messages.list()).results).toHaveLength(1);
  });

  test('throws what is wrong as a BadRequestError that names the field', async () => {
    const error = await thrown(send({ to: [{ user_id: 'ann' }, { list_id: 'everybody' }] }));
    expect(error).toBeInstanceOf(Courier.BadRequestError);
    expect(error).toMatchObject({ status: 400, error: { errors: [{ path: 'message.to.1.list_id' }] } });
    const other = new Courier({ apiKey: 'another-key-0123456789', baseURL: app.url });
    expect(await thrown(other.messages.list())).toBeInstanceOf(Courier.AuthenticationError);
  });
});

describe('messages', () => {
  test('are listed as the types promise, in every status, and page by page', async () => {
    await perUser(4);
    const sent = await send({ to: { user_id: 'ann' } });
    const failed = await send({ to: { user_id: 'ann' } });
    const canceled = await send({ to: { user_id: 'ann' } });
    await send({ to: { user_id: 'ann' } });
    await send({ to: { user_id: 'ann' } });
    await send({ to: { user_id: 'ann' } });
    await send({ to: { user_id: 'ann' }, delay: { duration: 60_000 } });
    await app.call('PATCH', '/settings', { require_membership: true });
    await send({ to: { user_id: 'ann', tenant_id: 'acme' } });
    await deliver(sent, true);
    await deliver(failed, false);
    await courier.messages.cancel(canceled);
    await app.call('POST', '/check', { user_id: 'ann' });
    await app.call('POST', '/check', { user_id: 'ann' });
    await app.call('POST', '/check', { user_id: 'ann' });

    const page = await courier.messages.list();
    expectPromised(page, MESSAGES);
    expect(page.results.map(({ status }) => status).reverse()).toEqual([
      ...[
        'SENT',
        'UNDELIVERABLE',
        'CANCELED',
        'ENQUEUED',
        'THROTTLED',
        'THROTTLED',
        'DELAYED',
        'FILTERED',
        'THROTTLED',
      ],
    ]);
    for (const { id } of page.results) expectPromised(await courier.messages.retrieve(id), WHOLE_MESSAGE);
    expect(await courier.messages.retrieve(sent)).toMatchObject({
      sent: expect.any(Number),
      error: null,
      reason: null,
    });
    expect(await courier.messages.retrieve(failed)).toMatchObject({ error: 'no such phone', reason: 'PROVIDER_ERROR' });
  });

  test('are followed by cursor, each once', async () => {
    await send({ to: Array.from({ length: 45 }, (_, index) => ({ user_id: `user-${index}` })) });
    const recipients: string[] = [];
    const sizes: number[] = [];
    let cursor: string | null | undefined = null;
    do {
      const page: Courier.MessageListResponse = await courier.messages.list({ cursor });
      expectPromised(page, MESSAGES);
      recipients.push(...page.results.map(({ recipient }) => recipient));
      sizes.push(page.results.length);
      expect(page.paging.more).toBe(typeof page.paging.cursor === 'string');
      cursor = page.paging.cursor;
    } while (cursor);
    expect(sizes).toEqual([20, 20, 5]);
    expect(recipients).toEqual(Array.from({ length: 45 }, (_, index) => `user-${44 - index}`));
  });

  test('are found by every parameter of the SDK’s types, alone, together, and null', async () => {
    const id = await send({
      ...{ to: { user_id: 'ann', tenant_id: 'acme' }, template: 't,1' },
      metadata: { event: 'e 1', tags: ['a', 'b&c'], trace_id: 'tr/1' },
    });
    const other = await send({ to: { user_id: 'bob' } });
    const everything: Required<Courier.MessageListParams> = {
      archived: false,
      cursor: null,
      enqueued_after: '2020-01-01',
      event: 'e 1',
      list: null,
      messageId: id,
      notification: 't,1',
      provider: ['log', null, 'webhook'],
      recipient: 'ann',
      status: ['ENQUEUED', 'SENT', null],
      tag: ['b&c', null],
      tags: 'a,z',
      tenant_id: 'acme',
      traceId: 'tr/1',
    };
    const found = async (query: Courier.MessageListParams) =>
      (await courier.messages.list(query)).results.map((message) => message.id);
    expect(await found(everything)).toEqual([id]);
    expect(await found({ ...everything, messageId: null })).toEqual([id]);
    const ofBoth = ['archived', 'cursor', 'enqueued_after', 'list', 'provider', 'status'];
    for (const [name, value] of Object.entries(everything)) {
      expect([name, await found({ [name]: value })]).toEqual([name, ofBoth.includes(name) ? [other, id] : [id]]);
      expect([name, await found({ [name]: null })]).toEqual([name, [other, id]]);
      expect([name, await found({ [name]: [null] })]).toEqual([name, [other, id]]);
      expect([name, await found({ [name]: [] })]).toEqual([name, [other, id]]);
    }
    for (const none of [
      { enqueued_after: '2999-01-01T00:00:00Z' },
      { event: 'e' },
      { list: 'l' },
      { messageId: 'x' },
      { notification: 't' },
      { provider: ['sendgrid'] },
      { recipient: 'cas' },
      { status: ['CLICKED', 'OPENED'] },
      { tag: ['z'] },
      { tags: 'z' },
      { tenant_id: 'bolt' },
      { traceId: 'tr' },
    ]) {
      expect([none, await found(none)]).toEqual([none, []]);
    }
    expect(await found({ archived: true })).toEqual([other, id]);
  });

  test('tell their history, all of it or by type', async () => {
    const id = await send({ to: { user_id: 'ann' } });
    await deliver(id, true);
    const history = await courier.messages.history(id);
    expectPromised(history, HISTORY);
    expect(history.results.map(({ type, ts }) => [type, isEpochMs(ts)])).toEqual([
      ['ENQUEUED', true],
      ['SENT', true],
    ]);
    expect((await courier.messages.history(id, { type: 'SENT' })).results).toEqual([history.results[1]]);
    expect((await courier.messages.history(id, { type: null })).results).toEqual(history.results);
  });

  test('are canceled; one that cannot be is thrown at once, with its record', async () => {
    const id = await send({ to: { user_id: 'ann' } });
    const canceled = await courier.messages.cancel(id);
    expectPromised(canceled, MESSAGE);
    expect(canceled).toMatchObject({ id, status: 'CANCELED' });
    expect(await courier.messages.cancel(id)).toEqual(canceled);

    const sent = await send({ to: { user_id: 'ann' } });
    await deliver(sent, true);
    const before = requests();
    const error = (await thrown(courier.messages.cancel(sent))) as InstanceType<typeof Courier.ConflictError>;
    expect(requests()).toBe(before + 1);
    expect(error).toBeInstanceOf(Courier.ConflictError);
    expectPromised(error.error as Courier.MessageDetails, MESSAGE);
    expect(error).toMatchObject({ status: 409, error: { ...(await courier.messages.retrieve(sent)) } });
    expect(error.message).toContain('It is SENT');
  });

  test('that are not there are thrown as a NotFoundError', async () => {
    for (const call of [
      courier.messages.retrieve('nobody'),
      courier.messages.history('nobody'),
      courier.messages.cancel('nobody'),
    ]) {
      expect(await thrown(call)).toBeInstanceOf(Courier.NotFoundError);
    }
  });

  test('have ids that the SDK can put into a path, whatever checks are called', async () => {
    await perUser(0);
    for (const id of ['m/1 ü', '%2F', 'a?b#c', '..a', '🔑']) {
      await app.call('POST', '/check', { user_id: 'ann', message_id: id });
      expect(await courier.messages.retrieve(id)).toMatchObject({ id, status: 'THROTTLED' });
    }
  });
});

describe('users.tenants', () => {
  const associations = async (user: string, query?: { cursor?: string | null; limit?: number | null }) => {
    const page = await courier.users.tenants.list(user, query);
    expectPromised(page, ASSOCIATIONS);
    return page;
  };

  test('are added one by one or several at once, listed, and removed', async () => {
    const { tenants } = courier.users;
    const association: Required<Courier.TenantAssociation> = {
      ...{ tenant_id: 'acme', profile: { role: 'owner' }, type: 'user', user_id: 'ann' },
    };
    expect(await tenants.addMultiple('ann', { tenants: [association, { tenant_id: 'bolt' }] })).toBeFalsy();
    const nulls = { tenant_id: 'dart', profile: null, type: null, user_id: null };
    await tenants.addMultiple('ann', { tenants: [nulls] });
    expect(await tenants.addSingle('cargo', { user_id: 'ann', profile: { a: [1] } })).toBeFalsy();
    await tenants.addSingle('echo', { user_id: 'ann' });
    await tenants.addSingle('fox', { user_id: 'ann', profile: null });

    const page = await associations('ann');
    expect(page).toMatchObject({ type: 'list', has_more: false, url: '/users/ann/tenants' });
    expect(page.items!.map(({ tenant_id, profile, user_id }) => [tenant_id, profile, user_id])).toEqual([
      ['acme', { role: 'owner' }, 'ann'],
      ['bolt', null, 'ann'],
      ['cargo', { a: [1] }, 'ann'],
      ['dart', null, 'ann'],
      ['echo', null, 'ann'],
      ['fox', null, 'ann'],
    ]);
    expect((await associations('ann', { cursor: null, limit: null })).items).toEqual(page.items);
    const first = await associations('ann', { limit: 4 });
    expect(first).toMatchObject({ has_more: true, items: page.items!.slice(0, 4), next_url: expect.any(String) });
    expect((await associations('ann', { cursor: first.cursor!, limit: 4 })).items).toEqual(page.items!.slice(4));

    expect(await tenants.removeSingle('acme', { user_id: 'ann' })).toBeFalsy();
    await tenants.removeSingle('acme', { user_id: 'ann' });
    expect((await associations('ann')).items).toHaveLength(5);
    expect(await tenants.removeAll('ann')).toBeFalsy();
    expect((await associations('ann')).items).toEqual([]);
  });

  test('are what a message to the whole tenant goes to', async () => {
    for (const user of ['ann', 'bob']) await courier.users.tenants.addSingle('acme', { user_id: user });
    await send({ to: { tenant_id: 'acme' }, template: 't' });
    const { results } = await courier.messages.list({ tenant_id: 'acme' });
    expect(results.map(({ recipient }) => recipient)).toEqual(['bob', 'ann']);
  });
});

describe('tenants', () => {
  const fields: Omit<Required<Courier.TenantUpdateParams>, 'name'> = {
    brand_id: 'brand-1',
    default_preferences: {
      items: [{ id: 'news', status: 'OPTED_IN', has_custom_routing: true, custom_routing: ['sms'] }],
    },
    parent_tenant_id: 'holding',
    properties: { plan: 'gold' },
    user_profile: { locale: 'de' },
  };

  test('are put, read, listed, and deleted with their users', async () => {
    const acme = await courier.tenants.update('acme', { name: 'Acme', ...fields });
    expectPromised(acme, TENANT);
    expect(acme).toMatchObject({ id: 'acme', name: 'Acme', ...fields });
    expect(await courier.tenants.retrieve('acme')).toEqual(acme);
    const nulls = Object.fromEntries(Object.keys(fields).map((field) => [field, null]));
    expectPromised(await courier.tenants.update('bolt', { name: 'Bolt', ...nulls }), TENANT);
    await courier.tenants.update('cargo', { name: 'Cargo' });

    const page = await courier.tenants.list();
    expectPromised(page, TENANTS);
    expect(page).toMatchObject({ type: 'list', has_more: false, url: '/tenants' });
    expect(page.items.map(({ id }) => id)).toEqual(['acme', 'bolt', 'cargo']);
    const everything: Required<Courier.TenantListParams> = { cursor: null, limit: null, parent_tenant_id: null };
    expect(await courier.tenants.list(everything)).toEqual(page);
    const first = await courier.tenants.list({ limit: 2 });
    expectPromised(first, TENANTS);
    expect(first).toMatchObject({ has_more: true, next_url: expect.any(String), items: page.items.slice(0, 2) });
    expect((await courier.tenants.list({ limit: 2, cursor: first.cursor! })).items).toEqual(page.items.slice(2));
    expect((await courier.tenants.list({ parent_tenant_id: 'holding' })).items).toEqual([acme]);

    for (const user of ['ann', 'bob', 'cas']) await courier.users.tenants.addSingle('acme', { user_id: user });
    const users = await courier.tenants.listUsers('acme');
    expectPromised(users, ASSOCIATIONS);
    expect(users.items!.map(({ user_id, tenant_id }) => [user_id, tenant_id])).toEqual([
      ['ann', 'acme'],
      ['bob', 'acme'],
      ['cas', 'acme'],
    ]);
    const some = await courier.tenants.listUsers('acme', { limit: 1, cursor: null });
    const rest: Required<Courier.TenantListUsersParams> = { limit: 2, cursor: some.cursor! };
    expect((await courier.tenants.listUsers('acme', rest)).items).toEqual(users.items!.slice(1));

    expect(await courier.tenants.delete('acme')).toBeFalsy();
    expect(await thrown(courier.tenants.retrieve('acme'))).toBeInstanceOf(Courier.NotFoundError);
    expect((await courier.tenants.listUsers('acme')).items).toEqual([]);
    expect((await courier.users.tenants.list('ann')).items).toEqual([]);
  });
});

describe('auditEvents', () => {
  test('are listed and retrieved as the types promise, and followed by cursor', async () => {
    for (let index = 0; index < 23; index += 1) await courier.tenants.update('acme', { name: `Acme ${index}` });
    const first = await courier.auditEvents.list();
    expectPromised(first, AUDIT_EVENTS);
    expect(first.results).toHaveLength(20);
    const [newest] = first.results;
    expect(newest).toMatchObject({
      actor: { id: 'env' },
      target: 'account:acme',
      source: 'api',
      type: 'account.updated',
    });
    expect(Number.isNaN(Date.parse(newest!.timestamp))).toBe(false);
    const everything: Required<Courier.AuditEventListParams> = { cursor: first.paging.cursor! };
    const second = await courier.auditEvents.list(everything);
    expectPromised(second, AUDIT_EVENTS);
    expect(second.paging).toEqual({ cursor: null, more: false });
    expect(new Set([...first.results, ...second.results].map(({ auditEventId }) => auditEventId)).size).toBe(23);
    expect(await courier.auditEvents.list({ cursor: null })).toEqual(first);

    const event = await courier.auditEvents.retrieve(newest!.auditEventId);
    expectPromised(event, AUDIT_EVENT);
    expect(event).toEqual(newest);
    expect(await thrown(courier.auditEvents.retrieve('nobody'))).toBeInstanceOf(Courier.NotFoundError);
  });
});
