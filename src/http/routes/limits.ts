import { hash } from 'node:crypto';
import { z } from 'zod';
import { instantText } from '../../limits/decision';
import {
  DIMENSIONS,
  instantSchema,
  isTemporary,
  type Limit,
  type LimitInput,
  limitIdSchema,
  limitInputSchema,
  PERIODS,
} from '../../limits/limit';
import type { Configuration, KnownAccount } from '../../limits/plan';
import { describeLimit } from '../../limits/words';
import type { WhatIf, WhatIfs } from '../../log/what-if';
import type { Accounts } from '../../membership/accounts';
import type { ConfigurationChange, ConfigurationStore } from '../../store/configuration';
import { type Call, type Reply, type Route, route } from '../contract';
import { problemSchema } from '../decision-schemas';
import { invalidInput, problem, withHeaders } from '../problem';

/** A limit, in answers. */
const limitSchema = z
  .object({
    id: z.string(),
    per: z.array(z.enum(DIMENSIONS)),
    period: z.enum(PERIODS),
    max: z.number().nullable(),
    where: z.partialRecord(z.enum(DIMENSIONS), z.string()).nullable(),
    mode: z.enum(['enforce', 'shadow']),
    on_exceeded: z.enum(['throttle', 'defer']),
    on_redis_down: z.enum(['deny', 'allow', 'local']),
    alert_thresholds: z.array(z.int()).nullable().describe("In percent of max, rising; null for the workspace's."),
    from: z.iso.datetime().nullable(),
    until: z.iso.datetime().nullable(),
    reason: z.string().nullable(),
    source: z.enum(['api', 'file']).describe('A limit from the limits file can only be changed there.'),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'Limit' });

const windowSchema = z.object({ start: z.iso.datetime(), end: z.iso.datetime() });

const amountSchema = z.object({ messages: z.int(), users: z.int().describe('Of how many users.') });
const talliesSchema = z.object({
  throttled: z.int().describe('Messages that would have been throttled.'),
  users: z.int().describe('Of how many users.'),
  delayed: z.int().describe('Messages that would have waited for room, and not been throttled.'),
});
const affectedSchema = z
  .array(
    z.object({
      id: z.string(),
      messages: z.int().describe('How many of its messages would have fared otherwise.'),
      throttled_before: z.int(),
      throttled_after: z.int(),
      delayed_before: z.int(),
      delayed_after: z.int(),
    }),
  )
  .describe('The first ten.');
const simulationSchema = z
  .object({
    summary: z.string().describe('All of it in a sentence.'),
    notes: z.array(z.string()).describe('What else there is to know, and what is not certain, a sentence or two each.'),
    from: z.iso
      .datetime()
      .describe('Since when messages were decided again: later than asked for when the log is shorter.'),
    to: z.iso.datetime(),
    asked_from: z.iso.datetime(),
    events: z.int().describe('How much of the log was replayed, what came before `from` included.'),
    messages: z.int().describe('How many messages were decided for the first time between from and to.'),
    before: talliesSchema.describe('What became of them by what is in force.'),
    after: talliesSchema.describe('What would have become of them by the changed limits.'),
    newly_throttled: amountSchema,
    no_longer_throttled: amountSchema,
    newly_delayed: amountSchema,
    no_longer_delayed: amountSchema,
    most_affected: z.object({ users: affectedSchema, accounts: affectedSchema, topics: affectedSchema }),
    by_limit: z
      .array(
        z.object({
          limit_id: z.string(),
          mode: z.enum(['enforce', 'shadow']),
          before: z.int().nullable().describe('null: it is not in force.'),
          after: z.int().nullable().describe('null: it would not be in force.'),
        }),
      )
      .describe('How many messages limits had no room for. What a shadow has no room for goes out all the same.'),
    uncertain: z
      .object({
        messages: z.int().describe('Of how many messages it is not certain what would have become of them.'),
        why: z.array(
          z.object({
            limit_id: z.string(),
            messages: z.int(),
            window_start: z.iso.datetime().describe('The first window that it is not known of what was counted in it.'),
            reason: z
              .enum(['window_began_before', 'depends_on_others'])
              .describe('It began before `known_from`; or messages that are not certain may have been counted in it.'),
          }),
        ),
      })
      .describe('All others agree with what would really have been decided.'),
    known_from: z.iso
      .datetime()
      .nullable()
      .describe('Since when all that was counted is in the log; null: it has all that ever was.'),
    known_from_reason: z
      .enum(['log_trimmed', 'log_too_long', 'not_read', 'checks_not_logged', 'log_incomplete'])
      .nullable()
      .describe('Why not from before.'),
    not_logged: z
      .object({ until: z.iso.datetime().describe('When the last such check was counted.') })
      .nullable()
      .describe('Checks that were accepted and are not in the log: see the setting log_checks.'),
  })
  .meta({ id: 'LimitSimulation' });

const DAY_MS = 86_400_000;
/** How far back the past may be tried, in days: the log is kept for as long, unless configured otherwise. */
const DAYS_MAX = 30;
const DAYS_DEFAULT = 7;
const CHANGED_MAX = 1_000;
/** When another simulation may be asked for while one is under way, in seconds. */
const BUSY_SECONDS = '2';

const simulateBodySchema = z
  .strictObject({
    limits: z
      .array(limitInputSchema)
      .max(CHANGED_MAX)
      .default([])
      .describe('Put over those in force, by id. One without an id is a new one.'),
    delete: z.array(limitIdSchema).max(CHANGED_MAX).default([]).describe('The ids of limits that would be gone.'),
    replace: z.boolean().default(false).describe('Whether `limits` would be all that there are.'),
    days: z.int().min(1).max(DAYS_MAX).optional().describe('How many days back; 7 unless said otherwise.'),
    since: instantSchema.optional().describe('Since when, instead of days.'),
  })
  .superRefine(({ limits, delete: removed, replace, days, since }, context) => {
    const issue = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message });
    const ids = new Set<string>();
    limits.forEach(({ id }, index) => {
      if (id === undefined) return;
      if (ids.has(id)) issue(['limits', index, 'id'], 'is the id of another of these limits too');
      ids.add(id);
    });
    removed.forEach((id, index) => {
      if (ids.has(id)) issue(['delete', index], 'is the id of one of `limits` too');
    });
    if (replace && removed.length > 0) issue(['delete'], 'may not be given with replace');
    if (days !== undefined && since !== undefined) issue(['since'], 'may not be given with days');
  });

const paramsSchema = z.strictObject({ limit_id: limitIdSchema });
const conflictReply = {
  description: 'The limit may not stand beside another, or comes from the limits file.',
  schema: problemSchema,
};
const changedReply = {
  description:
    'Somebody has changed the limit since: its If-Match names another version. `current` is the limit as it is.',
  schema: problemSchema,
};
const ETAG_HEADER = { ETag: 'The version of the limit, for If-Match.' };
const IF_MATCH =
  'With `If-Match: <ETag>` only if the limit is still at that version, and with `If-None-Match: *` only if there is none: then nothing that somebody else has written meanwhile is lost.';
const unknownReply = { description: 'There is no such limit.', schema: problemSchema };

/** The routes of the limits. A change is in force for the next check on every replica. */
export function limitRoutes(deps: {
  configuration: ConfigurationStore;
  accounts: Pick<Accounts, 'find'>;
  whatIfs: WhatIfs;
  /** Redis's time, in epoch milliseconds. */
  nowMs: () => number;
  /** Makes the id of a limit that its caller has not named. */
  newLimitId: () => string;
}): Route[] {
  const { configuration, accounts, whatIfs, nowMs, newLimitId } = deps;

  /** The limits as they are in Redis now, also when another replica has just changed them. */
  async function present() {
    await configuration.refresh();
    return configuration.planner()!.configuration.limits;
  }

  return [
    route({
      method: 'get',
      path: '/limits',
      operationId: 'listLimits',
      tag: 'Limits',
      summary: 'All limits',
      role: 'read',
      replies: { 200: { description: 'The limits, by id.', schema: z.object({ items: z.array(limitSchema) }) } },
      async handle() {
        const items = [...(await present()).values()].sort((a, b) => (a.id < b.id ? -1 : 1));
        return { status: 200, body: { items } };
      },
    }),
    route({
      method: 'post',
      path: '/limits',
      operationId: 'createLimit',
      tag: 'Limits',
      summary: 'Create a limit',
      role: 'admin',
      body: limitInputSchema,
      bodyExample: { id: 'user-daily', per: ['user'], period: 'day', max: 50 },
      replies: { 201: { description: 'The limit.', schema: limitSchema, headers: ETAG_HEADER }, 409: conflictReply },
      async handle({ body, actor }) {
        const limit = stored(body, body.id ?? newLimitId(), nowMs(), null);
        const result = await configuration.change(actor, 'api', ({ limits }) =>
          limits.get(limit.id) === undefined
            ? putLimit({ limits }, limit)
            : {
                refused: problem(
                  409,
                  'Limit exists',
                  `There is a limit "${limit.id}" already.`,
                  atField('id', 'is taken'),
                ),
              },
        );
        if ('refused' in result) return result.refused;
        return withHeaders(replyWith(limit, 201), { location: `/limits/${limit.id}` });
      },
    }),
    route({
      method: 'post',
      path: '/limits/preview',
      operationId: 'previewLimit',
      tag: 'Limits',
      summary: 'What a limit would mean, and over which windows',
      description: 'Nothing is changed.',
      role: 'read',
      body: limitInputSchema,
      bodyExample: { per: ['user'], period: 'day', max: 50 },
      replies: {
        200: {
          description: 'In words, with its present and next window.',
          schema: z.object({
            description: z.string(),
            window: windowSchema,
            next_window: windowSchema,
            timezone: z.string().describe('The zone whose clock the windows follow.'),
          }),
        },
      },
      async handle({ body }) {
        await configuration.refresh();
        const planner = configuration.planner()!;
        const { settings } = planner.configuration;
        const { per, period, where } = body;
        const named = per.includes('account') ? where?.account : undefined;
        const fields = named === undefined ? undefined : (await accounts.find(named))?.fields;
        const account: KnownAccount | undefined = fields && { revision: 0, calendar: fields };
        const { window } = planner.counterAt(per, period, nowMs(), account);
        const { window: next } = planner.counterAt(per, period, window.endMs, account);
        return {
          status: 200,
          body: {
            description: describeLimit(body, settings),
            window: { start: instantText(window.startMs), end: instantText(window.endMs) },
            next_window: { start: instantText(next.startMs), end: instantText(next.endMs) },
            timezone: fields?.timezone ?? settings.timezone,
          },
        };
      },
    }),
    route({
      method: 'post',
      path: '/limits/simulate',
      operationId: 'simulateLimits',
      tag: 'Limits',
      summary: 'What changed limits would have done',
      description:
        'Decides the messages of the log again, in order, with all that was given back and reset in between, under what is in force and under the changed limits, and compares the two. Nothing is changed. What is not certain, because the log does not reach back far enough or has not everything that was counted, is said. One is worked out at a time.',
      role: 'read',
      body: simulateBodySchema,
      bodyExample: { limits: [{ id: 'user-daily', per: ['user'], period: 'day', max: 20 }] },
      replies: {
        200: { description: 'What would have become of the messages.', schema: simulationSchema },
        409: { description: 'A limit may not stand beside another.', schema: problemSchema },
        429: {
          description: 'Another simulation is under way.',
          schema: problemSchema,
          headers: { 'Retry-After': 'When to ask again, in seconds.' },
        },
      },
      async handle({ body }) {
        await configuration.refresh();
        const current = configuration.planner()!.configuration;
        const now = nowMs();
        const sinceMs = body.since === undefined ? null : Date.parse(body.since);
        const errors = [
          ...body.delete.flatMap((id, index) =>
            current.limits.get(id) === undefined
              ? [{ path: `delete.${index}`, message: `is "${id}", and there is no limit of that id` }]
              : [],
          ),
          ...(sinceMs !== null && (sinceMs > now || sinceMs < now - DAYS_MAX * DAY_MS)
            ? [{ path: 'since', message: `must be in the last ${DAYS_MAX} days` }]
            : []),
        ];
        if (errors.length > 0) return invalidInput(errors);
        const put = putIn(body.limits, current.limits, now);
        const kept = new Set(put.map(({ id }) => id));
        const removed = body.replace ? [...current.limits.values()].map(({ id }) => id) : body.delete;
        const tried = await whatIfs.try(
          current,
          { put, removed: removed.filter((id) => !kept.has(id)) },
          sinceMs ?? ((nowMs) => nowMs - (body.days ?? DAYS_DEFAULT) * DAY_MS),
        );
        switch (tried.kind) {
          case 'busy':
            return withHeaders(
              problem(429, 'Busy', 'Another simulation is under way, and one is worked out at a time. Ask again soon.'),
              { 'retry-after': BUSY_SECONDS },
            );
          case 'conflict':
            return inConflict(tried.limit, tried.other, `limits.${put.indexOf(tried.limit)}.where`);
          case 'done':
            return { status: 200, body: simulationOf(tried.whatIf) };
        }
      },
    }),
    route({
      method: 'get',
      path: '/limits/{limit_id}',
      operationId: 'getLimit',
      tag: 'Limits',
      summary: 'One limit',
      role: 'read',
      params: paramsSchema,
      replies: { 200: { description: 'The limit.', schema: limitSchema, headers: ETAG_HEADER }, 404: unknownReply },
      async handle({ params }) {
        const limit = (await present()).get(params.limit_id);
        return limit === undefined ? unknown(params.limit_id) : replyWith(limit);
      },
    }),
    route({
      method: 'put',
      path: '/limits/{limit_id}',
      operationId: 'putLimit',
      tag: 'Limits',
      summary: 'Create or replace a limit',
      description: `What was counted stays counted: counters belong to what they count, not to a limit. ${IF_MATCH}`,
      role: 'admin',
      params: paramsSchema,
      body: limitInputSchema,
      bodyExample: { per: ['user'], period: 'day', max: 50 },
      replies: {
        200: { description: 'The limit, created or replaced.', schema: limitSchema, headers: ETAG_HEADER },
        409: conflictReply,
        412: changedReply,
      },
      async handle(call) {
        const { params, body, actor } = call;
        const id = params.limit_id;
        if (body.id !== undefined && body.id !== id) {
          return invalidInput([{ path: 'id', message: 'must be the id in the path, or left out' }]);
        }
        let limit = stored(body, id, nowMs(), null);
        const result = await configuration.change(actor, 'api', ({ limits }) => {
          const before = limits.get(id) ?? null;
          const changed = unlessChanged(call, before);
          if (changed !== null) return { refused: changed };
          limit = stored(body, id, nowMs(), before);
          return putLimit({ limits }, limit);
        });
        if ('refused' in result) return result.refused;
        return replyWith(limit);
      },
    }),
    route({
      method: 'delete',
      path: '/limits/{limit_id}',
      operationId: 'deleteLimit',
      tag: 'Limits',
      summary: 'Delete a limit',
      role: 'admin',
      params: paramsSchema,
      description: IF_MATCH,
      replies: { 204: { description: 'Deleted.' }, 404: unknownReply, 409: conflictReply, 412: changedReply },
      async handle(call) {
        const { params, actor } = call;
        const id = params.limit_id;
        const result = await configuration.change<Reply>(actor, 'api', ({ limits }) => {
          const before = limits.get(id);
          if (before === undefined) return { refused: unknown(id) };
          const changed = unlessChanged(call, before);
          if (changed !== null) return { refused: changed };
          if (before.source === 'file') return { refused: fromFile(id) };
          return {
            writes: [{ id, value: null }],
            events: [{ type: 'limit.deleted', target: `limit:${id}`, before, after: undefined }],
          };
        });
        return 'refused' in result ? result.refused : { status: 204 };
      },
    }),
  ];
}

function replyWith(limit: Limit, status = 200): Reply {
  return { status, body: limit, headers: { etag: etagOf(limit) } };
}

/** A limit's version (RFC 9110, section 8.8.3): the same for the same content. */
function etagOf(limit: Limit): string {
  return `"${hash('sha1', JSON.stringify(limit), 'hex').slice(0, 16)}"`;
}

/** Why a limit may not be written, when its caller knew another one (RFC 9110, sections 13.1.1 and 13.1.2); else null. */
function unlessChanged({ header }: Pick<Call, 'header'>, current: Limit | null): Reply | null {
  const [match, noneMatch] = [header('if-match'), header('if-none-match')];
  const names = (list: string) =>
    current !== null && list.split(',').some((one) => one.trim() === '*' || one.trim() === etagOf(current));
  if (match !== undefined && !names(match)) {
    const words =
      current === null ? 'Somebody has deleted this limit since.' : 'Somebody has changed this limit since.';
    return problem(412, 'Limit changed', words, { current });
  }
  if (noneMatch !== undefined && names(noneMatch)) {
    return problem(412, 'Limit exists', 'There is a limit with this id already.', { current });
  }
  return null;
}

/** A limit as it is stored, from what a caller wrote. */
function stored(input: LimitInput, id: string, nowMs: number, before: Limit | null): Limit {
  const now = new Date(nowMs).toISOString();
  const { per, period, max, where, mode, on_exceeded, on_redis_down, alert_thresholds, from, until, reason } = input;
  return {
    id,
    per,
    period,
    max,
    where,
    mode,
    on_exceeded,
    on_redis_down,
    alert_thresholds,
    from,
    until,
    reason,
    source: 'api',
    created_at: before?.created_at ?? now,
    updated_at: now,
  };
}

/** The change that puts a limit in force, or why it may not be. */
function putLimit({ limits }: Pick<Configuration, 'limits'>, limit: Limit): ConfigurationChange | { refused: Reply } {
  const before = limits.get(limit.id);
  if (before?.source === 'file') return { refused: fromFile(limit.id) };
  const other = limits.conflict(limit);
  if (other !== null) return { refused: inConflict(limit, other, 'where') };
  const type = before === undefined ? 'limit.created' : 'limit.updated';
  return {
    writes: [{ id: limit.id, value: limit }],
    events: [{ type, target: `limit:${limit.id}`, before, after: limit }],
  };
}

function inConflict(limit: Limit, other: Limit, path: string): Reply {
  const times = isTemporary(limit) ? ', at times that overlap' : '';
  return problem(
    409,
    'Limit in conflict',
    `The limit "${other.id}" counts the same (per, period and mode) for the same messages (where)${times}.`,
    { conflicts_with: other.id, ...atField(path, `is the same as that of "${other.id}"`) },
  );
}

/** Limits to try, those without an id under one that there is none of. */
function putIn(inputs: readonly LimitInput[], limits: Configuration['limits'], nowMs: number): Limit[] {
  const taken = new Set(inputs.map(({ id }) => id));
  let count = 0;
  const newId = () => {
    for (;;) {
      count += 1;
      const id = count === 1 ? 'new' : `new-${count}`;
      if (!taken.has(id) && limits.get(id) === undefined) return id;
    }
  };
  return inputs.map((input) => {
    const id = input.id ?? newId();
    return stored(input, id, nowMs, limits.get(id) ?? null);
  });
}

/** What changed limits would have done, as it is answered. */
function simulationOf({ span, comparison, known, unloggedMs, events, summary, notes }: WhatIf) {
  const { before, after, affected, uncertain } = comparison;
  const instant = (ms: number) => new Date(ms).toISOString();
  const tally = ({ throttled, delayed }: typeof before) => ({
    throttled: throttled.messages,
    users: throttled.users,
    delayed: delayed.messages,
  });
  const rows = (all: typeof affected.users) =>
    all.map(({ id, messages, throttledBefore, throttledAfter, delayedBefore, delayedAfter }) => ({
      ...{ id, messages, throttled_before: throttledBefore, throttled_after: throttledAfter },
      ...{ delayed_before: delayedBefore, delayed_after: delayedAfter },
    }));
  return {
    ...{ summary, notes, events },
    from: instant(span.fromMs),
    to: instant(span.toMs),
    asked_from: instant(span.askedFromMs),
    messages: comparison.messages,
    before: tally(before),
    after: tally(after),
    newly_throttled: comparison.newlyThrottled,
    no_longer_throttled: comparison.noLongerThrottled,
    newly_delayed: comparison.newlyDelayed,
    no_longer_delayed: comparison.noLongerDelayed,
    most_affected: {
      users: rows(affected.users),
      accounts: rows(affected.accounts),
      topics: rows(affected.topics),
    },
    by_limit: comparison.limits.map(({ id, mode, before: had, after: would }) => ({
      ...{ limit_id: id, mode, before: had, after: would },
    })),
    uncertain: {
      messages: uncertain.messages,
      why: uncertain.limits.map(({ id, messages, windowStartMs }) => ({
        ...{ limit_id: id, messages, window_start: instant(windowStartMs) },
        reason: known !== null && windowStartMs < known.fromMs ? 'window_began_before' : 'depends_on_others',
      })),
    },
    known_from: known === null ? null : instant(known.fromMs),
    known_from_reason: known?.why ?? null,
    not_logged: unloggedMs === null ? null : { until: instant(unloggedMs) },
  };
}

function unknown(id: string): Reply {
  return problem(404, 'Unknown limit', `There is no limit "${id}".`);
}

function fromFile(id: string): Reply {
  return problem(409, 'Limit from the file', `The limit "${id}" comes from the limits file: change it there.`);
}

function atField(path: string, message: string) {
  return { errors: [{ path, message }] };
}
