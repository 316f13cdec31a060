import { z } from 'zod';
import { identifierSchema } from '../../limits/identifier';
import type { JsonObject } from '../../limits/json-object';
import { PROFILE_MAX_BYTES, type Profiles } from '../../membership/profiles';
import { type Reply, type Route, route } from '../contract';
import { problemSchema } from '../decision-schemas';
import { jsonObjectSchema } from '../json-object';
import { invalidInput, problem } from '../problem';

const TAG = 'Profiles';
const SOURCE = 'api';
const PATH = '/profiles/{user_id}';

const params = z.strictObject({ user_id: identifierSchema });
const bodySchema = z
  .looseObject({ profile: jsonObjectSchema.describe('Any JSON object.') })
  .meta({ id: 'ProfileInput' });
const profileSchema = z.record(z.string(), z.unknown());
const bodyExample = { profile: { email: 'ann@example.com', phone_number: '+15555550100' } };
const changedReplies = {
  200: {
    description: 'The profile as it is now.',
    schema: z
      .object({ status: z.literal('SUCCESS').describe("Courier's."), profile: profileSchema })
      .meta({ id: 'ProfileChanged' }),
  },
};

/** The routes of what is known of users, in Courier's shape: https://www.courier.com/docs/reference/profiles/intro */
export function profileRoutes({ profiles }: { profiles: Profiles }): Route[] {
  return [
    route({
      method: 'get',
      path: PATH,
      operationId: 'getProfile',
      tag: TAG,
      summary: 'The profile of a user',
      role: 'read',
      params,
      replies: {
        200: {
          description: 'The profile.',
          schema: z.object({ profile: profileSchema }).meta({ id: 'Profile' }),
        },
        404: { description: 'The user has none.', schema: problemSchema },
      },
      async handle({ params }) {
        const profile = await profiles.read(params.user_id);
        if (profile === null) return problem(404, 'No such profile', 'Nothing was said of this user.');
        return { status: 200, body: { profile } };
      },
    }),
    route({
      method: 'post',
      path: PATH,
      operationId: 'mergeProfile',
      tag: TAG,
      summary: 'Put fields into the profile of a user, or make it',
      description:
        'A field that is there gets the new value as a whole; null removes it. Those that are not named stay.',
      role: 'admin',
      params,
      body: bodySchema,
      bodyExample,
      replies: changedReplies,
      async handle({ params, body, actor }) {
        return changed(await profiles.merge(params.user_id, body.profile, actor, SOURCE));
      },
    }),
    route({
      method: 'put',
      path: PATH,
      operationId: 'putProfile',
      tag: TAG,
      summary: 'Write the profile of a user',
      description: 'All of it: what is absent goes.',
      role: 'admin',
      params,
      body: bodySchema,
      bodyExample,
      replies: changedReplies,
      async handle({ params, body, actor }) {
        return changed(await profiles.replace(params.user_id, body.profile, actor, SOURCE));
      },
    }),
    route({
      method: 'delete',
      path: PATH,
      operationId: 'deleteProfile',
      tag: TAG,
      summary: 'Forget the profile of a user',
      description: 'The user stays in accounts.',
      role: 'admin',
      params,
      replies: { 204: { description: 'The user has no profile.' } },
      async handle({ params, actor }) {
        await profiles.remove(params.user_id, actor, SOURCE);
        return { status: 204 };
      },
    }),
  ];
}

function changed(profile: JsonObject | null): Reply {
  if (profile !== null) return { status: 200, body: { status: 'SUCCESS', profile } };
  const message = `would be larger than ${PROFILE_MAX_BYTES} bytes of JSON with what is there`;
  return invalidInput([{ path: 'profile', message }]);
}
