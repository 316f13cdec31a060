import { z } from 'zod';
import { identifierSchema } from '../../limits/identifier';
import { billingAnchorSchema, billingMonthsSchema, timezoneSchema } from '../../limits/settings';
import type { AccountSettings } from '../../membership/account-settings';
import { ACCOUNT_NAME_MAX_CHARACTERS, type Account, type Accounts, NO_REVISION } from '../../membership/accounts';
import type { Members } from '../../membership/members';
import { type Route, route } from '../contract';
import { problemSchema } from '../decision-schemas';
import { jsonObjectSchema } from '../json-object';
import { filterSchema, listQueryFields, listReply, listSchema, placeIn } from '../list';
import { invalidInput, problem } from '../problem';
import { WORDINGS, type Wording } from '../wording';

const TAG = 'Accounts';
const SOURCE = 'api';

const nameSchema = z.string().min(1).max(ACCOUNT_NAME_MAX_CHARACTERS);

const settingsSchema = z
  .strictObject({
    id: identifierSchema.optional().describe('As in the path, if it is given.'),
    name: nameSchema.nullish(),
    timezone: timezoneSchema.nullish().describe("The zone of the account's windows; null takes the workspace's."),
    billing_anchor: billingAnchorSchema
      .nullish()
      .describe("Where its billing periods are counted from; null takes the workspace's."),
    billing_months: billingMonthsSchema
      .nullish()
      .describe("The length of its billing periods; null takes the workspace's."),
    properties: jsonObjectSchema.nullish().describe('Anything that templates may use.'),
    user_profile: jsonObjectSchema.nullish().describe('What profiles of its users begin with.'),
    brand_id: nameSchema.nullish(),
    parent_tenant_id: identifierSchema.nullish().describe('The account that this one is part of.'),
    default_preferences: jsonObjectSchema.nullish(),
    // What answers add: taken and ignored, so that what was read can be sent back changed.
    created_at: z.unknown().optional().meta({ readOnly: true }),
    updated_at: z.unknown().optional().meta({ readOnly: true }),
  })
  .meta({ id: 'AccountInput' });

const anyObject = z.record(z.string(), z.unknown()).nullable();

const accountSchema = z
  .object({
    id: z.string(),
    name: z.string().nullable(),
    timezone: z.string().nullable(),
    billing_anchor: z.string().nullable(),
    billing_months: z.int().nullable(),
    properties: anyObject,
    user_profile: anyObject,
    brand_id: z.string().nullable(),
    parent_tenant_id: z.string().nullable(),
    default_preferences: anyObject,
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'Account' });

function view({ id, fields, createdMs, updatedMs }: Account): z.input<typeof accountSchema> {
  const instant = (ms: number) => new Date(ms).toISOString();
  return { id, ...fields, created_at: instant(createdMs), updated_at: instant(updatedMs) };
}

export interface AccountServices {
  accounts: Accounts;
  members: Members;
  /** What this process plans by: it learns of a change that is made here at once. */
  accountSettings: AccountSettings;
}

/** The routes of accounts' settings, in both wordings. */
export function accountRoutes(services: AccountServices): Route[] {
  return WORDINGS.flatMap((wording) => routesIn(wording, services));
}

function routesIn(wording: Wording, { accounts, members, accountSettings }: AccountServices): Route[] {
  const { one, many, idField, inOperation } = wording;
  const params = z.strictObject({ [idField]: identifierSchema });
  const path = `/${many}/{${idField}}`;

  return [
    route({
      method: 'put',
      path,
      operationId: `put${inOperation}`,
      tag: TAG,
      summary: `Write the settings of one ${one}`,
      description: `All of them: what is absent is none. In force for the next check on every replica. A change of zone, anchor or months begins empty counters for the windows that it moves.`,
      role: 'admin',
      params,
      body: settingsSchema,
      bodyExample: { name: 'Acme', timezone: 'Asia/Tokyo', billing_anchor: '2024-01-31T00:00:00' },
      replies: { 200: { description: `The ${one}.`, schema: accountSchema } },
      async handle({ params, body, actor }) {
        const accountId = params[idField]!;
        if (body.id !== undefined && body.id !== accountId) {
          return invalidInput([{ path: 'id', message: 'must be the id of the path' }]);
        }
        const fields = {
          name: body.name ?? null,
          timezone: body.timezone ?? null,
          billing_anchor: body.billing_anchor ?? null,
          billing_months: body.billing_months ?? null,
          properties: body.properties ?? null,
          user_profile: body.user_profile ?? null,
          brand_id: body.brand_id ?? null,
          parent_tenant_id: body.parent_tenant_id ?? null,
          default_preferences: body.default_preferences ?? null,
        };
        const { account, current } = await accounts.put(accountId, fields, actor, SOURCE);
        accountSettings.learn(accountId, current.revision, current.json);
        return { status: 200, body: view(account) };
      },
    }),
    route({
      method: 'get',
      path,
      operationId: `get${inOperation}`,
      tag: TAG,
      summary: `The settings of one ${one}`,
      role: 'read',
      params,
      replies: {
        200: { description: `The ${one}.`, schema: accountSchema },
        404: { description: `The ${one} has no settings. It may have members.`, schema: problemSchema },
      },
      async handle({ params }) {
        const account = await accounts.find(params[idField]!);
        if (account === null) return problem(404, `No such ${one}`, `No settings were put for this ${one}.`);
        return { status: 200, body: view(account) };
      },
    }),
    route({
      method: 'delete',
      path,
      operationId: `delete${inOperation}`,
      tag: TAG,
      summary: `Remove one ${one}, and every user from it`,
      description:
        'Answers when it is done, however many users those are. After an answer other than 204 call it again: it goes on where it stopped.',
      role: 'admin',
      params,
      replies: { 204: { description: `The ${one} has no settings and no members.` } },
      async handle({ params, actor }) {
        const accountId = params[idField]!;
        // Settings last: while they are there, whoever was cut off sees that there is something left to remove.
        await members.removeAllOf(accountId, actor, SOURCE);
        await accounts.remove(accountId, actor, SOURCE);
        accountSettings.learn(accountId, NO_REVISION, '');
        return { status: 204 };
      },
    }),
    route({
      method: 'get',
      path: `/${many}`,
      operationId: `list${inOperation}s`,
      tag: TAG,
      summary: `The ${many} that have settings`,
      description:
        'In the order of their ids, a page at a time. Whatever is put and removed meanwhile, one that stays is listed once.',
      role: 'read',
      query: z.strictObject({
        ...listQueryFields,
        id: filterSchema('Only this one; none when it has no settings.'),
        parent_tenant_id: filterSchema('Only those that are part of this one.'),
      }),
      replies: { 200: { description: 'One page.', schema: listSchema(accountSchema) } },
      async handle({ query, path }) {
        const { id, parent_tenant_id: parentId, limit } = query;
        const list = parentId === undefined ? 'accounts' : `accounts of ${parentId}`;
        const place = placeIn(list, query.cursor);
        if ('refusal' in place) return place.refusal;
        if (id !== undefined) {
          const account = await accounts.find(id);
          const isOne = account !== null && (parentId === undefined || account.fields.parent_tenant_id === parentId);
          return listReply(list, { path, limit }, { items: isOne ? [account] : [], next: null }, view);
        }
        const page = await accounts.list({ ...place, limit }, parentId);
        const filter = parentId === undefined ? {} : { parent_tenant_id: parentId };
        return listReply(list, { path, limit, filter }, page, view);
      },
    }),
  ];
}
