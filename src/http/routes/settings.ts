import { z } from 'zod';
import { ALERT_TYPES, withSecrets } from '../../limits/alert-settings';
import { plainSettingsFields, type Settings, settingsPatchSchema } from '../../limits/settings';
import { type ConfigurationStore, SETTINGS_ID } from '../../store/configuration';
import { shownSettings } from '../../store/shown-settings';
import { type Reply, type Route, route } from '../contract';
import { invalidInput } from '../problem';

const settingsSchema = z
  .object({
    ...plainSettingsFields,
    alert_webhooks: z
      .array(
        z.object({
          url: z.string(),
          secret_fingerprint: z
            .string()
            .describe('The first eight hexadecimal digits of the SHA-256 of the secret, which is never shown.'),
          events: z.array(z.enum(ALERT_TYPES)).nullable().describe('Which alerts are sent there; null for all.'),
        }),
      )
      .describe('Who is told of alerts. It can be sent back as it is: a URL that has a secret keeps it.'),
  })
  .meta({ id: 'Settings' });

/** The routes of the workspace's settings. A change is in force for the next check on every replica. */
export function settingsRoutes({ configuration }: { configuration: ConfigurationStore }): Route[] {
  async function present() {
    await configuration.refresh();
    return shownSettings(configuration.planner()!.configuration.settings);
  }

  return [
    route({
      method: 'get',
      path: '/settings',
      operationId: 'getSettings',
      tag: 'Settings',
      summary: 'The settings of the workspace',
      role: 'read',
      replies: { 200: { description: 'The settings.', schema: settingsSchema } },
      async handle() {
        return { status: 200, body: await present() };
      },
    }),
    route({
      method: 'patch',
      path: '/settings',
      operationId: 'changeSettings',
      tag: 'Settings',
      summary: 'Change settings',
      description:
        'Changes only what it names. Another time zone, start of the week or billing anchor makes other windows, whose counters begin empty.',
      role: 'admin',
      body: settingsPatchSchema,
      bodyExample: { timezone: 'America/New_York', week_start: 'monday' },
      replies: {
        200: { description: 'The settings after the change.', schema: settingsSchema },
      },
      async handle({ body, actor }) {
        const result = await configuration.change<Reply>(actor, 'api', ({ settings: before }) => {
          const { alert_webhooks: written, ...plain } = body;
          const after: Settings = Object.assign({}, before, plain);
          if (written !== undefined) {
            const completed = withSecrets(written, before.alert_webhooks);
            if ('missing' in completed) {
              const path = `alert_webhooks.${completed.missing}.secret`;
              return {
                refused: invalidInput([{ path, message: 'is missing: this URL has no secret that could stay' }]),
              };
            }
            after.alert_webhooks = completed.webhooks;
          }
          if (JSON.stringify(after) === JSON.stringify(before)) return { writes: [], events: [] };
          return {
            writes: [{ id: SETTINGS_ID, value: after }],
            events: [
              {
                type: 'settings.updated',
                target: 'settings',
                before: shownSettings(before),
                after: shownSettings(after),
              },
            ],
          };
        });
        if ('refused' in result) return result.refused;
        return { status: 200, body: await present() };
      },
    }),
  ];
}
