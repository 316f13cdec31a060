import { z } from 'zod';
import { identifierSchema } from '../../limits/identifier';
import { ACCOUNTS_MAX, type Members, type Membership, type MembershipWrite } from '../../membership/members';
import { type Route, route } from '../contract';
import { problemSchema } from '../decision-schemas';
import { jsonObjectSchema } from '../json-object';
import { filterSchema, listQueryFields, listReply, listSchema, placeIn } from '../list';
import { type InputError, invalidInput, problem, withHeaders } from '../problem';
import { WORDINGS, type Wording } from '../wording';

const TAG = 'Members';
const SOURCE = 'api';
/** Room for a thousand ids of 256 emoji, each written as two JSON escapes of 6 bytes, with small profiles. */
const ACCOUNTS_MAX_BYTES = 8_388_608;

const profileSchema = jsonObjectSchema
  .nullish()
  .describe('What the account knows of the user. Absent, a profile that is there stays; null removes it.');

const userParams = z.strictObject({ user_id: identifierSchema });

const TOTAL_HEADER = { 'X-Total-Count': 'How many there are on all pages.' };
function totalHeader(total: number): Record<string, string> {
  return { 'x-total-count': `${total}` };
}

/** The routes of who is in which account, at each of their paths. */
export function memberRoutes(services: { members: Members }): Route[] {
  return WORDINGS.flatMap((wording) => routesIn(wording, services));
}

function routesIn(wording: Wording, { members }: { members: Members }): Route[] {
  const { one, many, idField, inOperation } = wording;

  const ofUser = `/users/{user_id}/${many}`;
  const ofOne = `${ofUser}/{${idField}}`;
  const usersOf = `/${many}/{${idField}}/users`;
  const at = (path: string) => ({ path, aliases: [`/membership${path}`] });

  const accountParams = z.strictObject({ [idField]: identifierSchema });
  const bothParams = z.strictObject({ user_id: identifierSchema, [idField]: identifierSchema });
  const itemSchema = z
    .strictObject({
      [idField]: identifierSchema,
      profile: profileSchema,
      user_id: identifierSchema.nullish().describe('As in the path, if it is given.'),
      type: z.literal('user').nullish().describe("Courier's; it says nothing more."),
    })
    .meta({ id: `${inOperation}MembershipInput` });
  const itemsSchema = z
    .array(itemSchema)
    .min(1)
    .max(ACCOUNTS_MAX)
    .superRefine((items, context) => {
      const seen = new Set<unknown>();
      items.forEach((item, index) => {
        const id = item[idField];
        if (seen.has(id)) {
          context.addIssue({ code: 'custom', path: [index, idField], message: `repeats another ${one} of this call` });
        }
        seen.add(id);
      });
    });
  const membershipSchema = z
    .object({
      [idField]: z.string(),
      user_id: z.string(),
      profile: z.record(z.string(), z.unknown()).nullable(),
    })
    .meta({ id: `${inOperation}Membership` });
  const view = ({ userId, accountId, profile }: Membership) => ({ [idField]: accountId, user_id: userId, profile });

  return [
    route({
      method: 'put',
      ...at(ofUser),
      operationId: `addUserTo${inOperation}s`,
      tag: TAG,
      summary: `Add a user to ${many}`,
      description: `Adds the user to all of them, or to none. Where the user is already, a profile that is given takes the place of the one that is there.`,
      role: 'admin',
      params: userParams,
      body: z.strictObject({ [many]: itemsSchema }),
      bodyMaxBytes: ACCOUNTS_MAX_BYTES,
      bodyExample: { [many]: [{ [idField]: 'acme', profile: { role: 'owner' } }, { [idField]: 'bolt' }] },
      replies: { 204: { description: `The user is in all of these ${many} now.` } },
      async handle({ params, body, actor }) {
        const items = body[many] as z.output<typeof itemsSchema>;
        const writes: MembershipWrite[] = [];
        const errors: InputError[] = [];
        items.forEach((item, index) => {
          const { user_id: userId, profile } = item as {
            user_id?: string | null;
            profile?: MembershipWrite['profile'];
          };
          writes.push({ accountId: item[idField] as string, profile });
          if (typeof userId === 'string' && userId !== params.user_id) {
            errors.push({ path: `${many}.${index}.user_id`, message: 'must be the user of the path' });
          }
        });
        if (errors.length > 0) return invalidInput(errors);
        await members.add(params.user_id, writes, actor, SOURCE);
        return { status: 204 };
      },
    }),
    route({
      method: 'put',
      ...at(ofOne),
      operationId: `addUserTo${inOperation}`,
      tag: TAG,
      summary: `Add a user to one ${one}`,
      description: 'Where the user is already, a profile that is given takes the place of the one that is there.',
      role: 'admin',
      params: bothParams,
      body: z.strictObject({ profile: profileSchema }).optional(),
      bodyExample: { profile: { role: 'owner' } },
      replies: { 204: { description: `The user is in the ${one} now.` } },
      async handle({ params, body, actor }) {
        const write = { accountId: params[idField]!, profile: body?.profile };
        await members.add(params.user_id!, [write], actor, SOURCE);
        return { status: 204 };
      },
    }),
    route({
      method: 'get',
      ...at(ofUser),
      operationId: `listUser${inOperation}s`,
      tag: TAG,
      summary: `The ${many} of a user`,
      description:
        'In the order of their ids, a page at a time. Whatever is added and removed meanwhile, one that stays is listed once. A user that is in none, or that nobody knows, has an empty list.',
      role: 'read',
      params: userParams,
      query: z.strictObject({
        ...listQueryFields,
        [idField]: filterSchema(`Only this one; none when the user is not in it.`),
      }),
      replies: { 200: { description: 'One page.', schema: listSchema(membershipSchema), headers: TOTAL_HEADER } },
      async handle({ params, query, path }) {
        const list = `users/${params.user_id}/accounts`;
        const place = placeIn(list, query.cursor);
        if ('refusal' in place) return place.refusal;
        const { [idField]: only } = query as { [name: string]: unknown };
        if (typeof only === 'string') {
          const one = await members.find(params.user_id, only);
          const items = one === null ? [] : [one];
          return withHeaders(
            listReply(list, { path, limit: query.limit }, { items, next: null }, view),
            totalHeader(items.length),
          );
        }
        const [page, total] = await Promise.all([
          members.accountsOf(params.user_id, { ...place, limit: query.limit }),
          members.countAccountsOf(params.user_id),
        ]);
        return withHeaders(listReply(list, { path, limit: query.limit }, page, view), totalHeader(total));
      },
    }),
    route({
      method: 'get',
      ...at(ofOne),
      operationId: `getUser${inOperation}`,
      tag: TAG,
      summary: `A user's membership of one ${one}`,
      role: 'read',
      params: bothParams,
      replies: {
        200: { description: 'The membership.', schema: membershipSchema },
        404: { description: `The user is not in the ${one}.`, schema: problemSchema },
      },
      async handle({ params }) {
        const membership = await members.find(params.user_id!, params[idField]!);
        if (membership === null) return problem(404, 'No such membership', `The user is not in the ${one}.`);
        return { status: 200, body: view(membership) };
      },
    }),
    route({
      method: 'get',
      ...at(usersOf),
      operationId: `list${inOperation}Users`,
      tag: TAG,
      summary: `The users of one ${one}`,
      description:
        'In the order of their ids, a page at a time. Whatever is added and removed meanwhile, one that stays is listed once.',
      role: 'read',
      params: accountParams,
      query: z.strictObject(listQueryFields),
      replies: { 200: { description: 'One page.', schema: listSchema(membershipSchema), headers: TOTAL_HEADER } },
      async handle({ params, query, path }) {
        const accountId = params[idField]!;
        const list = `accounts/${accountId}/users`;
        const place = placeIn(list, query.cursor);
        if ('refusal' in place) return place.refusal;
        const [page, total] = await Promise.all([
          members.usersOf(accountId, { ...place, limit: query.limit }),
          members.countUsersOf(accountId),
        ]);
        return withHeaders(listReply(list, { path, limit: query.limit }, page, view), totalHeader(total));
      },
    }),
    route({
      method: 'delete',
      ...at(ofUser),
      operationId: `removeUserFromAll${inOperation}s`,
      tag: TAG,
      summary: `Remove a user from all ${many}`,
      description:
        'Answers when it is done, however many those are. After an answer other than 204 call it again: it goes on where it stopped.',
      role: 'admin',
      params: userParams,
      replies: { 204: { description: `The user is in none of the ${many} that the user was in when this began.` } },
      async handle({ params, actor }) {
        await members.removeFromAll(params.user_id, actor, SOURCE);
        return { status: 204 };
      },
    }),
    route({
      method: 'delete',
      ...at(ofOne),
      operationId: `removeUserFrom${inOperation}`,
      tag: TAG,
      summary: `Remove a user from one ${one}`,
      role: 'admin',
      params: bothParams,
      replies: { 204: { description: `The user is not in the ${one}, and perhaps never was.` } },
      async handle({ params, actor }) {
        await members.remove(params.user_id!, params[idField]!, actor, SOURCE);
        return { status: 204 };
      },
    }),
  ];
}
