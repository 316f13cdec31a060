import { hash } from 'node:crypto';
import { z } from 'zod';
import { instantText } from '../../limits/decision';
import {
  DIMENSIONS,
  isTemporary,
  type Limit,
  type LimitInput,
  limitIdSchema,
  limitInputSchema,
  PERIODS,
} from '../../limits/limit';
import type { Configuration, KnownAccount } from '../../limits/plan';
import { describeLimit } from '../../limits/words';
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
  /** Redis's time, in epoch milliseconds. */
  nowMs: () => number;
  /** Makes the id of a limit that its caller has not named. */
  newLimitId: () => string;
}): Route[] {
  const { configuration, accounts, nowMs, newLimitId } = deps;

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
export function stored(input: LimitInput, id: string, nowMs: number, before: Limit | null): Limit {
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

/** The answer to a limit that may not stand beside another. @param path where it is in the request */
export function inConflict(limit: Limit, other: Limit, path: string): Reply {
  const times = isTemporary(limit) ? ', at times that overlap' : '';
  return problem(
    409,
    'Limit in conflict',
    `The limit "${other.id}" counts the same (per, period and mode) for the same messages (where)${times}.`,
    { conflicts_with: other.id, ...atField(path, `is the same as that of "${other.id}"`) },
  );
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
