import { z } from 'zod';
import type { ApplyEvents, EventOutcome } from '../../inbound/apply';
import {
  EVENT_TYPES,
  EVENTS_MAX,
  type EventProblem,
  type EventType,
  eventTypeOf,
  INBOUND_SOURCES,
  type InboundEvent,
  type InboundSource,
  readBody,
  readEvent,
} from '../../inbound/events';
import { ACCOUNT_PATH, MAPPINGS_MAX, type Mapping, RECIPIENT_PATH, stepsOf } from '../../inbound/mapping';
import type { Mappings } from '../../inbound/mappings';
import { hasProof, isSignature, isSignedBySegment, type ProofHeader, SEGMENT_SIGNATURE } from '../../inbound/signature';
import { identifierSchema } from '../../limits/identifier';
import type { Metrics } from '../../metrics/metrics';
import { type Call, type Proof, type Reply, type Route, route } from '../contract';
import { problemSchema } from '../decision-schemas';
import { type InputError, invalidInput, problem, withHeaders } from '../problem';

const TAG = 'Events';
/** As much as Segment and RudderStack send at once, and ten times over. */
const BODY_MAX_BYTES = 5_242_880;
/** How soon a sender should come back when something did not answer, in seconds. */
const RETRY_AFTER_SECONDS = '1';

export interface InboundServices {
  inbound: {
    apply: ApplyEvents;
    mappings: Mappings;
    /** What Segment signs with; null: a signature is not asked for. */
    segmentSecret: string | null;
    /** The header that RudderStack sends along; null: none is asked for. */
    rudderstackHeader: ProofHeader | null;
    /** Told when events of a call were refused. Must be cheap. */
    refused(source: InboundSource, count: number, firstWords: string): void;
  };
  metrics: Pick<Metrics, 'inboundEvent'>;
}

/** A path of names: `properties.order.customer`. What JSONPath has beyond that would lead nowhere in every event. */
const pathSchema = identifierSchema.refine((path) => stepsOf(path).every((step) => /^[^[\]]+$/.test(step)), {
  error: 'must be names with dots between them, such as properties.customer_id or properties.buyers[0].id',
});

const mappingSchema = z.strictObject({
  event: identifierSchema.describe('The name of an event, or a pattern: `*` is any run of characters.'),
  topic: identifierSchema.nullish().describe('The topic of its messages.'),
  template: identifierSchema.nullish().describe('Their template.'),
  recipient: pathSchema.nullish().describe(`Where in the event the recipient is; ${RECIPIENT_PATH} if not given.`),
  account: pathSchema
    .nullish()
    .describe(`Where in the event the account is, if it has one; ${ACCOUNT_PATH} if not given.`),
});
const mappingsSchema = z
  .strictObject({
    mappings: z
      .array(mappingSchema)
      .max(MAPPINGS_MAX)
      .describe('In order: an event goes by the first that matches its name.'),
  })
  .meta({ id: 'Mappings' });

const eventProperties = {
  type: { type: 'string', enum: [...EVENT_TYPES] },
  messageId: { type: 'string', description: 'What it is known by: the same again does nothing.' },
  userId: { type: 'string' },
  anonymousId: { type: 'string', description: 'Stands for a userId that there is not.' },
  traits: { type: 'object', description: "Of identify the user's, of group the account's." },
  groupId: { type: 'string', description: 'Of group: the account.' },
  event: { type: 'string', description: 'Of track: the name of what happened.' },
  properties: { type: 'object', description: 'Of track: the data of the message.' },
  context: { type: 'object' },
} as const;
const oneEvent = { type: 'object', properties: eventProperties, additionalProperties: true };
const severalEvents = { type: 'array', items: oneEvent, minItems: 1, maxItems: EVENTS_MAX };

/** What is wrong with single events is told by index, so they are read in the handler. */
const eventsSchema = z.unknown().meta({
  id: 'Events',
  description: "An event of Segment's specification, a list of them, or a batch. What is not known is left alone.",
  anyOf: [
    oneEvent,
    severalEvents,
    { type: 'object', properties: { batch: severalEvents }, required: ['batch'], additionalProperties: true },
  ],
});

const takenSchema = z
  .union([
    z.object({ messageId: z.string().describe("The event's, or the one that it was given.") }),
    z.object({
      accepted: z.int().describe('How many of them are done.'),
      errors: z
        .array(z.object({ index: z.int().describe('Its place, from 0.'), message: z.string() }))
        .describe('What is wrong with the others.'),
    }),
  ])
  .meta({ id: 'EventsTaken' });

const eventsProblemSchema = problemSchema
  .extend({
    errors: z
      .array(
        z.object({
          path: z.string(),
          message: z.string(),
          index: z.int().optional().describe('Of several events: its place, from 0.'),
        }),
      )
      .optional(),
  })
  .meta({ id: 'EventsProblem' });

const PROOF: Record<InboundSource, string> = {
  segment: `With SENDGATE_SEGMENT_SECRET set, the call must be signed (${SEGMENT_SIGNATURE}).`,
  rudderstack: 'With SENDGATE_RUDDERSTACK_HEADER set, the call must have that header.',
};
const PRODUCT: Record<InboundSource, string> = { segment: 'Segment', rudderstack: 'RudderStack' };

/** The routes that events of customer data platforms come in by, and that say which of them become messages. */
export function inboundRoutes(services: InboundServices): Route[] {
  return [...INBOUND_SOURCES.flatMap((source) => sourceRoutes(source, services)), ...mappingRoutes(services)];
}

function sourceRoutes(source: InboundSource, services: InboundServices): Route[] {
  const product = PRODUCT[source];
  const common = {
    method: 'post',
    tag: TAG,
    role: 'inbound',
    acceptsBasic: true,
    body: eventsSchema,
    bodyMaxBytes: BODY_MAX_BYTES,
    bodyInAnyForm: true,
    refuseUnproven: (proof: Proof) => refuseUnproven(source, services.inbound, proof),
    replies: {
      202: {
        description:
          'Done, and written down: of one event its messageId; of several how many, and what is wrong with the others.',
        schema: takenSchema,
      },
      400: { description: 'None of the events can be done.', schema: eventsProblemSchema },
    },
  } as const;
  return [
    route({
      ...common,
      path: `/inbound/${source}`,
      aliases: [`/inbound/${source}/v1/batch`],
      operationId: `inbound${product}`,
      summary: `Take events from ${product}`,
      description: `One event, a list of up to ${EVENTS_MAX.toLocaleString('en')}, or {"batch": [...]}, also compressed with gzip. identify merges a profile, group adds to an account, track goes through the mappings and becomes a message; page, screen and alias are counted. The same messageId again is answered as the first time and does nothing. The key may also be the user name of HTTP Basic. ${PROOF[source]}`,
      bodyExample: { type: 'identify', messageId: 'e-81', userId: 'ann', traits: { email: 'ann@example.com' } },
      handle: (call) => answer(source, services, call, null),
    }),
    route({
      ...common,
      path: `/inbound/${source}/v1/{call}`,
      operationId: `inbound${product}Call`,
      summary: `Take an event of one type from ${product}`,
      description: `The same, by the paths that SDKs call: the path says the type of an event that does not say it. ${PROOF[source]}`,
      params: z.strictObject({ call: z.enum(EVENT_TYPES) }),
      bodyExample: { messageId: 'e-82', userId: 'ann', event: 'Order Shipped', properties: { order: 81 } },
      handle: (call) => answer(source, services, call, call.params.call),
    }),
  ];
}

async function answer(
  source: InboundSource,
  { inbound, metrics }: InboundServices,
  call: Call,
  pathType: EventType | null,
): Promise<Reply> {
  const read = readBody(call.body);
  if (read.kind === 'refused') return invalidInput([{ path: read.path, message: read.message }]);
  const given = read.kind === 'one' ? [read.event] : read.events;
  if (given.length === 0) return invalidInput([{ path: placeOf(call.body, null), message: 'must not be empty' }]);
  if (given.length > EVENTS_MAX) return tooMany();

  const events: InboundEvent[] = [];
  const indexes: number[] = [];
  const problems = new Map<number, EventProblem[]>();
  given.forEach((value, index) => {
    const event = readEvent(value, pathType);
    if ('problems' in event) problems.set(index, event.problems);
    else {
      events.push(event);
      indexes.push(index);
    }
  });

  const done: Extract<EventOutcome, { kind: 'done' }>[] = [];
  if (events.length > 0) {
    const applied = await inbound.apply(events, call.actor);
    if (applied.kind === 'unavailable') return unavailable();
    applied.outcomes.forEach((outcome, place) => {
      if (outcome.kind === 'done') done.push(outcome);
      else problems.set(indexes[place]!, [outcome.problem]);
    });
  }

  given.forEach((value, index) => {
    const type = eventTypeOf(value, pathType) ?? 'unknown';
    metrics.inboundEvent(source, type, problems.has(index) ? 'refused' : 'done');
  });
  const refused = [...problems].sort(([one], [other]) => one - other);
  if (refused.length > 0) inbound.refused(source, refused.length, wordsOf(refused[0]![1]));
  if (done.length === 0) return noneDone(refused, read.kind === 'one' ? null : call.body);
  if (read.kind === 'one') return { status: 202, body: { messageId: done[0]!.messageId } };
  const errors = refused.map(([index, found]) => ({ index, message: wordsOf(found) }));
  return { status: 202, body: { accepted: done.length, errors } };
}

/**
 * Refuses a call without the proof that was agreed on. Of a body that was not read nobody can say who has signed it: it is
 * refused for that, if it has a signature at all.
 */
function refuseUnproven(
  source: InboundSource,
  { segmentSecret, rudderstackHeader }: InboundServices['inbound'],
  { bytes, body, header }: Proof,
): Reply | null {
  if (source === 'segment') {
    if (segmentSecret === null) return null;
    const signature = header(SEGMENT_SIGNATURE);
    if (bytes === null ? isSignature(signature) : isSignedBySegment(segmentSecret, signature, bytes, body)) return null;
    return unauthorized(
      SEGMENT_SIGNATURE,
      `The ${SEGMENT_SIGNATURE} is missing or wrong: it must be the HMAC-SHA1 of the body, in hex, under the shared secret.`,
    );
  }
  if (rudderstackHeader === null || hasProof(rudderstackHeader, header(rudderstackHeader.name))) return null;
  return unauthorized(
    rudderstackHeader.name,
    'The header that was agreed on with RudderStack is missing, or has another value.',
  );
}

function unauthorized(scheme: string, detail: string): Reply {
  return withHeaders(problem(401, 'Unauthorized', detail), { 'www-authenticate': scheme });
}

/** What is wrong when nothing was done. @param several the body with several events; null for one event */
function noneDone(refused: readonly (readonly [number, EventProblem[]])[], several: unknown): Reply {
  const errors: (InputError & { index?: number })[] = refused.flatMap(([index, found]) =>
    several === null
      ? found
      : found.map(({ path, message }) => {
          const place = placeOf(several, index);
          return { path: path === '' ? place : `${place}.${path}`, message, index };
        }),
  );
  return invalidInput(errors);
}

/** Where events are in a body: the list as a whole for null. */
function placeOf(body: unknown, index: number | null): string {
  const list = Array.isArray(body) ? [] : ['batch'];
  return [...list, ...(index === null ? [] : [index])].join('.');
}

function wordsOf(problems: readonly EventProblem[]): string {
  return problems.map(({ path, message }) => (path === '' ? message : `${path} ${message}`)).join('; ');
}

function tooMany(): Reply {
  const most = EVENTS_MAX.toLocaleString('en');
  return problem(413, 'Content too large', `There may be at most ${most} events in a call.`, {
    errors: [{ path: '', message: `must have at most ${most} events` }],
  });
}

function unavailable(): Reply {
  const detail = 'Nothing can be written down now, or not fast enough. Send it again: what was done is not done twice.';
  return withHeaders(problem(503, 'Cannot take it now', detail, { degraded: true }), {
    'retry-after': RETRY_AFTER_SECONDS,
  });
}

function mappingRoutes({ inbound: { mappings } }: InboundServices): Route[] {
  return [
    route({
      method: 'get',
      path: '/inbound/mappings',
      operationId: 'getMappings',
      tag: TAG,
      summary: 'Which events become messages',
      role: 'read',
      replies: { 200: { description: 'The mappings, in order.', schema: mappingsSchema } },
      async handle() {
        return { status: 200, body: { mappings: await mappings.read() } };
      },
    }),
    route({
      method: 'put',
      path: '/inbound/mappings',
      operationId: 'putMappings',
      tag: TAG,
      summary: 'Say which events become messages',
      description:
        'Takes the place of all mappings. In force for the next call with events. A track that none matches is logged as UNMAPPED.',
      role: 'admin',
      body: mappingsSchema,
      bodyExample: { mappings: [{ event: 'Order *', topic: 'orders', template: 'order-news' }] },
      replies: { 200: { description: 'The mappings, in order.', schema: mappingsSchema } },
      async handle({ body, actor }) {
        const given = body.mappings.map(withoutNull);
        await mappings.write(given, actor);
        return { status: 200, body: { mappings: given } };
      },
    }),
  ];
}

/** A mapping as it is kept: null says the same as leaving a field out. */
function withoutNull({ event, ...others }: z.output<typeof mappingSchema>): Mapping {
  return { event, ...Object.fromEntries(Object.entries(others).filter(([, value]) => value !== null)) };
}
