import { type Settings, settingsPatchSchema, settingsSchema } from '../../limits/settings';
import { type ConfigurationStore, SETTINGS_ID } from '../../store/configuration';
import { type Route, route } from '../contract';

/** The routes of the workspace's settings. A change is in force for the next check on every replica. */
export function settingsRoutes({ configuration }: { configuration: ConfigurationStore }): Route[] {
  async function present() {
    await configuration.refresh();
    return configuration.planner()!.configuration.settings;
  }

  return [
    route({
      method: 'get',
      path: '/settings',
      operationId: 'getSettings',
      tag: 'Settings',
      summary: 'The settings of the workspace',
      role: 'read',
      replies: { 200: { description: 'The settings.', schema: settingsSchema.meta({ id: 'Settings' }) } },
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
        200: { description: 'The settings after the change.', schema: settingsSchema.meta({ id: 'Settings' }) },
      },
      async handle({ body, actor }) {
        await configuration.change<never>(actor, 'api', ({ settings: before }) => {
          const after: Settings = Object.assign({}, before, body);
          if (JSON.stringify(after) === JSON.stringify(before)) return { writes: [], events: [] };
          return {
            writes: [{ id: SETTINGS_ID, value: after }],
            events: [{ type: 'settings.updated', target: 'settings', before, after }],
          };
        });
        return { status: 200, body: await present() };
      },
    }),
  ];
}
