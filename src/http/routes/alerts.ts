import { z } from 'zod';
import { alertSchema } from '../../alerts/alert';
import type { Alerts, RecentAlert } from '../../alerts/alerts';
import type { AlertDelivery, Receiver } from '../../alerts/store';
import { ALERT_TYPES } from '../../limits/alert-settings';
import { isStreamId } from '../../log/stream';
import type { ConfigurationStore } from '../../store/configuration';
import { shownSettings } from '../../store/shown-settings';
import { type Route, route } from '../contract';
import { decodeCursor, encodeCursor } from '../cursor';
import { problemSchema } from '../decision-schemas';
import { listQueryFields } from '../list';
import { pagingSchema } from '../paging';
import { invalidInput, problem } from '../problem';

const CURSOR_KIND = 'alerts';

const deliveryFields = {
  state: z
    .enum(['delivered', 'retrying', 'failed', 'collected', 'dropped'])
    .describe(
      'retrying: it is tried again. failed: it is not. collected: the next mail about the same counts it. dropped: the receiver is not in the settings any more.',
    ),
  at: z.iso.datetime().describe('When the last attempt was.'),
  tries: z.int(),
  status: z.int().nullable().describe('The HTTP status of the last answer, where there was one.'),
  error: z.string().nullable().describe('What was wrong with the last attempt.'),
};

const lastResultSchema = z
  .object({ alert_id: z.string(), type: z.string(), ...deliveryFields })
  .meta({ id: 'AlertResult' });

const alertsSchema = z
  .object({
    paging: pagingSchema,
    items: z.array(
      z.object({
        alert: alertSchema.describe('As its receivers get it.'),
        deliveries: z
          .array(
            z.object({
              to: z.enum(['webhook', 'mail']),
              url: z.string().nullable().describe("The webhook's."),
              ...deliveryFields,
            }),
          )
          .describe('What became of it, for each receiver; empty while no worker has taken it up.'),
      }),
    ),
    webhooks: z
      .array(
        z.object({
          url: z.string(),
          secret_fingerprint: z.string(),
          events: z.array(z.enum(ALERT_TYPES)).nullable(),
          last_result: lastResultSchema.nullable().describe('Of the last attempt of any alert, a test included.'),
        }),
      )
      .describe('Those of the settings, with their last result.'),
    mail: z.object({
      configured: z.boolean(),
      to: z.array(z.string()),
      last_result: lastResultSchema.nullable(),
    }),
  })
  .meta({ id: 'Alerts' });

const testBodySchema = z
  .strictObject({
    webhook: z.string().optional().describe('The URL of one webhook of the settings; left out, all are tested.'),
    mail: z.boolean().optional().describe('Whether a mail is sent too; left out, one is when no webhook is named.'),
  })
  .optional()
  .meta({ id: 'AlertTest' });

const testResultsSchema = z
  .object({
    results: z.array(
      z.object({
        to: z.enum(['webhook', 'mail']),
        url: z.string().nullable(),
        delivered: z.boolean(),
        status: z.int().nullable().describe('The HTTP status of the answer, where there was one.'),
        error: z.string().nullable(),
        took_ms: z.int(),
      }),
    ),
  })
  .meta({ id: 'AlertTestResults' });

/** The routes of the alerts. Who gets them is in the settings. */
export function alertRoutes(deps: { alerts: Alerts; configuration: ConfigurationStore }): Route[] {
  const { alerts, configuration } = deps;

  async function settings() {
    await configuration.refresh();
    return configuration.planner()!.configuration.settings;
  }

  return [
    route({
      method: 'get',
      path: '/alerts',
      operationId: 'listAlerts',
      tag: 'Alerts',
      summary: 'The latest alerts, and what became of them',
      description:
        'The newest first. The newest 10,000 or so are kept, for 30 days. Beside them whom alerts go to, each with its last result.',
      role: 'read',
      query: z.strictObject(listQueryFields),
      replies: { 200: { description: 'Alerts, and their receivers.', schema: alertsSchema } },
      async handle({ query: { cursor, limit } }) {
        const beforeId = cursor === undefined ? null : decodeCursor(CURSOR_KIND, cursor);
        if (cursor !== undefined && (beforeId === null || !isStreamId(beforeId))) {
          return invalidInput([{ path: 'cursor', message: 'must be the cursor of a page of this list' }]);
        }
        const [page, last, present] = await Promise.all([
          alerts.page(beforeId, limit),
          alerts.lastDeliveries(),
          settings(),
        ]);
        const lastOf = (receiver: Receiver) => {
          const found = last.find((one) => isSame(one.receiver, receiver));
          return found === undefined ? null : resultWords(found);
        };
        return {
          status: 200,
          body: {
            paging: {
              cursor: page.next === null ? null : encodeCursor(CURSOR_KIND, page.next),
              more: page.next !== null,
            },
            items: page.alerts.map(alertWords),
            webhooks: shownSettings(present).alert_webhooks.map((webhook) => ({
              ...webhook,
              last_result: lastOf({ to: 'webhook', url: webhook.url }),
            })),
            mail: {
              configured: alerts.mailTo.length > 0,
              to: alerts.mailTo,
              last_result: lastOf({ to: 'mail' }),
            },
          },
        };
      },
    }),
    route({
      method: 'post',
      path: '/alerts/test',
      operationId: 'testAlerts',
      tag: 'Alerts',
      summary: 'Send a test to those who get alerts',
      description:
        'Sends an `alert.test` now, once, to one webhook of the settings or to all, and by mail where that is configured; answers what each said, after ten seconds at most.',
      role: 'admin',
      body: testBodySchema,
      bodyExample: {},
      replies: {
        200: { description: 'What each said.', schema: testResultsSchema },
        409: { description: 'There is nobody to send it to.', schema: problemSchema },
      },
      async handle({ body = {} }) {
        const { webhook: url, mail = url === undefined } = body;
        const { alert_webhooks: all } = await settings();
        const href = url !== undefined && URL.canParse(url) ? new URL(url).href : url;
        const webhooks = url === undefined ? all : all.filter((one) => one.url === href);
        if (url !== undefined && webhooks.length === 0) {
          return invalidInput([{ path: 'webhook', message: 'must be the URL of a webhook of the settings' }]);
        }
        const isConfigured = alerts.mailTo.length > 0;
        if (body.mail === true && !isConfigured) {
          return invalidInput([{ path: 'mail', message: 'must be false: no mail is configured (SENDGATE_SMTP_URL)' }]);
        }
        const byMail = mail && isConfigured;
        if (webhooks.length === 0 && !byMail) {
          return problem(
            409,
            'Nobody to tell',
            'There is no webhook in the settings (alert_webhooks), and no mail is configured.',
          );
        }
        const results = await alerts.test(webhooks, byMail);
        return {
          status: 200,
          body: {
            results: results.map(({ delivery: { receiver, state, status, error }, tookMs }) => ({
              ...receiverWords(receiver),
              delivered: state === 'delivered',
              status,
              error,
              took_ms: tookMs,
            })),
          },
        };
      },
    }),
  ];
}

function isSame(one: Receiver, other: Receiver): boolean {
  return one.to === 'webhook' && other.to === 'webhook' ? one.url === other.url : one.to === other.to;
}

function receiverWords(receiver: Receiver) {
  return { to: receiver.to, url: receiver.to === 'webhook' ? receiver.url : null };
}

function deliveryWords({ state, atMs, tries, status, error }: AlertDelivery) {
  return { state, at: new Date(atMs).toISOString(), tries, status, error };
}

function resultWords(delivery: AlertDelivery) {
  return { alert_id: delivery.alertId, type: delivery.type, ...deliveryWords(delivery) };
}

function alertWords({ alert, deliveries }: RecentAlert) {
  return {
    alert,
    deliveries: deliveries.map((delivery) => ({ ...receiverWords(delivery.receiver), ...deliveryWords(delivery) })),
  };
}
