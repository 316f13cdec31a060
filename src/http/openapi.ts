import { z } from 'zod';
import { ALERT_SCHEMAS, type AnyAlertType } from '../alerts/alert';
import type { ReplyContract, Route } from './contract';
import { problemSchema } from './decision-schemas';
import { PROBLEM_CONTENT_TYPE } from './problem';

type Json = Record<string, unknown>;
/** Whether a schema is looked at from the side of who writes it (a request) or of who reads it (an answer). */
type Side = 'input' | 'output';

/** The tags of the routes, in the order of the document. */
const TAGS: Record<string, string> = {
  Decisions: 'May this message go out now? And what has been used.',
  Sends: 'Send this message when the limits allow.',
  Receipts: 'What providers say became of messages.',
  Limits: 'What may go out, over which calendar period.',
  Settings: 'What applies to the whole workspace.',
  Members: 'Which users belong to which accounts.',
  Accounts: "Accounts' own calendars and other settings.",
  Profiles: 'What is known of users.',
  Events: 'Events of customer data platforms, and which of them become messages.',
  Messages: 'What became of messages.',
  Overview: 'How much is decided and delivered, and what waits.',
  Alerts: 'What Sendgate tells of by itself, and to whom.',
  Audit: 'Who changed what.',
  Session: 'For the console, in a browser.',
  Operations: 'For whoever runs it.',
};

/** The problems that routes answer besides those they name themselves. */
const PROBLEMS: Record<number, { name: string; description: string; applies: (route: Route) => boolean }> = {
  400: {
    name: 'BadRequest',
    description: 'The input is not as documented here: `errors` names each field and says what is expected of it.',
    applies: () => true,
  },
  401: {
    name: 'Unauthorized',
    description: 'There is no API key in the request, or it is not known.',
    applies: ({ role }) => role !== null,
  },
  403: {
    name: 'Forbidden',
    description:
      'The API key does not have the role that the call needs, or a browser calls by its session without `X-Sendgate-Console`, or from a page of another site.',
    applies: ({ role }) => role !== null,
  },
  413: {
    name: 'ContentTooLarge',
    description: 'The body is larger than the call takes.',
    applies: ({ body }) => body !== undefined,
  },
  415: {
    name: 'UnsupportedMediaType',
    description: 'The body is not JSON in UTF-8.',
    applies: ({ body }) => body !== undefined,
  },
  429: {
    name: 'TooManyWrongKeys',
    description: 'Too many wrong API keys came from this address. A right one is let through all the same.',
    applies: ({ role }) => role !== null,
  },
  500: {
    name: 'InternalError',
    description: 'A fault of Sendgate. `request_id` finds it in the log.',
    applies: () => true,
  },
  503: {
    name: 'Unavailable',
    description: 'Redis does not answer. Retry-After says when to try again, in seconds.',
    applies: ({ role }) => role !== null,
  },
};

/** What stands for a parameter of this name in the document. */
const PARAMETER_EXAMPLES: Record<string, string> = {
  user_id: 'ann',
  account_id: 'acme',
  tenant_id: 'acme',
  topic_id: 'weekly-digest',
  channel: 'email',
  limit_id: 'user-daily',
  message_id: 'm-81',
  call: 'track',
  audit_event_id: '1767225600000-0',
};

const DESCRIPTION = `Sendgate is asked before every notification: may this one go out now? It counts each message against every limit that applies, over calendar periods, all or nothing.

Every request but those under Operations and Receipts carries an API key: \`Authorization: Bearer <key>\`. Errors are \`application/problem+json\` (RFC 9457), with \`errors: [{path, message}]\` for bad input. Fields that are not known are errors, except in POST /send, in profiles and in events, where they are ignored. Instants are RFC 3339, in answers always in UTC with milliseconds. Every answer has an \`X-Request-Id\`: the caller's, or one of ours, to be found in the log.`;

/** The text of the OpenAPI document, as it is committed and as it is served. */
export function openApiText(routes: readonly Route[], version: string): string {
  return `${JSON.stringify(openApiDocument(routes, version), null, 2)}\n`;
}

/**
 * The OpenAPI 3.1 document of routes, made from the schemas that check their input and describe their answers:
 * https://spec.openapis.org/oas/v3.1.1.html
 */
export function openApiDocument(routes: readonly Route[], version: string): Json {
  const components = createComponents();
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const names = [route.path, ...(route.aliases ?? [])];
    names.forEach((path, index) => {
      const suffix = index === 0 ? '' : `Alias${names.length > 2 ? index : ''}`;
      paths[path] = {
        ...paths[path],
        [route.method]: operation(route, `${route.operationId}${suffix}`, components),
      };
    });
  }
  const used = new Set(routes.map(({ tag }) => tag));
  return {
    openapi: '3.1.1',
    info: {
      title: 'Sendgate',
      version,
      description: DESCRIPTION,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'The process that serves this document.' }],
    security: [{ apiKey: [] }],
    tags: Object.entries(TAGS)
      .filter(([name]) => used.has(name))
      .map(([name, description]) => ({ name, description })),
    paths,
    ...(used.has('Alerts') ? { webhooks: webhooks(components) } : {}),
    components: {
      schemas: sorted(components.schemas),
      responses: Object.fromEntries(
        Object.values(PROBLEMS).map(({ name, description }) => [
          name,
          { description, content: problemContent(components, problemSchema) },
        ]),
      ),
      securitySchemes: {
        apiKey: {
          type: 'http',
          scheme: 'bearer',
          description: 'An API key, made by `sendgate keys create`, or the one of `SENDGATE_API_KEY`.',
        },
      },
    },
  };
}

/** What each alert is told for. */
const ALERT_SUMMARIES: Record<AnyAlertType, string> = {
  'limit.threshold': 'The use of a limit has passed a threshold',
  'limit.throttled': 'A limit has no room left, for the first time in a window',
  'provider.stopped': 'A provider takes no messages for now',
  'redis.degraded': 'Redis does not answer',
  'alert.test': 'A test, from POST /alerts/test',
};

const ALERT_DESCRIPTION =
  'Sent to the webhooks of the settings, `alert_webhooks`, that want it. Signed by the Standard Webhooks scheme. Answered 2xx, it has arrived; 408, 425, 429 or 5xx, or not answered, it is sent again, with the same `webhook-id`; anything else, it is given up. Redirects are not followed.';

/** The requests that Sendgate makes, from the schemas that make them. */
function webhooks(components: Components): Json {
  const header = (name: string, description: string) => ({
    name,
    in: 'header',
    required: true,
    description,
    schema: { type: 'string' },
  });
  const parameters = [
    header('webhook-id', 'The same in every attempt: `data.alert_id`.'),
    header('webhook-timestamp', 'When this attempt is made, in seconds since 1970.'),
    header('webhook-signature', '`v1,` and the HMAC-SHA256 of `{webhook-id}.{webhook-timestamp}.{body}`, in base64.'),
  ];
  return Object.fromEntries(
    (Object.keys(ALERT_SCHEMAS) as AnyAlertType[]).map((type) => [
      type,
      {
        post: {
          operationId: `on${type.replace(/(?:^|\.)(\w)/g, (_match, letter: string) => letter.toUpperCase())}`,
          tags: ['Alerts'],
          summary: ALERT_SUMMARIES[type],
          description: ALERT_DESCRIPTION,
          security: [],
          parameters,
          requestBody: {
            required: true,
            content: { 'application/json': { schema: components.refer(ALERT_SCHEMAS[type], 'output') } },
          },
          responses: { '2XX': { description: 'It has arrived.' } },
        },
      },
    ]),
  );
}

function operation(route: Route, operationId: string, components: Components): Json {
  const { tag, summary, description, role, acceptsNobody, body, bodyForms, bodyExample } = route;
  const needs =
    role === null
      ? 'Needs no API key.'
      : role === 'any'
        ? acceptsNobody
          ? 'Needs no API key.'
          : 'Needs a key, of whatever role.'
        : `Needs a key with the role \`${role}\`${role === 'admin' ? '' : ' or `admin`'}.`;
  const parameters = [...parametersOf('path', route.params), ...parametersOf('query', route.query)];
  return {
    operationId,
    tags: [tag],
    summary,
    description: description === undefined ? needs : `${description}\n\n${needs}`,
    ...(role === null ? { security: [] } : acceptsNobody ? { security: [{ apiKey: [] }, {}] } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: !body.safeParse(undefined).success,
            content: Object.fromEntries(
              ['application/json', ...(bodyForms ? ['application/x-www-form-urlencoded'] : [])].map((type) => [
                type,
                {
                  schema: components.refer(body, 'input'),
                  ...(bodyExample === undefined ? {} : { example: bodyExample }),
                },
              ]),
            ),
          },
        }),
    responses: responsesOf(route, components),
  };

  function parametersOf(place: 'path' | 'query', schema: z.ZodType | undefined): Json[] {
    if (schema === undefined) return [];
    const { properties = {}, required = [] } = components.inline(schema, 'input') as {
      properties?: Record<string, Json>;
      required?: string[];
    };
    return Object.entries(properties).map(([name, { description: words, ...type }]) => ({
      name,
      in: place,
      required: place === 'path' || required.includes(name),
      ...(words === undefined ? {} : { description: words }),
      schema: type,
      ...(PARAMETER_EXAMPLES[name] === undefined ? {} : { example: PARAMETER_EXAMPLES[name] }),
    }));
  }
}

function responsesOf(route: Route, components: Components): Json {
  const responses: Json = {};
  for (const [status, { name, applies }] of Object.entries(PROBLEMS)) {
    if (applies(route)) responses[status] = { $ref: `#/components/responses/${name}` };
  }
  for (const [status, contract] of Object.entries(route.replies)) {
    const also = PROBLEMS[Number(status)];
    // A status that the route names itself may also come for the general reason.
    const words = also?.applies(route) ? `${contract.description} Or: ${also.description}` : contract.description;
    responses[status] = response(Number(status), { ...contract, description: words }, components);
  }
  return responses;
}

function response(status: number, contract: ReplyContract, components: Components): Json {
  const { description, schema, contentType, headers } = contract;
  return {
    description,
    ...(headers === undefined
      ? {}
      : {
          headers: Object.fromEntries(
            Object.entries(headers).map(([name, words]) => [name, { description: words, schema: { type: 'string' } }]),
          ),
        }),
    ...content(),
  };

  function content(): Json {
    if (contentType !== undefined) return { content: { [contentType]: { schema: { type: 'string' } } } };
    if (status >= 400) return { content: problemContent(components, schema ?? problemSchema) };
    if (schema === undefined) return {};
    return { content: { 'application/json': { schema: components.refer(schema, 'output') } } };
  }
}

function problemContent(components: Components, schema: z.ZodType): Json {
  return { [PROBLEM_CONTENT_TYPE]: { schema: components.refer(schema, 'output') } };
}

/** The schemas that have a name of their own, collected while the document is made. */
interface Components {
  schemas: Record<string, Json>;
  /** A schema, by reference where it, or what it holds, has an id. */
  refer(schema: z.ZodType, side: Side): Json;
  /** The same, itself without its id. */
  inline(schema: z.ZodType, side: Side): Json;
}

function createComponents(): Components {
  const schemas: Record<string, Json> = {};

  function convert(schema: z.ZodType, side: Side): { json: Json; definitions: Record<string, Json> } {
    const { $schema, $defs, ...json } = z.toJSONSchema(schema, {
      target: 'draft-2020-12',
      io: side,
      // Transformed values have no schema of their own; what goes in has.
      unrepresentable: 'any',
    }) as Json & { $schema?: unknown; $defs?: Record<string, Json> };
    return { json: refined(json, side), definitions: refinedEach($defs ?? {}, side) };
  }

  /** Files definitions, and says under which names. One that looks otherwise from its two sides has two. */
  function file(definitions: Record<string, Json>, side: Side): Map<string, string> {
    const names = new Map<string, string>();
    for (const id of Object.keys(definitions)) names.set(id, id);
    for (const [id, definition] of Object.entries(definitions)) {
      const moved = moveReferences(definition, names);
      const known = schemas[id];
      if (known !== undefined && JSON.stringify(known) !== JSON.stringify(moved)) {
        const other = `${id}${side === 'input' ? 'Input' : 'Output'}`;
        names.set(id, other);
        schemas[other] = moved;
      } else {
        schemas[id] = moved;
      }
    }
    return names;
  }

  return {
    schemas,
    refer(schema, side) {
      const { json, definitions } = convert(schema, side);
      return moveReferences(json, file(definitions, side));
    },
    inline(schema, side) {
      const { json, definitions } = convert(schema, side);
      const { $ref } = json as { $ref?: string };
      if ($ref === undefined) return moveReferences(json, file(definitions, side));
      const { [$ref.replace('#/$defs/', '')]: own, ...others } = definitions;
      return moveReferences(own!, file(others, side));
    },
  };
}

/** What zod writes, as a contract should have it. */
function refined(schema: Json, side: Side): Json {
  const json: Json = { ...schema };
  for (const name of ['properties', '$defs']) {
    if (json[name] !== undefined) json[name] = refinedEach(json[name] as Record<string, Json>, side);
  }
  for (const name of ['items', 'additionalProperties', 'propertyNames', 'not']) {
    if (typeof json[name] === 'object') json[name] = refined(json[name] as Json, side);
  }
  for (const name of ['anyOf', 'oneOf', 'allOf', 'prefixItems']) {
    if (Array.isArray(json[name])) json[name] = json[name].map((inner) => refined(inner, side));
  }
  // Answers may grow: whoever reads them must not be told that there are no more fields.
  if (side === 'output' && json.additionalProperties === false) delete json.additionalProperties;
  // The bounds of every whole number in JavaScript: they say nothing.
  if (json.maximum === Number.MAX_SAFE_INTEGER) delete json.maximum;
  if (json.minimum === Number.MIN_SAFE_INTEGER) delete json.minimum;
  // The format says it in words.
  if (json.format === 'date-time') delete json.pattern;
  const [value, nothing, ...others] = (json.anyOf ?? []) as Json[];
  if (typeof value?.type !== 'string' || nothing?.type !== 'null' || others.length > 0 || value.enum !== undefined) {
    return json;
  }
  const { anyOf, ...rest } = json;
  return { ...value, type: [value.type, 'null'], ...rest };
}

function refinedEach(schemas: Record<string, Json>, side: Side): Record<string, Json> {
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, refined(schema, side)]));
}

function moveReferences<T>(value: T, names: Map<string, string>): T {
  if (Array.isArray(value)) return value.map((item) => moveReferences(item, names)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => {
      if (name !== '$ref' || typeof inner !== 'string') return [name, moveReferences(inner, names)];
      const id = inner.replace('#/$defs/', '');
      return [name, `#/components/schemas/${names.get(id) ?? id}`];
    }),
  ) as T;
}

function sorted<T>(record: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
